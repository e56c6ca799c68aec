# SPDX-License-Identifier: MIT
"""The guide's first run without any preparation: a good image runs, nothing panics.

On an STM32MP257F-EV1 once with upstream's OP-TEE and the bench's PTA, once with one that answers as ST's, or
with ST's own if MPBENCH_OPTEE_SRC names its tree; on an STM32MP157C-DK2 with one that answers as ST's.
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
KIND_AND_CORE = (
    ("mp25-st", "m33"),
    pytest.param(("mp25", "m33"), marks=pytest.mark.thorough),
    pytest.param(("mp15-st", "m4"), marks=pytest.mark.thorough),
)


@pytest.fixture(params=KIND_AND_CORE, ids="-".join)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[labs.Bench, str]:
    """Runs on that kind of board, which is built, and the core that OP-TEE loads.

    What takes minutes to build is left to `mpbench virtual build`.
    """
    name, core = request.param
    kind = KINDS[name]
    own = kind.secure and kind.st_optee
    given = {name: os.environ[name] for name in (OPTEE, PROFILE) if name in os.environ} if own else {}
    try:
        require_built(kind)
    except UsageError as error:
        pytest.skip(str(error))
    return labs.Bench(labs.CHECKOUT / f"targets/virtual-{kind.name}.yaml", tmp_path, given), core


def test_the_first_run_of_the_guide_ends_with_a_good_image_running(board: tuple[labs.Bench, str]) -> None:
    """`doctor` finds nothing wrong; everything is there; a good image runs, six are refused, OP-TEE lives."""
    bench, core = board
    target = str(bench.target)
    checked = bench.call(labs.RUN_S, str(labs.program("mpbench")), "doctor", "--lg-env", target)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr
    for case in ("testcases/test_identity.py", "testcases/test_deploy.py"):
        done = bench.run(case)
        assert done.returncode == 0, done.stdout + done.stderr
    ends = bench.ends()
    assert ends[f"test_signed_firmware_runs[{core}]"][0] == "PASS"
    refused = [verdict for name, (verdict, _) in ends.items() if f"refused[{core}" in name]
    assert refused == ["PASS"] * 6
