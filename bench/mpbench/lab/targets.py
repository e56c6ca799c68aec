# SPDX-License-Identifier: MIT
"""The target files of a plan, read as the night's runs will read them."""

import contextlib
import os
from collections.abc import Iterator, Mapping

from mpbench.harness.environment import check_environment, profile_of
from mpbench.lab.plan import Job


def check(job: Job, coordinator: str) -> None:
    """UsageError for a target file that a run of this job would refuse, with the variables of such a run."""
    variables = {"LG_PLACE": "place", "LG_COORDINATOR": coordinator, **job.variables}
    with _set(variables):
        profile_of(check_environment(str(job.target)))


@contextlib.contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """labgrid takes variables from the process only."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
