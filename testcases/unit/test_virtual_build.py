# SPDX-License-Identifier: MIT
"""Building a virtual board: content addresses, interruptions, missing tools, mirrors that do not answer."""

import os
import re
import select
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import FIRMWARE
from mpbench.twin.profile import load_profile
from mpbench_virtual import fetch, recipes, recipes_ev1, steps, tools
from mpbench_virtual.fetch import GUEST_ARCHITECTURES, Apt, Package, packages
from mpbench_virtual.models import KINDS, MP15, MP25
from mpbench_virtual.parts import build_parts
from mpbench_virtual.recipes import GUEST_FILES, linux_step, rootfs_step
from mpbench_virtual.steps import BuildStep, Place, build, hash_files, keys_of, quiet
from testcases.stand_in import StandIn


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test only, and a build that looks a hundred times a second for what has changed."""
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(steps, "TICK_S", 0.01)
    return tmp_path / "cache"


def writer(text, made):
    """A recipe that writes `text` and counts its runs."""

    def make(place):
        made.append(text)
        (place.out / "file").write_text(text)

    return make


def recorder():
    """A report function and the lines it recorded."""
    lines = []

    def report(step, what, passing=False):
        if not passing:
            lines.append((step, what.split(" in ")[0]))

    return lines, report


def test_what_was_built_is_not_built_again():
    """The second build finds everything by content and makes nothing."""
    made: list[str] = []
    parts = [BuildStep("part", lambda: ["input"], writer("hello", made))]
    first = build(parts, quiet)
    lines, report = recorder()
    assert build(parts, report) == first
    assert (first["part"] / "file").read_text() == "hello"
    assert made == ["hello"]
    assert lines == [("part", "cached")]


def test_another_input_is_another_result():
    """A changed input changes the address of the step and of all that need it, and of nothing else."""

    def addresses(text):
        return keys_of(
            [
                BuildStep("base", lambda: [text], writer("", [])),
                BuildStep("user", lambda: ["same"], writer("", []), needs=("base",)),
                BuildStep("alone", lambda: ["same"], writer("", [])),
            ]
        )

    before, after = addresses("a"), addresses("b")
    assert before["base"] != after["base"]
    assert before["user"] != after["user"]
    assert before["alone"] == after["alone"]


def test_a_step_sees_what_it_needs_when_it_is_complete():
    """A step starts after those it needs, and reads their results."""

    def copy(place):
        (place.out / "copy").write_text((place.needs["base"] / "file").read_text())

    parts = [
        BuildStep("base", lambda: [], writer("from base", [])),
        BuildStep("user", lambda: [], copy, needs=("base",)),
    ]
    assert (build(parts, quiet)["user"] / "copy").read_text() == "from base"


def test_a_failed_step_leaves_no_result_and_is_made_again():
    """Output of a failed recipe is no result: the next build runs it again, with its work directory kept."""
    tries = []

    def make(place):
        tries.append((place.work / "kept").exists())
        (place.work / "kept").touch()
        (place.out / "half").touch()
        if len(tries) == 1:
            raise InfrastructureError("interrupted")

    parts = [BuildStep("part", lambda: [], make)]
    lines, report = recorder()
    with pytest.raises(InfrastructureError, match="interrupted"):
        build(parts, report)
    assert lines == [("part", "building"), ("part", "failed")]
    build(parts, report)
    assert tries == [False, True]


def test_two_builds_at_once_make_it_once():
    """A second builder waits for the first and then finds the result."""
    made, running, go = [], threading.Event(), threading.Event()

    def make(place):
        made.append(1)
        running.set()
        go.wait()
        (place.out / "file").touch()

    parts = [BuildStep("part", lambda: [], make)]
    lines, report = recorder()
    first = threading.Thread(target=build, args=(parts, quiet))
    second = threading.Thread(target=build, args=(parts, report))
    first.start()
    running.wait()
    second.start()
    go.set()
    first.join()
    second.join()
    assert made == [1]
    assert ("part", "failed") not in lines


def test_hash_covers_names_and_bytes_and_not_build_output(tmp_path):
    """A renamed or changed file changes the hash; compiled output beside the sources does not."""
    source = tmp_path / "source"
    (source / "build").mkdir(parents=True)
    (source / "a.c").write_text("int a;")
    before = hash_files(source)
    (source / "build/a.o").write_text("object")
    assert hash_files(source) == before
    (source / "a.c").rename(source / "b.c")
    assert hash_files(source) != before


def test_a_missing_program_is_reported_with_its_package():
    """All missing programs are named at once, with the command that installs them."""
    with pytest.raises(
        UsageError, match="missing on this machine: qemu-none, tool-none; install with: apt-get"
    ):
        tools.require("qemu-none", "tool-none", "sh")


def test_too_little_disk_space_is_reported_before_the_build(tmp_path):
    """Too little space is refused, with the free and the needed space and the remedy."""
    with pytest.raises(
        UsageError, match=r"GiB free, building needs 1048576.0 GiB; free some, or set MPBENCH_CACHE"
    ):
        tools.require_space(tmp_path / "new", 1 << 50)


def test_a_build_without_space_does_not_start(monkeypatch):
    """A build checks the disk before it makes anything, but not when everything is in the cache."""
    made: list[str] = []
    parts = [BuildStep("part", lambda: [], writer("", made))]
    monkeypatch.setattr(steps, "BUILD_BYTES", 1 << 60)
    with pytest.raises(UsageError, match="GiB free"):
        build(parts, quiet)
    assert made == []
    monkeypatch.setattr(steps, "BUILD_BYTES", 0)
    build(parts, quiet)
    monkeypatch.setattr(steps, "BUILD_BYTES", 1 << 60)
    build(parts, quiet)


def test_a_failing_command_shows_its_last_lines(tmp_path):
    """The error of a failing build tool has its exit status, its log file and its last lines."""
    with pytest.raises(InfrastructureError, match=r"sh ended with 3; log .*log:\n  .*\n  no such thing"):
        tools.run_logged(["sh", "-c", "echo no such thing; exit 3"], tmp_path / "log")


def test_a_tool_ends_with_the_build_that_is_killed(tmp_path):
    """Nothing goes on in the tree that the next build works in."""
    log = tmp_path / "log"
    code = "import pathlib, sys; from mpbench_virtual import tools; "
    code += "tools.run_logged(['sh', '-c', 'echo pid $$; exec sleep 600'], pathlib.Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", code, str(log)]) as build_process:
        tool = os.pidfd_open(wait_for_pid(log))
        build_process.kill()
    ended, _, _ = select.select([tool], [], [], 10)
    os.close(tool)
    assert ended


def wait_for_pid(log):
    """The number after `pid`, once a tool has printed it into its log."""
    for _ in range(1000):
        if log.exists() and (found := re.search(r"^pid (\d+)$", log.read_text(), re.MULTILINE)):
            return int(found[1])
        threading.Event().wait(0.01)
    raise AssertionError("it did not start")


def test_cross_compile_variables_of_the_shell_are_removed(monkeypatch, tmp_path):
    """ARCH and CROSS_COMPILE of the user's shell, which break TF-A and OP-TEE, do not reach a build."""
    monkeypatch.setenv("CROSS_COMPILE", "wrong-")
    tools.run_logged(["sh", "-c", 'echo "[$CROSS_COMPILE]"'], tmp_path / "log")
    assert "[]" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_an_unreachable_mirror_is_an_infrastructure_error(tmp_path, cache):
    """An unreachable mirror is reported with apt's own message; the machine's apt is not changed."""
    apt = Apt(cache / "apt", "http://127.0.0.1:9/debian")
    with pytest.raises(InfrastructureError, match=r"apt-get ended with 100(.|\n)*127\.0\.0\.1:9"):
        apt.update()
    assert not tmp_path.joinpath("lists").exists()


def test_apt_keeps_what_it_read_where_the_machine_says_not_to(tmp_path, cache, monkeypatch):
    """apt keeps its index from command to command, although containers are set up not to."""
    config = tmp_path / "docker-clean"
    config.write_text('Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";')
    monkeypatch.setenv("APT_CONFIG", str(config))
    assert Apt(cache / "apt", "http://127.0.0.1:9/debian").versions(RECORDED) == []
    assert (cache / "apt/cache/pkgcache.bin").is_file()


class ArchiveStandIn(StandIn):
    """An archive that holds one version; real apt is tried by every build from nothing."""

    def __init__(self, version, data=b"package"):
        self.version, self.data = version, data

    def has(self, package):
        return package.version == self.version

    def newest(self, package):  # noqa: ARG002 - the interface of Apt
        return self.version

    def download(self, package, into):
        file = into / f"{package.package}.deb"
        file.write_bytes(self.data)
        return file


RECORDED = Package("part", "binary", "trixie", "part", "1.0", "0" * 64)


def test_a_file_with_another_hash_than_recorded_is_refused():
    """The recorded version must have the recorded bytes."""
    with pytest.raises(InfrastructureError, match=r"part\.deb: SHA-256 is [0-9a-f]{64}, recorded is 0{64}"):
        fetch._download(RECORDED, ArchiveStandIn("1.0"))
    assert not RECORDED.directory.exists()


def test_a_version_that_left_the_archive_is_replaced(monkeypatch):
    """A newer version is taken and reported once, and found again without asking the mirror."""
    monkeypatch.setattr(fetch, "packages", lambda: {"part": RECORDED})
    found = fetch._download(RECORDED, ArchiveStandIn("1.1"))
    assert found.version == "1.1"
    assert "are taken: part 1.1 (tested: 1.0); if" in fetch.left_archive()
    package, file = fetch.fetch("part")
    assert (package.version, file.read_bytes()) == ("1.1", b"package")
    assert fetch.left_archive() == ""


@pytest.mark.parametrize("name", fetch.OWN_TREES)
def test_an_own_tree_comes_first(monkeypatch, tmp_path, name):
    """The variable of a source names the tree to build, whatever is recorded; a changed file is noticed."""
    variable, file = fetch.OWN_TREES[name]
    marker = tmp_path / file
    marker.parent.mkdir(parents=True)
    marker.write_text("one")
    monkeypatch.setenv(variable, str(tmp_path))
    assert fetch.source_tree(name) == tmp_path
    before = recipes._source_id(name)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("elsewhere")
    assert recipes._source_id(name) == before
    marker.write_text("three")
    assert recipes._source_id(name) != before


@pytest.mark.parametrize("name", fetch.OWN_TREES)
def test_a_directory_that_is_no_such_tree_is_refused(monkeypatch, tmp_path, name):
    """The error names the variable, its value and the file that is missing."""
    variable, file = fetch.OWN_TREES[name]
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(UsageError, match=f"{variable}='{tmp_path}' is no source tree .* it has no {file}"):
        fetch.source_tree(name)


@pytest.mark.parametrize("driver", ["", "st,stm32mp1-m4-tee"])
def test_a_tree_for_the_board_of_st_s_optee_loads_its_m33(monkeypatch, tmp_path, driver):
    """A tree without ST's driver, and one whose driver knows the STM32MP15 only, are refused."""
    source = tmp_path / "core/drivers/remoteproc/stm32_remoteproc.c"
    source.parent.mkdir(parents=True)
    source.write_text(driver)
    (tmp_path / fetch.OWN_TREES["optee"][1]).touch()
    monkeypatch.setenv("MPBENCH_OPTEE_SRC", str(tmp_path))
    with pytest.raises(UsageError, match=r"kind mp25-st: MPBENCH_OPTEE_SRC='.*' is no source tree of"):
        build_parts("mp25-st", quiet)


def test_the_stm32mp15_with_st_s_answers_takes_no_tree_of_the_user_s(monkeypatch, tmp_path):
    """ST's own OP-TEE is refused there, before anything is built."""
    (mark := tmp_path / fetch.OWN_TREES["optee"][1]).parent.mkdir(parents=True)
    mark.touch()
    monkeypatch.setenv("MPBENCH_OPTEE_SRC", str(tmp_path))
    with pytest.raises(UsageError, match=r"^kind mp15-st: .* unset MPBENCH_OPTEE_SRC$"):
        build_parts("mp15-st", quiet)


@pytest.mark.parametrize(
    ("kind", "own", "name", "laid_over"),
    [
        ("mp25", False, "mp25", ["optee"]),
        ("mp25", True, "mp25", ["optee"]),
        ("mp25-st", False, "mp25-ostl", ["optee", "optee-st"]),
        ("mp25-st", True, "mp25-st", []),
    ],
)
def test_st_s_answers_come_of_a_tree_of_the_user_s_or_of_upstream_s(monkeypatch, kind, own, name, laid_over):
    """A tree of the user's own stays as it is for one kind; upstream's gets parts of ours."""
    monkeypatch.setattr(recipes_ev1, "own_tree", lambda _: Path("/trees/optee") if own else None)
    assert recipes_ev1.own_optee(KINDS[kind]) is (own and kind == "mp25-st")
    assert recipes_ev1._tee_trees(KINDS[kind])[0].name == f"{name}-optee.dts"
    assert [path.name for path in recipes_ev1._laid_over(KINDS[kind])] == laid_over
    assert recipes_ev1.optee_settings(KINDS[kind])[0] == "PLATFORM=stm32mp2-257F_EV1"


@pytest.mark.parametrize(("kind", "high"), [("mp25", True), ("mp15", False)])
def test_the_ranges_of_the_boards_of_st_s_answers_are_the_twin_s(kind, high):
    """Device address, physical address (two cells on the STM32MP25), size of each range of the loader's."""
    text = (FIRMWARE / f"boot/{kind}-ostl-optee.dts").read_text()
    cells = re.findall(r"0x[0-9a-f]+", text[(start := text.index("\tdma-ranges")) : text.index(";", start)])
    ranges = load_profile(f"virtual-{kind}-st").dma_ranges
    wanted = [(one.da, *[one.pa >> 32] * high, one.pa, one.size) for one in ranges]
    assert [int(cell, 16) for cell in cells] == [cell for row in wanted for cell in row]


def test_the_memory_of_the_stm32mp15_with_st_s_answers_is_the_twin_s():
    """Address, size and firewall of each reserved memory; retram's address is upstream's."""
    text = (FIRMWARE / "boot/mp15-ostl-optee.dts").read_text()
    found = re.findall(r"reg = <(0x\w+) (0x\w+)>;.*?conf-default = FIREWALL\(\w+, (\w+)\)", text, re.DOTALL)
    (core,) = load_profile("virtual-mp15-st").cores
    rights = {"core": "MCU_ISOLATION", "shared": "NS_RW"}
    wanted = [(one.pa, one.size, rights[one.rights]) for one in core.regions if one.name != "retram"]
    assert [(int(address, 16), int(size, 16), mode) for address, size, mode in found] == wanted


def test_no_mirror_is_reported_with_the_remedy(monkeypatch, tmp_path):
    """The error on a machine whose apt has no Debian mirror names the remedy."""
    monkeypatch.delenv("MPBENCH_MIRROR", raising=False)
    fake = tmp_path / "apt-get"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UsageError, match="has no Debian mirror; run apt-get update, or set MPBENCH_MIRROR"):
        fetch.mirror()


def test_a_package_is_asked_for_by_architecture():
    """A package for two architectures has two names and two directories."""
    other = Package("part", "binary", "trixie", "part", "1.0", "0" * 64, GUEST_ARCHITECTURES[1])
    assert (RECORDED.qualified, other.qualified) == ("part", "part:armhf")
    assert RECORDED.directory.name == "part_1.0"
    assert other.directory.name == "part%3aarmhf_1.0"


@pytest.mark.parametrize("soc", [MP15, MP25], ids=lambda soc: soc.name)
def test_every_soc_has_its_packages_and_a_kernel_s_configuration(soc):
    """Guest packages by its architecture."""
    architecture, _ = soc.guest
    assert (FIRMWARE / f"linux/{soc.name}.config").is_file()
    found = {p.package for p in packages().values() if p.architecture == architecture}
    assert {packages()[guest].package for guest in GUEST_FILES} <= found


def test_boards_of_two_socs_do_not_build_in_one_directory():
    """A kernel's tree is kept for the next build: each SoC has one of its own."""
    works = [step(soc).work for step in (linux_step, rootfs_step) for soc in (MP15, MP25)]
    assert len(set(works)) == len(works)


TREE = """\
/dts-v1/;
#include <pins.h>
/ {
\tpins {
\t\t/omit-if-no-ref/
\t\tused: used-0 { pinmux = <PIN>; };
\t\t/omit-if-no-ref/
\t\tunused: unused-0 { pinmux = <PIN>; };
\t};
\tuart { status = "disabled"; };
};
"""
OVERLAY = """\
/dts-v1/;
/plugin/;
&{/uart} {
\tpinctrl-0 = <&used>;
\tstatus = "okay";
};
"""


@pytest.mark.skipif(not shutil.which("dtc") or not shutil.which("gcc"), reason="needs gcc and dtc")
def test_a_device_tree_has_its_overlays_and_no_pins_that_no_device_uses(tmp_path):
    """Overlays are part of what is compiled: their references count."""
    linux = tmp_path / "linux"
    source, headers = linux / "arch/arm/boot/dts/st/board.dts", linux / "scripts/dtc/include-prefixes/pins.h"
    for path, text in ((source, TREE), (headers, "#define PIN 7\n"), (tmp_path / "uart.dtso", OVERLAY)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    place = Place(tmp_path, tmp_path, tmp_path / "log", {})
    more = '/ { more { label = "last"; }; };'
    made = recipes.make_device_tree(
        MP15, "board.dtb", [tmp_path / "uart.dtso"], place, origin=linux, more=more
    )
    command: list[str | Path] = ["dtc", "-I", "dtb", "-O", "dts", made]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"[\w-]+(?= \{)", text) == ["pins", "used-0", "uart", "more"]
    assert 'status = "okay"' in text
    assert "pinmux = <0x07>" in text
