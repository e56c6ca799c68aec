# SPDX-License-Identifier: MIT
"""A board's facilities for OP-TEE's asynchronous notifications, and for timing them.

Ref: Linux drivers/tee/optee/smc_abi.c (both interrupt names, the four notif_* functions), kernel/irq/proc.c,
     kernel/trace/trace.c (README of tracefs), arch/arm64/kernel/time.c, drivers/clocksource/arm_arch_timer.c
"""

import re
from collections.abc import Mapping

from attrs import frozen

from mpbench.board.protocols import Session
from mpbench.board.trace.tracefs import MOUNT, TRACING
from mpbench.notification.facts import PER_CPU, THREADED

LINES = {"optee_pcpu_notification": PER_CPU, "optee_notification": THREADED}
"""Name in /proc/interrupts → path: a PPI (STM32MP13, MP2) or an SPI."""

BOTTOM_HALVES = {PER_CPU: "notif_pcpu_irq_work_fn", THREADED: "notif_irq_thread_fn"}

CPU = "/sys/devices/system/cpu"
SCRIPT = f"""
{MOUNT} 2>/dev/null
echo '# interrupts'; cat /proc/interrupts
echo '# symbols'; sed -n 's/^\\([0-9a-f]*\\) . \\(notif_[a-z_]*\\)$/\\1 \\2/p' /proc/kallsyms
echo '# readme'; cat {TRACING}/README 2>/dev/null
echo '# events'; cd {TRACING}/events 2>/dev/null && for e in irq/irq_handler_entry irq/irq_handler_exit \\
  workqueue/workqueue_queue_work optee/optee_invoke_fn_begin \\
  sched/sched_switch irq/softirq_entry irq/softirq_exit; do [ -d $e ] && echo $e; done
echo '# clocks'; cat {TRACING}/trace_clock 2>/dev/null
echo '# timer'; dmesg | grep -o 'timer(s) running at [0-9.]*[kM]Hz' | head -n 1
echo '# online'; cat {CPU}/online
echo '# governor'; cat {CPU}/cpufreq/policy*/scaling_governor 2>/dev/null
echo '# machine'; uname -m
echo '# thread'; for p in /proc/[0-9]*; do read -r c <$p/comm && case $c in irq/*-optee_no*)
  echo ${{p#/proc/}};; esac
done 2>/dev/null
echo '# log'; dmesg | grep -i 'optee: .*notif' | tail -n 3; :
"""

UNITS = {"M": 1e6, "k": 1e3}


@frozen
class Facilities:
    """Facilities of a board; `missing`: reasons why notifications can't be measured, empty if they can.

    path:      PER_CPU, THREADED, or "" without an interrupt for notifications
    line, irq: the interrupt's name and number in /proc/interrupts
    symbols:   addresses of OP-TEE's notif_* functions
    thread:    process id of the interrupt's thread, 0 on the per-CPU path
    bits:      word size of the kernel
    timer_hz:  frequency of the trace clock's timer; None if the kernel log no longer shows it
    governor:  frequency governors in use, "" without frequency scaling
    snapshots: the kernel can keep the recording of the slowest notification so far
    """

    path: str
    line: str
    irq: int
    symbols: Mapping[str, int]
    thread: int
    bits: int
    clocks: tuple[str, ...]
    timer_hz: float | None
    online: str
    governor: str
    histograms: bool
    kprobes: bool
    snapshots: bool
    events: frozenset[str]
    missing: tuple[str, ...]

    @property
    def tick_ns(self) -> float | None:
        """Resolution of durations in nanoseconds, None if unknown."""
        return None if self.timer_hz is None else 1e9 / self.timer_hz

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can measure on this board, best first."""
        if self.missing:
            return ()
        return ("histogram", "raw", "text") if self.histograms else ("raw", "text")


def read_facilities(session: Session) -> Facilities:
    """Read the board's facilities in one round trip."""
    return parse(session.execute(SCRIPT).stdout.decode("utf-8", "replace"))


def parse(text: str) -> Facilities:
    """Facilities from the board's output. Pure."""
    parts = {
        p.partition("\n")[0]: p.partition("\n")[2] for p in re.split(r"^# (?=[a-z]+$)", text, flags=re.M)
    }
    irq, line = _interrupt(parts.get("interrupts", ""))
    path = LINES.get(line, "")
    symbols = {
        name: int(at, 16) for at, name in re.findall(r"^([0-9a-f]+) (\w+)$", parts.get("symbols", ""), re.M)
    }
    readme, events = parts.get("readme", ""), frozenset(parts.get("events", "").split())
    thread = int((parts.get("thread", "").split() or ["0"])[0])
    kprobes = "kprobe_events" in readme
    return Facilities(
        path=path,
        line=line,
        irq=irq,
        symbols=symbols,
        thread=thread if path == THREADED else 0,
        bits=32 if parts.get("machine", "").startswith("armv") else 64,
        clocks=tuple(parts.get("clocks", "").replace("[", "").replace("]", "").split()),
        timer_hz=_hertz(parts.get("timer", "")),
        online=parts.get("online", "").strip(),
        governor=" ".join(sorted(set(parts.get("governor", "").split()))),
        histograms="onmatch" in readme and "synthetic_events" in readme and ".buckets" in readme,
        kprobes=kprobes,
        snapshots="snapshot()" in readme and "onmax" in readme and "sched/sched_switch" in events,
        events=events,
        missing=tuple(_missing(path, parts, symbols, events, kprobes=kprobes)),
    )


def _interrupt(table: str) -> tuple[int, str]:
    """Number and name of the notification's interrupt; (-1, "") if there is none."""
    for row in table.splitlines():
        found = re.match(r"\s*(\d+):.*?(\S+)\s*$", row)
        if found and found[2] in LINES:
            return int(found[1]), found[2]
    return -1, ""


def _hertz(text: str) -> float | None:
    found = re.search(r"([0-9.]+)([kM])Hz", text)
    return float(found[1]) * UNITS[found[2]] if found else None


def _missing(
    path: str, parts: Mapping[str, str], symbols: Mapping[str, int], events: frozenset[str], *, kprobes: bool
) -> list[str]:
    found, log, readme = [], parts.get("log", ""), parts.get("readme", "")
    if not path:
        logged = f'; the kernel log has: "{log.strip().splitlines()[-1]}"' if log.strip() else ""
        found.append(
            "no interrupt for OP-TEE's asynchronous notifications in /proc/interrupts: OP-TEE needs "
            "CFG_CORE_ASYNC_NOTIF=y and CFG_CORE_ASYNC_NOTIF_GIC_INTID, and its node in the device tree "
            f"`interrupts`{logged}"
        )
    if not readme:
        found.append("no tracefs: the kernel needs CONFIG_FTRACE, CONFIG_ENABLE_DEFAULT_TRACERS or a tracer")
    elif path:
        wanted = {
            PER_CPU: {"irq/irq_handler_entry", "workqueue/workqueue_queue_work"},
            THREADED: {"irq/irq_handler_entry", "irq/irq_handler_exit"},
        }[path] | {"optee/optee_invoke_fn_begin"}
        found += [f"no trace event {event}" for event in sorted(wanted - events)]
        if BOTTOM_HALVES[path] not in symbols or not symbols[BOTTOM_HALVES[path]]:
            found.append(
                f"no address of {BOTTOM_HALVES[path]}: CONFIG_KALLSYMS, and root with kptr_restrict < 2"
            )
        if path == THREADED and not kprobes:
            found.append(
                "bottom halves of the threaded path can't be distinguished: CONFIG_KPROBE_EVENTS is needed"
            )
    return found
