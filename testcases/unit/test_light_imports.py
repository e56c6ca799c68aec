# SPDX-License-Identifier: MIT
"""What a pytest without a board, `mpbench --help` and hosts that are not Linux do not have to import."""

import argparse
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mpbench.commands.main import parser
from mpbench.core import rooms
from mpbench.core.lines import PlanLine, RunEnd, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench.core.shared_files import PACKAGE
from mpbench.plugin import without_board
from mpbench_virtual.command import KIND_NAMES
from mpbench_virtual.models import KINDS
from testcases.unit.image_rig import firmware, key, write_key, write_public

HEAVY = {
    "numpy",
    "cryptography",
    "paramiko",
    "labgrid",
    "attr",
    "attrs",
    "cattrs",
    "yaml",
    "jinja2",
}
ONLY_LINUX = ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource")
HIDE = f"""
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in {ONLY_LINUX}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Finder())
for name in {ONLY_LINUX}:
    sys.modules.pop(name, None)
"""
COMMAND = "import sys; from mpbench.commands.main import main; sys.exit(main(sys.argv[1:]))"


def imported_by(code: str) -> set[str]:
    """Packages that are imported once `code` has run in a Python of its own."""
    code = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_the_plugin_is_light():
    """pytest imports it, its options and its placeholders in every run of an environment with the bench."""
    code = "import mpbench.plugin, mpbench.plugin.without_board\nfrom mpbench.core import rooms\n"
    assert not imported_by(code + "rooms.modules('options')") & HEAVY


def test_the_command_line_is_light():
    """--help needs every command's arguments and nothing of what the commands do."""
    code = "from mpbench.commands.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not imported_by(code) & HEAVY


@pytest.mark.slow
def test_a_target_file_of_others_is_read_without_the_boards_drivers():
    """A pytest with a labgrid environment that is not for the bench pays for labgrid, which it has anyway."""
    found = imported_by("import mpbench.harness.environment")
    assert not found & {"paramiko", "numpy", "cryptography", "jinja2"}


def test_a_line_is_explained_without_keys_and_profiles():
    """An explanation is text; cryptography and YAML are for images."""
    code = "from mpbench.commands.main import main\nmain(['explain', 'TEE err: ffff0006'])"
    assert not imported_by(code) & (HEAVY - {"attr", "attrs"})


def commands_of(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all subcommands."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from commands_of(one) if one.get_default("run") is None else [one]


def test_every_command_has_its_function():
    """What is imported when a command runs is there."""
    found = list(commands_of(parser()))
    assert len(found) >= 16
    for one in found:
        run = one.get_default("run")
        names = dict(zip(run.__code__.co_freevars, run.__closure__ or (), strict=True))
        if "module" in names:
            module = importlib.import_module(names["module"].cell_contents)
            assert callable(getattr(module, names["function"].cell_contents))


def test_kinds_of_virtual_boards_are_those_of_the_models():
    """The command line names them without importing the models."""
    assert tuple(sorted(KINDS)) == KIND_NAMES


@pytest.mark.slow
def test_the_placeholders_are_the_fixtures_of_the_bench(tmp_path):
    """`pytest --fixtures` lists each fixture with a sentence; without a board each has its placeholder."""
    command = [sys.executable, "-m", "pytest", "--fixtures", "-p", "no:cacheprovider"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    blocks = re.findall(r"fixtures defined from mpbench\S* -+\n(.*?)(?=\n-{3}|\n={3}|\Z)", text, re.DOTALL)
    listed = re.findall(r"^(\w+)(?: \[\w+ scope\])? -- .*\n    (\S.*)$", "\n".join(blocks), re.MULTILINE)
    assert tuple(sorted(name for name, _ in listed)) == without_board.FIXTURES
    assert [name for name, text in listed if not text.endswith((".", ":", ",")) and len(text) < 40] == []
    assert list(tmp_path.iterdir()) == []


def test_rooms_are_listed_once():
    """Every file with a role is in a room of the list."""
    root = PACKAGE.parent
    known = {name for role in ("options", "fixture") for name in rooms.names(role)}
    for role in ("options", "fixture"):
        for path in root.glob(f"mpbench/*/{role}*.py"):
            if path.stem == role or path.stem.startswith(f"{role}_"):
                assert ".".join(path.relative_to(root).with_suffix("").parts) in known


@pytest.fixture
def desk(tmp_path):
    """Inputs of the commands: an ELF, a key and its public half, a finished run."""
    (tmp_path / "fw.elf").write_bytes(firmware())
    write_key(tmp_path / "k.pem", key())
    write_public(tmp_path / "p.pem", key())
    clock = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
    record = Record(new_directory(tmp_path / "runs", "x", clock), "r1", clock)
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core="m33", title="It works.", requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=5))
    record.append(RunEnd(counts={"PASS": 1}))
    record.close()
    return tmp_path


@pytest.mark.slow
def test_commands_of_a_desk_need_no_linux(desk):
    """sign, inspect, predict, explain, report, signoff and verify run without modules that only Linux has."""
    (run,) = map(str, (desk / "runs").iterdir())
    for words in (
        "sign --key k.pem -o i.bin fw.elf",
        "inspect i.bin --key p.pem",
        "predict i.bin --key p.pem --profile virtual-mp25 --map",
        "explain ffff0006 i.bin --profile virtual-mp25",
        f"report {run}",
        f"record {run}",
        "signoff --new-key s.pem",
        f"signoff {run} --by me --key s.pem",
        f"verify {run} --trust s.pub",
    ):
        command = [sys.executable, "-c", HIDE + COMMAND, *words.split()]
        done = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), words
