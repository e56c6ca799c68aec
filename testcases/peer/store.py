# SPDX-License-Identifier: MIT
"""Cases as files: one JSON file each, images in base64, so that a disagreement can be replayed anywhere."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from mpbench.twin.memory import Core, Region
from testcases.peer.worker import Board, Command


@frozen
class Stored:
    """A case. kind: build, kind of board and the reasons of its outcomes: one case of each is kept."""

    kind: tuple[str, ...]
    board: Board
    commands: tuple[Command, ...]

    def smaller(self) -> Iterator["Stored"]:
        """Simpler neighbours: without a command, with part of an image zeroed, with a shorter image."""
        for i in range(len(self.commands)):
            if len(self.commands) > 1:
                yield evolve(self, commands=self.commands[:i] + self.commands[i + 1 :])
        for i, (command, core, image) in enumerate(self.commands):
            for width in (len(image) // 2, len(image) // 8, 32, 8):
                for at in range(0, len(image), width or 1):
                    zeroed = image[:at] + bytes(len(image[at : at + width])) + image[at + width :]
                    if width and zeroed != image:
                        changed = (command, core, zeroed)
                        yield evolve(self, commands=(*self.commands[:i], changed, *self.commands[i + 1 :]))


def default_folder() -> Path:
    """Where builds and the corpus are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mpbench" / "peer"


def save(stored: Stored, folder: Path) -> Path:
    """The file of a case; its name is a hash of its content."""
    text = json.dumps(encode(stored), indent=1)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(text + "\n")
    fresh.replace(path)
    return path


def encode(stored: Stored) -> dict[str, Any]:
    """A case as plain values."""
    board = asdict(stored.board)
    commands = [[command, core, base64.b64encode(image).decode()] for command, core, image in stored.commands]
    return {"kind": list(stored.kind), "board": board, "commands": commands}


def decode(saved: dict[str, Any]) -> Stored:
    """The reverse."""
    board = dict(saved["board"])
    cores = [Core(c["name"], c["id"], tuple(Region(**r) for r in c["regions"])) for c in board["cores"]]
    board["cores"] = tuple(cores)
    board["fault"] = tuple(board["fault"])
    board["dma_ranges"] = tuple(Region(**r) for r in board.get("dma_ranges", ()))
    commands = tuple((command, core, base64.b64decode(image)) for command, core, image in saved["commands"])
    return Stored(tuple(saved["kind"]), Board(**board), commands)


def load_corpus(folder: Path) -> list[Stored]:
    """All cases of a folder."""
    paths = sorted(p for p in folder.glob("*.json") if p.name != "totals.json") if folder.exists() else []
    return [decode(json.loads(path.read_text())) for path in paths]


def found_with(folder: Path, loader: str) -> list[Path]:
    """The cases of a folder for this loader, as Profile.loader has it, or all that start so."""
    return [
        path
        for path in sorted(folder.glob("*.json"))
        if json.loads(path.read_text())["board"].get("loader", "upstream").startswith(loader)
    ]


def images(corpus: Sequence[Stored]) -> list[bytes]:
    """All images of a corpus."""
    return [image for stored in corpus for _, _, image in stored.commands if image]
