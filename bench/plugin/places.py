# SPDX-License-Identifier: MIT
"""Places of a lab: labgrid's pytest plugin joins a place but never acquires it; what to do is told here.

Ref: labgrid remote/client.py, ClientSession.get_place, _check_allowed, get_target_resources
"""

import contextlib
import os
import re
from collections.abc import Iterator

from labgrid.config import Config

from bench.errors import LabFault

CLIENT = "labgrid.remote.client"
"""Known by name only: importing it costs a run without a lab half a second."""

ADVICE = (
    (r"place (\S+) is not acquired$", r"; first `labgrid-client -p \1 acquire`, afterwards `release`"),
    (r"place pattern (\S+) matches nothing$", "; `labgrid-client places` lists what there is"),
    (r"reservation token \S+ matches nothing$", "; `labgrid-client reservations` lists what there is"),
)


@contextlib.contextmanager
def told(config: Config) -> Iterator[None]:
    """LabFault in one line for what labgrid's client says of coordinator and place."""
    try:
        yield
    except Exception as e:
        if type(e).__module__ != CLIENT:
            raise
        text = " ".join(str(part) for part in e.args)
        raise LabFault(f"coordinator {_coordinator(config)}: {text}{advice(text)}") from e


def advice(text: str) -> str:
    """What to do about it, "" if labgrid says so itself. Pure."""
    found = ((re.search(pattern, text), words) for pattern, words in ADVICE)
    return next((match.expand(words) for match, words in found if match), "")


def _coordinator(config: Config) -> str:
    default = os.environ.get("LG_COORDINATOR", "127.0.0.1:20408")
    return str(config.get_option("coordinator_address", default))
