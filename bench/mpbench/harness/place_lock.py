# SPDX-License-Identifier: MIT
"""Places of a lab: labgrid's pytest plugin joins a place but never acquires it; what to do is told here.

A place that is lost while a run has it (released by somebody else, coordinator gone or started again) may
have another owner a moment later: PlaceLock asks before the board is touched.

Ref: labgrid remote/client.py, ClientSession.get_place, _check_allowed, get_target_resources, message_pump;
     remote/coordinator.py, load(): a coordinator that is started again has forgotten who has which place.
"""

import asyncio
import contextlib
import datetime
import fcntl
import os
import re
import threading
from collections.abc import Iterator
from typing import IO, Any

from attrs import define, field
from labgrid.config import Config

from mpbench.core.directories import runtime_dir
from mpbench.core.errors import InfrastructureError
from mpbench.core.record import safe_name

CLIENT = "labgrid.remote.client"
"""Known by name only: importing it costs a run without a lab half a second."""

ADVICE = (
    (r"place (\S+) is not acquired$", r"; first `labgrid-client -p \1 acquire`, afterwards `release`"),
    (r"place pattern (\S+) matches nothing$", "; `labgrid-client places` lists what there is"),
    (r"reservation token \S+ matches nothing$", "; `labgrid-client reservations` lists what there is"),
)
ORPHANED = re.compile(
    r"place Place\(name='([^']*)'.* has an orphaned resource \(exporter (\S+) disconnected\?\)$"
)
"""labgrid's words for an exporter that ended after the place was acquired."""
GONE = "the coordinator is gone, or was started again"
ASK_S = 30.0
"""A coordinator that has not answered by then is gone."""


@contextlib.contextmanager
def told(config: Config) -> Iterator[None]:
    """InfrastructureError in one line for what labgrid's client says of coordinator and place."""
    try:
        yield
    except Exception as e:
        if type(e).__module__ != CLIENT:
            raise
        said = " ".join(str(part) for part in e.args)
        text = ORPHANED.sub(r"place \1: its exporter \2 is not connected; start it on its host", said)
        raise InfrastructureError(f"coordinator {_coordinator(config)}: {text}{advice(text)}") from e


def advice(text: str) -> str:
    """What to do about it, "" if labgrid says so itself. Pure."""
    found = ((re.search(pattern, text), words) for pattern, words in ADVICE)
    return next((match.expand(words) for match, words in found if match), "")


def _coordinator(config: Config) -> str:
    default = os.environ.get("LG_COORDINATOR", "127.0.0.1:20408")
    return str(config.get_option("coordinator_address", default))


@define
class PlaceLock:
    """A place that this run found acquired. InfrastructureError once it is lost: by `still`, or at once by calling it.

    labgrid's session with the coordinator is told of every change; a thread keeps it going until close().
    """

    session: Any
    place: Any
    holder: str = field(init=False)
    epoch: str = field(init=False)
    _lost: str = ""
    _hear: Any = field(init=False)
    _pump: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        since = datetime.datetime.fromtimestamp(self.place.changed, datetime.UTC)
        reserved = f" reservation {self.place.reservation}" if self.place.reservation else ""
        self.holder = self.place.acquired
        self.epoch = f"{self.place.name} {self.holder} {since.isoformat(timespec='microseconds')}{reserved}"
        self._hear = self.session.on_place_changed
        self.session.on_place_changed = self._heard
        self._pump = threading.Thread(target=self.session.loop.run_forever, name="coordinator", daemon=True)
        self._pump.start()

    async def _heard(self, news: Any) -> None:
        """Every change that the coordinator tells; a place released and acquired again is lost as well."""
        await self._hear(news)
        if news.name == self.place.name and news.acquired != self.holder:
            now = f"acquired by {news.acquired}" if news.acquired else "released"
            self._lost = self._lost or f"somebody else had it {now}"

    def still(self) -> None:
        """By what the coordinator has told so far: costs nothing, for everything that is done to a board."""
        if self.session.stopping.is_set():
            self._lost = self._lost or GONE
        if self._lost:
            raise InfrastructureError(
                f"the lock of place {self.place.name} is lost: {self._lost}; the board is left alone"
            )

    def __call__(self) -> None:
        """By the coordinator's word of this moment."""
        self.still()
        asked = asyncio.run_coroutine_threadsafe(self.session.sync_with_coordinator(), self.session.loop)
        try:
            asked.result(ASK_S)
        except TimeoutError:
            asked.cancel()
            self._lost = f"the coordinator has not answered for {ASK_S:g} s"
        self.still()

    def close(self) -> None:
        """Hear no more."""
        self.session.loop.call_soon_threadsafe(self.session.loop.stop)
        self._pump.join()


def lock_of(target: Any) -> PlaceLock | None:
    """The lock of the target's place; None without a coordinator."""
    for resource in target.resources:
        session = getattr(getattr(resource, "manager", None), "session", None)
        if type(resource).__name__ == "RemotePlace" and session is not None:
            return PlaceLock(session, session.get_place(resource.name))
    return None


def who(target: Any) -> dict[str, str]:
    """The place as an entry of the provenance; nothing for a board on the desk."""
    found = [str(r.name) for r in target.resources if type(r).__name__ == "RemotePlace"]
    return {"place": ", ".join(found)} if found else {}


def alone(target: Any) -> IO[str] | None:
    """A lock of this host on the target's board, held as long as the file is open; None for no address.

    It holds where the coordinator's does not: when that was started again. InfrastructureError if another run has it.
    """
    services = [r for r in target.resources if type(r).__name__ == "NetworkService"]
    if not services:
        return None
    name = safe_name(f"{services[0].address}-{services[0].port}")
    directory = runtime_dir() / f".mpbench-locks-{os.getuid()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory / f"{name}.lock").open("a+")
    except OSError as e:
        raise InfrastructureError(f"cannot lock the board: {directory}: {e.strerror}") from e
    return _locked(file, name)


def _locked(file: IO[str], name: str) -> IO[str]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise InfrastructureError(f"another run drives the board at {name}: process {pid}") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
