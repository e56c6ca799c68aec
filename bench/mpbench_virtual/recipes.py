# SPDX-License-Identifier: MIT
"""How the parts are made that several kinds of boards have: Linux, root file system; helpers of all recipes.

Ref: Linux Documentation/kbuild/kconfig.rst.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from inspect import getsource
from pathlib import Path
from typing import Any

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual.fetch import GUEST_ARCHITECTURES, fetch, own_tree, source_tree, unpack_deb
from mpbench_virtual.models import MP25, Soc
from mpbench_virtual.own_kernel import require_driver
from mpbench_virtual.steps import BuildStep, Place, hash_files, hash_stamps
from mpbench_virtual.tools import run_logged

JOBS = f"-j{os.cpu_count() or 1}"
Inputs = Callable[[Any], list[str]]
"""Texts that decide a result besides the recipe's own: sources, tools, settings."""

GUEST_FILES = {
    "busybox": ("usr/bin/busybox",),
    "dropbear": ("usr/sbin/dropbear",),
    "sftp": ("usr/lib/openssh/sftp-server",),
    "libc": ("libc.so.6",),
    "libcrypt": ("libcrypt.so.1",),
    "libgmp": ("libgmp.so.10",),
    "libtomcrypt": ("libtomcrypt.so.1",),
    "libtommath": ("libtommath.so.1",),
    "zlib": ("libz.so.1",),
    "libteec": ("libteec.so.2",),
    "supplicant": ("usr/sbin/tee-supplicant",),
}
"""Files of the root file system by package: a path, or a library by its soname."""

OBJECTS = 940
"""About how many objects Linux compiles: counted in the logs of a complete build."""

EMPTY_DIRECTORIES = "bin dev proc sys tmp run root sbin usr/bin usr/sbin lib/firmware var/log"


EMULATORS = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}
"""Programs that run a program of Debian's architectures."""

OVERLAY_HEAD = re.compile(r"^/(dts-v1|plugin)/;$", re.MULTILINE)


def linux_step(soc: Soc, own_driver: bool = False) -> BuildStep:
    """Linux from a distribution's source, or a tree of the user's own, by the configuration of the SoC.

    own_driver: the tree's driver for the core that OP-TEE loads, see own_kernel.py, in place of ours
    """
    suffix = ("-own" if own_tree("linux") else "") + ("-driver" if own_driver else "")
    texts = lambda: [getsource(_make_linux), *_linux_inputs(soc, own_driver)]  # noqa: E731
    make = partial(_make_linux, soc, own_driver)
    return BuildStep("linux", texts, make, (), _work("linux", soc) + suffix, OBJECTS, resumes=True)


def rootfs_step(soc: Soc) -> BuildStep:
    """A root file system of few programs of the SoC's architecture."""
    texts = lambda: [getsource(_make_rootfs), *_rootfs_inputs(soc)]  # noqa: E731
    return BuildStep("rootfs", texts, partial(_make_rootfs, soc), (), _work("rootfs", soc))


def _work(name: str, soc: Soc) -> str:
    """Each SoC has a directory of its own to work in: a kernel's tree is kept for the next build."""
    return name if soc is MP25 else f"{name}-{soc.name}"


@cache
def version_of(*command: str) -> str:
    """First line of a tool's version: part of the content address of what it builds."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _source_id(name: str) -> str:
    """Identifies a source: version and hash of a package, or a hash of the user's own tree."""
    if own := own_tree(name):
        return hash_stamps(own)
    return _recorded_id(name)


def _recorded_id(name: str) -> str:
    package, _ = fetch(name)
    return f"{package.package} {package.version} {package.sha256}"


def _gcc(soc: Soc) -> str:
    return version_of(soc.cross + "gcc", "--version")


def _linux_inputs(soc: Soc, own_driver: bool) -> list[str]:
    ours = hash_files(*_drivers(own_driver), *_kernel_settings(soc, own_driver))
    return [_source_id("linux"), _gcc(soc), ours, *soc.linux]


def _drivers(own_driver: bool) -> list[Path]:
    """Ours for Linux; own_driver: without that of the cores that OP-TEE loads."""
    ours = sorted((FIRMWARE / "linux").glob("*.c"))
    return [path for path in ours if not (own_driver and path.name == "mpbench_remoteproc.c")]


def _kernel_settings(soc: Soc, own_driver: bool) -> list[Path]:
    """Files of settings that are not Linux' own defaults."""
    names = [soc.name, *(["own-driver"] * own_driver), *(["scmi"] * serves_scmi(soc))]
    return [FIRMWARE / f"linux/{name}.config" for name in names]


def serves_scmi(soc: Soc) -> bool:
    """Whether OP-TEE serves SCMI to Linux, by an SCP-firmware of the user's own."""
    return soc is MP25 and own_tree("scp") is not None


def _make_linux(soc: Soc, own_driver: bool, place: Place) -> None:
    """The kernel tree stays in `work`, so that an interrupted build goes on and a changed driver is quick.

    Of a tree of the user's own, what has changed is copied again.
    """
    origin = source_tree("linux")
    tree = place.work / origin.name
    if not tree.is_dir():
        shutil.rmtree(place.work)
        place.work.mkdir()
        shutil.copytree(origin, place.work / "copying", symlinks=True)
        (place.work / "copying").rename(tree)
    elif own_tree("linux"):
        run_logged(["cp", "--archive", "--update", "--no-target-directory", origin, tree], place.log)
    directory = tree / "drivers/remoteproc"
    for driver in _drivers(own_driver):
        _append_line(directory / "Makefile", f"obj-$(CONFIG_REMOTEPROC) += {driver.stem}.o")
        _copy_if_changed(driver, directory / driver.name)
    arch, image = soc.linux
    make: list[str | Path] = ["make", "-C", tree, f"ARCH={arch}", f"CROSS_COMPILE={soc.cross}"]
    env = {
        "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
        "KBUILD_BUILD_USER": "mpbench",
        "KBUILD_BUILD_HOST": "mpbench",
        "KBUILD_BUILD_VERSION": "1",
    }
    settings = place.work / "settings.config"
    settings.write_text("".join(path.read_text() for path in _kernel_settings(soc, own_driver)))
    run_logged([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={settings}"], place.log, env=env)
    if own_driver:
        require_driver(tree)
    run_logged([*make, JOBS, image], place.log, env=env)
    shutil.copy(tree / f"arch/{arch}/boot" / image, place.out / "kernel")
    shutil.copy(tree / ".config", place.out / "config")


def _optee_version() -> str:
    """OP-TEE's version string; without one its build asks a git repository, which does not exist here."""
    return "own-tree" if own_tree("optee") else fetch("optee")[0].version


def lay_over_optee(tree: Path, ours: Path) -> None:
    """Lay `core` and `ta` of a directory of ours over a source of OP-TEE, with append.txt's lines."""
    for path in sorted(p for part in ("core", "ta") for p in (ours / part).rglob("*") if p.is_file()):
        target = tree / path.relative_to(ours)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for line in _lines(ours / "append.txt"):
        name, text = line.split("\t", 1)
        _append_line(tree / name, text)


def copied_source(name: str, place: Place) -> Path:
    """A pristine copy of a source that is built where it lies; the tree's directory."""
    tree = place.work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source_tree(name), tree, symlinks=True)
    return tree


def optee_environment() -> dict[str, str]:
    """OP-TEE's scripts want the bench's Python, which has pyelftools and cryptography."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def make_optee(tree: Path, settings: list[str], soc: Soc, place: Place, target: str = "all") -> None:
    """Build OP-TEE, or a target of its Makefile, in its tree; the result is below `out`."""
    cross = [f"CROSS_COMPILE={soc.cross}", f"CROSS_COMPILE64={soc.cross}"]
    ours = [*cross, f"TEE_IMPL_VERSION={_optee_version()}", "O=out"]
    run_logged(["make", "-C", tree, JOBS, *settings, *ours, target], place.log, env=optee_environment())


def make_uboot(
    tree: Path, soc: Soc, configuration: str, place: Place, *words: str, fragment: Path | None = None
) -> None:
    """Build U-Boot and its device tree, without the images and the Python of its own packer.

    configuration: one of U-Boot's own; fragment: settings that are added to it; words: of make
    """
    make: list[str | Path] = ["make", "-C", tree, f"CROSS_COMPILE={soc.cross}", "CONFIG_PYLIBFDT=", *words]
    env = {"SOURCE_DATE_EPOCH": "0"}
    run_logged([*make, configuration], place.log, env=env)
    if fragment:
        with (tree / ".config").open("a") as settings:
            settings.write(fragment.read_text())
        run_logged([*make, "olddefconfig"], place.log, env=env)
    run_logged([*make, JOBS, "u-boot-nodtb.bin", "u-boot.dtb"], place.log, env=env)
    for name in ("u-boot-nodtb.bin", "u-boot.dtb"):
        shutil.copy(tree / name, place.out)


def _guest_package(soc: Soc, name: str) -> str:
    """Name of a package in sources.yaml: one for another than the default architecture has it as a suffix."""
    architecture, _ = soc.guest
    return name if architecture == GUEST_ARCHITECTURES[0] else f"{name}-{architecture}"


def _rootfs_inputs(soc: Soc) -> list[str]:
    packages = [_source_id(_guest_package(soc, name)) for name in GUEST_FILES]
    texts = [getsource(pack_rootfs), hash_files(*_rootfs_parts(soc)), repr(GUEST_FILES)]
    return [*packages, *texts, *soc.guest]


def _rootfs_parts(soc: Soc) -> tuple[Path, Path]:
    """Our files of every board, and those of the SoC's: its console."""
    return FIRMWARE / "boot/rootfs", FIRMWARE / f"boot/rootfs-{soc.name}"


def _make_rootfs(soc: Soc, place: Place) -> None:
    root = place.work / "root"
    unpacked = place.work / "unpacked"
    for stale in (root, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    for ours in _rootfs_parts(soc):
        shutil.copytree(ours, root, dirs_exist_ok=True)
    unpacked.mkdir()
    for name, wanted in GUEST_FILES.items():
        unpack_deb(_guest_package(soc, name), unpacked / name, place.log)
        for file in wanted:
            _take(unpacked / name, file, root)
    _take(unpacked / "libc", soc.guest[1], root)
    pack_rootfs(root, soc.guest[0], place)


def _take(package: Path, wanted: str, root: Path) -> None:
    """Copy a file by path, or a library by soname to /lib, resolved."""
    if "/" in wanted:
        target = root / wanted
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / wanted, target)
        return
    (root / "lib").mkdir(exist_ok=True)
    found = next(package.rglob(wanted))
    shutil.copy(found.resolve(), root / "lib" / wanted)


def pack_rootfs(root: Path, architecture: str, place: Place) -> None:
    """rootfs.cpio, with a link for each program that busybox is, but for those of other packages."""
    for directory in EMPTY_DIRECTORIES.split():
        (root / directory).mkdir(parents=True, exist_ok=True)
    busybox = root / "bin/busybox"
    (root / "usr/bin/busybox").rename(busybox)
    command: list[str | Path] = [EMULATORS[architecture], busybox, "--list-full"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    for path in (root / name for name in names):
        if not os.path.lexists(path):
            path.symlink_to("/bin/busybox")
    (root / "usr/lib/sftp-server").symlink_to("openssh/sftp-server")
    write_cpio(root, place.out / "rootfs.cpio", place.log)


def write_cpio(root: Path, archive: Path, log: Path) -> None:
    """Pack a directory as an initramfs, reproducibly: owner root, times 0, fixed order."""
    paths = sorted(root.rglob("*"))
    for path in [root, *paths]:
        os.utime(path, (0, 0), follow_symlinks=False)
    names = log.with_suffix(".names")
    names.write_text("".join(f"{p.relative_to(root)}\n" for p in paths))
    script = 'cpio --quiet --reproducible -o -H newc -R 0:0 -D "$1" < "$2" > "$3"'
    run_logged(["sh", "-c", script, "sh", root, names, archive], log)


def make_device_tree(
    soc: Soc, name: str, overlays: list[Path], place: Place, origin: Path | None = None, *, more: str = ""
) -> Path:
    """The device tree of the board `name`, of Linux' source, with overlays, compiled as one text; the file.

    With names for overlays that are applied later, as -@ makes them, it would keep each pin group that no
    device uses, half of its nodes, which firmware and Linux read.

    origin: Linux' source, if not the one that Linux is built of; more: source text after the overlays
    """
    linux = origin or source_tree("linux")
    directory = linux / f"arch/{soc.linux[0]}/boot/dts/st"
    text, whole = place.work / "whole.dts", place.out / name
    parts = [OVERLAY_HEAD.sub("", overlay.read_text()) for overlay in overlays]
    text.write_text("\n".join([f'#include "{Path(name).stem}.dts"', *parts, more]))
    found = [word for path in (directory, linux / "scripts/dtc/include-prefixes") for word in ("-I", path)]
    plain = text.with_suffix(".plain")
    as_source: list[str | Path] = ["-nostdinc", *found, "-undef", "-D__DTS__", "-x", "assembler-with-cpp"]
    run_logged(["gcc", "-E", "-P", *as_source, "-o", plain, text], place.log)
    run_logged(["dtc", "-I", "dts", "-O", "dtb", "-o", whole, plain], place.log)
    return whole


def _lines(path: Path) -> list[str]:
    """Lines of a data file without comments and empty lines."""
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def _append_line(path: Path, line: str) -> None:
    text = path.read_text()
    if line not in text.splitlines():
        path.write_text(f"{text.rstrip()}\n{line}\n")


def _copy_if_changed(source: Path, target: Path) -> None:
    """Copy if the content differs: an unchanged file keeps its time stamp, so make does not rebuild."""
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
