# SPDX-License-Identifier: MIT
"""Results of benchmarks, the board they run on, and timing of our action beside the peer's."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from labgrid import Target
from labgrid.driver import SSHDriver
from labgrid.exceptions import NoResourceFoundError

from mpbench.board.session.driver import SessionDriver
from mpbench.board.strategy import STM32MPStrategy

Action = Callable[[], object]


@frozen
class Row:
    """One benchmark: times in seconds; met: whether the target is reached, None for a row without target.

    ours_s: None for one that could not run, whose `what` says why
    """

    number: str
    what: str
    peer: str
    peer_s: float | None
    ours_s: float | None
    target: str
    met: bool | None

    @property
    def ratio_text(self) -> str:
        """How many times faster than the peer."""
        return f"{self.peer_s / self.ours_s:.1f} x" if self.peer_s and self.ours_s else ""

    @property
    def ours_text(self) -> str:
        """Our time, in ms."""
        return "NOT-RUN" if self.ours_s is None else f"{self.ours_s * 1e3:.3f} ms"

    @property
    def peer_text(self) -> str:
        """The peer's time, in ms."""
        return f"{self.peer_s * 1e3:.3f} ms" if self.peer_s else ""


def medians(ours: Action, peer: Action, rounds: int, repeat: int = 1) -> tuple[float, float]:
    """Median seconds of ours and the peer's, in turns, so that both meet the host's load; round 0 warms up.

    repeat: times that ours is timed per round, since a short action's median needs more samples.
    """
    times: tuple[list[float], list[float]] = [], []
    for number in range(rounds + 1):
        for action, taken, count in ((ours, times[0], repeat), (peer, times[1], 1)):
            for _ in range(count):
                start = time.perf_counter()
                action()
                if number:
                    taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


@define
class Board:
    """The board, with our session and labgrid's SSHDriver to one SSH server."""

    target: Target
    _peer: SSHDriver | None = field(default=None)

    @property
    def strategy(self) -> STM32MPStrategy:
        """The board's strategy."""
        return self.target.get_strategy()

    @property
    def virtual(self) -> Any:
        """Its VirtualBoard, None for a board of silicon."""
        try:
            return self.target.get_resource("VirtualBoard", wait_avail=False)
        except NoResourceFoundError:
            return None

    @property
    def session(self) -> SessionDriver:
        """Our session; the board is booted if necessary."""
        self.strategy.transition("shell")
        return self.target.get_driver("SessionDriver")

    @property
    def peer(self) -> SSHDriver:
        """labgrid's SSHDriver, with the key of our session."""
        if self._peer is None:
            keyfile = self.target.get_driver("SessionDriver", activate=False).address().keyfile
            self.target.set_binding_map({"networkservice": "ssh"})
            self._peer = SSHDriver(self.target, "peer", keyfile=str(keyfile))
        self.target.activate(self._peer)
        return self._peer

    def release_peer(self) -> None:
        """Deactivate the peer, whose connection ends with a power cycle."""
        if self._peer is not None:
            self.target.deactivate(self._peer)

    def close(self) -> None:
        """Deactivate everything; a virtual board of this run is stopped."""
        self.target.cleanup()
