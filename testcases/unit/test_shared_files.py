# SPDX-License-Identifier: MIT
"""Where the files are that come with the bench, in a checkout and from a wheel."""

import sys
from pathlib import Path

import pytest

from mpbench.core import shared_files
from mpbench.core.shared_files import (
    CHECKOUT,
    TESTCASES,
    board_case,
    board_cases,
    checkout_of,
    content_hash,
)


@pytest.fixture
def from_wheel(monkeypatch):
    """The module as it is where mpbench was installed from a wheel."""
    monkeypatch.setattr(shared_files, "CHECKOUT", None)


def test_a_checkout_is_recognised_by_its_files(tmp_path):
    """bench/mpbench below pyproject.toml and firmware/, and nothing else."""
    package = tmp_path / "bench" / "mpbench"
    package.mkdir(parents=True)
    assert checkout_of(package) is None
    (tmp_path / "pyproject.toml").touch()
    assert checkout_of(package) is None
    (tmp_path / "firmware").mkdir()
    assert checkout_of(package) == tmp_path
    assert checkout_of(tmp_path / "site-packages" / "mpbench") is None


@pytest.mark.usefixtures("from_wheel")
def test_what_is_built_never_gets_into_an_installation(monkeypatch, tmp_path):
    """From a wheel the firmware is built in the user's cache, under a name that its sources decide."""
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(shared_files, "FIRMWARE", tmp_path / "sources")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "alive.c").write_text("1")
    first = shared_files.firmware_build()
    (tmp_path / "sources" / "alive.c").write_text("2")
    second = shared_files.firmware_build()
    assert (first.parent, second.parent) == (tmp_path, tmp_path)
    assert first != second
    assert first.name == f"firmware-{first.name.removeprefix('firmware-'):.16}"


def test_a_content_hash_depends_on_names_and_contents(tmp_path):
    """Files of the same content under another name are another content."""
    (tmp_path / "a").write_text("x")
    before = content_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_hash(tmp_path) != before


def test_reports_belong_to_the_checkout_or_to_where_the_user_is(monkeypatch, tmp_path):
    """Inside the checkout its reports/runs, elsewhere that of the current directory."""
    assert shared_files.reports_dir(CHECKOUT / "targets") == CHECKOUT / "reports" / "runs"
    assert shared_files.reports_dir(tmp_path) == tmp_path / "reports" / "runs"
    monkeypatch.setattr(shared_files, "CHECKOUT", None)
    assert shared_files.reports_dir(tmp_path) == tmp_path / "reports" / "runs"


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("testcases", f"{TESTCASES}"),
        ("test_deploy.py", f"{TESTCASES}/test_deploy.py"),
        ("testcases/test_deploy.py::test_x[m33]", f"{TESTCASES}/test_deploy.py::test_x[m33]"),
        ("tests/test_mine.py", ""),
        ("-k", ""),
        ("deploy", ""),
    ],
)
def test_a_board_case_is_named_as_in_the_checkout(word, path):
    """With or without the directory; what is no board case is left to pytest."""
    assert board_case(word) == path


def test_the_board_cases_run_in_the_directory_of_the_user(tmp_path):
    """All cases unless some are named; the root is the user's directory, or the checkout that it is in."""
    words = [sys.executable, "-P", "-m", "pytest", f"--rootdir={tmp_path}"]
    below = board_cases(CHECKOUT / "targets", [])
    assert below == [*words[:-1], f"--rootdir={CHECKOUT}", str(TESTCASES)]
    assert board_cases(tmp_path, ["-k", "x"]) == [*words, "-k", "x", str(TESTCASES)]
    assert board_cases(tmp_path, ["test_deploy.py"]) == [*words, f"{TESTCASES}/test_deploy.py"]


def test_an_example_target_is_named_so_that_it_is_found(tmp_path):
    """Relative to the current directory only if it lies below it."""
    assert shared_files.example_target(CHECKOUT) == Path("targets/virtual-mp25.yaml")
    assert shared_files.example_target(tmp_path).is_file()
