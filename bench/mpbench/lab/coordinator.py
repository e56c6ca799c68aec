# SPDX-License-Identifier: MIT
"""Places of labgrid's coordinator: reserved, acquired, held, released, by labgrid's own client session.

Ref: labgrid remote/client.py, remote/coordinator.py. A reservation that is waiting or allocated expires after
a minute unless it is polled; one whose place is acquired does not.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from attrs import define, field, frozen
from labgrid.remote.client import ClientSession, ServerError
from labgrid.remote.common import Place, Reservation, ReservationState
from labgrid.remote.generated import labgrid_coordinator_pb2 as pb

from mpbench.core.errors import InfrastructureError

ANSWER_S = 30.0
"""A coordinator that has not answered within this time is offline."""
NO_ANSWER = "Failed to acquire resources"
"""Of labgrid's coordinator: an exporter has not answered, or has taken the resources too late."""
POLL_S = 2.0
"""Polling period of a reservation: no event announces its allocation, and polls keep it alive."""
ERRORS = (grpc.aio.AioRpcError, ServerError, TimeoutError, OSError)


@frozen
class PlaceInfo:
    """Current state of a place. acquired: host/user, "" if free; reservation: token, "" for none."""

    name: str
    tags: Mapping[str, str]
    acquired: str
    reservation: str


class CoordinatorSession(ClientSession):  # type: ignore[misc]
    """labgrid's session, with an event for every change of an exporter's resources."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.changed = asyncio.Event()

    @classmethod
    async def opened(cls, address: str, patience_s: float) -> "CoordinatorSession":
        """A connected session; waits at most `patience_s` for an offline coordinator."""
        session = cls(address, asyncio.get_running_loop())
        try:
            if patience_s:
                await asyncio.wait_for(session.channel.channel_ready(), patience_s)
            await asyncio.wait_for(session.start(), ANSWER_S)
        except BaseException:
            await session.end()
            raise
        return session

    async def end(self) -> None:
        """End the session in any state."""
        self.stopping.set()
        if self.pump_task is not None:
            with contextlib.suppress(*ERRORS, AssertionError):
                await asyncio.wait_for(self.stop(), ANSWER_S)
        await self.close()

    async def on_resource_changed(self, *arguments: Any) -> None:
        """labgrid's callback."""
        await super().on_resource_changed(*arguments)
        self.changed.set()

    def lacks(self, place: str) -> str:
        """The first pattern of the place without an exported resource, "" for none."""
        exported = [
            (exporter, group, str(entry.cls), name)
            for exporter, groups in self.resources.items()
            for group, entries in groups.items()
            for name, entry in entries.items()
            if entry.data.get("avail")
        ]
        matches = self.places[place].matches if place in self.places else []
        return next((repr(m) for m in matches if not any(m.ismatch(path) for path in exported)), "")


@define
class Coordinator:
    """A connection to labgrid's coordinator, renewed after a failure. Methods raise InfrastructureError."""

    address: str
    _session: CoordinatorSession | None = None
    _opening: asyncio.Lock = field(factory=asyncio.Lock)

    async def await_there(self, deadline_s: float) -> bool:
        """Whether it answers within `deadline_s`: after a restart that takes seconds."""
        try:
            await self._opened(deadline_s)
        except ERRORS:
            return False
        return True

    async def places(self) -> list[PlaceInfo]:
        """Every place of the lab."""
        async with self._asking("places") as session:
            answer = await asyncio.wait_for(session.stub.GetPlaces(pb.GetPlacesRequest()), ANSWER_S)
            found = [Place.from_pb2(place) for place in answer.places]
            return [PlaceInfo(p.name, dict(p.tags), p.acquired or "", p.reservation or "") for p in found]

    async def place(self, name: str) -> PlaceInfo | None:
        """The place of that name, None if unknown."""
        return next((info for info in await self.places() if info.name == name), None)

    async def reserve(self, place: str, tags: Mapping[str, str]) -> str:
        """Reserve a place by name and tags; returns the token."""
        async with self._asking("reservation") as session:
            filters = {"main": pb.Reservation.Filter(filter={"name": place, **tags})}
            request = pb.CreateReservationRequest(filters=filters, prio=0.0)
            answer = await asyncio.wait_for(session.stub.CreateReservation(request), ANSWER_S)
            return str(Reservation.from_pb2(answer.reservation).token)

    async def await_allocated(self, token: str, deadline_s: float) -> bool:
        """Whether the reservation was allocated within `deadline_s`; it is kept alive while waiting."""
        end = asyncio.get_running_loop().time() + deadline_s
        while (state := await self._poll(token)) is ReservationState.waiting:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await asyncio.sleep(min(POLL_S, left))
        return bool(state is ReservationState.allocated)

    async def await_exported(self, place: str, token: str, deadline_s: float) -> str:
        """Wait until all resources of a place are exported; the missing pattern after `deadline_s`, else "".

        A restarted exporter is back after seconds; the reservation is kept alive while waiting.
        """
        end = asyncio.get_running_loop().time() + deadline_s
        while True:
            async with self._asking(f"place {place}") as session:
                session.changed.clear()
                lacks = session.lacks(place)
                left = end - asyncio.get_running_loop().time()
                if not lacks or left <= 0:
                    return lacks
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(session.changed.wait(), min(POLL_S, left))
            await self._poll(token)

    async def renew(self, token: str) -> bool:
        """Keep the reservation alive; whether its place is still acquired."""
        return bool(await self._poll(token) is ReservationState.acquired)

    async def _poll(self, token: str) -> ReservationState:
        async with self._asking("reservation") as session:
            request = pb.PollReservationRequest(token=token)
            answer = await asyncio.wait_for(session.stub.PollReservation(request), ANSWER_S)
            return Reservation.from_pb2(answer.reservation).state

    async def acquire(self, place: str, token: str, deadline_s: float) -> None:
        """Acquire a place that is reserved for us and whose resources are exported.

        labgrid gives an exporter ten seconds to answer; one on a busy host is asked again until `deadline_s`.
        """
        end = asyncio.get_running_loop().time() + deadline_s
        while True:
            try:
                async with self._asking(f"place {place}") as session:
                    request = pb.AcquirePlaceRequest(placename=place)
                    await asyncio.wait_for(session.stub.AcquirePlace(request), ANSWER_S)
                return
            except InfrastructureError as fault:
                if NO_ANSWER not in str(fault) or asyncio.get_running_loop().time() >= end:
                    raise
            await asyncio.sleep(POLL_S)
            await self._poll(token)

    async def release(self, place: str, token: str) -> None:
        """Release the place if it was acquired under this reservation, then cancel the reservation."""
        info = await self.place(place)
        if info and info.acquired and info.reservation == token:
            async with self._asking(f"place {place}") as session:
                request = pb.ReleasePlaceRequest(placename=place, fromuser=info.acquired)
                await asyncio.wait_for(session.stub.ReleasePlace(request), ANSWER_S)
        async with self._asking("reservation") as session:
            with contextlib.suppress(grpc.aio.AioRpcError):  # a restarted coordinator has forgotten it
                cancel = pb.CancelReservationRequest(token=token)
                await asyncio.wait_for(session.stub.CancelReservation(cancel), ANSWER_S)

    async def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            await session.end()

    @contextlib.asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[CoordinatorSession]:
        try:
            yield await self._opened()
        except grpc.aio.AioRpcError as e:
            if e.code() is grpc.StatusCode.UNAVAILABLE:
                await self.close()
            raise InfrastructureError(f"coordinator {self.address}: {what}: {e.details()}") from e
        except (ServerError, TimeoutError, OSError) as e:
            await self.close()
            text = str(e) or f"no answer within {ANSWER_S:g} s"
            raise InfrastructureError(f"coordinator {self.address}: {what}: {text}") from e

    async def _opened(self, patience_s: float = 0.0) -> CoordinatorSession:
        async with self._opening:
            if self._session is not None and self._session.stopping.is_set():
                await self.close()
            if self._session is None:
                self._session = await CoordinatorSession.opened(self.address, patience_s)
            return self._session
