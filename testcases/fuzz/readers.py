# SPDX-License-Identifier: MIT
"""What reads files and answers of others: each kind with sound examples and the commands that read it.

A case writes one changed example to the current directory and runs one command on it, in this process.
"""

import functools
import random
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen
from labgrid import Target
from labgrid.driver import NetworkPowerDriver
from labgrid.resource import NetworkPowerPort

from mpbench.board import power
from mpbench.commands import main as command_line
from mpbench.core.evidence import Artefact
from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine, ProvenanceLine, RunEnd, RunStart, SignaturesLine, TestEnd, TestStart
from mpbench.core.record import LOG, Clock, Record
from mpbench.core.shared_files import CHECKOUT, TARGETS
from mpbench.deployment.flips import Corpus
from mpbench.harness.environment import check_environment, has_profile, profile_of
from mpbench.harness.soak import SoakJournal
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal
from mpbench.report import publish, signoff
from mpbench.report.manifest import MANIFEST, SIGNATURES
from mpbench.report.sources import SOURCES
from mpbench.report.trend import Point
from mpbench.twin.profile import PROFILES
from testcases.fuzz.mutate import mutated
from testcases.fuzz.structured import restructured
from testcases.unit.image_rig import ec_key, firmware, image, key, write_key, write_public

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
Command = Callable[[random.Random], int]
"""Runs one command on what lies in the current directory; its exit code, or UsageError and the like."""


@frozen
class Kind:
    """name; examples: sound ones; file: where a changed one is written; commands: that read it; weight.

    change: makes a changed one of an example
    """

    name: str
    examples: Sequence[bytes]
    file: str
    commands: Sequence[Command]
    weight: int
    mode: int = 0o600
    change: Callable[[bytes, Sequence[bytes], random.Random], bytes] = mutated


def cli(line: str) -> Command:
    """A command line of mpbench."""
    return lambda _: command_line.main(line.split())


def opened(journal: Callable[[], object]) -> Command:
    """A reader that is no command of its own, but runs at the start of one."""

    def run(_: random.Random) -> int:
        journal()
        return 0

    return run


def closed(line: str, file: Path, sound: Sequence[bytes]) -> Command:
    """A command line that succeeds with a sound file only."""

    def run(_: random.Random) -> int:
        code = command_line.main(line.split())
        if code == 0 and file.read_bytes() not in sound:
            raise AssertionError(f"`mpbench {line}` accepts a forged file")
        return code

    return run


def prepare(directory: Path) -> None:
    """What the commands need beside the file that is changed. Called once per process."""
    command_line.parser = functools.cache(command_line.parser)  # building it is most of a case
    write_key(directory / "k.pem", ec_key())  # checking an RSA key takes most of a second
    write_public(directory / "p.pem", key())
    (directory / "fw.elf").write_bytes(firmware())
    (directory / "fw.bin").write_bytes(image())
    for path in TARGETS.glob("*.yaml"):
        (directory / path.name).write_bytes(path.read_bytes())
    signoff.new_key(directory / "ann.pem")
    for name in ("run", "nights/20261128T000000Z-plan", "reports", "out"):
        (directory / name).mkdir(parents=True)


def soak() -> None:
    """A soak that is resumed."""
    journal = SoakJournal(Path("soak.jsonl"), "k")
    journal.open()
    sum(cycle.get("took_s", 0.0) for cycle in journal.cycles)
    journal.close()


def night() -> None:
    """A night that is resumed, and what it held."""
    journal = NightJournal.open(Path("nights"), "plan", 1_795_000_000.0)
    journal.held()
    journal.attempts("a")
    journal.is_done("a")
    journal.close()


def target() -> None:
    """A target file as pytest reads it at its start."""
    config = check_environment("target.yaml")
    if has_profile(config):
        profile_of(config)


def history() -> None:
    """The history of a lab."""
    found = History(Path("history.sqlite"))
    found.points()
    found.quarantined()


def records() -> list[bytes]:
    """A small record with evidence, and captured ones of older versions."""
    clock = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
    directory = Path("made")
    (directory / "evidence").mkdir(parents=True)
    record = Record(directory, "r1", clock)
    record.append(RunStart(target="mp25", command=(), bench="0.1.0", continues=None))
    kept = record.keep([Artefact("console", b"U-Boot 2025.01\n")])
    record.append(ProvenanceLine(entries={"model": "x"}, virtual=False, evidence=kept))
    record.append(RunEnd(counts={}))
    record.close()
    old = [(CAPTURES / name / LOG).read_bytes() for name in ("record-v2", "record-v3")]
    sample = (CHECKOUT or Path()) / "reports/sample" / LOG
    lines = sample.read_bytes().splitlines(keepends=True) if sample.is_file() else []
    return [(directory / LOG).read_bytes(), *old, b"".join(lines[:40]), b"".join(lines[-60:])]


def histories() -> list[bytes]:
    """A database with a point and a quarantined place."""
    made = History(Path("made.sqlite"))
    made.remember([Point("r", "mp25", "2026-11-28", {"PASS": 1}, {"x": 1.0})])
    made.quarantine("mp25-1", "2026-11-28", "hangs")
    return [Path("made.sqlite").read_bytes()]


@define
class Answering:
    """A server on this host that reads a little and sends what it was told to."""

    answer: bytes = b""
    port: int = 0
    _listener: socket.socket = field(factory=socket.socket)

    def start(self) -> "Answering":
        """Listen; the thread ends with the process."""
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(0.2)
                try:
                    if self.answer.startswith(b"HTTP"):
                        connection.recv(4096)
                    connection.sendall(self.answer)
                except OSError:
                    continue


@functools.cache
def server() -> Answering:
    """This process's server."""
    return Answering().start()


@functools.cache
def power_switch() -> NetworkPowerDriver:
    """labgrid's REST power port on that server."""
    target_ = Target("fuzz")
    url = f"http://127.0.0.1:{server().port}/relay/{{index}}"
    NetworkPowerPort(target_, "power", model="rest", host=url, index="0")
    driver = NetworkPowerDriver(target_, "power")
    target_.activate(driver)
    return driver


def asked(_: random.Random) -> int:
    """A power command, answered by what the case has made."""
    server().answer = Path("answer").read_bytes()
    power.switch(power_switch(), "on", 5.0)
    return 0


def enrolled(_: random.Random) -> int:
    """A board whose SSH server sends what the case has made, or nothing."""
    answer = Path("answer")
    server().answer = answer.read_bytes() if answer.exists() else b""
    return command_line.main(["enrol", "127.0.0.1", str(server().port), "known_hosts", "--wait", "0"])


def pem(made: Callable[[Path], object]) -> bytes:
    """A key's file."""
    made(Path("made.pem"))
    return Path("made.pem").read_bytes()


BOARD = "--profile virtual-mp25 --key p.pem"
TRUST = "--trust-signature"
SIGN = "--key k.pem -o o"
NIGHT = "nights/20261128T000000Z-plan/journal.jsonl"
JOURNAL = (
    b'{"kind": "start"}\n{"kind": "held", "place": "a", "token": "t"}\n'
    b'{"kind": "attempt", "job_run": "a"}\n{"kind": "done", "job_run": "a"}\n'
)
FLIPS = b'{"key": "a", "answer": "accepted", "seed": "1", "flips": [[1, 2]]}\n'
PINNED = b"[127.0.0.1]:22 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbV\n"
BANNER = b"SSH-2.0-dropbear_2022.83\r\n"
HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n1",
    b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n1\r\n1\r\n0\r\n\r\n",
)
KERNEL = (
    b"[   1.0] remoteproc remoteproc0: TEE err: ffff0006\n"
    b"E/TC:0 0 Failed to verify signature, res = 0xffff3072\n"
)


def kinds() -> Mapping[str, Kind]:
    """All kinds by name. Called once per process, in the directory that prepare() has filled."""
    found = [*of_runs(), *of_targets(), *of_images(), *of_others()]
    return {kind.name: kind for kind in found}


def of_runs() -> list[Kind]:
    """Records, journals, sign-offs, a lab's history."""
    made = records()
    publish.write([Path("made")], Path("merged"), remarks=["place a was busy"])
    sources = Path("merged") / SOURCES
    return [
        Kind("record", made, f"run/{LOG}", [cli("record run")], 14, change=restructured),
        Kind(
            "page", made, f"run/{LOG}", [cli("report run -o out"), cli("explain run")], 3, change=restructured
        ),
        Kind("sources", [sources.read_bytes()], str(sources), [cli("report merged")], 3, change=restructured),
        Kind("journal", [JOURNAL], NIGHT, [opened(night)], 6, change=restructured),
        Kind("soak", [b'{"key": "k"}\n{"n": 1, "took_s": 2.0}\n'], "soak.jsonl", [opened(soak)], 5),
        Kind("corpus", [3 * FLIPS], "flips.jsonl", [opened(lambda: Corpus.open(Path("flips.jsonl")))], 5),
        Kind("history", histories(), "history.sqlite", [opened(history)], 4),
        *(of_signed(Path(name), file) for name, file in (("signed-1", MANIFEST), ("signed-2", SIGNATURES))),
    ]


def of_signed(directory: Path, file: str) -> Kind:
    """Manifest or signatures of a report on which three have signed, and of one with one signature."""
    (directory / "evidence").mkdir(parents=True)
    record = Record(directory, "r1", Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42))
    for line in (
        RunStart("mp25", (), "0.1.0", None),
        SignaturesLine(("tested", "tested")),
        PlanLine(("t",), 1),
    ):
        record.append(line)
    record.append(ProvenanceLine({}, False, record.keep([Artefact("console", b"U-Boot 2025.01\n")])))
    for of_test in (TestStart(None, "It works.", test="t"), TestEnd(Verdict.PASS, "", 5, test="t")):
        record.append(of_test)
    record.append(RunEnd({"PASS": 1}))
    record.close()
    publish.write([directory], directory)
    examples: list[bytes] = []
    for role in ("tested", "tested", "released"):
        signoff.sign(directory, signoff.load_key(new_signer(f"{role}-{len(examples)}")), "Ann", role)
        examples.append((directory / file).read_bytes())
    trust = "--trust signers"
    lines = (f"verify {directory} {trust}", f"verify {directory} {trust} --role released")
    commands = [closed(line, directory / file, examples) for line in lines]
    commands.append(cli(f"signoff {directory} --key signers/tested-0.pem --by Ann"))
    return Kind(
        file.partition(".")[0], examples[::-1], str(directory / file), commands, 3, 0o644, restructured
    )


def new_signer(name: str) -> Path:
    """A private key, whose public key is among the trusted ones; made once."""
    path = Path("signers", f"{name}.pem")
    if not path.exists():
        signoff.new_key(path)
    return path


def of_targets() -> list[Kind]:
    """Target files, plans, profiles."""
    targets = [path.read_bytes() for path in sorted(TARGETS.glob("*.yaml"))]
    plans = [path.read_bytes().replace(b"../", b"") for path in sorted((TARGETS / "nightly").glob("*.yaml"))]
    profiles = [path.read_bytes() for path in sorted(PROFILES.glob("*.yaml"))]
    predict = cli(f"predict fw.bin --profile ./profile.yaml {TRUST}")
    sign = cli(f"sign fw.elf {SIGN} --core m33 --profile ./profile.yaml")
    return [
        Kind("target", targets, "target.yaml", [opened(target)], 7),
        Kind("plan", plans, "plan.yaml", [cli("nightly plan.yaml --check")], 7),
        Kind("profile", profiles, "profile.yaml", [predict, sign], 6),
    ]


def of_images() -> list[Kind]:
    """Signed images, ELF files, keys."""
    looked_at = [
        cli("inspect image"), cli("inspect image --json"), cli("inspect image --against fw.bin"),
        cli(f"predict image {BOARD}"), cli(f"predict image --profile st-4.0-r2-mp257f-dk {TRUST} --json"),
        cli("explain ffff0006 image --profile virtual-mp25"),
    ]  # fmt: skip
    signed = [
        cli(f"sign elf {SIGN}"), cli(f"sign elf {SIGN} --strip"), cli("inspect elf"),
        cli(f"sign elf {SIGN} --core m33 --profile virtual-mp25"),
        cli(f"sign elf {SIGN} --key-info elf --plat-tlv BOOTADDR=0x80100000"),
    ]  # fmt: skip
    used = [
        cli("sign fw.elf --key key -o o --passphrase-file p.pem"), cli("inspect fw.bin --key key"),
        cli("predict fw.bin --profile virtual-mp25 --key key"), cli("signoff run --key key --by Ann"),
        cli("verify run --trust key"),
    ]  # fmt: skip
    pems = [pem(lambda p: write_key(p, key())), pem(lambda p: write_key(p, ec_key()))]
    pems += [pem(lambda p: write_key(p, key(), b"x"))]
    pems += [Path(name).read_bytes() for name in ("ann.pem", "ann.pub", "p.pem")]
    return [
        Kind("image", [image()], "image", looked_at, 14),
        Kind("map", [image()], "image", [cli(f"predict image --map --profile virtual-mp25 {TRUST}")], 1),
        Kind("elf", [firmware()], "elf", signed, 8),
        Kind("key", pems, "key", used, 5),
    ]


def of_others() -> list[Kind]:
    """What devices and servers send."""
    return [
        Kind("log", [KERNEL, 20 * KERNEL], "log", [cli("explain @log")], 6),
        Kind("power", HTTP, "answer", [asked], 4),
        Kind("banner", [BANNER, BANNER + bytes(64)], "answer", [enrolled], 2),
        Kind("hosts", [PINNED], "known_hosts", [enrolled], 1),
    ]
