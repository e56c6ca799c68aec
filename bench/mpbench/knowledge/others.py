# SPDX-License-Identifier: MIT
"""Whose trouble a line reports, where only later lines say so: another trusted application's, or another part
of Linux'.
"""

import re
from bisect import bisect_right
from collections.abc import Callable

from mpbench.knowledge.episodes import Event
from mpbench.knowledge.messages import REMOTEPROC_TA

MAX_DUMP_LINES = 100
"""Lines of registers, call stack and memory map after an abort, a panic or an Oops."""
OUR_FUNCTION = re.compile(r"\b((?:stm32_)?rproc_\w+|(?:virtio_)?rpmsg_\w+|optee_\w+|tee_\w+|stm32_ipcc_\w+)")
"""Of Linux' drivers for cores, RPMsg, OP-TEE and the mailbox."""
ANOTHER_TA = "another trusted application ({}) was ended: this is not about the cores' firmware"
ITS_OWNER = ("whose UUID is it? `grep -rl UUID /lib/optee_armtz`: its client gets 0xffff3024",)
ANOTHER_PART = (
    "the kernel failed in {}, and none of the functions after it is of remoteproc, RPMsg or OP-TEE's driver: "
    "this is not about the cores"
)

Look = Callable[[Event, list[Event]], Event]


def of_their_owners(found: list[Event]) -> list[Event]:
    """Events in the log's order; another's trouble as such: nothing of ours follows from it."""
    numbers = [event.number for event in found]
    owned = []
    for event in found:
        if event.id.startswith(LOOKED_AFTER):
            look = next(f for start, f in LOOK.items() if event.id.startswith(start))
            first, last = (bisect_right(numbers, event.number + more) for more in (0, MAX_DUMP_LINES))
            event = look(event, found[first:last])  # noqa: PLW2901
        owned.append(event)
    return owned


def _ended_ta(event: Event, after: list[Event]) -> Event:
    """The line with the UUID of the trusted application comes after its end."""
    status = next((e for e in after if e.id == "ta-status"), None)
    uuid = status.match.groups[0] if status else REMOTEPROC_TA
    if uuid.startswith(REMOTEPROC_TA[:8]):
        return event
    return _another(event, "other-ta", ANOTHER_TA.format(uuid), ITS_OWNER)


def _kernel(event: Event, after: list[Event]) -> Event:
    """The functions at `pc` and `lr` and the call trace come after the Oops, unless its line has one."""
    where = [e.match.text for e in (event, *after) if e is event or e.id == "linux-function"]
    if any(OUR_FUNCTION.search(text) for text in where) or len(where) == 1:
        return event
    return _another(event, "other-kernel", ANOTHER_PART.format(f"`{where[1]}`"), ())


def _another(event: Event, new_id: str, means: str, advice: tuple[str, ...]) -> Event:
    message = event.match.message._replace(id=new_id, means=means, causes=(), advice=advice, after=())
    return event._replace(match=event.match._replace(message=message))


LOOK: dict[str, Look] = {
    "abort-user": _ended_ta,
    "abort-ta-": _ended_ta,
    "linux-oops": _kernel,
    "linux-stuck": _kernel,
    "linux-panic": _kernel,
}
"""By the start of a message's id."""
LOOKED_AFTER = tuple(LOOK)
