# SPDX-License-Identifier: MIT
"""Counters of the board's resources: mappings, descriptors, processes, dumps, kernel objects, memory."""

from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError

READ_COUNTERS = """
echo "ranges=$(grep -vc unpurged /proc/vmallocinfo)"
echo "mappings=$(grep -c ioremap /proc/vmallocinfo)"
n=0; for p in /proc/[0-9]*; do c=; read -r c 2>/dev/null <$p/comm; case $c in ''|kworker/*) ;;
*) n=$((n + 1));; esac; done; echo "processes=$n"
set -- /proc/[0-9]*/fd/*; echo "descriptors=$#"
set -- /sys/class/devcoredump/devcd*; [ -e "$1" ] || set --; echo "core dumps=$#"
set -- /sys/class/remoteproc/*; echo "cores=$#"
while read -r k v _; do [ $k = MemAvailable: ] && echo "free_kib=$v"; done </proc/meminfo
cat /proc/slabinfo
"""
"""Without a pipe, so that the measurement does not change the number of processes; and without the kernel's
workers, whose number varies with its needs. Ref: Linux Documentation/core-api/workqueue.rst"""


def resource_counters(session: Session) -> str:
    """`name=number` lines, then /proc/slabinfo if the kernel has it. InfrastructureError without /proc."""
    text = session.execute(READ_COUNTERS).text
    if "processes=" not in text:
        raise InfrastructureError("cannot read resource counters: /proc missing?")
    return text
