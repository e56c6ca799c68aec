# SPDX-License-Identifier: MIT
"""How the parts of a board on a QEMU machine of ours are made: QEMU, Debian's kernel, root file system.

Ref: QEMU docs/devel/build-system.rst, docs/devel/kconfig.rst; modules.dep(5)
"""

import hashlib
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from inspect import getsource
from io import BytesIO
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from mpbench.core.errors import InfrastructureError
from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import linux_image
from mpbench_virtual.fetch import fetch, source_tree, unpack_deb
from mpbench_virtual.models import BoardKind
from mpbench_virtual.qemu_edits import EDITS
from mpbench_virtual.recipes import (
    GUEST_FILES,
    JOBS,
    Inputs,
    _copy_if_changed,
    _source_id,
    _take,
    pack_rootfs,
    version_of,
)
from mpbench_virtual.steps import BuildStep, Place, hash_files
from mpbench_virtual.tools import run_logged

MACHINE = FIRMWARE / "machine"
QEMU = "qemu-system-aarch64"
"""One program has all machines of ours, those of 32 bit as well."""
CONFIGURE = (
    "--target-list=aarch64-softmmu", "--with-devices-aarch64=mpbench",
    "--without-default-features", "--without-default-devices",
    "--enable-system", "--enable-tcg", "--enable-slirp", "--enable-fdt=system", "--enable-trace-backends=nop",
    "--disable-docs", "--disable-install-blobs", "--disable-debug-info", "--disable-qom-cast-debug",
)  # fmt: skip
"""Nothing but the machines, their translator, a user network and device trees."""

LIBRARIES = {"glib-2.0": "libglib2.0-dev", "slirp": "libslirp-dev"}
"""What QEMU is linked with, by pkg-config's name, and the Debian package."""
MODULES = (
    "stm32-rng", "virtio_mmio", "virtio_net",
    "i2c-stm32f7-drv", "stpmic1", "stpmic1_regulator", "armmmci",
    "stm32-ipcc", "stm32_rproc", "virtio_rpmsg_bus", "rpmsg_ns", "rpmsg_char", "rpmsg_ctrl", "rpmsg_tty",
)  # fmt: skip
"""Modules of the kernel's package that the root file system has, with those they need."""

NOT_HERE = ("libteec", "supplicant")
"""Packages of other boards' root file systems that this one has no use for: there is no TEE."""


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps of a board, each after those it needs."""

    def step(name: str, inputs: Inputs, functions: tuple[Callable[..., Any], ...], *needs: str) -> BuildStep:
        make = functions[0]
        texts = lambda: [*map(getsource, functions), *inputs(kind)]  # noqa: E731
        return BuildStep(name, texts, partial(make, kind), needs, resumes=make is _make_qemu)

    kernel = (_make_kernel, _unpack_with_sums, _take_modules, _needed, _depends)
    steps = [
        step("qemu", _qemu_inputs, (_make_qemu, _lay_over, _edit)),
        step("debian-kernel", _kernel_inputs, kernel),
        step("debian-image", lambda _: [getsource(linux_image)], (_make_image,), "debian-kernel"),
        step("debian-rootfs", _rootfs_inputs, (_make_rootfs,), "debian-kernel"),
    ]
    if kind.loaders:
        loaders = (_make_loaders, _unpack_with_sums, make_virtio_overlay)
        steps.append(step("sd-loaders", _loaders_inputs, loaders, "debian-kernel"))
    return steps


def _qemu_inputs(_: BoardKind) -> list[str]:
    sources = [_source_id(name) for name in ("qemu", "meson", "pycotap")]
    return [*sources, version_of("gcc", "--version"), hash_files(MACHINE), *CONFIGURE, repr(EDITS)]


LAID = ".mpbench"
"""In QEMU's tree, which is kept from build to build: the files that are or were ours or edited."""


def _make_qemu(_: BoardKind, place: Place) -> None:
    """The tree and its objects stay in `work`: a changed device is compiled alone."""
    origin = source_tree("qemu")
    tree, out = place.work / origin.name, place.work / f"build-{_short_hash(*CONFIGURE)}"
    if not (tree / LAID).is_file():
        shutil.rmtree(place.work)
        place.work.mkdir()
        shutil.copytree(origin, place.work / "copying", symlinks=True)
        (place.work / "copying" / LAID).touch()
        (place.work / "copying").rename(tree)
    _lay_over(tree, origin)
    tools = place.work / "tools"
    for package in ("meson", "pycotap"):
        unpack_deb(package, tools, place.log)
    env = {"PYTHONPATH": str(tools / "usr/lib/python3/dist-packages")}
    if not (out / "build.ninja").is_file():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        run_logged(
            [tree / "configure", f"--python={sys.executable}", *CONFIGURE], place.log, cwd=out, env=env
        )
    run_logged(["ninja", JOBS, QEMU], place.log, cwd=out, env=env)
    shutil.copy(out / QEMU, place.out)


def _short_hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]


def _lay_over(tree: Path, origin: Path) -> None:
    """Our files and edits into QEMU's tree, which another version of ours may have been in.

    origin: QEMU's tree as it came, from which a file comes back that is no longer ours or edited
    """
    ours = {path.relative_to(MACHINE) for path in MACHINE.rglob("*") if path.is_file()}
    now = ours | {Path(name) for name, *_ in EDITS}
    ever = now | {Path(line) for line in (tree / LAID).read_text().splitlines()}
    (tree / LAID).write_text("".join(f"{path}\n" for path in sorted(ever)))
    for path in ever - now:
        if (origin / path).is_file():
            _copy_if_changed(origin / path, tree / path)
        else:
            (tree / path).unlink(missing_ok=True)
    for path in sorted(ours):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        _copy_if_changed(MACHINE / path, tree / path)
    _edit(tree, origin)


def _edit(tree: Path, origin: Path) -> None:
    """EDITS of QEMU's own files, each from the file as it came."""
    for name in dict.fromkeys(name for name, *_ in EDITS):
        text = (origin / name).read_text()
        for _, before, after in (edit for edit in EDITS if edit[0] == name):
            if before not in text:
                raise InfrastructureError(
                    f"QEMU's {name} has no {before!r}, in place of which {after!r} is to be"
                )
            text = text.replace(before, after)
        if text != (tree / name).read_text():
            (tree / name).write_text(text)


def _kernel_inputs(kind: BoardKind) -> list[str]:
    return [_source_id(kind.kernel), kind.device_tree, *MODULES]


def _make_kernel(kind: BoardKind, place: Place) -> None:
    """Kernel, device tree and modules as they lie in the package, with the package's own checksums."""
    unpacked = _unpack_with_sums(kind.kernel, place)
    kernel = next((unpacked / "boot").glob("vmlinuz-*"))
    shutil.copy(kernel, place.out / "kernel")
    release = kernel.name.removeprefix("vmlinuz-")
    (place.out / "release").write_text(f"{release}\n")
    shutil.copy(unpacked / f"usr/lib/linux-image-{release}" / kind.device_tree, place.out)
    _take_modules(unpacked / "usr/lib/modules" / release, place.out / "modules" / release)


DDR = 0xC000_0000
"""Where the STM32MP15's memory starts."""


def _make_image(_: BoardKind, place: Place) -> None:
    """The kernel as it unpacks itself, for QEMU to load."""
    kernel, offset = linux_image.unpacked((place.needs["debian-kernel"] / "kernel").read_bytes())
    (place.out / "kernel").write_bytes(linux_image.with_address(kernel, DDR + offset))


def _unpack_with_sums(name: str, place: Place) -> Path:
    """Directory of a package's files; its own checksums of them go into the result."""
    unpacked, control = place.work / "deb", place.work / "control"
    for stale in (unpacked, control):
        shutil.rmtree(stale, ignore_errors=True)
    unpack_deb(name, unpacked, place.log)
    run_logged(["dpkg-deb", "-e", fetch(name)[1], control], place.log)
    shutil.copy(control / "md5sums", place.out)
    return unpacked


def _take_modules(package: Path, to: Path) -> None:
    """The wanted modules and what they need, and a modules.dep of them: depmod is not for other machines."""
    files = {_module(path.name.split(".ko")[0]): path for path in package.rglob("*.ko*")}
    lines, wanted = [], [*map(_module, MODULES)]
    for name in wanted:
        if name not in files:
            raise InfrastructureError(f"the kernel's package has no module {name}; is it built in now?")
        needs = _needed(name, files)
        wanted += [n for n in needs if n not in wanted]
        lines.append(
            f"{files[name].relative_to(package)}:"
            + "".join(f" {files[n].relative_to(package)}" for n in needs)
            + "\n"
        )
        target = to / files[name].relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[name], target)
    (to / "modules.dep").write_text("".join(lines))


def _needed(name: str, files: dict[str, Path]) -> list[str]:
    """All modules that one needs, in depmod's order: each before those that it needs itself."""
    found: list[str] = []
    for direct in _depends(files[name]):
        for other in (direct, *_needed(direct, files)):
            found = [n for n in found if n != other] + [other]
    return found


def _module(name: str) -> str:
    return name.replace("-", "_")


def _depends(module: Path) -> Iterable[str]:
    """What a module says that it needs. Ref: Linux scripts/mod/modpost.c, add_depends()"""
    elf = ELFFile(BytesIO(lzma.decompress(module.read_bytes())))
    section = elf.get_section_by_name(".modinfo")
    info = section.data().split(b"\0") if section else []
    text = next((line for line in info if line.startswith(b"depends=")), b"depends=").decode()
    return [_module(name) for name in text.removeprefix("depends=").split(",") if name]


VIRTIO_PA, VIRTIO_SIZE, VIRTIO_SPI, VIRTIOS = 0x6000_0000, 0x200, 210, 4
"""The machine's virtio transports. Ref: firmware/machine/include/hw/stm32mp/stm32mp15_soc.h"""
GIC_NODE = "/interrupt-controller@a0021000"


def gic_phandle(tree: Path) -> str:
    """The interrupt controller's phandle in a compiled device tree."""
    command: list[str | Path] = ["fdtget", tree, GIC_NODE, "phandle"]
    found: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return found.strip()


def _loaders_inputs(kind: BoardKind) -> list[str]:
    return [_source_id(kind.loaders), kind.loaders_of, kind.device_tree, str(VIRTIOS)]


def _make_loaders(kind: BoardKind, place: Place) -> None:
    """Boot loaders as they lie in the package, its checksums, and an overlay with the virtio transports."""
    unpacked = _unpack_with_sums(kind.loaders, place)
    for file in (unpacked / "usr/lib/u-boot" / kind.loaders_of).iterdir():
        shutil.copy(file, place.out)
    make_virtio_overlay(place.needs["debian-kernel"] / kind.device_tree, place)


def make_virtio_overlay(tree: Path, place: Place, more: str = "") -> None:
    """virtio.dtbo: nodes of the virtio transports for a device tree that has none, and `more` at its root.

    `{gic}` in more: the interrupt controller's phandle
    """
    found = gic_phandle(tree)
    more = more.replace("{gic}", found)
    nodes = "".join(
        f'virtio_mmio@{VIRTIO_PA + n * VIRTIO_SIZE:x} {{ compatible = "virtio,mmio"; '
        f"reg = <{VIRTIO_PA + n * VIRTIO_SIZE:#x} {VIRTIO_SIZE:#x}>; "
        f"interrupts = <0 {VIRTIO_SPI + n} 1>; interrupt-parent = <{found}>; }};"
        for n in range(VIRTIOS)
    )
    cells = "#address-cells = <1>; #size-cells = <1>;"
    fragment = f'fragment@0 {{ target-path = "/"; __overlay__ {{ {cells} {nodes} {more} }}; }};'
    source = place.work / "virtio.dtso"
    source.write_text(f"/dts-v1/;\n/plugin/;\n/ {{ {fragment} }};\n")
    run_logged(["dtc", "-q", "-O", "dtb", "-o", place.out / "virtio.dtbo", source], place.log)


def _guest_files() -> dict[str, tuple[str, ...]]:
    return {name: files for name, files in GUEST_FILES.items() if name not in NOT_HERE}


def _rootfs_inputs(kind: BoardKind) -> list[str]:
    packages = [_source_id(f"{name}-{kind.guest[0]}") for name in _guest_files()]
    trees = hash_files(FIRMWARE / "boot/rootfs", FIRMWARE / "boot/rootfs-debian")
    return [*packages, getsource(pack_rootfs), trees, repr(_guest_files()), *kind.guest]


def _make_rootfs(kind: BoardKind, place: Place) -> None:
    root, unpacked = place.work / "root", place.work / "unpacked"
    for stale in (root, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(FIRMWARE / "boot/rootfs", root)
    shutil.copytree(FIRMWARE / "boot/rootfs-debian", root, dirs_exist_ok=True)
    unpacked.mkdir()
    for name, wanted in _guest_files().items():
        unpack_deb(f"{name}-{kind.guest[0]}", unpacked / name, place.log)
        for file in wanted:
            _take(unpacked / name, file, root)
    _take(unpacked / "libc", kind.guest[1], root)
    shutil.copytree(place.needs["debian-kernel"] / "modules", root / "lib/modules")
    pack_rootfs(root, kind.guest[0], place)
