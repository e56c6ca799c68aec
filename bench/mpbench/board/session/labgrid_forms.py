# SPDX-License-Identifier: MIT
"""labgrid's protocols for commands and files, on top of a driver's execute(), put_bytes() and get_bytes()."""

import inspect
from pathlib import Path
from typing import Any

from labgrid.driver.commandmixin import CommandMixin
from labgrid.protocol import CommandProtocol, FileTransferProtocol

from mpbench.board.labgrid_decorators import active, stepped
from mpbench.board.session.link import lab_faults

CommandOutput = tuple[list[str], list[str], int]
"""Lines of stdout, lines of stderr, exit code."""


class CommandForms(CommandMixin, CommandProtocol):
    """labgrid's run() and run_check(). Bytes that are no text become surrogates."""

    _run_options: dict[str, Any] = {}  # noqa: RUF012 - further arguments of the driver's execute()

    @active
    @stepped(args=["cmd"], result=True)
    def run(
        self,
        cmd: str,
        *,
        timeout: float | None = None,
        codec: str = "utf-8",
        decodeerrors: str = "surrogateescape",
    ) -> CommandOutput:
        """Run a command line in the board's shell; timeout in seconds."""
        reply = self.execute(cmd, timeout, **self._run_options)
        texts = (data.decode(codec, decodeerrors) for data in (reply.stdout, reply.stderr))
        stdout, stderr = (text.removesuffix("\n").split("\n") if text else [] for text in texts)
        return stdout, stderr, reply.code

    _run = inspect.unwrap(run)  # for labgrid's run_check, which logs a step of its own


class FileForms(FileTransferProtocol):
    """labgrid's put() and get()."""

    @active
    @stepped(args=["filename", "remotepath"])
    def put(self, filename: str, remotepath: str) -> None:
        """Upload a file; a remotepath that ends in / is the directory for it."""
        source = Path(filename)
        path = f"{remotepath}{source.name}" if remotepath.endswith("/") else remotepath
        with lab_faults(f"{filename}: cannot read"):
            data = source.read_bytes()
        self.put_bytes(data, path)

    @active
    @stepped(args=["filename", "destination"])
    def get(self, filename: str, destination: str = ".") -> None:
        """Download a file to a file or into a directory."""
        path = Path(destination)
        data = self.get_bytes(filename)
        with lab_faults(f"{destination}: cannot write"):
            (path / Path(filename).name if path.is_dir() else path).write_bytes(data)
