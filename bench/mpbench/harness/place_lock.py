# SPDX-License-Identifier: MIT
"""The lock of a place: labgrid's pytest plug-in joins a place but never acquires or checks it.

A place that is lost during a run (released by another user, coordinator gone or restarted) may have another
owner a moment later: PlaceLock checks it before the board is touched.

Ref: labgrid remote/client.py, ClientSession.get_place, _check_allowed, get_target_resources, message_pump;
     remote/coordinator.py, load(): a restarted coordinator has forgotten who acquired which place.
"""

import asyncio
import contextlib
import datetime
import os
import re
import threading
from collections.abc import Iterator
from typing import Any

from attrs import define, field
from labgrid.config import Config

from mpbench.core.errors import InfrastructureError

CLIENT = "labgrid.remote.client"
"""Compared by name: importing it would cost a run without a lab half a second."""

ADVICE = (
    (r"place (\S+) is not acquired$", r"; first `labgrid-client -p \1 acquire`, afterwards `release`"),
    (r"place pattern (\S+) matches nothing$", "; `labgrid-client places` lists all places"),
    (r"reservation token \S+ matches nothing$", "; `labgrid-client reservations` lists all reservations"),
)
ORPHANED = re.compile(
    r"place Place\(name='([^']*)'.* has an orphaned resource \(exporter (\S+) disconnected\?\)$"
)
"""labgrid's message for an exporter that disconnected after the place was acquired."""
GONE = "the coordinator is gone or was restarted"
ASK_S = 30.0
"""A coordinator that has not answered after this time is gone."""


@contextlib.contextmanager
def coordinator_errors(config: Config) -> Iterator[None]:
    """Turn an error of labgrid's client into an InfrastructureError of one line, with advice."""
    try:
        yield
    except Exception as e:
        if type(e).__module__ != CLIENT:
            raise
        text = " ".join(str(part) for part in e.args)
        text = ORPHANED.sub(r"place \1: its exporter \2 is not connected; start it on its host", text)
        default = os.environ.get("LG_COORDINATOR", "127.0.0.1:20408")
        address = config.get_option("coordinator_address", default)
        raise InfrastructureError(f"coordinator {address}: {text}{advice(text)}") from e


def advice(text: str) -> str:
    """What to do about an error of labgrid's client, "" if its message says so itself. Pure."""
    found = ((re.search(pattern, text), words) for pattern, words in ADVICE)
    return next((match.expand(words) for match, words in found if match), "")


@define
class PlaceLock:
    """A place that was acquired when the run started. Raises InfrastructureError once it is lost.

    check() uses the coordinator's notifications so far, a call asks the coordinator. A thread runs the event
    loop of `client`, labgrid's session with the coordinator, until close().
    """

    client: Any
    place: Any
    holder: str = field(init=False)
    epoch: str = field(init=False)
    _lost: str = ""
    _inherited: Any = field(init=False)
    _pump: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        since = datetime.datetime.fromtimestamp(self.place.changed, datetime.UTC)
        reserved = f" reservation {self.place.reservation}" if self.place.reservation else ""
        self.holder = self.place.acquired
        self.epoch = f"{self.place.name} {self.holder} {since.isoformat(timespec='microseconds')}{reserved}"
        self._inherited = self.client.on_place_changed
        self.client.on_place_changed = self._on_place_changed
        self._pump = threading.Thread(target=self.client.loop.run_forever, name="coordinator", daemon=True)
        self._pump.start()

    async def _on_place_changed(self, place: Any) -> None:
        """A place that was released is lost even if the same user acquires it again."""
        await self._inherited(place)
        if place.name == self.place.name and place.acquired != self.holder:
            change = f"acquired by {place.acquired}" if place.acquired else "released"
            self._lost = self._lost or f"it was {change} during the run"

    def check(self) -> None:
        """Check the notifications received so far: no round trip, so every access to the board does."""
        if self.client.stopping.is_set():
            self._lost = self._lost or GONE
        if self._lost:
            raise InfrastructureError(
                f"lost the lock of place {self.place.name}: {self._lost}; the board is not touched any more"
            )

    def __call__(self) -> None:
        """Ask the coordinator."""
        self.check()
        # The deadline is the loop's, so that no question is left in it when it is stopped.
        asked = asyncio.wait_for(self.client.sync_with_coordinator(), ASK_S)
        try:
            asyncio.run_coroutine_threadsafe(asked, self.client.loop).result()
        except TimeoutError:
            self._lost = f"the coordinator did not answer within {ASK_S:g} s"
        self.check()

    def close(self) -> None:
        """Unsubscribe, and end the thread."""
        self.client.loop.call_soon_threadsafe(self.client.loop.stop)
        self._pump.join()


def lock_of(target: Any) -> PlaceLock | None:
    """The lock of the target's place; None without a coordinator."""
    for resource in target.resources:
        client = getattr(getattr(resource, "manager", None), "session", None)
        if type(resource).__name__ == "RemotePlace" and client is not None:
            return PlaceLock(client, client.get_place(resource.name))
    return None


def place_entry(target: Any) -> dict[str, str]:
    """The place as an entry of the provenance; empty for a board on the desk."""
    found = [str(r.name) for r in target.resources if type(r).__name__ == "RemotePlace"]
    return {"place": ", ".join(found)} if found else {}
