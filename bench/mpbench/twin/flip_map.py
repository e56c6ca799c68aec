# SPDX-License-Identifier: MIT
"""Flip map: the loader's answers to a flipped bit, for every byte of an image.

Neighbours with equal answers form a span. Where the eight bits of a byte give different answers, all are
named. The loader is a function of what it reads, so the image's own run shows what has to be tried:

    read                headers, tables, names: every byte, bit by bit
    hashed              data of segments: one bit for all of it, since any other bit changes the hash as well
    the signature       one byte for all of it
    neither             symbols, debug information: the answer of the image as it is

A flip that happens to make a wrong hash or signature right is not looked for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct

from attrs import define, frozen

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.twin.image import Members, View
from mpbench.twin.loader import load_off, platform_of
from mpbench.twin.platform import digest_of
from mpbench.twin.profile import Profile, Verifier
from mpbench.twin.values import Outcome

Answer = tuple[str, int | None]
"""Name of the reason and TEE result of a flip."""

Range = tuple[int, int]
"""Bytes `start` .. `end` (exclusive)."""

NO_END = 1 << 64

MAX_STEPS = 12_000_000
"""Structures read in all runs together: about ten seconds."""
STEPS_OF_A_RUN = 20
"""What a run costs before it reads the first program header, in structures read."""


@frozen
class Span:
    """Bytes `start` .. `end` (exclusive) of the file and the answers to a flip there, most frequent first."""

    start: int
    end: int
    answers: tuple[Answer, ...]


def expectations(image: bytes, profile: Profile, core: int) -> list[Span]:
    """Every byte of the image once. Bits that would make a header length reach 2^31 answer `length-limit`.

    UsageError if that takes more than MAX_STEPS.
    """
    hashed: dict[tuple[int, int], bytes] = {}
    if profile.verify is not None:
        profile = profile.with_verifier(once_accepted(profile.verify))
    view, platform = TracedView(image), platform_of(profile, core, digest=CachedDigest(hashed))
    whole = answer_of(load_off(view, platform, contexts=1))
    read = clipped(view.read, len(image))
    signature = signature_of(image)
    single = without(read, [signature])
    stretches = parted(without([(o, o + s) for o, s in hashed], [signature, *read]), hashed)
    stretches += [signature] if any(a <= signature[0] < b for a, b in read) else []
    tries = sum(end - start for start, end in single) + len(stretches)
    if 8 * tries * (len(view.read) + STEPS_OF_A_RUN) > MAX_STEPS:
        raise UsageError(
            f"no map of this image: {tries} bytes of headers and tables would be tried bit by bit, each with "
            f"{len(view.read)} structures to read; at most {MAX_STEPS // 8} of these are"
        )
    tried = Flipper(bytearray(image), profile, core, CachedDigest(hashed))
    found = [(at, at + 1, tried.flips(at)) for start, end in single for at in range(start, end)]
    found += [(start, end, tried.flips(start)) for start, end in stretches]
    return joined(sorted(found), (whole,), len(image))


def joined(
    found: Sequence[tuple[int, int, tuple[Answer, ...]]], rest: tuple[Answer, ...], size: int
) -> list[Span]:
    """Spans without gaps from 0 to `size`; rest: the answers where nothing was found."""
    spans: list[Span] = []

    def add(start: int, end: int, answers: tuple[Answer, ...]) -> None:
        if start < end:
            same = bool(spans) and spans[-1].answers == answers
            spans.append(Span(spans.pop().start if same else start, end, answers))

    at = 0
    for start, end, answers in found:
        add(at, start, rest)
        add(start, end, answers)
        at = end
    add(at, size, rest)
    return spans


def signature_of(image: bytes) -> Range:
    """The signature; empty without a header that has room for one."""
    if len(image) < layout.HEADER.size:
        return (0, 0)
    _, _, tlv_len, sign_len, _ = layout.HEADER.unpack_from(image)
    start = layout.HEADER.size + layout.pad8(tlv_len)
    return (start, start + sign_len) if start + layout.pad8(sign_len) <= len(image) else (0, 0)


def clipped(ranges: Iterable[Range], size: int) -> list[Range]:
    """The ranges' part inside a file of this size, in order, overlapping ones joined."""
    found: list[Range] = []
    for start, end in sorted((max(a, 0), min(b, size)) for a, b in ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def without(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What remains of the ranges, joined and in order, once others are taken away."""
    holes, found = clipped(taken, NO_END), list[Range]()
    for start, end in clipped(ranges, NO_END):
        at = start
        for index in range(max(bisect_right(holes, (start, NO_END)) - 1, 0), len(holes)):
            first, last = holes[index]
            if first >= end:
                break
            if at < first:
                found.append((at, first))
            at = max(at, last)
        if at < end:
            found.append((at, end))
    return found


def parted(ranges: Iterable[Range], hashed: Iterable[tuple[int, int]]) -> list[Range]:
    """The ranges, cut where one of the (offset, size) that are hashed starts or ends."""
    cuts = sorted({edge for offset, size in hashed for edge in (offset, offset + size)})
    found: list[Range] = []
    for start, end in ranges:
        inner = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        found += pairwise([start, *inner, end])
    return found


class TracedView(View):
    """A view that notes what was read of it, apart from the data that are hashed."""

    __slots__ = ("read",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        super().__init__(data)
        self.read: list[Range] = []

    def part(self, start: int, end: int) -> memoryview:
        """As View.part(), noted."""
        self.read.append((start, end))
        return super().part(start, end)

    def row(self, form: Struct, at: int) -> Members:
        """As View.row(), noted."""
        self.read.append((at, at + form.size))
        return super().row(form, at)

    def starts(self, at: int, wanted: bytes) -> bool:
        """As View.starts(), noted."""
        self.read.append((at, at + len(wanted)))
        return super().starts(at, wanted)


@frozen
class Flipper:
    """An image whose bits are flipped one after the other."""

    image: bytearray
    profile: Profile
    core: int
    digest: "CachedDigest"

    def flips(self, at: int) -> tuple[Answer, ...]:
        """Answers to the eight flips of one byte, most frequent first; the image is left as it was."""
        counts: dict[Answer, int] = {}
        self.digest.flipped = at
        for bit in range(8):
            self.image[at] ^= 1 << bit
            platform = platform_of(self.profile, self.core, digest=self.digest)
            answer = answer_of(load_off(self.image, platform, contexts=1))
            self.image[at] ^= 1 << bit
            counts[answer] = counts.get(answer, 0) + 1
        return tuple(sorted(counts, key=lambda a: (-counts[a], a[0])))


def answer_of(outcome: Outcome) -> Answer:
    """What a span says of an outcome."""
    return (outcome.reason.name, outcome.code)


def once_accepted(verify: Verifier) -> Verifier:
    """`verify`, which decides once for all that differ from the digest and signature that it has accepted.

    A signature is checked for each bit of what is signed, and takes longer than all other checks of a run.
    """
    accepted: list[tuple[bytes, bytes]] = []
    others: list[bool] = []

    def answer(digest: bytes, signature: bytes) -> bool:
        if accepted == [(digest, signature)]:
            return True
        if accepted and others:
            return others[0]
        found = verify(digest, signature)
        if accepted:
            others.append(found)
        elif found:
            accepted.append((digest, signature))
        return found

    return answer


@define
class CachedDigest:
    """Digest that remembers hashes: (offset, size) → SHA-256 of the image as it was.

    flipped: position of the byte that differs from it now; what it lies in has no hash that anything expects.
    """

    hashed: dict[tuple[int, int], bytes]
    flipped: int = -1

    def __call__(self, view: View, offset: int, size: int) -> bytes:
        """The known hash, or a new one, which is remembered where nothing is flipped."""
        known = self.hashed.get((offset, size))
        if self.flipped < 0:
            known = self.hashed[(offset, size)] = known or digest_of(view, offset, size)
            return known
        if known is None:
            return digest_of(view, offset, size)
        return b"" if offset <= self.flipped < offset + size else known
