# SPDX-License-Identifier: MIT
"""The bench from a wheel, used from a directory of its own on a machine without the checkout."""

import pytest

from testcases.contract.wheel import WheelEnvironment

pytestmark = pytest.mark.slow


def test_the_bench_is_that_of_the_wheel(wheel_env: WheelEnvironment, tmp_path):
    """Both packages are imported from the environment, which has no path into the checkout."""
    script = (
        "import mpbench, mpbench_virtual, sys; print(mpbench.__file__, mpbench_virtual.__file__, *sys.path)"
    )
    (tmp_path / "script.py").write_text(script)
    done = wheel_env.run("script", cwd=tmp_path)
    ours, virtual, *paths = done.stdout.split()
    assert (ours, virtual) == (
        f"{wheel_env.site}/mpbench/__init__.py",
        f"{wheel_env.site}/mpbench_virtual/__init__.py",
    )
    assert not [path for path in paths if "/bench" in path]


def test_the_board_cases_are_collected(wheel_env: WheelEnvironment, tmp_path):
    """A pytest with a shipped target collects the shipped cases from a directory without tests."""
    target = wheel_env.site / "mpbench/share/targets/virtual-mp25.yaml"
    done = wheel_env.run("pytest", "--co", "-q", "--lg-env", target, cwd=tmp_path)
    assert "test_deploy.py::test_signed_firmware_runs[m33]" in done.stdout, done.stdout + done.stderr
