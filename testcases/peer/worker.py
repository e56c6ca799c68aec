# SPDX-License-Identifier: MIT
"""The worker process of the peer, and what it must answer according to the twin, byte for byte."""

import fcntl
import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.layout import TEST_DECRYPTION_KEY, PtaCommand, TaCommand, Tee
from mpbench.twin.heap import SIZES
from mpbench.twin.machine import Loader
from mpbench.twin.memory import Core, Region
from mpbench.twin.openstlinux_machine import loader_of
from mpbench.twin.profile import Profile
from mpbench.twin.values import Call, Outcome, State, outcome

F_SETPIPE_SZ = 1031
PIPE_BYTES = 1 << 20
BATCH_BYTES = PIPE_BYTES * 3 // 4
MEMORY_FILL = 0xA5
DIED = b"D\0\0\0"
SESSION_OPEN, SESSION_CLOSE = 0x80, 0x81
WRONG_TYPES, UNALIGNED = 0x100, 0x200
NO_HEAP_LIMIT = 1 << 24

Command = tuple[int, int, bytes]
"""TaCommand or SESSION_..., perhaps with a flag; processor id; image (empty but for LOAD_FW)."""

_WORD = struct.Struct("<I")
_HEAD = struct.Struct("<3I")
_CALL = struct.Struct("<8I")


@frozen
class Board:
    """Input of both peer and twin. verdict: scripted answer to a verification; None: the key does.

    modulus: of that RSA key; its exponent is 65537. fault: a platform command and the result it fails with.
    loader and what follows: see Profile; keys are hexadecimal.
    """

    cores: tuple[Core, ...]
    pta_state: str = "per-core"
    verdict: bool | None = True
    modulus: int = 0
    heap_bytes: int | None = None
    formats: int = 1
    protection: int = 1
    fault: tuple[int, int] = (0, 0)
    loader: str = "upstream"
    dma_ranges: tuple[Region, ...] = ()
    key_in_image: bool = False
    key_hash: str = ""
    decryption_key: str = "00" * 32

    def profile(self, word_bits: int) -> Profile:
        """The board as the twin knows it."""
        plain = Profile(
            name="peer",
            word_bits=word_bits,
            heap_bytes=self.heap_bytes or NO_HEAP_LIMIT,
            cores=self.cores,
            faults=dict([self.fault]) if self.fault[0] else {},
            pta_state=self.pta_state,
            formats=self.formats,
            protection=self.protection,
            loader=self.loader,
            dma_ranges=self.dma_ranges,
            key_in_image=self.key_in_image,
            key_hash=bytes.fromhex(self.key_hash),
            decryption_key=bytes.fromhex(self.decryption_key),
        )
        if self.verdict is None:
            profile = plain.with_key(rsa.RSAPublicNumbers(65537, self.modulus).public_key())
            return evolve(profile, key_hash=plain.key_hash)
        verdict = self.verdict
        return plain.with_verifier(lambda _digest, _signature: verdict)

    def configuration(self, word_bits: int) -> bytes:
        """The board in the worker's format."""
        modulus = self.modulus.to_bytes((self.modulus.bit_length() + 7) // 8, "big")
        verdict = Tee.SUCCESS if self.verdict else Tee.SIGNATURE_INVALID
        numbers = [self.formats, self.protection, self.pta_state == "shared", self.verdict is None, verdict]
        numbers += [self.heap_bytes is not None, self.heap_bytes or 0, 1, SIZES[word_bits].session]
        numbers += [*self.fault, len(modulus)]
        out = b"C\0\0\0" + struct.pack("<12I", *numbers) + modulus + _WORD.pack(len(self.cores))
        for core in self.cores:
            out += struct.pack("<2I", core.id, len(core.regions))
            out += b"".join(_HEAD.pack(r.da, r.pa, r.size) for r in core.regions)
        out += _WORD.pack(len(self.dma_ranges))
        out += b"".join(_HEAD.pack(r.da, r.pa, r.size) for r in self.dma_ranges)
        out += struct.pack("<2I", self.key_in_image, self.decryption_key == TEST_DECRYPTION_KEY.hex())
        return out + bytes.fromhex(self.key_hash).ljust(32, b"\0") + bytes.fromhex(self.decryption_key)


SMALL = (
    Core(
        "m33", 1, (Region("fw", 0x80100000, 0x80100000, 0x400), Region("ipc", 0x81200000, 0x81200000, 0x100))
    ),
    Core("m0", 2, (Region("fw", 0x200C0000, 0x81600000, 0x200), Region("ipc", 0x200C6000, 0x81800000, 0x80))),
)
"""Two cores with memories small enough to be compared whole after every command."""

PLACES = [(r.da, r.size) for core in SMALL for r in core.regions]


class Worker:
    """A running worker. Cases go in batches: `send`, predict while they run, `receive`."""

    def __init__(self, program: Path, runner: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*runner, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=program.parent
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        for stream in (self.stdin, self.stdout):
            fcntl.fcntl(stream, F_SETPIPE_SZ, PIPE_BYTES)

    def configure(self, board: Board, word_bits: int) -> None:
        """Send the worker a board; the cases that follow run on it."""
        body = board.configuration(word_bits)
        self.stdin.write(_WORD.pack(len(body)) + body)
        self.stdin.flush()

    def send(self, cases: Sequence[bytes]) -> None:
        """Cases as `encode_case` made them; together less than BATCH_BYTES, so that no pipe blocks."""
        self.stdin.write(b"".join(cases))
        self.stdin.flush()

    def receive(self, count: int) -> list[bytes]:
        """As many answers; EOFError if the worker is gone."""
        return [self._exactly(_WORD.unpack(self._exactly(4))[0]) for _ in range(count)]

    def run(self, case: bytes) -> bytes:
        """One case, one answer."""
        self.send([case])
        return self.receive(1)[0]

    def _exactly(self, size: int) -> bytes:
        data = self.stdout.read(size)
        if len(data) != size:
            raise EOFError(f"the worker ended with {self.process.wait()}")
        return data

    def close(self) -> int:
        """End the worker; its exit code."""
        self.stdin.close()
        self.stdout.close()
        return self.process.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode_case(commands: Sequence[Command]) -> bytes:
    """Frame of a sequence of commands on a TA that has just been started."""
    body = b"".join(_HEAD.pack(command, core, len(image)) + image for command, core, image in commands)
    return _WORD.pack(4 + len(body)) + b"X\0\0\0" + body


class Memory:
    """The memories of all cores as the twin's writes leave them."""

    def __init__(self, board: Board) -> None:
        self.regions = [r for core in board.cores for r in core.regions]
        self.content = [bytearray([MEMORY_FILL]) * r.size for r in self.regions]
        self.fresh = [zlib.crc32(c) for c in self.content]
        self.sums = list(self.fresh)
        self.touched: set[int] = set()

    def reset(self) -> None:
        """Back to the fill pattern."""
        for i in self.touched:
            self.content[i][:] = bytes([MEMORY_FILL]) * len(self.content[i])
            self.sums[i] = self.fresh[i]
        self.touched.clear()

    def apply(self, answer: Outcome) -> int:
        """Checksum of everything after the outcome's writes."""
        for write in answer.writes:
            for i, region in enumerate(self.regions):
                at = write.pa - region.pa
                if 0 <= at < region.size:
                    data = (
                        bytes(write.size)
                        if write.offset is None
                        else answer.image[write.offset :][: write.size]
                    )
                    self.content[i][at : at + write.size] = data
                    self.touched.add(i)
        total = 0
        for i in self.touched:
            self.sums[i] = zlib.crc32(self.content[i])
        for one in self.sums:
            total = (total * 31 + one) & 0xFFFFFFFF
        return total


def do(loader: Loader, command: Command) -> Outcome:
    """The twin's answer to a command."""
    flags, core, image = command
    if flags & 0xFF == SESSION_OPEN:
        return outcome("wrong-parameters", State.OFF) if flags & WRONG_TYPES else loader.open_session(core)
    if flags & 0xFF == SESSION_CLOSE:
        loader.close_session()
        return outcome("session-open", State.OFF)
    return loader.call(
        flags & 0xFF, core, image, typed=not flags & WRONG_TYPES, aligned=not flags & UNALIGNED
    )


def predict(
    profile: Profile, memory: Memory, commands: Sequence[Command]
) -> tuple[bytes | None, list[Outcome]]:
    """What the worker must answer, and the outcomes; None where any answer will do."""
    loader, outcomes, parts = loader_of(profile), [], []
    memory.reset()
    for command in commands:
        answer = do(loader, command)
        outcomes.append(answer)
        if answer.code is None:
            return (DIED if dies(answer, profile) else None), outcomes
        parts.append(encode_outcome(answer, command[0], memory))
    return b"".join(parts), outcomes


def dies(answer: Outcome, profile: Profile) -> bool:
    """Whether an undefined outcome must kill the worker: assertions do, and under AddressSanitizer reads
    outside the image.

    The 32-bit build has none, and its compiler puts some reads after the check that makes them needless.
    """
    if answer.reason.name == "ta-panics":
        return True
    return answer.reason.name == "reads-outside" and profile.word_bits == 64


def encode_outcome(answer: Outcome, command: int, memory: Memory) -> bytes:
    """An outcome in the worker's words."""
    parts = [encode_call(call) for call in answer.calls]
    for line in answer.console:
        text = line.encode()
        parts += (b"T\0\0\0", _WORD.pack(len(text)), text)
    parts += (b"R\0\0\0", _WORD.pack(answer.code or 0))
    if command == TaCommand.GET_RSC_TABLE and answer.code == 0:
        parts.append(struct.pack("<2I", answer.table.pa, answer.table.size))
    parts.append(_WORD.pack(memory.apply(answer) if answer.writes else 0))
    return b"".join(parts)


def encode_call(call: Call) -> bytes:
    """A platform call in the worker's words."""
    words = (ord("P"), call.command, call.core, call.da, call.size, call.offset, call.algorithm, call.result)
    head = _CALL.pack(*words)
    if call.command == PtaCommand.LOAD_SEGMENT_SHA256:
        return head + _WORD.pack(len(call.data)) + call.data
    if call.command == PtaCommand.VERIFY_DIGEST:
        tail = (_WORD.pack(len(part)) + part for part in (call.data, call.extra, call.info))
        return head + b"".join(tail)
    return head
