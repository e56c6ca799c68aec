# SPDX-License-Identifier: MIT
"""The process of one virtual board: power port, UARTs, QEMU.

Started by mpbench_virtual.boards. SIGTERM, or the end of its standard input, ends it and all its children.
`python -m mpbench_virtual.process` is not a user's command.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cattrs
from attrs import define, frozen

from mpbench.core.errors import InfrastructureError
from mpbench.core.files import write_whole
from mpbench_virtual import keys
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import Parts, Qemu, command_line
from mpbench_virtual.uart import Uart

PORTS = {"console": 1, "secure": 2, "power": 3, "ssh": 22}
"""Offsets from the base port."""


@frozen
class Spec:
    """Arguments of a board process: its directory, where to listen, what to boot."""

    name: str
    kind: str
    directory: Path
    address: str | None
    base_port: int
    parts: Parts
    lifeline: bool

    @property
    def uarts(self) -> tuple[str, ...]:
        """Names of its UARTs: without OP-TEE there is no secure console."""
        return ("console", "secure") if KINDS[self.kind].secure else ("console",)

    @property
    def ports(self) -> dict[str, int]:
        """TCP ports by name."""
        return {name: self.port(name) for name in (*self.uarts, "power", "ssh")}

    def port(self, name: str) -> int:
        """TCP port of one of PORTS."""
        return self.base_port + PORTS[name]


@define
class Supply:
    """The board's main supply: while it is on, QEMU runs."""

    spec: Spec
    address: str
    qemu: Qemu | None = None

    @property
    def is_on(self) -> bool:
        """Whether the supply is on and QEMU runs."""
        return self.qemu is not None and self.qemu.process.poll() is None

    def switch(self, on: bool) -> None:
        """Turn the supply on or off; InfrastructureError when QEMU does not start."""
        if on and self.is_on:
            return
        self._off()
        if on:
            self._on()

    def _on(self) -> None:
        ssh = f"{self.address}:{self.spec.port('ssh')}"
        self.qemu = Qemu(command_line(self.spec.parts, self.spec.directory, ssh), self.spec.directory)

    def _off(self) -> None:
        if self.qemu is not None:
            self.qemu.kill()
            self.qemu = None


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def power_handler(switch: Callable[[bool], None], is_on: Callable[[], bool]) -> type[BaseHTTPRequestHandler]:
    """HTTP handler of a power port as labgrid's `rest` model speaks it: GET and PUT of `0` or `1`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, code: int, text: str) -> None:
            # Also in the status line, because that is all labgrid shows of a failure.
            self.send_response(code, text if code >= 400 else None)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self._answer(200, str(int(is_on())))

        def do_PUT(self) -> None:
            wanted = self.rfile.read(int(self.headers.get("Content-Length", 0))).strip()
            if wanted not in (b"0", b"1"):
                self._answer(400, f"power is 0 or 1, not {wanted[:20]!r}")
                return
            try:
                switch(wanted == b"1")
            except Exception as error:  # the client gets the reason, whatever it is
                self._answer(500, " ".join(str(error).split()) or repr(error))
            else:
                self._answer(200, wanted.decode())

        def log_message(self, format: str, *args: Any) -> None:
            _log("power: " + format % args)

    return Handler


async def serve(spec: Spec) -> None:
    """Serve the board until a signal, or the end of standard input, ends it."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    if spec.lifeline:
        loop.add_reader(sys.stdin.fileno(), _end_at_eof, ended)
    address = spec.address or own_address()
    supply = Supply(spec, address)

    def switch(on: bool) -> None:
        # In the loop's thread: one switch at a time, and QEMU ends with the thread that started it.
        # No deadline here: each wait for QEMU has its own.
        async def switch_in_loop() -> None:
            supply.switch(on)

        asyncio.run_coroutine_threadsafe(switch_in_loop(), loop).result()

    uarts = {name: Uart(name, spec.directory) for name in spec.uarts}
    for name, uart in uarts.items():
        await uart.open(address, spec.port(name))
    handler = power_handler(switch, lambda: supply.is_on)
    with ThreadingHTTPServer((address, spec.port("power")), handler) as power:
        threading.Thread(target=power.serve_forever, daemon=True).start()
        _announce(spec, address)
        await ended.wait()
        power.shutdown()
    supply.switch(False)
    for uart in uarts.values():
        await uart.close()


def _end_at_eof(ended: asyncio.Event) -> None:
    """The parent writes nothing to standard input: end of file means that it has exited."""
    if not os.read(sys.stdin.fileno(), 1):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


def own_address() -> str:
    """A loopback address that no other board uses: a process id (22 bits) selects it in 127.64.0.0/10."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}"


def _announce(spec: Spec, address: str) -> None:
    """Write known_hosts and board.json, then print `ready`."""
    ports = spec.ports
    host_key = keys.ssh_public_line(keys.host_key()).decode()
    (spec.directory / "known_hosts").write_text(f"[{address}]:{ports['ssh']} {host_key}\n")
    text = json.dumps(
        {"name": spec.name, "kind": spec.kind, "pid": os.getpid(), "address": address, "ports": ports}
    )
    write_whole(spec.directory / "board.json", text.encode())
    print("ready", flush=True)


def main() -> int:
    """Run one board; its spec is argv[1]."""
    spec = cattrs.structure(json.loads(sys.argv[1]), Spec)
    try:
        asyncio.run(serve(spec))
    except (OSError, InfrastructureError) as error:
        print(f"failed {error}", flush=True)
        return 3
    finally:
        shutil.rmtree(spec.directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
