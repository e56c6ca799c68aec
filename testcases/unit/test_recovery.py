# SPDX-License-Identifier: MIT
"""A crash predicted, observed and bounded, without a board; the captured one is a virtual board's."""

import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.evidence import FTRACE, KMSG, TRACE_FIRST, TRACE_SECOND, Artefact, Evidence, text_of
from mpbench.core.facts import Verdict
from mpbench.deployment.facts import DeployFacts
from mpbench.image import faults
from mpbench.image.sign import sign
from mpbench.layout import Tee, Tlv
from mpbench.recovery import parse as see
from mpbench.recovery.facts import INJECTED, NO_CRASH, WATCHDOG, RecoveryFacts
from mpbench.recovery.predict import crash, recovery, started
from mpbench.recovery.run import check_heartbeat, count_crashes
from testcases.stand_in import StandIn
from testcases.unit.image_rig import BASE, board, firmware, image, key

CAPTURE = Path(__file__).parents[1] / "captures/virtual-mp25-crashes/watchdog-m33"
PROFILE = board().with_key(key().public_key())
ST_IMAGE = sign([firmware()], key(), plat_tlvs={Tlv.BOOTADDR: BASE.to_bytes(4, "little")})
USUAL: dict[str, Any] = {"identity": "starve m33", "reload": image()}
MS = 1_000_000


@pytest.fixture
def captured() -> Evidence:
    return Evidence(tuple(Artefact(path.name, path.read_bytes()) for path in sorted(CAPTURE.iterdir())))


def without(evidence: Evidence, *names: str) -> Evidence:
    return Evidence(tuple(a for a in evidence.artefacts if a.name not in names))


def instead(evidence: Evidence, name: str, data: bytes) -> Evidence:
    return Evidence((*without(evidence, name).artefacts, Artefact(name, data)))


# --- the twin


def test_the_twin_predicts_what_a_board_showed(captured):
    """The whole sequence of a watchdog crash: every field predicted, observed and equal."""
    predicted = crash(PROFILE, "m33", image(), WATCHDOG, **USUAL)
    found = compare(predicted, see.crash(captured, 1))
    assert found.verdict is Verdict.PASS
    assert [f.name for f in found.fields if f.agreement.value != "agrees"] == []
    assert predicted.commands == "stop, load, table, start"
    assert predicted.ta_states == "off, loaded, loaded, started"


def test_a_refused_reload_leaves_the_core_off():
    """Recovery stops the core first, so after a refusal nothing runs."""
    bad = faults.apply("payload-first", image())
    facts = crash(PROFILE, "m33", image(), WATCHDOG, identity="starve m33", reload=bad)
    assert (facts.commands, facts.ta_states) == ("stop, load", "off, off")
    assert (facts.state, facts.boots, facts.beating, facts.tee_code) == ("offline", 0, False, Tee.SECURITY)
    assert facts.sequence == "detected, handling, recovering, stopped, refused"
    assert facts.secure_log


@pytest.mark.parametrize(
    ("driver", "refused_load", "refused_start"),
    [
        ("mpbench", "stop, load", "release"),
        ("st", "stop, load", ""),
        ("series", "stop, load, release", "release"),
    ],
)
def test_a_driver_has_its_own_order_after_a_refusal(driver, refused_load, refused_start):
    """ST's never releases a core; the patches for mainline do whenever a recovery was refused."""
    profile = evolve(board("st-4.0-r2-mp257f-dk"), driver=driver)
    bad = faults.apply("payload-first", ST_IMAGE)
    facts = crash(profile, "m33", ST_IMAGE, INJECTED[2], identity="starve m33", reload=bad)
    assert facts.commands == refused_load
    facts = crash(profile, "m33", ST_IMAGE, INJECTED[2], identity="starve m33", reload=image())
    assert facts.commands == ", ".join(filter(None, ("stop, load, table, start", refused_start)))


def test_an_image_without_boot_address_is_refused_by_start_in_a_recovery():
    """ST's OP-TEE loads it, refuses to start it, and keeps it loaded."""
    profile = board("st-4.0-r2-mp257f-dk")
    facts = crash(profile, "m33", ST_IMAGE, INJECTED[2], identity="starve m33", reload=image())
    assert facts.ta_states == "off, loaded, loaded, loaded"
    assert (facts.tee_code, facts.state, facts.boots, facts.beating) == (Tee.GENERIC, "offline", 0, False)
    assert facts.sequence == "detected, handling, recovering, stopped, refused"


def test_a_missing_file_is_no_refusal_by_the_tee():
    """Without a file Linux has nothing to ask the TEE for."""
    facts = crash(PROFILE, "m33", image(), INJECTED[0], identity="alive m33", reload=None)
    assert (facts.cause, facts.interrupts, facts.commands) == ("mmufault", 0, "stop")
    assert (facts.tee_code, facts.secure_log) == (0, "")
    assert facts.sequence.endswith("stopped, missing")


def test_another_image_is_accepted_but_its_identity_is_unknown():
    """The identity of a replaced file can't be predicted from the firmware that crashed."""
    other, trusting = faults.apply("signature-first", image()), PROFILE.with_verifier(lambda *_: True)
    facts = crash(trusting, "m33", image(), WATCHDOG, identity="starve m33", reload=other)
    assert (facts.state, facts.boots, facts.beating, facts.identity) == ("running", 1, True, None)


@pytest.mark.parametrize(("cause", "beats"), [(WATCHDOG, False), (INJECTED[2], True)])
def test_without_recovery_only_the_watchdog_stops_a_core(cause, beats):
    """A core held by its watchdog is silent; after a report through debugfs the firmware still beats."""
    facts = crash(PROFILE, "m33", image(), cause, **USUAL, recovers=False)
    assert (facts.state, facts.sequence, facts.commands) == ("crashed", "detected, handling", "")
    assert facts.beating is beats


def test_recovery_by_hand_reports_no_new_crash():
    """`recover` on a crashed core shows the second half of the sequence only."""
    facts = recovery(started(PROFILE, "m33", image()), "m33", NO_CRASH, image=image(), **USUAL)
    assert (facts.cause, facts.interrupts) == ("", 0)
    assert facts.sequence == "recovering, stopped, up"


def test_an_image_that_would_not_run_has_no_recovery():
    """Predicting the crash of a firmware that the board refuses is a mistake of the caller."""
    with pytest.raises(UsageError, match="m33 would not run this image"):
        crash(PROFILE, "m33", image()[:-1], WATCHDOG, **USUAL)


# --- what is observed


def test_the_captured_times_are_in_order(captured):
    """Interrupt, report, work item and kernel lines have one clock, so their order is exact."""
    t = see.timeline(captured)
    order = [
        t.irq_ns,
        t.detected_ns,
        t.queued_ns,
        t.executed_ns,
        t.handling_ns,
        t.stopped_ns,
        t.up_ns,
        t.ended_ns,
    ]
    assert order == sorted(order)
    assert t.ended_ns - t.queued_ns == 31_455_000
    assert t.beat_ns is None


def test_the_work_item_of_an_earlier_crash_is_not_taken_for_this_one(captured):
    """A core has one work item for all its crashes; what counts is the execution that this crash is in."""
    trace, times = captured.get(FTRACE), see.timeline(captured)
    earlier = re.sub(rb" (\d+)(\.\d{6}: )", lambda m: b" %d%s" % (int(m[1]) - 2, m[2]), trace)
    assert earlier != trace
    assert see.timeline(instead(captured, FTRACE, earlier + trace)) == times


def test_a_work_item_that_has_not_ended_keeps_its_other_times(captured):
    """A worker that the scheduler interrupted has started already."""
    lines = captured.get(FTRACE).splitlines(True)
    going = b"".join(line for line in lines if b"workqueue_execute_end" not in line)
    t, whole = see.timeline(instead(captured, FTRACE, going)), see.timeline(captured)
    assert t == evolve(whole, ended_ns=None)


def test_a_work_item_that_is_queued_while_it_runs_runs_twice(captured):
    """A second report during a recovery is another execution: this one's end is not that one's."""
    lines = captured.get(FTRACE).splitlines(True)
    queued = next(line for line in lines if b"workqueue_queue_work" in line)
    again = queued.replace(b"4.117763", b"4.147000")
    assert again != queued
    end = lines.index(next(line for line in lines if b"workqueue_execute_end" in line))
    trace = b"".join([*lines[:end], again, *lines[end:]])
    assert see.timeline(instead(captured, FTRACE, trace)) == see.timeline(captured)


def test_a_line_of_another_core_is_not_ours(captured):
    """Lines that name no core count only for the remoteproc device that others of the core's lines name."""
    log = b"3,1,1,-;remoteproc remoteproc0: request_firmware failed: -2\n" + captured.get(KMSG)
    assert "missing" not in see.crash(instead(captured, KMSG, log)).sequence
    log = captured.get(KMSG) + b"3,1,1,-;remoteproc remoteproc1: request_firmware failed: -2\n"
    assert see.crash(instead(captured, KMSG, log)).sequence.endswith("up, missing")


def test_what_was_not_collected_stays_undecided(captured):
    """Without trace, log and table the fields are None."""
    few = without(captured, FTRACE, KMSG, "interrupts.before", "trace0.before")
    facts = see.crash(few, 1)
    assert (facts.commands, facts.ta_states, facts.cause, facts.sequence) == (None,) * 4
    assert (facts.interrupts, facts.boots, facts.tee_code) == (None,) * 3
    assert facts.beating
    assert see.crash(Evidence()) == RecoveryFacts()


def test_a_heartbeat_before_the_restart_does_not_count(captured):
    """A sample from before the restart and one after it differ, but that is no beat."""
    stale = instead(captured, TRACE_SECOND, b"mpbench starve m33 1\nboot 00000003 beat 00000000\n")
    assert see.crash(stale).beating is False


REFUSED = b"3,999,5000000,-;remoteproc remoteproc1: Failed to load program segments: -5\n"


def refusal(captured):
    """As captured, but the firmware file was refused and the loader had cleared the memory before."""
    up = re.compile(rb"^[^\n]*is now up\n", re.MULTILINE)
    cleared = instead(captured, KMSG, up.sub(REFUSED, captured.get(KMSG)))
    return instead(instead(cleared, TRACE_FIRST, b""), TRACE_SECOND, b"")


def test_cleared_memory_shows_that_nothing_runs(captured):
    """An empty trace buffer: no boot, no heartbeat, no identity. Where the loader clears nothing: unknown."""
    facts = see.crash(refusal(captured), 1, cleared=True)
    assert facts.sequence.endswith("stopped, refused")
    assert (facts.boots, facts.beating, facts.identity) == (0, False, "")
    facts = see.crash(refusal(captured), 1)
    assert (facts.boots, facts.beating, facts.identity) == (None,) * 3
    gone = without(refusal(captured), TRACE_FIRST, TRACE_SECOND)
    assert see.crash(gone, 1, cleared=True).boots is None


def test_what_a_loader_clears_is_predicted():
    """After a refusal the memory of a core behind a firewall is empty, that of others as it was."""
    bad: dict[str, Any] = {"identity": "starve m33", "reload": faults.apply("payload-first", ST_IMAGE)}
    assert crash(PROFILE, "m33", ST_IMAGE, INJECTED[2], **bad).identity == "starve m33"
    assert crash(board("st-4.0-r2-mp257f-dk"), "m33", ST_IMAGE, INJECTED[2], **bad).identity == ""


def test_a_recovery_that_failed_is_found_in_the_kernel_log(captured):
    """The last one counts, and only once it has ended; a start that was refused is none."""
    log, failed = (text_of(e, KMSG) for e in (captured, refusal(captured)))
    assert not see.has_failed("", "m33")
    assert not see.has_failed(REFUSED.decode(), "m33")
    assert not see.has_failed(log, "m33")
    assert not see.has_failed(log + REFUSED.decode(), "m33"), "a start that was refused later"
    assert see.has_failed(failed, "m33")
    assert see.has_failed(log + failed, "m33")
    assert not see.has_failed(failed + log, "m33")
    assert not see.has_failed(failed.replace(REFUSED.decode(), ""), "m33"), "it has not ended"
    assert not see.has_failed(failed, "m0")


def test_a_refused_call_leaves_the_state_as_the_ta_has_it():
    """LOAD refused: off. STOP refused: as before. A call for another core is not counted."""
    line = " x-1 [000] d..1. 4.1: ta: (a <- tee_client_invoke_func) cmd={} res=0x{} core={}\n"
    trace = "".join(
        line.format(*c) for c in [(3, "ffff000d", 1), (1, "0", 2), (1, "ffff000f", 1), (77, "0", 1)]
    )
    assert see.ta_calls(trace, 1, 4_100_000_001) == [], "what came before the crash is not part of it"
    assert see.ta_calls(trace, 1) == [("stop", "started"), ("load", "off"), ("command 77", "off")]


def test_facts_of_different_kinds_are_not_compared():
    """A deployment's prediction against a crash's observation is a mistake of the bench."""
    with pytest.raises(TypeError, match="DeployFacts cannot be compared with RecoveryFacts"):
        compare(DeployFacts(), RecoveryFacts())


# --- the bound


class Log(StandIn):
    """A kernel log in which a core crashes some times and then is quiet."""

    def __init__(self, crashes: int) -> None:
        self.text = b"".join(b"3,1,1,-;handling crash #%d in m33\n" % n for n in range(crashes))

    def find(self, pattern, mark, _deadline_s):
        @frozen
        class Found:
            end: int

        found = pattern.search(self.text, mark)
        return Found(found.end()) if found else None


def test_a_recovery_storm_ends_at_its_bound():
    """The third crash of a core that may crash twice disables its recovery, and the board is at fault."""
    ended = []
    with pytest.raises(BoardFailure, match="recovery storm: m33 crashed 3 times, the bound is 3"):
        count_crashes(Log(9), 0, "m33", bound=3, disable=lambda: ended.append(1), quiet_s=0)
    assert ended == [1]
    assert count_crashes(Log(2), 0, "m33", bound=3, disable=lambda: ended.append(2), quiet_s=0) == 2
    assert ended == [1]


# --- heartbeats


def beating(*samples, beats=3):
    shown, seconds = iter(samples), iter(range(100))
    check_heartbeat(lambda: next(shown), "m33", beats, pause_s=2, now_s=lambda: float(next(seconds)))


def test_more_than_one_heartbeat_is_required():
    """The number of beats that was asked for, within one boot, however slowly they come."""
    beating((2, 5), (2, 5), (2, 6), (2, 6), (2, 8))


def test_a_heartbeat_that_stops_is_the_boards_fault():
    """Some beats after a recovery and then none, or another boot: the error has the numbers."""
    with pytest.raises(
        BoardFailure, match="m33: the heartbeat stopped at beat 6 of boot 2, after 1 of 3 beats"
    ):
        beating((2, 5), (2, 6), *[(2, 6)] * 9)
    with pytest.raises(BoardFailure, match="m33: the firmware restarted after beat 6 of boot 2: now boot 3"):
        beating((2, 5), (2, 6), (3, 0))


def test_predictions_may_be_undefined(captured):
    """Where the loader's behaviour is undefined nothing is predicted, and nothing is compared."""
    silent = evolve(crash(PROFILE, "m33", image(), WATCHDOG, **USUAL), tee_code=None, identity=None)
    found = compare(silent, see.crash(captured, 1))
    assert found.verdict is Verdict.PASS
    undecided = [f.name for f in found.fields if f.agreement.value == "undecided"]
    assert undecided == ["tee_code", "identity"]
