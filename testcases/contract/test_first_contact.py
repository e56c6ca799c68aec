# SPDX-License-Identifier: MIT
"""The guide's first run on an STM32MP257F-EV1 without any preparation: a good image runs, nothing panics.

Once with upstream's OP-TEE and the bench's PTA, once with one that answers as ST's, which is ST's own if
MPBENCH_OPTEE_SRC names its tree.
Ref: targets/README.md, 5. First run
"""

import os
from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench_virtual.models import KINDS
from testcases.contract import labs
from testcases.contract.machine_parts import require_built

pytestmark = pytest.mark.slow

OPTEE, PROFILE = "MPBENCH_OPTEE_SRC", "MPBENCH_PROFILE"


@pytest.fixture(params=["mp25", "mp25-st"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> labs.Bench:
    """Runs on that kind of board, which is built; what takes minutes is left to `mpbench virtual build`."""
    kind = KINDS[request.param]
    given = (
        {name: os.environ[name] for name in (OPTEE, PROFILE) if name in os.environ} if kind.st_optee else {}
    )
    try:
        require_built(kind)
    except UsageError as error:
        pytest.skip(str(error))
    return labs.Bench(labs.CHECKOUT / f"targets/virtual-{kind.name}.yaml", tmp_path, given)


def test_the_first_run_of_the_guide_ends_with_a_good_image_running(bench: labs.Bench) -> None:
    """`doctor` finds nothing wrong; everything is there; a good image runs, six are refused, OP-TEE lives."""
    target = str(bench.target)
    checked = bench.call(labs.RUN_S, str(labs.program("mpbench")), "doctor", "--lg-env", target)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr
    for case in ("testcases/test_identity.py", "testcases/test_deploy.py"):
        done = bench.run(case)
        assert done.returncode == 0, done.stdout + done.stderr
    ends = bench.ends()
    assert ends["test_signed_firmware_runs[m33]"][0] == "PASS"
    refused = [verdict for name, (verdict, _) in ends.items() if "refused[m33" in name]
    assert refused == ["PASS"] * 6
