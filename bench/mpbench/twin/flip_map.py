# SPDX-License-Identifier: MIT
"""Flip map: the loader's answers to a flipped bit, for every byte of an image.

Neighbours with equal answers form a span. Where the eight bits of a byte give different answers, all are
named. The data of segments are hashed as a whole, so one byte of them is tried for all; every
other byte is tried, bit by bit, with the hashes of untouched data remembered.
"""

from collections.abc import Iterator, Sequence

from attrs import frozen

from mpbench import layout
from mpbench.twin.image import View
from mpbench.twin.loader import load_off
from mpbench.twin.platform import Platform
from mpbench.twin.profile import Profile
from mpbench.twin.values import Outcome

Answer = tuple[str, int | None]
"""Name of the reason and TEE result of a flip."""


@frozen
class Span:
    """Bytes `start` .. `end` (exclusive) of the file and the answers to a flip there, most frequent first."""

    start: int
    end: int
    answers: tuple[Answer, ...]


def expectations(image: bytes, profile: Profile, core: int) -> list[Span]:
    """Every byte of the image once. Bits that would make a header length reach 2^31 answer `length-limit`."""
    whole = judge(image, profile, core, {})
    hashed = {
        (c.offset, c.size): c.data for c in whole.calls if c.size and c.data and c.offset and not c.result
    }
    spans: list[Span] = []
    for start, end, answers in _bytes(image, profile, core, hashed):
        same = bool(spans) and spans[-1].answers == answers
        spans.append(Span(spans.pop().start if same else start, end, answers))
    return spans


def _bytes(
    image: bytes, profile: Profile, core: int, hashed: dict[tuple[int, int], bytes]
) -> Iterator[tuple[int, int, tuple[Answer, ...]]]:
    """(start, end, answers) for stretches of data, the signature, and single bytes of everything else."""
    signature, images = places(image)
    changed = bytearray(image)
    at = 0
    for start, end in whole_stretches(signature, sorted((o, o + s) for o, s in hashed), images):
        for position in range(at, start):
            yield position, position + 1, flips(changed, position, profile, core, hashed)
        touched = {k: v for k, v in hashed.items() if k[0] + k[1] <= start or end <= k[0]}
        yield start, end, flips(changed, start, profile, core, touched)
        at = end
    for position in range(at, len(image)):
        yield position, position + 1, flips(changed, position, profile, core, hashed)


def places(image: bytes) -> tuple[tuple[int, int], int]:
    """The signature (start, end), and the start of the images; zeros without a header."""
    if len(image) < layout.HEADER.size:
        return (0, 0), 0
    _, _, tlv_len, sign_len, _ = layout.HEADER.unpack_from(image)
    start = layout.HEADER.size + layout.pad8(tlv_len)
    images = start + layout.pad8(sign_len)
    return ((start, start + sign_len), images) if images <= len(image) else ((0, 0), 0)


def whole_stretches(
    signature: tuple[int, int], data: Sequence[tuple[int, int]], images: int
) -> list[tuple[int, int]]:
    """Stretches that are judged as a whole: the signature, and data that no other segment shares."""
    stretches = [signature] if signature[1] > signature[0] else []
    for start, end in data:
        if start >= max(images, stretches[-1][1] if stretches else 0):
            stretches.append((start, end))
    return stretches


def flips(
    image: bytearray, at: int, profile: Profile, core: int, hashed: dict[tuple[int, int], bytes]
) -> tuple[Answer, ...]:
    """Answers to the eight flips of one byte, most frequent first; the image is left as it was."""
    counts: dict[Answer, int] = {}
    for bit in range(8):
        image[at] ^= 1 << bit
        outcome = judge(image, profile, core, hashed)
        image[at] ^= 1 << bit
        answer = (outcome.reason.name, outcome.code)
        counts[answer] = counts.get(answer, 0) + 1
    return tuple(sorted(counts, key=lambda a: (-counts[a], a[0])))


def judge(
    image: bytes | bytearray, profile: Profile, core: int, hashed: dict[tuple[int, int], bytes]
) -> Outcome:
    """Verdict with hashes that are known already: (offset, size) → SHA-256 of unchanged bytes."""
    return load_off(image, CachedPlatform(profile, core, hashed), contexts=1)


class CachedPlatform(Platform):
    """A platform that knows hashes of unchanged bytes: (offset, size) → SHA-256."""

    def __init__(self, profile: Profile, core: int, hashed: dict[tuple[int, int], bytes]) -> None:
        super().__init__(profile, core)
        self.hashed = hashed

    def digest(self, view: View, offset: int, size: int) -> bytes:
        """The known hash, or a new one."""
        return self.hashed.get((offset, size)) or super().digest(view, offset, size)
