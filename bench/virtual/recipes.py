# SPDX-License-Identifier: MIT
"""How each part of a virtual STM32MP25 board is made: TF-A, OP-TEE, U-Boot, Linux, root file system.

Ref: OP-TEE documentation, "QEMU v8"; TF-A documentation, plat/qemu; Linux Documentation/kbuild/kconfig.rst.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from inspect import getsource
from pathlib import Path

from attrs import frozen

from bench.virtual.fetch import fetch, source_tree, unpack_deb
from bench.virtual.keys import signing_public_key
from bench.virtual.paths import FIRMWARE
from bench.virtual.steps import Place, Step, hash_files
from bench.virtual.tools import run_logged

CROSS = "aarch64-linux-gnu-"
JOBS = f"-j{os.cpu_count() or 1}"
PER_CPU_INTID = 31
"""Interrupt of OP-TEE's asynchronous notification on an STM32MP2: a PPI, the per-CPU path in Linux."""

GUEST_FILES = {
    "busybox": ("usr/bin/busybox",),
    "dropbear": ("usr/sbin/dropbear",),
    "sftp": ("usr/lib/openssh/sftp-server",),
    "libc": ("libc.so.6", "ld-linux-aarch64.so.1"),
    "libcrypt": ("libcrypt.so.1",),
    "libgmp": ("libgmp.so.10",),
    "libtomcrypt": ("libtomcrypt.so.1",),
    "libtommath": ("libtommath.so.1",),
    "zlib": ("libz.so.1",),
    "libteec": ("libteec.so.2",),
    "supplicant": ("usr/sbin/tee-supplicant",),
}
"""What the root file system takes of each package: a path, or a library by its soname."""


EMPTY_DIRECTORIES = "bin dev proc sys tmp run root sbin usr/bin usr/sbin lib/firmware var/log"


@frozen
class BoardKind:
    """What distinguishes one kind of virtual board from another when it is built."""

    name: str
    notification_intid: int = PER_CPU_INTID


KINDS = {"mp25": BoardKind("mp25")}


def steps_of(kind: BoardKind) -> list[Step]:
    """All parts of a board, each behind what it needs."""
    return [
        Step("linux", _linux_inputs, _make_linux),
        Step("optee", lambda: _optee_inputs(kind), lambda place: _make_optee(kind, place)),
        Step("tfa", _tfa_inputs, _make_tfa, needs=("optee",)),
        Step("rootfs", _rootfs_inputs, _make_rootfs),
        Step(
            "uboot-env",
            lambda: [getsource(_make_uboot_env), hash_files(FIRMWARE / "boot/uboot.env")],
            _make_uboot_env,
        ),
        Step("device-tree", lambda: _device_tree_inputs(kind), lambda place: _make_device_tree(kind, place)),
    ]


@cache
def version_of(*command: str) -> str:
    """First line that a tool prints of its version: part of the content address of what it makes."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _source_id(name: str) -> str:
    """Names the source: version and hash of a package, or the content of a tree of the user's own."""
    if name == "optee" and (own := os.environ.get("MPBENCH_OPTEE_SRC")):
        return hash_files(Path(own))
    package, _ = fetch(name)
    return f"{package.package} {package.version} {package.sha256}"


def _linux_inputs() -> Iterable[str]:
    return [
        getsource(_make_linux),
        _source_id("linux"),
        version_of(CROSS + "gcc", "--version"),
        hash_files(FIRMWARE / "linux"),
    ]


def _make_linux(place: Place) -> None:
    """The kernel tree stays in `work`, so that an interrupted build goes on and a changed driver is quick."""
    origin = source_tree("linux")
    tree = place.work / origin.name
    if not tree.is_dir():
        shutil.rmtree(place.work)
        place.work.mkdir()
        shutil.copytree(origin, place.work / "copying", symlinks=True)
        (place.work / "copying").rename(tree)
    driver = tree / "drivers/remoteproc"
    _append_line(driver / "Makefile", "obj-$(CONFIG_REMOTEPROC) += mpbench_remoteproc.o")
    _copy_if_changed(FIRMWARE / "linux/mpbench_remoteproc.c", driver / "mpbench_remoteproc.c")
    make: list[str | Path] = ["make", "-C", tree, "ARCH=arm64", f"CROSS_COMPILE={CROSS}"]
    env = {
        "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
        "KBUILD_BUILD_USER": "mpbench",
        "KBUILD_BUILD_HOST": "mpbench",
        "KBUILD_BUILD_VERSION": "1",
    }
    fragment = FIRMWARE / "linux/mp25.config"
    run_logged([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={fragment}"], place.log, env=env)
    run_logged([*make, JOBS, "Image"], place.log, env=env)
    shutil.copy(tree / "arch/arm64/boot/Image", place.out)
    shutil.copy(tree / ".config", place.out / "config")


def _optee_inputs(kind: BoardKind) -> Iterable[str]:
    return [
        getsource(_make_optee),
        _source_id("optee"),
        version_of(CROSS + "gcc", "--version"),
        hash_files(FIRMWARE / "optee"),
        signing_public_key().read_text(),
        str(kind),
    ]


def _optee_version() -> str:
    """What OP-TEE says of itself; without it, it would ask a git repository that isn't there."""
    return "own-tree" if os.environ.get("MPBENCH_OPTEE_SRC") else fetch("optee")[0].version


def _make_optee(kind: BoardKind, place: Place) -> None:
    """Pristine tree, firmware/optee laid over it, the lines of append.txt; the TA's source stays as it is."""
    tree = place.work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source_tree("optee"), tree, symlinks=True)
    ours = FIRMWARE / "optee"
    notes = {ours / n for n in ("append.txt", "config.mk", "README.md")}
    for path in sorted(p for p in ours.rglob("*") if p.is_file() and p not in notes):
        target = tree / path.relative_to(ours)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for line in _lines(ours / "append.txt"):
        name, text = line.split("\t", 1)
        _append_line(tree / name, text)
    settings: list[str] = [
        *_lines(ours / "config.mk"),
        f"CFG_CORE_ASYNC_NOTIF_GIC_INTID={kind.notification_intid}",
        f"RPROC_SIGN_KEY={signing_public_key()}",
        f"CROSS_COMPILE={CROSS}",
        f"CROSS_COMPILE64={CROSS}",
        f"TEE_IMPL_VERSION={_optee_version()}",
        "O=out",
    ]
    # OP-TEE's scripts want the bench's Python, which has pyelftools and cryptography.
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run_logged(["make", "-C", tree, JOBS, *settings, "all"], place.log, env={"PATH": search})
    for name in ("tee-header_v2.bin", "tee-pager_v2.bin", "tee-pageable_v2.bin", "conf.mk"):
        found = tree / "out" / ("core/" + name if name.startswith("tee") else name)
        shutil.copy(found, place.out)


def _tfa_inputs() -> Iterable[str]:
    return [
        getsource(_make_tfa),
        _source_id("tfa"),
        _source_id("uboot"),
        version_of(CROSS + "gcc", "--version"),
    ]


def _make_tfa(place: Place) -> None:
    tree = place.work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source_tree("tfa"), tree, symlinks=True)
    shutil.rmtree(place.work / "uboot", ignore_errors=True)
    unpack_deb("uboot", place.work / "uboot", place.log)
    optee = place.needs["optee"]
    settings = [
        "PLAT=qemu",
        "SPD=opteed",
        f"CROSS_COMPILE={CROSS}",
        f"BL32={optee / 'tee-header_v2.bin'}",
        f"BL32_EXTRA1={optee / 'tee-pager_v2.bin'}",
        f"BL32_EXTRA2={optee / 'tee-pageable_v2.bin'}",
        "BL32_RAM_LOCATION=tdram",
        "QEMU_USE_GIC_DRIVER=QEMU_GICV2",
        f"BL33={place.work / 'uboot/usr/lib/u-boot/qemu_arm64/u-boot.bin'}",
        "BUILD_STRING=mpbench",
        'BUILD_MESSAGE_TIMESTAMP="\\"1970-01-01\\""',
    ]
    run_logged(["make", "-C", tree, JOBS, *settings, "all", "fip"], place.log)
    shutil.copy(tree / "build/qemu/release/qemu_fw.bios", place.out)


def _rootfs_inputs() -> Iterable[str]:
    return [
        getsource(_make_rootfs),
        *(_source_id(name) for name in GUEST_FILES),
        hash_files(FIRMWARE / "boot/rootfs"),
        repr(GUEST_FILES),
    ]


def _make_rootfs(place: Place) -> None:
    root = place.work / "root"
    unpacked = place.work / "unpacked"
    for stale in (root, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(FIRMWARE / "boot/rootfs", root)
    unpacked.mkdir()
    for name, wanted in GUEST_FILES.items():
        unpack_deb(name, unpacked / name, place.log)
        for file in wanted:
            _take(unpacked / name, file, root)
    for directory in EMPTY_DIRECTORIES.split():
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/busybox").rename(root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "usr/lib/sftp-server").symlink_to("openssh/sftp-server")
    write_cpio(root, place.out / "rootfs.cpio", place.log)


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


def write_cpio(root: Path, archive: Path, log: Path) -> None:
    """Pack a directory as an initramfs: owner root, times 0, order fixed, so equal trees give equal bytes."""
    paths = sorted(root.rglob("*"))
    for path in [root, *paths]:
        os.utime(path, (0, 0), follow_symlinks=False)
    names = log.with_suffix(".names")
    names.write_text("".join(f"{p.relative_to(root)}\n" for p in paths))
    script = 'cpio --quiet --reproducible -o -H newc -R 0:0 -D "$1" < "$2" > "$3"'
    run_logged(["sh", "-c", script, "sh", root, names, archive], log)


def _make_uboot_env(place: Place) -> None:
    """Image of U-Boot's environment for QEMU's second flash: 0x40000 bytes, padded to the flash's 64 MiB."""
    image = place.out / "env.bin"
    run_logged(["mkenvimage", "-s", "0x40000", "-o", image, FIRMWARE / "boot/uboot.env"], place.log)
    with image.open("r+b") as file:
        file.truncate(64 << 20)


def _device_tree_inputs(kind: BoardKind) -> Iterable[str]:
    files = hash_files(FIRMWARE / f"boot/{kind.name}.dtso")
    return [
        getsource(_make_device_tree),
        files,
        version_of("qemu-system-aarch64", "--version"),
        " ".join(MACHINE),
    ]


MACHINE = (
    "-M", "virt,secure=on,gic-version=2,acpi=off,memory-backend=ram",
    "-cpu", "cortex-a53",
    "-smp", "2",
    "-m", "1088M",
)  # fmt: skip
"""The machine as QEMU is told; the RAM behind it is named when the board is powered on."""


VIRTIO_PA, VIRTIO_SIZE, VIRTIO_SLOTS, VIRTIO_USED = 0x0A00_0000, 0x200, 32, 2
"""QEMU's virtio transports; devices take the highest ones. Ref: QEMU hw/arm/virt.c, create_virtio_devices."""


def _make_device_tree(kind: BoardKind, place: Place) -> None:
    """QEMU's own tree, without its frozen seeds, plus the board's nodes."""
    base, overlay = place.work / "base.dtb", place.work / "board.dtbo"
    machine = [MACHINE[0], MACHINE[1] + f",dumpdtb={base}", *MACHINE[2:]]
    backend = ["-object", "memory-backend-ram,id=ram,size=1088M"]
    run_logged(["qemu-system-aarch64", *machine, *backend, "-nodefaults", "-display", "none"], place.log)
    for seed in ("rng-seed", "kaslr-seed"):
        subprocess.run(["fdtput", "-d", base, "/chosen", seed], capture_output=True, check=False)
    # U-Boot and Linux look at every one of them, which costs a tenth of the boot.
    empty = [f"/virtio_mmio@{VIRTIO_PA + VIRTIO_SIZE * n:x}" for n in range(VIRTIO_SLOTS - VIRTIO_USED)]
    run_logged(["fdtput", "-r", base, "/pcie@10000000", *empty], place.log)
    run_logged(
        ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", overlay, FIRMWARE / f"boot/{kind.name}.dtso"], place.log
    )
    run_logged(["fdtoverlay", "-i", base, "-o", place.out / "board.dtb", overlay], place.log)


def _lines(path: Path) -> list[str]:
    """Lines of a data file, without comments and empty ones."""
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def _append_line(path: Path, line: str) -> None:
    text = path.read_text()
    if line not in text.splitlines():
        path.write_text(f"{text.rstrip()}\n{line}\n")


def _copy_if_changed(source: Path, target: Path) -> None:
    """Copy, but leave the time stamp alone when nothing changed: make looks at it."""
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
