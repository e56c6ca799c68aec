# SPDX-License-Identifier: MIT
"""A night: every job of a plan on every place it fits, one pytest per place, one page.

<reports>/<utc>-<plan>/journal.jsonl    what was begun, held, released, and ended: a killed night goes on
                       runs/<unit>/     records of the runs of one job on one place
                       logs/<unit>.log  what its pytest said
                       index.html ...   the merged report
<reports>/history.sqlite                trends, and places that were taken out
"""

import asyncio
import contextlib
import datetime
import fcntl
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field, frozen

from mpbench import report
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.record import LOG, in_order, read, safe_name
from mpbench.harness.resume import Resumed, of_runs
from mpbench.lab.child import Child, command, outlived
from mpbench.lab.coordinator import Coordinator, Offer
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal
from mpbench.lab.plan import ALL, Job, Plan
from mpbench.report.trend import point

ATTEMPTS = 2
"""The first one, and one more if the lab prevented a verdict."""
RENEW_S = 20.0
LOOK_S = 20.0
"""So often is the wall clock looked at: asyncio hears of no change of it."""
STOP_S = 90.0
"""A pytest that was asked to end has this long for its teardowns."""
SIGNED = "manifest.json"
CODES = {Verdict.PASS: 0, Verdict.MARGINAL: 0, Verdict.FAIL: 1, Verdict.ERROR: 1, Verdict.NOT_RUN: 5}

Tell = Callable[[str], None]
T = TypeVar("T")


class Busy(InfrastructureError):
    """Somebody else has the place, or a part of the lab is away: waited for long enough, not tried again."""


@frozen
class Outcome:
    """Of an attempt. open: why something is left, "" if nothing is; asked: the board was, to the end."""

    open: str = ""
    asked: bool = False


@frozen
class Unit:
    """One job on one place."""

    job: Job
    place: str

    @property
    def name(self) -> str:
        return safe_name(f"{self.job.name}-{self.place}")


@frozen
class Assignment:
    """units: what will be run; skipped: what will not, and why."""

    units: tuple[Unit, ...]
    skipped: tuple[str, ...]


def assign(plan: Plan, offers: Sequence[Offer], sick: Mapping[str, str]) -> Assignment:
    """Which job runs on which places, by their tags. Free places first. Pure."""
    units, skipped = [], []
    out = {**sick, **plan.quarantine}
    for job in plan.jobs:
        fit = [o for o in offers if job.tags.items() <= o.tags.items()]
        skipped += [f"{job.name} on {o.name}: in quarantine: {out[o.name]}" for o in fit if o.name in out]
        good = sorted((o for o in fit if o.name not in out), key=lambda o: (bool(o.acquired), o.name))
        wanted = len(good) if job.boards == ALL else job.boards
        if len(good) < wanted or not good:
            tags = ", ".join(f"{k}={v}" for k, v in job.tags.items())
            skipped.append(f"{job.name}: {len(good)} usable places have the tags {tags}")
        units += [Unit(job, o.name) for o in good[:wanted]]
    return Assignment(tuple(units), tuple(skipped))


@define
class Night:
    """A night that goes on. `now`: local time; `free_bytes`: of the disk below a directory."""

    plan: Plan
    tell: Tell
    coordinator: Coordinator
    history: History
    journal: NightJournal
    stop: asyncio.Event = field(factory=asyncio.Event)
    why: str = ""
    now: Callable[[], datetime.datetime] = datetime.datetime.now
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    remarks: list[str] = field(factory=list)
    incomplete: bool = False

    @property
    def directory(self) -> Path:
        return self.journal.directory

    def remark(self, text: str) -> None:
        """Said now, and at the page's top."""
        self.remarks.append(text)
        self.tell(text)

    def end(self, why: str) -> None:
        """No further work; what runs is asked to end. The first reason stands."""
        self.why = self.why or why
        self.stop.set()

    # --- the whole ------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """All of it; the exit code."""
        closing = asyncio.create_task(self._close_window())
        try:
            await self._await_orphans()
            await self._release_leftovers()
            assigned = assign(self.plan, await self.coordinator.places(), self.history.sick())
            for text in assigned.skipped:
                self.remark(text)
            await asyncio.gather(*(self._place(units) for units in _by_place(assigned.units)))
        except InfrastructureError as fault:
            self.incomplete = True
            self.remark(f"the night was broken off: {fault}")
        finally:
            closing.cancel()
            await self.coordinator.close()
        return self._merge()

    async def _close_window(self) -> None:
        """It closes when it has lasted as long as it should, or when a clock was set to a time outside."""
        if self.plan.window is None:
            return
        loop = asyncio.get_running_loop()
        end_s = loop.time() + (self.plan.window.left_s(self.now()) or 0.0)
        while loop.time() < end_s and self.plan.window.left_s(self.now()) is not None:
            await asyncio.sleep(min(LOOK_S, end_s - loop.time()))
        self.end("the time window is over")

    async def _await_orphans(self) -> None:
        """The runs of a night that was killed still tear down, and nobody else drives their boards then."""
        marks = sorted((self.directory / "logs").glob("*.pid"))
        pids = await asyncio.gather(*(outlived(mark, STOP_S) for mark in marks))
        for mark, pid in zip(marks, pids, strict=True):
            if pid is not None:
                self.tell(f"{mark.stem}: process {pid} of the night that was killed has ended")
            mark.unlink()

    async def _release_leftovers(self) -> None:
        """Places that a night which was killed still holds."""
        for place, token in self.journal.held():
            with contextlib.suppress(InfrastructureError):
                await self.coordinator.release(place, token)
            self.journal.add("released", place=place, token=token)

    async def _place(self, units: Sequence[Unit]) -> None:
        """The jobs of one place, one after the other. What the lab host can't write down is not begun."""
        try:
            for unit in units:
                if not self.journal.is_done(unit.name):
                    await self._unit(unit)
        except (InfrastructureError, OSError) as fault:
            self.incomplete = True
            self.remark(f"the night is broken off: {fault}")
            self.end(str(fault))

    # --- one job on one place -------------------------------------------------------------------------------

    async def _unit(self, unit: Unit) -> None:
        try:
            last = await self._tries(unit)
        except Busy as busy:
            last = Outcome(str(busy))
        stopped = bool(last.open) and self.stop.is_set()
        if last.asked and not stopped:
            self._examine(unit, last.open)
        if last.open:
            self.incomplete = True
            self.remark(f"{unit.name}: not complete: {self.why if stopped else last.open}")
        if not stopped:
            self.journal.add("done", unit=unit.name)

    async def _tries(self, unit: Unit) -> Outcome:
        """Every attempt there is; what came of the last one."""
        last = Outcome("no verdict so far; a night that was killed tried it")
        while not self.stop.is_set() and self.journal.attempts(unit.name) < ATTEMPTS:
            if full := self._no_room():
                return Outcome(full)
            if self.journal.attempts(unit.name):
                self.remark(f"{unit.name}: once more: {last.open}")
                await self._pause()
            last = await self._attempt(unit)
            if not last.open:
                break
        return last

    async def _attempt(self, unit: Unit) -> Outcome:
        """One acquisition and one pytest. A place that was lost meanwhile says nothing about its board."""
        try:
            async with self._holding(unit) as token:
                code = await self._pytest(unit)
                asked = await self._still_held(token)
        except Busy:
            raise
        except InfrastructureError as fault:
            self.journal.add("attempt", unit=unit.name)
            return Outcome(str(fault))
        if not self.stop.is_set():
            self.journal.add("attempt", unit=unit.name)
        return Outcome(self._still_open(unit, code), asked)

    def _still_open(self, unit: Unit, code: int) -> str:
        found = self._found(unit)
        if found.run is None:
            return f"pytest ended with {code} and without a record; see {self._log(unit)}"
        if not found.ended:
            return f"its pytest was killed (code {code})"
        return f"{len(found.open)} tests without a verdict" if found.open else ""

    @contextlib.asynccontextmanager
    async def _holding(self, unit: Unit) -> AsyncIterator[str]:
        """The place is ours inside, under this token, and released afterwards, whatever happens."""
        if not await self._unless_stopped(self.coordinator.await_there(self._wait_s)):
            raise Busy(f"the coordinator was not there within {self.plan.wait_minutes:g} min")
        token = await self.coordinator.reserve(unit.place, unit.job.tags)
        self.journal.add("held", place=unit.place, token=token)
        try:
            await self._await_place(unit.place, token)
            await self.coordinator.acquire(unit.place)
            self.tell(f"{unit.name}: acquired")
            renewing = asyncio.create_task(self._renew(token))
            try:
                yield token
            finally:
                renewing.cancel()
        finally:
            await self._release(unit.place, token)

    async def _await_place(self, place: str, token: str) -> None:
        """Until nobody else has it and its exporters are there."""
        if not await self._unless_stopped(self.coordinator.await_allocated(token, self._wait_s)):
            offer = await self.coordinator.place(place)
            by = f", it is acquired by {offer.acquired}" if offer and offer.acquired else ""
            raise Busy(f"place {place} was not free within {self.plan.wait_minutes:g} min{by}")
        if lacks := await self._unless_stopped(self.coordinator.await_exported(place, token, self._wait_s)):
            text = f"place {place}: nothing is exported for {lacks}: its exporter was not there"
            raise Busy(f"{text} within {self.plan.wait_minutes:g} min")

    @property
    def _wait_s(self) -> float:
        return self.plan.wait_minutes * 60

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, T]) -> T:
        """What comes of it. Busy if the night ends before."""
        task = asyncio.create_task(waiting)
        await _first(task, self.stop.wait())
        if not task.done():
            task.cancel()
            raise Busy(self.why)
        return await task

    async def _renew(self, token: str) -> None:
        """A coordinator that is gone is no matter here: pytest asks it before it touches the board."""
        while True:
            await asyncio.sleep(RENEW_S)
            with contextlib.suppress(InfrastructureError):
                await self.coordinator.renew(token)

    async def _still_held(self, token: str) -> bool:
        try:
            return await self.coordinator.renew(token)
        except InfrastructureError:
            return False

    async def _release(self, place: str, token: str) -> None:
        try:
            await self.coordinator.release(place, token)
            self.journal.add("released", place=place, token=token)
        except InfrastructureError as fault:
            self.remark(f"place {place} could not be released: {fault}")

    async def _pytest(self, unit: Unit) -> int:
        """One pytest; asked to end at its deadline and when the night ends. Its exit code."""
        runs = self._runs(unit)
        runs.mkdir(parents=True, exist_ok=True)
        self._log(unit).parent.mkdir(exist_ok=True)
        variables = {"LG_PLACE": unit.place, "LG_COORDINATOR": self.plan.coordinator, **unit.job.variables}
        mark = self._log(unit).with_suffix(".pid")
        child = await Child.start(command(unit.job, runs), variables, self._log(unit), mark)
        ended = await _first(child.wait(), self.stop.wait(), timeout_s=unit.job.minutes * 60)
        if not ended:
            self.remark(f"{unit.name}: stopped after {unit.job.minutes:g} min")
        code = await child.end(STOP_S)
        mark.unlink(missing_ok=True)
        self.tell(f"{unit.name}: pytest ended with {code}")
        return code

    async def _pause(self) -> None:
        await _first(self.stop.wait(), timeout_s=self.plan.retry_after_s)

    # --- what came of it ------------------------------------------------------------------------------------

    def _no_room(self) -> str:
        free_mb = self.free_bytes(self.plan.reports) // 1_000_000
        if free_mb >= self.plan.free_mb:
            return ""
        return f"the lab host's disk has {free_mb} MB left, `free_mb` is {self.plan.free_mb}: no more work"

    def _examine(self, unit: Unit, reason: str) -> None:
        """A board that gave no verdict in two attempts is taken out, and said so."""
        found = self._found(unit)
        if found.run is not None and not found.judged and found.open:
            why = self._first_cause(unit) or reason
            self.history.take_out(unit.place, self.now().isoformat(" ", "minutes"), why)
            words = f"mpbench nightly {self.plan.path} --readmit {unit.place}"
            self.remark(f"place {unit.place} is taken out until `{words}`: {why}")

    def _first_cause(self, unit: Unit) -> str:
        logs = sorted(self._runs(unit).glob(f"*/{LOG}"))
        lines = read(logs[-1].parent).lines if logs else ()
        reasons = (str(line["reason"]) for line in lines if line["kind"] == "test-end" and line["reason"])
        return next(reasons, "").partition("\n")[0]

    def _found(self, unit: Unit) -> Resumed:
        return of_runs(self._runs(unit))

    def _runs(self, unit: Unit) -> Path:
        return self.directory / "runs" / unit.name

    def _log(self, unit: Unit) -> Path:
        return self.directory / "logs" / f"{unit.name}.log"

    def _merge(self) -> int:
        """The page of the night, trends, retention; the exit code of the worst."""
        runs = in_order([read(log.parent) for log in sorted((self.directory / "runs").glob(f"*/*/{LOG}"))])
        if self.stop.is_set():
            self.remarks.append(f"ended early: {self.why}")
        past = [p for p in self.history.points() if p.run not in {r.lines[0]["run"] for r in runs if r.lines}]
        page = report.write_runs(runs, self.directory, past, self.remarks)
        self.history.remember(point(run) for run in page.runs)
        if not self.stop.is_set():
            self.journal.add("end")
        for night in outdated(self.plan, self.directory):
            shutil.rmtree(night, ignore_errors=True)
        self.tell(f"verdict {page.verdict.value}: {', '.join(f'{n} {v.value}' for v, n in page.counts)}")
        self.tell(f"report: {self.directory / report.INDEX}")
        code = CODES.get(page.verdict, 3)
        return 3 if code in (0, 5) and self.incomplete else code


async def _first(*waits: Awaitable[object], timeout_s: float | None = None) -> bool:
    """Whether one of them ended in time; the others are left alone if they are tasks, else given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task, wait in zip(tasks, waits, strict=True):
        if task in pending and task is not wait:
            task.cancel()
    return bool(done)


def _by_place(units: Sequence[Unit]) -> list[list[Unit]]:
    found: dict[str, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.place, []).append(unit)
    return list(found.values())


def outdated(plan: Plan, now: Path) -> list[Path]:
    """Nights of this plan beyond those that are kept. A signed one stays, and `now`, whatever its name is."""
    nights = [night for night in sorted(plan.reports.glob(f"*Z-{plan.name}")) if night != now]
    old = nights[: max(0, len(nights) + 1 - plan.keep_nights)]
    return [night for night in old if not (night / SIGNED).exists()]


@contextlib.contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """One nightly at a time for one directory of reports. UsageError if there is another."""
    try:
        plan.reports.mkdir(parents=True, exist_ok=True)
        file = (plan.reports / ".lock").open("a+")
    except OSError as e:
        raise InfrastructureError(f"{plan.reports}: {e.strerror}") from e
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another nightly writes to {plan.reports}") from None
        yield


def run(plan: Plan, tell: Tell) -> int:
    """A night, or the rest of one that was killed. Exit code: see `mpbench`."""
    if plan.window and plan.window.left_s(datetime.datetime.now()) is None:
        tell(f"outside of the window, {plan.window.begin:%H:%M} to {plan.window.end:%H:%M}: nothing was run")
        return 5
    with alone(plan):
        journal = NightJournal.open(plan.reports, plan.name, time.time())
        if journal.resumed:
            tell(f"goes on with {journal.directory}")
        try:
            history = History(plan.reports / "history.sqlite")
            return asyncio.run(_with_signals(plan, tell, history, journal))
        finally:
            journal.close()


async def _with_signals(plan: Plan, tell: Tell, history: History, journal: NightJournal) -> int:
    """SIGINT and SIGTERM end the night in an orderly way, once; a second one changes nothing."""
    night = Night(plan, tell, Coordinator(plan.coordinator), history, journal)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, night.end, f"{number.name} was received")
    return await night.run()
