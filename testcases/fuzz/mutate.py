# SPDX-License-Identifier: MIT
"""Random changes of a sound file: bits, numbers, tokens of its format, cuts, copies, splices with another."""

import random
from collections.abc import Sequence

TOKENS = (
    *(b"\0", b"\xff", b"\n", b"\r\n", b"\x1b[31m", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\\ud800", b"\t"),
    *(b"[", b"]", b"{", b"}", b":", b",", b"- ", b"'", b'"', b"&a ", b"*a", b"!!python/object:os.system "),
    *(b"<<: *a", b"? ", b"|\n", b"%YAML 1.9\n", b"---\n", b"...\n", b"null", b"true", b"~", b"{}", b"[]"),
    *(
        b"-1",
        b"0",
        b"65536",
        b"4294967296",
        b"9" * 40,
        b"9" * 4000,
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"Infinity",
        b"0x",
        b"1_0",
    ),
    *(b"2026-13-45", b"2026-11-28T99:99:99Z", b"0001-01-01", b"../../x", b"/dev/zero", b"$HOME", b"~root"),
    *(b'"verdict": "PASS", ', b'"v": 5, ', b"a: &a [1,1,1]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n", b"a\\0b"),
    *(b"xn--", b"\xc3\xa9.example", b"[::1]", b"%s%n", b"<script>", b"=1+1", b"TEE err: ", b"\x80" * 9),
)
MOST_BYTES = 1 << 20
"""Of a line that is copied: a case's memory is for what is tested."""
NESTS = ((b"[", b"]"), (b"{a: ", b"}"), (b'{"a":', b"}"), (b"- ", b""))


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The data with one to six changes; now and then nothing that is left of it, or nothing at all."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(CHANGES)(data, others, rng)
    return data


def _flip(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _n in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _word(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """A 32-bit number of a binary format."""
    changed = bytearray(data)
    if len(data) >= 4:
        at = rng.randrange(len(data) - 3) & -4
        value = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), rng.getrandbits(32), 52))
        changed[at : at + 4] = value.to_bytes(4, "little")
    return bytes(changed)


def _token(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at + rng.choice((0, 0, 1, 5)) :]


def _value(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """What stands after a colon, in YAML and JSON."""
    colons = [i for i, byte in enumerate(data[:20000]) if byte == 0x3A]
    if not colons:
        return _token(data, (), rng)
    start = rng.choice(colons) + 1
    end = min((e for e in (data.find(c, start) for c in (b",", b"\n", b"}")) if e >= 0), default=len(data))
    return data[:start] + b" " + rng.choice(TOKENS) + data[end:]


def _cut(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] if rng.random() < 0.5 else data[:start] + data[start + rng.randrange(64) :]


def _copy(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """A line or a stretch once more, or very often."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    n = rng.randrange(len(lines))
    times = min(rng.choice((2, 2, 3, 300)), MOST_BYTES // len(lines[n]) + 1)
    return b"".join([*lines[:n], lines[n] * times, *lines[n + 1 :]])[:MOST_BYTES]


def _drop(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line for line in lines if rng.random() > 2 / max(len(lines), 1))


def _splice(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others) if others else b""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _nest(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    opening, closing = rng.choice(NESTS)
    depth, at = rng.choice((3, 40, 1000, 30000)), rng.randrange(len(data) + 1)
    return data[:at] + opening * depth + b"1" + closing * depth + data[at:]


def _noise(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    return rng.choice((b"", rng.randbytes(rng.randrange(300)), data + rng.randbytes(64), b"\0" * 4096))


CHANGES = (
    *(_flip, _flip, _word, _word, _token, _token, _token, _value, _value, _value),
    *(_cut, _copy, _drop, _splice, _nest, _noise),
)
