# SPDX-License-Identifier: MIT
"""Builds of Linux' peer: its remoteproc core, ELF loader and virtio driver, unmodified, in a program of ours.

The sources are those of the virtual board's kernel, or MPBENCH_LINUX_SRC names a tree. Two builds: native
under AddressSanitizer, and 32-bit Arm run by qemu-user. Nothing is optimised: a read of the source is a read.
"""

import hashlib
import re
import shutil
from importlib import import_module
from pathlib import Path

from mpbench.twin.kernels import Kernel
from testcases.peer.build import SHIM, CannotBuild, Flavour, objects_of, run

LINUX_SHIM = Path(__file__).parent / "shim_linux"
SHARED = ("frames.c", "frames.h", "numbers.c", "numbers.h")
"""Of the shim of OP-TEE's peer."""
DRIVERS = "drivers/remoteproc"
SOURCES = ("remoteproc_core.c", "remoteproc_elf_loader.c", "remoteproc_virtio.c")
HEADERS = (
    f"{DRIVERS}/remoteproc_internal.h",
    f"{DRIVERS}/remoteproc_elf_helpers.h",
    "include/linux/remoteproc.h",
)
OWN = ("include/linux/remoteproc.h", "include/linux/rsc_table.h", "include/uapi/linux/elf.h",
       "include/uapi/linux/elf-em.h", "include/uapi/linux/virtio_ring.h")  # fmt: skip
"""Headers of the kernel that are used as they are; the second is not there in older ones."""
PROBE = "probe failed with error {}"
"""The peer's own line where the kernel's driver core has one."""


def source() -> Path:
    """Linux' source tree. CannotBuild: it is nowhere."""
    try:
        tree = Path(import_module("mpbench_virtual.fetch").source_tree("linux"))
    except Exception as error:
        raise CannotBuild(f"no Linux source: {error}; set MPBENCH_LINUX_SRC") from error
    missing = [
        name for name in (*(f"{DRIVERS}/{s}" for s in SOURCES), *HEADERS) if not (tree / name).is_file()
    ]
    if missing:
        raise CannotBuild(f"{tree} has no {missing[0]}")
    return tree


def kernel(tree: Path) -> Kernel:
    """What of the differences between kernels this source has."""
    core, loader, _ = ((tree / DRIVERS / name).read_text(encoding="utf-8") for name in SOURCES)
    bounds = "Section header table is out of bounds" in loader
    return Kernel(bounds, "rsc_table_for_each_entry" in core, PROBE)


def build(flavour: Flavour, out: Path) -> Path:
    """The worker of a flavour below `out`, built when sources or flags changed. CannotBuild: no compiler."""
    for tool in (flavour.compiler, *flavour.runner[:1]):
        if shutil.which(tool) is None:
            raise CannotBuild(f"{tool} is not installed")
    tree = source()
    folder = out / f"linux-{flavour.name}-{_fingerprint(tree, flavour)}"
    program = folder / "worker"
    if not program.exists():
        _forward_headers(tree, folder / "include")
        _compile(flavour, tree, folder)
    return program


def _fingerprint(tree: Path, flavour: Flavour) -> str:
    digest = hashlib.sha256(repr(flavour).encode())
    sources = [tree / DRIVERS / name for name in SOURCES]
    ours = [*LINUX_SHIM.iterdir(), *(SHIM / name for name in SHARED)]
    for path in [*sorted(ours), Path(__file__), *sources, *(tree / name for name in HEADERS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _forward_headers(tree: Path, folder: Path) -> None:
    """Each header that the sources include as a file that leads to ours, or to the kernel's own."""
    texts = [tree / DRIVERS / name for name in SOURCES] + [tree / name for name in HEADERS]
    wanted = {
        h for text in texts for h in re.findall(r"#include <([^>]*)>", text.read_text(encoding="utf-8"))
    }
    for header in {*wanted, "linux/virtio_types.h"}:
        _forward(folder / header, "for_linux.h")
    for name in OWN:
        if (tree / name).is_file():
            _forward(folder / "linux" / Path(name).name, str(tree / name))


def _forward(header: Path, to: str) -> None:
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text(f'#include "{to}"\n', encoding="utf-8")


def _compile(flavour: Flavour, tree: Path, folder: Path) -> None:
    own = [f"-I{LINUX_SHIM}", f"-I{SHIM}"]
    linux = [
        "-O0",
        "-funsigned-char",
        "-ffunction-sections",
        "-fdata-sections",
        *own,
        f"-I{folder / 'include'}",
    ]
    units = [
        (LINUX_SHIM / "linux_peer.c", [*flavour.flags, *linux, f"-I{tree / DRIVERS}"]),
        (LINUX_SHIM / "linux_worker.c", [*flavour.flags, "-O2", *own]),
        (SHIM / "frames.c", [*flavour.flags, "-O2"]),
        (SHIM / "numbers.c", ["-O2", *own]),
    ]
    objects = objects_of(flavour, units, folder)
    # What the peer never reaches calls functions of the kernel that are not there.
    absent = ["-no-pie", "-Wl,--gc-sections,--unresolved-symbols=ignore-in-object-files"]
    run([flavour.compiler, *flavour.flags, *absent, *objects, "-o", str(folder / "worker.new")], folder)
    (folder / "worker.new").rename(folder / "worker")
