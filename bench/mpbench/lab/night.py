# SPDX-License-Identifier: MIT
"""A night: every job of a plan on the places with its tags, one pytest per place, one page.

<reports>/<utc>-<plan>/journal.jsonl    what was started, held, released and ended: a killed night resumes
                       runs/<job run>/     records of the runs of one job on one place
                       logs/<job run>.log  output of its pytest
                       index.html ...   the merged report
<reports>/history.sqlite                trends, and quarantined places
"""

import asyncio
import contextlib
import datetime
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field, frozen

from mpbench.core.errors import InfrastructureError
from mpbench.core.facts import Verdict
from mpbench.core.record import in_order
from mpbench.core.sanitize import visible
from mpbench.core.secrets import redact
from mpbench.core.verdict import Judgement
from mpbench.harness.run_state import UNIT
from mpbench.lab import retention
from mpbench.lab.assignment import JobRun, assign
from mpbench.lab.child import Child, command, first_of, wait_for_orphan
from mpbench.lab.coordinator import Coordinator
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal, only_night
from mpbench.lab.plan import NightPlan
from mpbench.lab.unit import UnitRecords
from mpbench.report import publish
from mpbench.report.sources import hash_of
from mpbench.report.trend import Point, point

ATTEMPTS = 2
"""One, and one more if the lab prevented a verdict."""
RENEW_S = 20.0
CLOCK_POLL_S = 20.0
"""Polling period of the wall clock: asyncio does not notice when it is set."""
STOP_S = 90.0
"""Time for the teardowns of a pytest that was asked to end."""

Log = Callable[[str], None]
"""Prints a line."""
T = TypeVar("T")


class Busy(InfrastructureError):
    """Place acquired by another user, or lab offline, for the whole waiting time: no second attempt."""


@frozen
class AttemptResult:
    """open: why tests are left without a verdict, "" for none; held: whether the place stayed ours."""

    open: str = ""
    held: bool = False


@define
class Night:
    """A running night. now: local time; free_bytes: of the disk that holds a directory."""

    plan: NightPlan
    log: Log
    coordinator: Coordinator
    history: History
    journal: NightJournal
    stop: asyncio.Event = field(factory=asyncio.Event)
    why: str = ""
    now: Callable[[], datetime.datetime] = datetime.datetime.now
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    remarks: list[str] = field(factory=list)
    others: list[Judgement] = field(factory=list)
    runs: tuple[JobRun, ...] = ()

    @property
    def directory(self) -> Path:
        return self.journal.directory

    def remark(self, text: str) -> None:
        """Print a line now, and show it at the top of the page."""
        shown = visible(redact(text))
        self.remarks.append(shown)
        self.log(shown)

    def lacks(self, text: str) -> None:
        """As remark(), of something that was planned and did not run."""
        self.others.append(Judgement(Verdict.INCOMPLETE, (text,)))
        self.log(text)

    def end(self, why: str) -> None:
        """Start no further job, ask running ones to end. Of several reasons the first counts."""
        self.why = self.why or why
        self.stop.set()

    # --- the whole ------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run the night; returns the exit code of `mpbench`."""
        closing = asyncio.create_task(self._close_window())
        try:
            await self._await_orphans()
            await self._release_leftovers()
            quarantined = self._kept(self.history.quarantined, dict[str, str]())
            assigned = assign(self.plan, await self.coordinator.places(), quarantined)
            for text in assigned.declared:
                self.remark(text)
            for text in assigned.missing:
                self.lacks(text)
            self.runs = assigned.runs
            await asyncio.gather(*(self._place(runs) for runs in assigned.by_place()))
        except InfrastructureError as fault:
            self.lacks(f"the night was aborted: {fault}")
        finally:
            closing.cancel()
            await self.coordinator.close()
        return self._merge()

    async def _close_window(self) -> None:
        """End the night after the window's length, or when the clock was set to a time outside."""
        if self.plan.window is None:
            return
        loop = asyncio.get_running_loop()
        end_s = loop.time() + (self.plan.window.left_s(self.now()) or 0.0)
        while loop.time() < end_s and self.plan.window.left_s(self.now()) is not None:
            await asyncio.sleep(min(CLOCK_POLL_S, end_s - loop.time()))
        self.end("the time window is over")

    async def _await_orphans(self) -> None:
        """Wait for the runs of a killed night, which still tear down and use their boards."""
        marks = sorted((self.directory / "logs").glob("*.pid"))
        pids = await asyncio.gather(*(wait_for_orphan(mark, STOP_S) for mark in marks))
        for mark, pid in zip(marks, pids, strict=True):
            if pid is not None:
                self.log(f"{mark.stem}: process {pid} of a killed night has ended")
            mark.unlink()

    async def _release_leftovers(self) -> None:
        """Release the places that a killed night still holds."""
        for place, token in self.journal.held():
            with contextlib.suppress(InfrastructureError):
                await self.coordinator.release(place, token)
            self.journal.add("released", place=place, token=token)

    async def _place(self, runs: Sequence[JobRun]) -> None:
        """The job runs of one place in order. None is started that cannot be written to the journal."""
        try:
            for run in runs:
                if not self.journal.is_done(run.name):
                    await self._unit(run)
        except (InfrastructureError, OSError) as fault:
            self.lacks(f"the night is aborted: {fault}")
            self.end(str(fault))

    # --- one job on one place -------------------------------------------------------------------------------

    async def _unit(self, run: JobRun) -> None:
        if self._damaged(run):
            return
        try:
            last = await self._tries(run)
        except Busy as busy:
            last = AttemptResult(str(busy))
        stopped = bool(last.open) and self.stop.is_set()
        if last.held and not stopped:
            self._examine(run, last.open)
        if last.open:
            self.lacks(f"{run.title}: not complete: {self.why if stopped else last.open}")
        if not stopped and not self._damaged(run):
            self.journal.add("done", job_run=run.name)

    async def _tries(self, run: JobRun) -> AttemptResult:
        """All attempts; the result of the last one."""
        last = AttemptResult("no verdict from the attempts of a killed night")
        while not self.stop.is_set() and self.journal.attempts(run.name) < ATTEMPTS:
            if full := self._no_space():
                return AttemptResult(full)
            if self.journal.attempts(run.name):
                self.remark(f"{run.title}: second attempt: {last.open}")
                await first_of(self.stop.wait(), timeout_s=self.plan.retry_after_s)
            last = await self._attempt(run)
            if not last.open:
                break
        return last

    async def _attempt(self, run: JobRun) -> AttemptResult:
        """One acquisition and one pytest. A place that was lost on the way proves nothing about its board."""
        try:
            async with self._holding(run) as token:
                code = await self._pytest(run)
                held = await self._still_held(token)
        except Busy:
            raise
        except InfrastructureError as fault:
            self.journal.add("attempt", job_run=run.name)
            return AttemptResult(str(fault))
        if not self.stop.is_set():
            self.journal.add("attempt", job_run=run.name)
        return AttemptResult(self._still_open(run, code), held)

    def _damaged(self, run: JobRun) -> bool:
        """Whether records of the unit cannot be trusted: it is INVALID, and the rest of the night goes on."""
        found = self._records(run)
        if found.damaged:
            self.log(found.judgement.causes[0])
            self.journal.add("done", job_run=run.name)
        return bool(found.damaged)

    def _still_open(self, run: JobRun, code: int) -> str:
        found = self._records(run).state
        if found.run is None:
            return f"pytest ended with {code} and without a record; see {self._log_file(run)}"
        if not found.ended:
            return f"its pytest was killed (code {code})"
        return f"{len(found.open)} tests without a verdict" if found.open else ""

    @contextlib.asynccontextmanager
    async def _holding(self, run: JobRun) -> AsyncIterator[str]:
        """Hold a place; gives the reservation's token. It is released on every way out."""
        if not await self._unless_stopped(self.coordinator.await_there(self._wait_s)):
            raise Busy(f"the coordinator did not answer within {self.plan.wait_minutes:g} min")
        token = await self.coordinator.reserve(run.place, run.job.tags)
        self.journal.add("held", place=run.place, token=token)
        try:
            await self._await_place(run.place, token)
            await self._unless_stopped(self.coordinator.acquire(run.place, token, self._wait_s))
            self.log(f"{run.title}: acquired")
            renewing = asyncio.create_task(self._renew(token))
            try:
                yield token
            finally:
                renewing.cancel()
        finally:
            await self._release(run.place, token)

    async def _await_place(self, place: str, token: str) -> None:
        """Wait until the place is free and its exporters are online. Busy if that takes too long."""
        if not await self._unless_stopped(self.coordinator.await_allocated(token, self._wait_s)):
            info = await self.coordinator.place(place)
            by = f", it is acquired by {info.acquired}" if info and info.acquired else ""
            raise Busy(f"place {place} was not free within {self.plan.wait_minutes:g} min{by}")
        if lacks := await self._unless_stopped(self.coordinator.await_exported(place, token, self._wait_s)):
            text = f"place {place}: nothing is exported for {lacks}: exporter offline"
            raise Busy(f"{text} for {self.plan.wait_minutes:g} min")

    @property
    def _wait_s(self) -> float:
        return self.plan.wait_minutes * 60

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, T]) -> T:
        """The result of `waiting`. Busy if the night ends before."""
        task = asyncio.create_task(waiting)
        await first_of(task, self.stop.wait())
        if not task.done():
            task.cancel()
            raise Busy(self.why)
        return await task

    async def _renew(self, token: str) -> None:
        """Keep the reservation; ignore an offline coordinator, which pytest asks before it uses the board."""
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

    async def _pytest(self, run: JobRun) -> int:
        """Run one pytest, stopped at its deadline and when the night ends; returns its exit code."""
        runs = self._runs(run)
        self.journal.add("started", job_run=run.name)
        runs.mkdir(parents=True, exist_ok=True)
        self._log_file(run).parent.mkdir(exist_ok=True)
        variables = {"LG_PLACE": run.place, "LG_COORDINATOR": self.plan.coordinator, **run.job.variables}
        variables[UNIT] = run.title
        mark = self._log_file(run).with_name(f"{run.name}.pid")
        child = await Child.start(command(run.job, runs), variables, self._log_file(run), mark)
        try:
            if not await first_of(child.wait(), self.stop.wait(), timeout_s=run.job.minutes * 60):
                self.remark(f"{run.title}: stopped after {run.job.minutes:g} min")
        finally:  # whatever happens to the night, a place is released after its pytest
            code = await child.end(STOP_S)
        mark.unlink(missing_ok=True)
        self.log(f"{run.title}: pytest ended with {code}")
        return code

    # --- results --------------------------------------------------------------------------------------------

    def _no_space(self) -> str:
        """Why the disk is too full for another job, "" if it is not."""
        free_mb = self.free_bytes(self.plan.reports) // 1_000_000
        if free_mb >= self.plan.free_mb:
            return ""
        return f"the lab host's disk has {free_mb} MB left, `free_mb` is {self.plan.free_mb}: no further job"

    def _examine(self, run: JobRun, reason: str) -> None:
        """Quarantine and report a board that gave no verdict in all attempts."""
        found = self._records(run).state
        if found.unusable:
            why = visible(redact(found.reason or reason))
            utc = self.now().isoformat(" ", "minutes")
            self._kept(lambda: self.history.quarantine(run.place, utc, why), None)
            words = f"mpbench nightly {self.plan.path} --readmit {run.place}"
            self.remark(f"place {run.place} is quarantined until `{words}`: {why}")

    def _records(self, run: JobRun) -> UnitRecords:
        return UnitRecords.read(self._runs(run), run.title)

    def _runs(self, run: JobRun) -> Path:
        return self.directory / "runs" / run.name

    def _log_file(self, run: JobRun) -> Path:
        return self.directory / "logs" / f"{run.name}.log"

    def _merge(self) -> int:
        """Write the page, remember trends, remove old nights; the exit code of the verdict."""
        units = self._units()
        runs = in_order([run for unit in units for run in unit.runs])
        if self.stop.is_set():
            self.remarks.append(f"ended early: {self.why}")
        others = [*self.others, *(unit.judgement for unit in units if unit.damaged or not unit.runs)]
        known = {run.id for run in runs}
        past = [p for p in self._kept(self.history.points, list[Point]()) if p.run not in known]
        page = publish.write_runs(runs, self.directory, past, self.remarks, others)
        self._kept(lambda: self.history.remember(point(run) for run in page.runs), None)
        causes, sources = redact("\n".join(page.causes)), hash_of(self.directory)
        self.journal.add("verdict", verdict=page.verdict.value, causes=causes, sources=sources)
        if not self.stop.is_set():
            self.journal.add("end")
        for night in retention.outdated(self.plan, self.directory):
            if why := retention.remove(night):
                self.log(why)
        self.log(f"verdict {page.verdict.value}: {', '.join(f'{n} {v.value}' for v, n in page.counts)}")
        self.log(f"report: {self.directory / publish.INDEX}")
        return Judgement(page.verdict).exit_code

    def _units(self) -> list[UnitRecords]:
        """The units of the plan, and those of which a killed night left records."""
        found = {run.name: self._records(run) for run in self.runs}
        for directory in sorted((self.directory / "runs").glob("*")):
            if directory.name not in found:
                found[directory.name] = UnitRecords.read(directory, "")
        return list(found.values())

    def _kept(self, use: Callable[[], T], otherwise: T) -> T:
        """The result of a use of the history; a history that fails costs its trends, and not the night."""
        try:
            return use()
        except InfrastructureError as fault:
            self.remark(f"the history of the nights cannot be used: {fault}")
            return otherwise


def run(plan: NightPlan, log: Log) -> int:
    """Run a night, or the rest of a killed one. Exit code: see `mpbench`."""
    if plan.window and plan.window.left_s(datetime.datetime.now()) is None:
        log(f"outside the window, {plan.window.start:%H:%M} to {plan.window.end:%H:%M}: nothing was run")
        return 5
    with only_night(plan):
        journal = NightJournal.open(plan.reports, plan.name, time.time())
        if journal.resumed:
            log(f"resuming {journal.directory}")
        try:
            history, lost = History.opened(plan.reports / "history.sqlite", time.time())
            return asyncio.run(_with_signals(plan, log, history, journal, lost))
        finally:
            journal.close()


async def _with_signals(plan: NightPlan, log: Log, history: History, journal: NightJournal, lost: str) -> int:
    """Run the night; SIGINT, SIGTERM or SIGHUP ends it after teardown, a second one changes nothing.

    lost: what became of an earlier history, "" for nothing
    """
    night = Night(plan, log, Coordinator(plan.coordinator), history, journal)
    for text in filter(None, (lost, journal.note)):
        night.remark(text)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, night.end, f"{number.name} was received")
    return await night.run()
