# SPDX-License-Identifier: MIT
"""The UART of a virtual board: both directions, several clients, one of them too slow."""

import asyncio

from mpbench_virtual import uart
from mpbench_virtual.uart import Uart

ADDRESS = "127.0.0.1"


def with_uart(tmp_path, scenario):
    """Run a scenario on an open UART; it gets the UART and its TCP port."""

    async def main():
        found = Uart("console", tmp_path)
        await found.open(ADDRESS, 0)
        port = found._servers[0].sockets[0].getsockname()[1]
        try:
            await asyncio.wait_for(scenario(found, port), 30)
        finally:
            await found.close()

    asyncio.run(main())


def test_bytes_go_both_ways_and_into_the_log(tmp_path):
    """Output of the board reaches every client and the log; input of a client reaches the board."""

    async def scenario(found, port):
        board_reader, board_writer = await asyncio.open_unix_connection(found.socket_path)
        clients = [await asyncio.open_connection(ADDRESS, port) for _ in range(2)]
        for _, writer in clients:
            writer.write(b"x")
        assert await board_reader.readexactly(2) == b"xx"
        board_writer.write(b"\x00\xffhello")
        for reader, writer in clients:
            assert await reader.readexactly(7) == b"\x00\xffhello"
            writer.close()
        board_writer.close()
        assert found.log_path.read_bytes() == b"\x00\xffhello"

    with_uart(tmp_path, scenario)


def test_a_client_stays_while_the_board_is_off(tmp_path):
    """A client's connection survives power cycles of the board, as with a console server."""

    async def scenario(found, port):
        reader, writer = await asyncio.open_connection(ADDRESS, port)
        writer.write(b"lost")
        for text in (b"first", b"second"):
            _, board_writer = await asyncio.open_unix_connection(found.socket_path)
            board_writer.write(text)
            assert await reader.readexactly(len(text)) == text
            board_writer.close()
        writer.close()

    with_uart(tmp_path, scenario)


def test_a_client_that_never_reads_is_dropped(tmp_path, monkeypatch):
    """A client that does not read a flood is disconnected, and the log has all of it."""
    monkeypatch.setattr(uart, "MAX_PENDING_BYTES", 1 << 16)
    flood = b"z" * (16 << 20)

    async def scenario(found, port):
        board_reader, board_writer = await asyncio.open_unix_connection(found.socket_path)
        _, writer = await asyncio.open_connection(ADDRESS, port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream of asyncio writes and reads through one
        writer.write(b"here")
        await board_reader.readexactly(4)
        board_writer.write(flood)
        await board_writer.drain()
        board_writer.close()
        while found.log_path.stat().st_size < len(flood):
            await asyncio.sleep(0)
        assert not found._clients
        writer.close()

    with_uart(tmp_path, scenario)
