# SPDX-License-Identifier: MIT
"""Which keys are accepted, what a signature protects, and changes between verification and use."""

from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mpbench.core.errors import InfrastructureError
from mpbench.core.facts import Measurement
from mpbench.deployment.facts import ZEROS, DeployFacts
from mpbench.deployment.flips import answered
from mpbench.harness.configuration import configured
from mpbench.image.faults import apply
from mpbench.image.fields import fields
from mpbench.image.keys import parse_private_key, published_as
from mpbench.layout import Tee
from mpbench.recovery.firmware import parameters
from mpbench_virtual.fetch import source_tree
from testcases.elf_edit import end_address, rebuild
from testcases.field_sets import OUTCOME
from testcases.peer.elves import Segment
from testcases.requirements import ISOLATION

pytestmark = ISOLATION

ROUNDS = 6


def refused(bench, core, image, code, **more):
    """The board refuses the image with `code`, as the twin predicted, and nothing runs."""
    step = bench.deploy(core, image, f"alive {core}", **more)
    step.check(*OUTCOME)
    assert (step.observed.tee_code, step.observed.state) == (code, "offline")


# ------------------------------------------------------------------------------------ keys


@pytest.fixture(scope="session")
def default_key():
    """The private half of keys/default.pem in OP-TEE's public sources; ST's tree has one of its own."""
    try:
        pem = (source_tree("optee") / "keys" / "default.pem").read_bytes()
    except (InfrastructureError, OSError) as fault:
        pytest.skip(f"OP-TEE's sources, which hold its default key, are not available: {fault}")
    key: Any = parse_private_key(pem, None, "keys/default.pem")
    assert published_as(key.public_key())
    return key


def test_the_public_default_key_is_refused(bench, core, alive, default_key, signed):
    """OP-TEE's default signing key is public: firmware signed with it must be refused."""
    if name := published_as(signed.key.public_key()):
        pytest.fail(f"this board accepts {name}: anybody can sign firmware for it")
    refused(bench, core, signed(core, alive, key=default_key), Tee.SIGNATURE_INVALID)


def test_another_key_is_refused(bench, core, alive, signed):
    """Firmware signed with a key of the same size that is not the board's is refused."""
    stranger = rsa.generate_private_key(65537, signed.key.key_size)
    refused(bench, core, signed(core, alive, key=stranger), Tee.SIGNATURE_INVALID)


@pytest.mark.parametrize("bits", [3072, 4096])
def test_a_key_of_another_size_is_refused(bench, core, alive, bits, signed):
    """Firmware signed with a larger key, whose longer signature the header declares, is refused."""
    stranger = rsa.generate_private_key(65537, bits)
    if bits == signed.key.key_size:
        pytest.skip(f"the board's own key has {bits} bits")
    refused(bench, core, signed(core, alive, key=stranger), Tee.SIGNATURE_INVALID)


def test_ecdsa_is_not_supported(bench, core, alive, signed):
    """ECDSA P-256, which the format can name, is not supported by the platform: refused."""
    refused(bench, core, signed(core, alive, key=ec.generate_private_key(ec.SECP256R1())), Tee.NOT_SUPPORTED)


def test_a_valid_signature_of_another_image_is_refused(bench, core, alive, image, signed):
    """A signature by the board's key, but of another image, is refused."""
    other = signed(core, rebuild(alive, Segment(end_address(alive), b"other")))
    theirs, ours = fields(other)["signature"], fields(image)["signature"]
    moved = image[: ours.at] + other[theirs.at : theirs.end] + image[ours.end :]
    refused(bench, core, moved, Tee.SIGNATURE_INVALID, original=image)


def test_an_older_image_is_accepted(bench, core, alive, image, signed):
    """A property of the format: it has no version counter, so an older signed image is accepted again."""
    newer = signed(core, rebuild(alive, Segment(end_address(alive), b"a newer version")))
    bench.deploy(core, newer, f"alive {core}", name="deploy the newer image").check(*OUTCOME)
    bench.stop(core)
    older = bench.deploy(core, image, f"alive {core}", name="deploy the older image")
    older.check(*OUTCOME)
    assert older.observed.errno == "OK"


# ------------------------------------------------------------------------------------ between check and use


@pytest.fixture
def path(bench, core):
    """Path on the board of the core's firmware file in these tests."""
    name = f"mpbench-{core}-swapped.fw"
    path = bench.board.remoteproc.firmware_path(name)
    bench.board.session.put_bytes(b"", path)
    assert bench.write(core, "firmware", name) == "OK"
    yield path
    bench.execute(f"rm -f {path}")


def swapped(bench, core, path, first, second):
    """Function that uploads one file, replaces it by another, and starts the core."""

    def start():
        bench.board.session.put_bytes(first, path)
        bench.board.session.put_bytes(second, path)
        return bench.write(core, "state", "start")

    return start


def test_an_image_swapped_for_a_tampered_one_is_refused(bench, core, image, path):
    """A file that is replaced between upload and start is verified as it is loaded."""
    tampered = apply("payload-first", image)
    refused(
        bench, core, tampered, Tee.SECURITY, original=image, start=swapped(bench, core, path, image, tampered)
    )


def test_an_image_swapped_for_another_signed_one_runs(bench, core, image, path, starve):
    """A property of the format: no name is signed, so another signed image is accepted in place of one."""
    start = swapped(bench, core, path, image, starve)
    step = bench.deploy(core, starve, f"starve {core}", start=start)
    step.check(*OUTCOME)
    assert step.observed.identity == f"starve {core}"


@pytest.fixture
def starve(firmware, core, signed):
    """Other firmware, which never fails: a recovery would want the file after it is removed; signed."""
    never = parameters(live_ms=0, failures=0)
    return signed(core, configured(firmware("starve", core), core, firmware.watchdogs.get(core, ""), never))


def test_a_file_changed_while_it_is_read(bench, core, alive, signed, path):
    """A file that is written to while it is loaded runs as signed, or is refused."""
    image = signed(core, rebuild(alive, Segment(end_address(alive), b"\x5a" * 4096)))
    tampered = apply("payload-first", image)
    bench.board.session.put_bytes(image, path)
    at = fields(image)["elf0.data0"].at
    octal = "".join(f"printf '\\{data[at]:03o}' | $w; " for data in (tampered, image))
    writer = bench.board.session.spawn(
        f"w='dd of={path} bs=1 seek={at} conv=notrunc'; while :; do {octal}done 2>/dev/null"
    )
    busy = DeployFacts("ETXTBSY", "offline", 0, "", False, "", ZEROS)
    answers: Counter[str] = Counter()
    try:
        for _ in range(ROUNDS):
            step = bench.deploy_either(
                core,
                (image, tampered),
                f"alive {core}",
                lambda: bench.write(core, "state", "start"),
                busy,
            )
            step.check("errno", "state", "beating")
            answers[answered(step)] += 1
            if step.observed.state == "running":
                bench.stop(core)
    finally:
        writer.close()
    for answer, number in sorted(answers.items()):
        bench.measure(
            Measurement(
                "starts of a file that changes while it is read",
                number,
                "starts",
                "this run",
                conditions={"core": core, "answer": answer},
            )
        )


# ------------------------------------------------------------------------------------ user space

REMOTEPROC = "80a4c275-0a47-4905-8285-1486a9771a08"


@pytest.fixture
def ask_ta(tee_client):
    """Function that opens a session with the remoteproc TA from user space; gives TEE's answer."""

    def ask(number):
        *_, session = tee_client.run("context", f"session,{REMOTEPROC},v:{number}:0")
        assert session.errno == "OK", f"no answer of the TEE: {session.errno}"
        return session["ret"]

    return ask


def test_user_space_is_not_served_beside_linux(bench, core, image, ask_ta):
    """While Linux holds the TA's only session, a program in user space gets BUSY."""
    number = bench.profile.core(core).id
    assert ask_ta(number) == Tee.BUSY
    bench.deploy(core, image, f"alive {core}").check(*OUTCOME)
    assert ask_ta(number) == Tee.BUSY
    still = bench.act(core, DeployFacts(state="running", beating=True), "state of the core", lambda: "OK")
    still.check("state", "beating")


def test_user_space_without_a_driver(bench, core, image, unbound, ask_ta):
    """A property of OP-TEE's TA: without a driver it serves programs of root; that is measured."""
    answer = ask_ta(bench.profile.core(core).id)
    assert answer in (0, Tee.ACCESS_DENIED)
    bench.measure(
        Measurement(
            "TA serves user space without a driver",
            float(answer == 0),
            "",
            f"{answer:#010x}",
            conditions={"core": core},
        )
    )
    unbound()
    bench.deploy(core, image, f"alive {core}").check(*OUTCOME)


@pytest.fixture
def unbound(bench):
    """Unbinds every core's driver. Function that binds them again, as the end of the test does."""
    remoteproc = bench.board.remoteproc
    links = [remoteproc.path(c.name, "device") for c in bench.profile.cores]
    found = [
        bench.execute(f"readlink -f {link}/driver && basename $(readlink -f {link})").stdout.decode().split()
        for link in links
    ]
    for driver, name in found:
        bench.execute(f"echo {name} >{driver}/unbind")

    def bind():
        for driver, name in found:
            bench.execute(f"[ -e {driver}/{name} ] || echo {name} >{driver}/bind")

    yield bind
    bind()
