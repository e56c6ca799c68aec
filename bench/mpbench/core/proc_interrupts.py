# SPDX-License-Identifier: MIT
"""Counts in /proc/interrupts. Pure. Ref: Linux kernel/irq/proc.c show_interrupts()"""


def by_cpu(table: str, line: str) -> dict[int, int] | None:
    """Counts of a line by CPU; None if there is no such line. An offline CPU has no column."""
    rows = [row.split() for row in table.strip().splitlines()]
    cpus = [int(word.removeprefix("CPU")) for word in rows[0]] if rows else []
    for row in rows[1:]:
        if row and row[-1] == line:
            return {cpu: int(n) for cpu, n in zip(cpus, row[1:], strict=False)}
    return None
