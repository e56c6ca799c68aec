# SPDX-License-Identifier: MIT
"""A run of many tests, as a board would have left it: what the report is measured on."""

import random
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from mpbench.core.evidence import (
    KMSG,
    SECURE_CONSOLE,
    START_ERRNO,
    STATE,
    TAMPER,
    TRACE_FIRST,
    TRACE_SECOND,
    Artefact,
)
from mpbench.core.facts import Agreement, FieldVerdict, Value
from mpbench.core.lines import (
    PlanLine,
    ProvenanceLine,
    RunEnd,
    RunStart,
    SeriesLine,
    StepLine,
    TestEnd,
    TestStart,
)
from mpbench.core.record import Clock, Record, new_directory

CORES = ("m33", "m0")
KERNEL = """6,{n}1,{t}01,-;remoteproc remoteproc0: powering up {core}
 SUBSYSTEM=remoteproc
6,{n}2,{t}02,-;remoteproc remoteproc0: Booting fw image mpbench-{core}.sign, size 41540
3,{n}3,{t}07,-;stm32-rproc {core}: TA load failed, TEE err: 0xffff3072, TEE orig: 4
3,{n}4,{t}09,-;remoteproc remoteproc0: Boot failed: -5
"""
SECURE = "E/TA:  remoteproc_verify_signature:{n} signature verification failed\r\n"
FIELDS: Mapping[str, Value] = {
    "errno": "EIO",
    "state": "offline",
    "tee_code": 0xFFFF3072,
    "secure_log": "signature verification failed",
    "beating": False,
    "identity": "",
    "memory": "zeros",
}
SERIES = 10


def make(root: Path, tests: int, samples: int) -> Path:
    """The record of a run of `tests` tests with `samples` samples in ten series; returns its directory."""
    clock = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
    record = Record(new_directory(root, "virtual-mp25", clock), "load", clock)
    record.board, record.boot = "SN-1", "7b0a5a52-26a5-4a0e-bd1f-8b8f0a4c1f57"
    command = ("pytest", "--lg-env", "targets/virtual-mp25.yaml")
    record.append(RunStart(target="virtual-mp25", command=command, bench="0.1.0", continues=None))
    record.append(PlanLine(tuple(_name(number) for number in range(tests)), tests))
    record.append(
        ProvenanceLine(
            entries={"kernel": "Linux 6.12.107", "boot_id": record.boot}, virtual=True, evidence=()
        )
    )
    with mock.patch("os.fsync"):  # what is made here needs to survive nothing, and a disk is slow
        for number in range(tests):
            _one(record, number, samples // SERIES if number < SERIES else 0)
    record.append(RunEnd(counts={"PASS": tests}))
    record.close()
    return record.directory


def _name(number: int) -> str:
    return f"testcases/test_tamper.py::test_named_fault[{CORES[number % 2]}-header-bit-{number // 2}]"


def _one(record: Record, number: int, samples: int) -> None:
    core, test = CORES[number % 2], _name(number)
    title = (
        "An image with one named fault gets the answer that the twin predicted: code, reason, state, memory."
    )
    record.append(TestStart(test=test, core=core, title=title, requirements=("SEC-1",)))
    fields = tuple(FieldVerdict(name, value, value, Agreement.AGREES) for name, value in FIELDS.items())
    kept = record.keep(_artefacts(number, core))
    record.append(
        StepLine(test=test, name="deploy", core=core, fields=fields, evidence=kept, duration_ns=8_400_000)
    )
    if samples:
        _samples(record, test, core, number, samples)
    record.append(TestEnd(test=test, verdict="PASS", reason="", duration_ns=12_000_000 + number))


def _artefacts(number: int, core: str) -> list[Artefact]:
    texts = {
        START_ERRNO: "EIO",
        STATE: "offline",
        KMSG: KERNEL.format(n=number, t=number, core=core),
        SECURE_CONSOLE: SECURE.format(n=number),
        TRACE_FIRST: "",
        TRACE_SECOND: "",
        "memory": "0x80100000+0x800000 zeros\n",
        TAMPER: f"before {number:064x}\nafter {number + 1:064x}\nboard {number + 1:064x}\n",
    }
    return [Artefact(name, text.encode()) for name, text in texts.items()]


def _samples(record: Record, test: str, core: str, number: int, samples: int) -> None:
    chance = random.Random(number)
    values = tuple([round(chance.lognormvariate(3, 0.4), 3) for _ in range(samples)])
    record.append(
        SeriesLine(
            test=test,
            name=f"{core} first heartbeat",
            values=values,
            unit="ms",
            source="watcher",
            conditions={},
        )
    )
