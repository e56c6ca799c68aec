# SPDX-License-Identifier: MIT
"""A place that is lost during a run: the board is not touched any more."""

import asyncio
from types import SimpleNamespace

import pytest
from labgrid.remote.common import Place

from mpbench.core.errors import InfrastructureError
from mpbench.harness import place_lock

HOLDER = "labhost/nightly"


class Coordinator:
    """The session of a labgrid client with a scripted coordinator; its answers come from its own loop."""

    def __init__(self, place: Place) -> None:
        self.loop = asyncio.new_event_loop()
        self.stopping = asyncio.Event()
        self.place = place
        self.news: list[SimpleNamespace] = []
        self.asked = 0

    async def on_place_changed(self, news) -> None:
        self.place.acquired = news.acquired

    async def sync_with_coordinator(self) -> bool:
        self.asked += 1
        for news in self.news:
            await self.on_place_changed(news)
        return True

    def push(self, news: SimpleNamespace) -> None:
        """Another user has changed a place; the session is notified."""
        asyncio.run_coroutine_threadsafe(self.on_place_changed(news), self.loop).result(60)


@pytest.fixture
def coordinator():
    found = Coordinator(Place("mp25-1", acquired=HOLDER, changed=1_795_000_000.25, reservation="ABC"))
    yield found
    found.loop.close()


@pytest.fixture
def lock(coordinator):
    found = place_lock.PlaceLock(coordinator, coordinator.place)
    yield found
    found.close()


def changed(acquired: str | None, name: str = "mp25-1") -> SimpleNamespace:
    return SimpleNamespace(name=name, acquired=acquired)


def test_the_epoch_names_place_holder_time_and_reservation(lock):
    """The epoch of a record: owner of the place's lock, and the time it was acquired."""
    assert lock.epoch == f"mp25-1 {HOLDER} 2026-11-18T11:06:40.250000+00:00 reservation ABC"


def test_a_place_that_is_held_may_be_touched(lock, coordinator):
    """Changes of other places, and changes that keep the holder, lose nothing."""
    coordinator.news = [changed(None, "mp15-1"), changed(HOLDER)]
    lock()
    lock()


@pytest.mark.parametrize(
    ("news", "words"),
    [
        ([changed(None)], "it was released during the run"),
        ([changed("x/eve")], "it was acquired by x/eve during the run"),
        ([changed(None), changed(HOLDER)], "it was released during the run"),
    ],
)
def test_a_place_that_was_released_is_lost_for_good(lock, coordinator, news, words):
    """Released is lost, even if the same user acquired it again: another run has it."""
    coordinator.news = news
    for _ in range(2):
        with pytest.raises(
            InfrastructureError,
            match=f"^lost the lock of place mp25-1: {words}; the board is not touched any more$",
        ):
            lock()
        coordinator.news = []


def test_a_coordinator_that_went_away_means_the_lock_is_lost(lock, coordinator):
    """A restarted coordinator has forgotten the lock, so another run may have the board."""
    coordinator.stopping.set()
    with pytest.raises(InfrastructureError, match="the coordinator is gone or was restarted"):
        lock()


def test_a_session_that_ended_is_not_asked(lock, coordinator):
    """A session whose stream broke before would never answer."""
    coordinator.stopping.set()
    with pytest.raises(InfrastructureError, match="the coordinator is gone or was restarted"):
        lock()
    assert coordinator.asked == 0


def test_a_loss_is_known_without_a_round_trip(lock, coordinator):
    """The coordinator notifies the session, so the next access to the board is refused without asking."""
    lock.check()
    coordinator.push(changed(None, "mp15-1"))
    lock.check()
    coordinator.push(changed(None))
    with pytest.raises(
        InfrastructureError, match="lost the lock of place mp25-1: it was released during the run"
    ):
        lock.check()
    assert coordinator.asked == 0


def test_a_coordinator_that_hangs_is_not_waited_for(lock, coordinator, monkeypatch):
    """An answer has a deadline."""
    monkeypatch.setattr(place_lock, "ASK_S", 0.01)

    async def silent() -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(coordinator, "sync_with_coordinator", silent)
    with pytest.raises(InfrastructureError, match=r"did not answer within 0\.01 s"):
        lock()


def test_a_desk_has_no_place():
    """No coordinator, no lock of a place, and no entry in the provenance."""
    assert place_lock.lock_of(SimpleNamespace(resources=[])) is None
    assert place_lock.place_entry(SimpleNamespace(resources=[])) == {}


def test_an_exporter_that_disconnected_is_one_line(monkeypatch):
    """labgrid shows the whole place and guesses; what a person needs is which exporter to start again."""
    place = Place("mp25-1", acquired=HOLDER, tags={"board": "mp25"})
    said = f"place {place} has an orphaned resource (exporter labhost disconnected?)"
    monkeypatch.setattr(place_lock, "CLIENT", __name__)
    config = SimpleNamespace(get_option=lambda *_: "192.0.2.1:20408")
    with pytest.raises(InfrastructureError) as raised, place_lock.coordinator_errors(config):
        raise ServerError(said)
    words = "place mp25-1: its exporter labhost is not connected; start it on its host"
    assert str(raised.value) == f"coordinator 192.0.2.1:20408: {words}"


class ServerError(Exception):
    """labgrid's, as its client raises it."""
