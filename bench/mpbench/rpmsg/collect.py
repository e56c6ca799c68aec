# SPDX-License-Identifier: MIT
"""Collects what a board shows of RPMsg: channels in sysfs, the firmware's trace buffer, the kernel's log."""

import re
import shlex
import time
from collections.abc import Callable

from mpbench.board.protocols import Board, Session
from mpbench.core.evidence import KMSG, STATE, TRACE_FIRST, Artefact
from mpbench.rpmsg.facts import DEVICES, ERRNO, channels_word
from mpbench.rpmsg.parse import channels

MODULES = "stm32_ipcc virtio_rpmsg_bus rpmsg_ns rpmsg_char rpmsg_ctrl rpmsg_tty"
DRIVERS = "/sys/bus/rpmsg/drivers"

LIST = """
for d in /sys/bus/rpmsg/devices/*; do
  case $(readlink -f $d) in */%s/*) ;; *) continue;; esac
  { read -r n <$d/name && read -r a <$d/dst; } 2>/dev/null || continue
  l=$(readlink $d/driver); l=${l##*/}; p=-
  for f in $d/rpmsg/* $d/tty/*; do [ -e $f ] && [ -e /dev/${f##*/} ] && p=${f##*/}; done
  echo "$n $a ${l:--} $p"
done; :
"""

CHANNELS_S = 30.0
"""A channel appears milliseconds after its announcement; on an emulator with other work, seconds."""


def drivers(session: Session) -> tuple[str, ...]:
    """Drivers on the kernel's RPMsg bus, after their modules were asked for; empty without the bus."""
    text = session.execute(
        f"for m in {MODULES}; do modprobe -q $m 2>/dev/null; done; ls {DRIVERS} 2>/dev/null; :"
    ).text
    return tuple(text.split())


def mailboxes(board: Board, core: str) -> tuple[str, ...]:
    """Names of the mailboxes that Linux' device tree gives a core; empty without any."""
    path = board.remoteproc.path(core, "device/of_node/mbox-names")
    text = board.session.execute(f"tr '\\0' ' ' <{shlex.quote(path)} 2>/dev/null; :").text
    return tuple(text.split())


def devices(board: Board, core: str) -> str:
    """The core's devices on the bus, see DEVICES."""
    return board.session.execute(LIST % shlex.quote(board.remoteproc.index(core))).text


def await_devices(board: Board, core: str, wanted: str, now_s: Callable[[], float] = time.monotonic) -> str:
    """The core's devices as soon as their channels are `wanted` (see channels_word), or at the deadline."""
    deadline = now_s() + CHANNELS_S
    while True:
        found = devices(board, core)
        whole = all(c.device or not c.driver for c in channels(found))
        if (channels_word(channels(found)) == wanted and whole) or now_s() >= deadline:
            return found


def state_of(board: Board, core: str, mark: int, errno: str, wanted: str) -> tuple[Artefact, ...]:
    """Evidence of a start, a stop or a recovery: channels, state, trace buffer, kernel log since `mark`."""
    listing = await_devices(board, core, wanted)
    return (
        Artefact(ERRNO, errno.encode()),
        Artefact(DEVICES, listing.encode()),
        Artefact(STATE, board.remoteproc.core_state(core).encode()),
        Artefact(TRACE_FIRST, board.remoteproc.trace(core) or b""),
        Artefact(KMSG, board.kmsg.since(mark)),
    )


def await_line(board: Board, mark: int, line: str, deadline_s: float = CHANNELS_S) -> bool:
    """Whether the kernel logged a line with `line` since `mark`, within the deadline."""
    return board.kmsg.wait_for(re.compile(re.escape(line).encode()), mark, deadline_s)


def endpoints(session: Session, name: str) -> tuple[str, ...]:
    """Devices below /dev of the endpoints with this name."""
    command = (
        "for f in /sys/class/rpmsg/rpmsg[0-9]*/name; do read -r n <$f && echo $f $n; done 2>/dev/null; :"
    )
    lines = (line.split(" ") for line in session.execute(command).text.splitlines())
    return tuple(words[0].split("/")[-2] for words in lines if words[1:] == [name])
