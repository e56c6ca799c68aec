# SPDX-License-Identifier: MIT
"""Bounds of what is read from an image, so that a hostile count costs neither time nor memory."""

from attrs import define, field

from mpbench.core.errors import UsageError

MAX_ENTRIES = 4096
"""Listed at most, of all images together: TLVs, entries of a table, program headers, section headers."""
MAX_IMAGES = 255
"""NUM_IMG is one byte."""
HASH_FACTOR = 16
"""Bytes hashed at most per byte of a file: overlapping segments have no bound otherwise."""


@define
class Room:
    """How many entries of each kind may still be listed."""

    taken: dict[str, int] = field(factory=dict)

    def take(self, kind: str, wanted: int) -> int:
        """As many of the wanted entries as there is room for."""
        given = min(wanted, MAX_ENTRIES - self.taken.get(kind, 0))
        self.taken[kind] = self.taken.get(kind, 0) + given
        return given


def refuse_overlaps(data_bytes: int, file_bytes: int, name: str) -> None:
    """UsageError if the data of all program headers are more than can be hashed in linear time."""
    if data_bytes > HASH_FACTOR * file_bytes:
        raise UsageError(
            f"{name}: the program headers overlap: {data_bytes} bytes of data in {file_bytes} bytes of file; "
            f"at most {HASH_FACTOR} times the file are hashed"
        )
