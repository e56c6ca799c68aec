# SPDX-License-Identifier: MIT
"""Building a board on a QEMU machine of ours: modules, our files over QEMU's, what has to be installed."""

import lzma
import shutil
import struct
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import evolve

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import boards, recipes_machine, recipes_tee, tools
from mpbench_virtual.fetch import GUEST_ARCHITECTURES, Package, packages
from mpbench_virtual.models import KINDS
from mpbench_virtual.process import Spec
from mpbench_virtual.qemu import Parts, command_line, icount_arguments
from mpbench_virtual.recipes_machine import steps_of
from mpbench_virtual.steps import Place, keys_of
from testcases.unit.test_virtual_build import ArchiveStandIn

DEBIAN = KINDS["mp15-debian"]


def module(depends):
    """A kernel module, as far as the bench reads it: an ELF with a section .modinfo, xz-compressed."""
    info = b"license=GPL\0depends=" + depends.encode() + b"\0"
    names = b"\0.modinfo\0.shstrtab\0"
    head = struct.pack("<16s2H5I6H", b"\x7fELF\1\1\1", 1, 40, 1, 0, 0, 52, 0, 52, 0, 0, 40, 3, 2)
    at = 52 + 3 * 40
    sections = bytes(40) + struct.pack("<10I", 1, 1, 2, 0, at, len(info), 0, 0, 1, 0)
    sections += struct.pack("<10I", 10, 3, 0, 0, at + len(info), len(names), 0, 0, 1, 0)
    return lzma.compress(head + sections + info + names)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(name="its depends=", ...)` → the modules of a kernel's package; those named are wanted."""

    def make(wanted, **modules):
        root = tmp_path / "package"
        for name, depends in modules.items():
            file = root / f"kernel/{name.replace('_', '-')}.ko.xz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(module(depends))
        monkeypatch.setattr(recipes_machine, "MODULES", wanted)
        return root

    return make


def test_a_module_comes_with_those_it_needs(package, tmp_path):
    """modules.dep has each module before those that it needs itself, as depmod does; others stay away."""
    root = package(["a"], a="b,c-c", b="d", c_c="b", d="", other="")
    recipes_machine._take_modules(root, tmp_path / "out")
    assert (tmp_path / "out/modules.dep").read_text() == (
        "kernel/a.ko.xz: kernel/c-c.ko.xz kernel/b.ko.xz kernel/d.ko.xz\n"
        "kernel/c-c.ko.xz: kernel/b.ko.xz kernel/d.ko.xz\n"
        "kernel/b.ko.xz: kernel/d.ko.xz\n"
        "kernel/d.ko.xz:\n"
    )
    taken = {path.name: path.read_bytes() for path in (tmp_path / "out/kernel").iterdir()}
    assert taken == {name: (root / "kernel" / name).read_bytes() for name in taken}
    assert sorted(taken) == ["a.ko.xz", "b.ko.xz", "c-c.ko.xz", "d.ko.xz"]


def test_a_package_without_a_wanted_module_is_reported(package, tmp_path):
    """A kernel that lacks a driver is named with the driver, before anything is started with it."""
    root = package(["stm32_rproc"], virtio_net="")
    with pytest.raises(InfrastructureError) as raised:
        recipes_machine._take_modules(root, tmp_path / "out")
    assert str(raised.value) == "the kernel's package has no module stm32_rproc; is it built in now?"


def test_our_files_are_laid_over_qemus(tmp_path, monkeypatch):
    """Its tree gets our files and the edits, once; a file that we removed goes."""
    monkeypatch.setattr(recipes_machine, "MACHINE", tmp_path / "ours")
    edits = (("a.c", "one", "1"), ("a.c", "two", "2"), ("b/c.c", "three\n", "3\n"))
    monkeypatch.setattr(recipes_machine, "EDITS", edits)
    ours, origin, tree = tmp_path / "ours/hw/stm32mp", tmp_path / "origin", tmp_path / "tree"
    for directory in (ours, origin / "b"):
        directory.mkdir(parents=True)
    (ours / "a.c").write_text("new")
    (origin / "a.c").write_text("one two one\n")
    (origin / "b/c.c").write_text("three\nthree\n")
    shutil.copytree(origin, tree)
    (ours / "removed.c").touch()
    (tree / recipes_machine.LAID).touch()
    recipes_machine._lay_over(tree, origin)
    (ours / "removed.c").unlink()
    for _ in range(2):
        recipes_machine._lay_over(tree, origin)
    assert [path.name for path in (tree / "hw/stm32mp").iterdir()] == ["a.c"]
    assert (tree / "a.c").read_text() == "1 2 1\n"
    assert (tree / "b/c.c").read_text() == "3\n3\n"


def test_an_edit_of_an_earlier_version_is_made_anew(tmp_path, monkeypatch):
    """QEMU's tree is kept from build to build: an edit that has changed is made in the file as it came."""
    monkeypatch.setattr(recipes_machine, "MACHINE", tmp_path / "ours")
    monkeypatch.setattr(recipes_machine, "EDITS", (("a.c", "one", "1"),))
    origin, tree = tmp_path / "origin", tmp_path / "tree"
    for directory in (origin, tree):
        (directory / "hw").mkdir(parents=True)
        (directory / "hw/Kconfig").touch()
        (directory / "hw/meson.build").touch()
    (origin / "a.c").write_text("one\n")
    (tree / "a.c").write_text("an earlier one's edit\n")
    (tree / recipes_machine.LAID).touch()
    recipes_machine._lay_over(tree, origin)
    assert (tree / "a.c").read_text() == "1\n"
    unchanged_ns = (tree / "a.c").stat().st_mtime_ns
    recipes_machine._lay_over(tree, origin)
    assert (tree / "a.c").stat().st_mtime_ns == unchanged_ns
    monkeypatch.setattr(recipes_machine, "EDITS", ())
    recipes_machine._lay_over(tree, origin)
    assert (tree / "a.c").read_text() == "one\n", "an edit that is none any more"


def test_an_edit_without_its_text_is_reported(tmp_path, monkeypatch):
    """Another release of QEMU would otherwise be built with half of the edits."""
    monkeypatch.setattr(recipes_machine, "EDITS", (("hw/Kconfig", "one", "1"),))
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw/Kconfig").touch()
    (tmp_path / recipes_machine.LAID).touch()
    with pytest.raises(InfrastructureError) as raised:
        recipes_machine._lay_over(tmp_path, tmp_path)
    assert str(raised.value) == "QEMU's hw/Kconfig has no 'one', in place of which '1' is to be"


def test_every_c_file_of_the_machine_is_compiled():
    """A file that meson.build does not name would be forgotten without a word."""
    directory = FIRMWARE / "machine/hw/stm32mp"
    build = (directory / "meson.build").read_text()
    assert [path.name for path in directory.glob("*.c") if f"'{path.name}'" not in build] == []


def test_missing_libraries_are_reported_with_their_packages():
    """All that pkg-config does not know are named at once, with the command that installs them."""
    with pytest.raises(UsageError) as raised:
        tools.require_libraries(**{"no-such-one": "libno-dev", "no-such-two": "libtwo-dev"})
    assert str(raised.value) == (
        "missing on this machine: the libraries no-such-one, no-such-two; "
        "install with: apt-get install libno-dev libtwo-dev"
    )


def test_a_changed_device_builds_qemu_anew_and_nothing_else(monkeypatch):
    """The machine's sources are an input of QEMU only."""
    monkeypatch.setattr(recipes_machine, "_source_id", lambda name: name)
    before = keys_of(steps_of(DEBIAN))
    monkeypatch.setattr(recipes_machine, "hash_files", lambda *roots: " ".join(map(str, roots)))
    monkeypatch.setattr(recipes_machine, "MACHINE", Path("other"))
    first = keys_of(steps_of(DEBIAN))
    monkeypatch.setattr(recipes_machine, "MACHINE", Path("another"))
    second = keys_of(steps_of(DEBIAN))
    assert list(before) == ["qemu", "debian-kernel", "debian-image", "debian-rootfs"]
    assert [name for name in first if first[name] != second[name]] == ["qemu"]


def test_the_kernel_that_replaces_the_recorded_one_has_another_name(tmp_path, monkeypatch):
    """A kernel's package has its version in its name: the current one is what `meta` depends on."""
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path))

    class Archive(ArchiveStandIn):
        def current(self, package):
            return {"linux-image": "linux-image-2"}[package.meta]

    recorded = Package("kernel", "binary", "trixie", "linux-image-1", "1.0", "0" * 64, meta="linux-image")
    found = recipes_machine_fetch(recorded, Archive("2.0"), monkeypatch)
    assert (found.package, found.version) == ("linux-image-2", "2.0")


def recipes_machine_fetch(recorded, archive, monkeypatch):
    """Download `recorded` from `archive`, then find what was taken instead by its name."""
    from mpbench_virtual import fetch  # noqa: PLC0415 - its globals are the test's

    monkeypatch.setattr(fetch, "packages", lambda: {"kernel": recorded})
    monkeypatch.setattr(fetch, "FETCHED", [])
    monkeypatch.setattr(fetch, "REPLACED", [])
    fetch._download(recorded, archive)
    return fetch.fetch("kernel")[0]


def test_the_kernels_package_is_of_the_guests_architecture():
    """The kernel is of the root file system's architecture, and has a package that names its successor."""
    kernel = packages()[DEBIAN.kernel]
    assert kernel.architecture == DEBIAN.guest[0] == GUEST_ARCHITECTURES[1]
    assert kernel.meta == "linux-image-armmp"


PARTS = Parts(
    program=Path("/qemu"),
    machine=("-M", "stm32mp157c-dk2"),
    kernel=Path("/kernel"),
    initrd=Path("/initrd"),
    device_tree=Path("/dtb"),
    append="quiet",
)


def test_qemu_of_our_own_is_started_with_its_machine(tmp_path):
    """It starts Linux itself: no firmware, no flash, no secure console, no shared memory."""
    words = command_line(PARTS, tmp_path, "127.0.0.1:7022")
    assert words[:3] == ["/qemu", "-M", "stm32mp157c-dk2"]
    assert words[words.index("-dtb") + 1] == "/dtb"
    assert not {"-bios", "-drive", "-object"} & set(words)
    assert words.count("-serial") == 1
    assert list(PARTS.files) == ["qemu", "kernel", "initrd", "device_tree"]


@pytest.mark.parametrize(
    ("given", "words"), [("", ()), ("0", ("-icount", "shift=0")), ("10", ("-icount", "shift=10"))]
)
def test_time_may_go_by_instructions(monkeypatch, given, words):
    """MPBENCH_ICOUNT, for a test whose result must not depend on the host."""
    monkeypatch.setenv("MPBENCH_ICOUNT", given)
    assert icount_arguments() == words


@pytest.mark.parametrize("given", ["11", "-1", "auto", "1 "])
def test_another_rate_of_instructions_is_refused(monkeypatch, given):
    """Named with its bounds, before anything starts."""
    monkeypatch.setenv("MPBENCH_ICOUNT", given)
    with pytest.raises(UsageError) as caught:
        icount_arguments()
    assert str(caught.value) == (
        f"MPBENCH_ICOUNT={given!r}: a number N from 0 to 10, for 2^N ns an instruction; "
        "without it the guest's time is the host's"
    )


def test_a_board_with_a_card_starts_from_it(tmp_path):
    """Kernel, device tree and command line are on the card: QEMU gets the card and nothing of them."""
    words = command_line(evolve(PARTS, card=Path("/card")), tmp_path, "127.0.0.1:7022")
    assert words[words.index("-drive") + 1] == "if=sd,format=raw,file=/card"
    assert not {"-kernel", "-initrd", "-dtb", "-append", "-bios"} & set(words)


def test_a_card_may_have_linux_alone(tmp_path):
    """U-Boot is in QEMU's firmware, and the watchdog of the other SoC is not slowed down."""
    parts = evolve(PARTS, card=Path("/card"), firmware=Path("/fip.bin"))
    words = command_line(parts, tmp_path, "127.0.0.1:7022")
    assert words[words.index("-bios") + 1] == "/fip.bin"
    assert words[words.index("-drive") + 1] == "if=sd,format=raw,file=/card"
    assert not {"-kernel", "-dtb", "-append", "-global"} & set(words)


def test_a_machine_with_secure_firmware_gets_it(tmp_path):
    """TF-A's package is QEMU's firmware and has the first UART, Linux' console the second."""
    words = command_line(evolve(PARTS, firmware=Path("/fip.bin")), tmp_path, "127.0.0.1:7022")
    assert words[words.index("-bios") + 1] == "/fip.bin"
    lines = [after for word, after in pairwise(words) if word == "-serial"]
    assert lines == ["chardev:secure", "chardev:console"]


def test_firmware_may_print_on_the_console_of_linux(tmp_path):
    """OP-TEE of an STM32MP157C-DK2 is QEMU's firmware, and has the console's UART."""
    parts = evolve(PARTS, firmware=Path("/tee.bin"), one_console=True)
    words = command_line(parts, tmp_path, "127.0.0.1:7022")
    assert words[words.index("-bios") + 1] == "/tee.bin"
    assert words.count("-serial") == 1
    assert words[words.index("-serial") + 1] == "chardev:console"
    assert words[words.index("-kernel") + 1] == "/kernel"


def test_modules_are_built_from_the_source_of_the_kernels_version(tmp_path, monkeypatch):
    """Modules of another version would not be loaded: that is said before anything is built."""
    versions = {"kernel-armhf": "6.12.117-1", "kernel-armhf-source": "6.12.118-1"}
    monkeypatch.setattr(
        recipes_tee, "fetch", lambda name: (SimpleNamespace(version=versions[name]), tmp_path / name)
    )
    with pytest.raises(InfrastructureError, match=r"Linux 6.12.117-1 want its source, and .* has 6.12.118-1"):
        recipes_tee._make_modules(KINDS["mp15-debian-tee"], Place(tmp_path, tmp_path, tmp_path, {}))


def test_what_op_tee_is_built_from_is_an_input_of_it_alone(monkeypatch):
    """Settings, device tree and driver in Linux are inputs of their parts, and of those that need them."""
    for module in (recipes_machine, recipes_tee):
        monkeypatch.setattr(module, "_source_id", lambda name: name)
    kind = KINDS["mp15-debian-tee"]
    before = keys_of(recipes_tee.steps_of(kind))
    monkeypatch.setattr(recipes_tee, "DRIVER", FIRMWARE / "linux/mp15.config")
    driver = keys_of(recipes_tee.steps_of(kind))
    assert [name for name in before if before[name] != driver[name]] == ["tee-modules", "tee-rootfs"]
    monkeypatch.setattr(recipes_tee, "TEE_DTS", FIRMWARE / "boot/virt-mp15.dtso")
    tree = keys_of(recipes_tee.steps_of(kind))
    assert [name for name in driver if driver[name] != tree[name]] == ["tee-optee"]


def test_a_card_with_tf_a_has_boot_loaders_of_its_own(monkeypatch):
    """U-Boot and TF-A are built for the board that starts from a card, and OP-TEE is the same."""
    for module in (recipes_machine, recipes_tee):
        monkeypatch.setattr(module, "_source_id", lambda name: name)
    loaded, card = (
        keys_of(recipes_tee.steps_of(KINDS[name])) for name in ("mp15-debian-tee", "mp15-debian-tee-sd")
    )
    assert [name for name in card if name not in loaded] == ["tee-uboot", "tee-loaders"]
    assert {name: card[name] for name in loaded} == loaded


def test_all_machines_are_in_one_qemu(monkeypatch):
    """A second kind of board waits for no further build of QEMU."""
    monkeypatch.setattr(recipes_machine, "_source_id", lambda name: name)
    assert len({keys_of(recipes_machine.steps_of(kind))["qemu"] for kind in KINDS.values()}) == 1


@pytest.mark.parametrize(
    ("kind", "ports"),
    [
        ("mp15-debian", {"console": 7001, "power": 7003, "ssh": 7022}),
        ("mp15-debian-tee", {"console": 7001, "power": 7003, "ssh": 7022}),
        ("mp25", {"console": 7001, "secure": 7002, "power": 7003, "ssh": 7022}),
    ],
)
def test_a_board_has_a_secure_console_where_firmware_has_a_uart_of_its_own(tmp_path, kind, ports):
    """What is announced is what there is."""
    assert Spec("board", kind, tmp_path, None, 7000, PARTS, False).ports == ports


def test_isolated_memory_is_read_as_the_m4_sees_it_once_op_tee_has_opened_it(tmp_path, monkeypatch):
    """While OP-TEE loads or clears QEMU refuses; after CLOSED_S that is an error."""
    asked = list[tuple[str, dict]]()

    def qmp(_, command, **words):
        asked.append((command, words))
        if len(asked) < 3:
            raise InfrastructureError("QMP: Invalid addr")
        Path(words["filename"]).write_bytes(b"code")

    monkeypatch.setattr(boards, "qmp", qmp)
    board = boards.StartedBoard("desk", "mp15-st", 1, "127.0.0.1", {}, tmp_path)
    assert boards.read_memory(board, 0x1000_0000, 4) == b"code"
    words = {key: value for key, value in asked[-1][1].items() if key != "filename"}
    assert (len(asked), asked[-1][0], words) == (
        3,
        "memsave",
        {"val": 0x1000_0000, "size": 4, "cpu-index": 2},
    )
    asked.clear()
    monkeypatch.setattr(boards, "CLOSED_S", -1.0)
    with pytest.raises(InfrastructureError, match="Invalid addr"):
        boards.read_memory(board, 0x1000_0000, 4)
    assert len(asked) == 1


def test_memory_of_a_board_that_is_off_cannot_be_read(tmp_path):
    """Without a monitor that answers, the error names the board."""
    board = boards.StartedBoard("desk", "mp15-debian", 1, "127.0.0.1", {}, tmp_path)
    with pytest.raises(InfrastructureError, match="virtual board desk: its memory cannot be read: "):
        boards.read_memory(board, 0x1000_0000, 16)
