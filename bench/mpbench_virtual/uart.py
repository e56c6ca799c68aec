# SPDX-License-Identifier: MIT
"""A UART of the board as a console server offers it: raw TCP, available also while the board is off."""

import asyncio
from pathlib import Path

MAX_PENDING_BYTES = 16 << 20
"""A client with more unread bytes is disconnected, so that it cannot fill the host's memory."""


class Uart:
    """Connects QEMU's side of a UART (a Unix socket, open while power is on) to any number of TCP clients.

    All output of the board is also appended to a log. What a client sends while the board is off is
    lost, as on a wire.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.socket_path = directory / f"{name}.sock"
        self.log_path = directory / f"{name}.log"
        self._clients: set[asyncio.StreamWriter] = set()
        self._board: asyncio.StreamWriter | None = None
        self._servers: list[asyncio.Server] = []

    async def open(self, address: str, port: int) -> None:
        """Listen on both sides; OSError when the TCP port is taken."""
        self._log = self.log_path.open("ab", buffering=0)
        self._servers = [
            await asyncio.start_server(self._serve_client, address, port),
            await asyncio.start_unix_server(self._serve_board, self.socket_path),
        ]

    async def close(self) -> None:
        """Stop listening and close all clients."""
        for server in self._servers:
            server.close()
        for writer in [*self._clients, *([self._board] if self._board else [])]:
            writer.close()
        self._log.close()

    async def _serve_board(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._board = writer
        while data := await _read(reader):
            self._log.write(data)
            for client in list(self._clients):
                client.write(data)
                if client.transport.get_write_buffer_size() > MAX_PENDING_BYTES:
                    self._clients.discard(client)
                    client.transport.abort()
        self._board = None
        writer.close()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        while data := await _read(reader):
            if self._board is not None:
                self._board.write(data)
        self._clients.discard(writer)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Next bytes; empty when the other side has closed or broken the connection."""
    try:
        return await reader.read(65536)
    except OSError:
        return b""
