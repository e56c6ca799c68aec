# SPDX-License-Identifier: MIT
"""P6: verdict of the twin on a 260 KiB image, beside pyelftools and pycryptodomex doing the same checks.

Both see the same bytes, in turns, in one process; figures are the lower quartile. "New signature": the twin
verifies RSA each time. "Known signature": it has met the signature before, as in a tamper matrix, where a
thousand spoiled payloads share one; that is the case the share of SHA-256 is meant for. That share is
measured from inside: the time between entering and leaving hashlib.

    python -m testcases.performance.perf_twin
"""

import hashlib
import io
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

from attrs import frozen
from Cryptodome.Hash import SHA256
from Cryptodome.PublicKey import RSA
from Cryptodome.Signature import pkcs1_15
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from elftools.elf.elffile import ELFFile

from bench import layout
from bench.image.sign import sign
from bench.layout import Tlv
from bench.twin import loader, platform
from bench.twin.profile import Profile, load_profile
from testcases.peer.elves import Elf, Segment, resource_table

ROUNDS = 300
TARGET_RATIO = 10
TARGET_SHARE = 0.85


@frozen
class Figures:
    """Microseconds, share of SHA-256, and bytes the twin allocates at most."""

    peer_us: float
    new_us: float
    known_us: float
    share: float
    peak_bytes: int


def firmware() -> bytes:
    """260 KiB in two segments, with a resource table."""
    base, table = 0x80100000, resource_table()
    code, data = os.urandom(200 * 1024), os.urandom(60 * 1024)
    segments = [Segment(base, code, len(code)), Segment(base + 0x40000, data, len(data) + 4096)]
    return Elf([*segments, Segment(base + 0x60000, table, len(table))], table, base + 0x60000).build()


def peer_verdict(image: bytes, key: RSA.RsaKey) -> bool:
    """The loader's checks as somebody would write them with the libraries of OP-TEE's script."""
    magic, version, tlv_len, sign_len, img_len = layout.HEADER.unpack_from(image)
    start = layout.HEADER.size + tlv_len
    if (magic, version) != (layout.HEADER_MAGIC, 1) or len(image) != start + sign_len + img_len:
        return False
    digest = SHA256.new(image[:start])
    pkcs1_15.new(key).verify(digest, image[start : start + sign_len])
    records, at = {}, layout.HEADER.size
    while at < start:
        kind, length = layout.TLV_HEAD.unpack_from(image, at)
        records[kind] = image[at + 8 : at + 8 + length]
        at += 8 + layout.pad8(length)
    table = {entry[3]: entry for entry in layout.HASH_ENTRY.iter_unpack(records[Tlv.HASHTABLE])}
    elf = ELFFile(io.BytesIO(image[start + sign_len :]))
    for segment in elf.iter_segments():
        entry = table[segment["p_paddr"]]
        if SHA256.new(segment.data()).digest() != entry[8] or entry[4] != segment["p_filesz"]:
            return False
    section = elf.get_section_by_name(".resource_table")
    return section is not None and section.data()[:4] == b"\1\0\0\0"


def quartile_us(work: Callable[[], object]) -> float:
    """Lower quartile of ROUNDS runs."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - begin)
    return statistics.quantiles(times, n=4)[0] / 1000


def sha_share(verdict: Callable[[], object]) -> float:
    """Share of a verdict's time between entering and leaving hashlib, median over the rounds."""
    inside = 0

    def timed(data: bytes) -> object:
        nonlocal inside
        begin = time.perf_counter_ns()
        digest = hashlib.sha256(data)
        inside += time.perf_counter_ns() - begin
        return digest

    shares = []
    watched = SimpleNamespace(sha256=timed)
    with mock.patch.object(loader, "hashlib", watched), mock.patch.object(platform, "hashlib", watched):
        for _ in range(ROUNDS):
            inside, begin = 0, time.perf_counter_ns()
            verdict()
            shares.append(inside / (time.perf_counter_ns() - begin))
    return statistics.median(shares)


def peak_bytes(verdict: Callable[[], object]) -> int:
    """Most memory a verdict holds at once."""
    tracemalloc.start()
    try:
        verdict()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measure() -> Figures:
    """Everything of P6."""
    private = rsa.generate_private_key(65537, 2048)
    image = sign([firmware()], private)
    theirs = RSA.import_key(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    known = load_profile("virtual-mp25", private.public_key())

    def fresh() -> Profile:
        return known.with_key(private.public_key())

    assert loader.load(image, known, "m33").accepted
    assert peer_verdict(image, theirs)
    return Figures(
        quartile_us(lambda: peer_verdict(image, theirs)),
        quartile_us(lambda: loader.load(image, fresh(), "m33")),
        quartile_us(lambda: loader.load(image, known, "m33")),
        sha_share(lambda: loader.load(image, known, "m33")),
        peak_bytes(lambda: loader.load(image, known, "m33")),
    )


def rows(figures: Figures) -> list[str]:
    """One line per figure: what, ours, peer, ratio, target, verdict."""
    lines = []
    for name, ours in (("new", figures.new_us), ("known", figures.known_us)):
        ratio = figures.peer_us / ours
        what = f"P6 verdict on 260 KiB, {name} signature".ljust(40)
        figure = f"{ours:8.0f} us  peer {figures.peer_us:8.0f} us  {ratio:5.1f}x"
        lines.append(f"{what}{figure}  target {TARGET_RATIO}x  {said(ratio >= TARGET_RATIO)}")
    share = f"{figures.share:8.1%}     target {TARGET_SHARE:.0%}  {said(figures.share >= TARGET_SHARE)}"
    return [
        *lines,
        "P6 share of SHA-256, known signature".ljust(40) + share,
        "P6 memory held by a verdict".ljust(40) + f"{figures.peak_bytes:8} bytes",
    ]


def said(good: bool) -> str:
    """Whether a target is met."""
    return "met" if good else "NOT MET"


def main() -> int:
    """Print the rows."""
    print("\n".join(rows(measure())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
