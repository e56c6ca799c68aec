# SPDX-License-Identifier: MIT
"""What the board holds at a moment: mappings, descriptors, processes, dumps, kernel objects, memory."""

from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError

LOOK = """
echo "unpurged=$(grep -c unpurged /proc/vmallocinfo)"
echo "mappings=$(grep -c ioremap /proc/vmallocinfo)"
n=0; for p in /proc/[0-9]*; do c=; read -r c 2>/dev/null <$p/comm; case $c in ''|kworker/*) ;;
*) n=$((n + 1));; esac; done; echo "processes=$n"
set -- /proc/[0-9]*/fd/*; echo "descriptors=$#"
set -- /sys/class/devcoredump/devcd*; [ -e "$1" ] || set --; echo "core dumps=$#"
set -- /sys/class/remoteproc/*; echo "cores=$#"
while read -r k v _; do [ $k = MemAvailable: ] && echo "free_kib=$v"; done </proc/meminfo
cat /proc/slabinfo
"""
"""No pipe, so that the number of processes is that of the board and not of this look at it; and without the
kernel's workers, of which it keeps as many as it happens to need (Documentation/core-api/workqueue.rst)."""


def held(session: Session) -> str:
    """`name=number` lines, and /proc/slabinfo if the kernel has it. InfrastructureError if the board says nothing."""
    text = session.execute(LOOK).stdout.decode("utf-8", "replace")
    if "processes=" not in text:
        raise InfrastructureError("the board does not say what it holds: no /proc?")
    return text
