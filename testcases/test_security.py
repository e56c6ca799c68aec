# SPDX-License-Identifier: MIT
"""Who may sign, what a signature protects, and what happens between the check and the use."""

from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mpbench.core.errors import InfrastructureError
from mpbench.core.facts import Measurement
from mpbench.deployment.facts import ZEROS, DeployFacts
from mpbench.deployment.flips import answered
from mpbench.image.faults import apply
from mpbench.image.fields import fields
from mpbench.image.keys import is_default_key, parse_private_key
from mpbench.layout import Tee
from mpbench_virtual.fetch import source_tree
from testcases.compared import LIFE
from testcases.peer.elves import Segment
from testcases.rebuilt import end, rebuilt
from testcases.requirements import ISOLATION

pytestmark = ISOLATION

ROUNDS = 6


def refused(bench, core, image, code, **more):
    """The board refuses the image with `code`, as the twin predicted, and nothing runs."""
    step = bench.deploy(core, image, f"alive {core}", **more)
    step.check(*LIFE)
    assert (step.observed.tee_code, step.observed.state) == (code, "offline")


# ------------------------------------------------------------------------------------ keys


@pytest.fixture(scope="session")
def default_key():
    """The private half of OP-TEE's keys/default.pem, out of its public sources."""
    try:
        pem = (source_tree("optee") / "keys" / "default.pem").read_bytes()
    except (InfrastructureError, OSError) as fault:
        pytest.skip(f"OP-TEE's sources, which hold its default key, can't be had: {fault}")
    key: Any = parse_private_key(pem, None, "keys/default.pem")
    assert is_default_key(key.public_key())
    return key


def test_the_public_default_key_is_refused(bench, core, alive, default_key, signed):
    """Anybody has OP-TEE's default signing key: what it signed has to be refused."""
    if is_default_key(signed.key.public_key()):
        pytest.fail("this board accepts OP-TEE's public default key: anybody can sign firmware for it")
    refused(bench, core, signed(core, alive, key=default_key), Tee.SIGNATURE_INVALID)


def test_another_key_is_refused(bench, core, alive, signed):
    """A key of the same size that isn't the board's makes no valid signature."""
    stranger = rsa.generate_private_key(65537, signed.key.key_size)
    refused(bench, core, signed(core, alive, key=stranger), Tee.SIGNATURE_INVALID)


@pytest.mark.parametrize("bits", [3072, 4096])
def test_a_key_of_another_size_is_refused(bench, core, alive, bits, signed):
    """A larger key makes a longer signature, which the header announces: it is refused all the same."""
    stranger = rsa.generate_private_key(65537, bits)
    if bits == signed.key.key_size:
        pytest.skip(f"the board's own key has {bits} bits")
    refused(bench, core, signed(core, alive, key=stranger), Tee.SIGNATURE_INVALID)


def test_ecdsa_is_not_supported(bench, core, alive, signed):
    """The format has a number for ECDSA P-256, the platform has no support for it."""
    refused(bench, core, signed(core, alive, key=ec.generate_private_key(ec.SECP256R1())), Tee.NOT_SUPPORTED)


def test_a_valid_signature_of_another_image_is_refused(bench, core, alive, image, signed):
    """A signature that the board's key made, but for another image."""
    other = signed(core, rebuilt(alive, Segment(end(alive), b"other")))
    theirs, ours = fields(other)["signature"], fields(image)["signature"]
    moved = image[: ours.at] + other[theirs.at : theirs.end] + image[ours.end :]
    refused(bench, core, moved, Tee.SIGNATURE_INVALID, original=image)


def test_an_older_image_is_accepted(bench, core, alive, image, signed):
    """A property of the format: it has no version that counts, so an older signed image is accepted again."""
    newer = signed(core, rebuilt(alive, Segment(end(alive), b"a newer version")))
    bench.deploy(core, newer, f"alive {core}", name="deploy the newer image").check(*LIFE)
    bench.stop(core)
    older = bench.deploy(core, image, f"alive {core}", name="deploy the older image")
    older.check(*LIFE)
    assert older.observed.errno == "OK"


# ------------------------------------------------------------------------------------ between check and use


@pytest.fixture
def path(bench, core):
    """Where the board looks for the core's firmware in these tests."""
    name = f"mpbench-{core}-swapped.fw"
    path = bench.board.remoteproc.firmware_path(name)
    bench.board.session.put_bytes(b"", path)
    assert bench.write(core, "firmware", name) == "OK"
    yield path
    bench.execute(f"rm -f {path}")


def swapped(bench, core, path, first, second):
    """Starts the core after its file was uploaded, named, and then replaced."""

    def start():
        bench.board.session.put_bytes(first, path)
        bench.board.session.put_bytes(second, path)
        return bench.write(core, "state", "start")

    return start


def test_an_image_swapped_for_a_tampered_one_is_refused(bench, core, image, path):
    """The file is replaced between upload and start: what is loaded is what is checked."""
    tampered = apply("payload-first", image)
    refused(
        bench, core, tampered, Tee.SECURITY, original=image, start=swapped(bench, core, path, image, tampered)
    )


def test_an_image_swapped_for_another_signed_one_runs(bench, core, image, path, starve):
    """A signature says who made an image, not which one was meant: another signed image runs in its place."""
    start = swapped(bench, core, path, image, starve)
    step = bench.deploy(core, starve, f"starve {core}", start=start)
    step.check(*LIFE)
    assert step.observed.identity == f"starve {core}"


@pytest.fixture
def starve(firmware, core, signed):
    """Other firmware, signed with the board's key."""
    return signed(core, firmware("starve", core))


def test_a_file_changed_while_it_is_read(bench, core, alive, signed, path):
    """Somebody writes to the file while it is loaded: it runs as signed, or it is refused."""
    image = signed(core, rebuilt(alive, Segment(end(alive), b"\x5a" * 4096)))
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


# ------------------------------------------------------------------------------------ strangers in user space

REMOTEPROC = "80a4c275-0a47-4905-8285-1486a9771a08"


@pytest.fixture
def stranger(tee_client):
    """Opens a session with the remoteproc TA from user space, for a processor id: what the TEE answers."""

    def ask(number):
        *_, session = tee_client.run("context", f"session,{REMOTEPROC},v:{number}:0")
        assert session.errno == "OK", f"the client got no answer of the TEE: {session.errno}"
        return session["ret"]

    return ask


def test_user_space_is_not_served_beside_linux(bench, core, image, stranger):
    """While Linux holds the TA's one session, a program in user space is told that it is busy."""
    number = bench.profile.core(core).id
    assert stranger(number) == Tee.BUSY
    bench.deploy(core, image, f"alive {core}").check(*LIFE)
    assert stranger(number) == Tee.BUSY
    still = bench.act(core, DeployFacts(state="running", beating=True), "look at the core", lambda: "OK")
    still.check("state", "beating")


def test_user_space_without_a_driver(bench, core, image, unbound, stranger):
    """A property of OP-TEE's TA: it asks nobody who they are; without a driver it serves root's programs."""
    answer = stranger(bench.profile.core(core).id)
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
    bench.deploy(core, image, f"alive {core}").check(*LIFE)


@pytest.fixture
def unbound(bench):
    """No core has its driver. What is returned binds all of them again, as does the end of the test."""
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
