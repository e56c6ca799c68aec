# SPDX-License-Identifier: MIT
"""Builds of the peer: OP-TEE's TA, unmodified, with a platform after it.

Four builds: native under AddressSanitizer, 32-bit Arm run by qemu-user, and both with branch counters (gcov).
The sources come from the download of the virtual board, or from MPBENCH_OPTEE_SRC. Upstream's TA runs on a
platform of ours; ST's on its own PTA and driver, unmodified. The TA is compiled with -Os, as OP-TEE compiles
it: what happens to address arithmetic that overflows depends on the compiler.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from attrs import frozen

SHIM = Path(__file__).parent / "shim"
SOURCES = ("ta/remoteproc/src/remoteproc_core.c", "ta/remoteproc/src/elf_parser.c")
ST_SOURCES = ("core/pta/stm32mp/remoteproc_pta.c", "core/drivers/remoteproc/stm32_remoteproc.c")
COMMANDS = "lib/libutee/include/remoteproc_pta.h"
API = "lib/libutee/include/tee_internal_api.h"
REAL_HEADERS = {"assert.h", "stdint.h", "string.h", "remoteproc_pta.h", "drivers/stm32_remoteproc.h"}
"""What ST's platform includes and gets; an empty file takes the place of all others, see shim/core.h."""
HEAP_API = ("heap_begin", "heap_take", "heap_give")


class CannotBuild(Exception):
    """A tool or the source is missing: the peer tests are skipped with this reason."""


@frozen
class Flavour:
    """compiler; flags of the TA and of the worker around it; words in front of the program to run it."""

    name: str
    compiler: str
    flags: tuple[str, ...]
    runner: tuple[str, ...] = ()
    word_bits: int = 64


ASAN = Flavour("asan64", "gcc", ("-fsanitize=address", "-g"))
GCOV = Flavour("gcov64", "gcc", ("--coverage", "-fprofile-update=single", "-DGCOV", "-g"))
ARM = Flavour(
    "arm32", "arm-linux-gnueabihf-gcc", ("-static", "-D__ILP32__=1", "-DARM32=1"), ("qemu-arm",), 32
)
GCOV_ARM = Flavour("gcov32", ARM.compiler, (*GCOV.flags, *ARM.flags), ARM.runner, ARM.word_bits)
FLAVOURS = {f.name: f for f in (ASAN, GCOV, ARM, GCOV_ARM)}


def source(of: str = "") -> Path:
    """OP-TEE's source tree; of: "upstream" or "st", whose. CannotBuild: it is nowhere, or of the other kind.

    MPBENCH_OPTEE_SRC names one; upstream's else comes from the download of the virtual board.
    """
    given = os.environ.get("MPBENCH_OPTEE_SRC")
    if given and (not of or release(checked(Path(given))).startswith(of)):
        return checked(Path(given))
    if of == "st":
        raise CannotBuild("MPBENCH_OPTEE_SRC names no source tree of ST's OP-TEE")
    return checked(_downloaded())


def checked(tree: Path) -> Path:
    """The tree. CannotBuild: it lacks what a worker is built from."""
    missing = [name for name in (*SOURCES, COMMANDS) if not (tree / name).is_file()]
    if missing:
        raise CannotBuild(f"{tree} has no {missing[0]}")
    return tree


def _downloaded() -> Path:
    try:
        tree = import_module("mpbench_virtual.fetch").source_tree("optee")
    except Exception as error:
        raise CannotBuild(f"no OP-TEE source: {error}; set MPBENCH_OPTEE_SRC") from error
    return Path(tree)


def release(tree: Path) -> str:
    """Whose loader a tree has, in the words of Profile.loader; ST's by what tells its releases apart."""
    if "PTA_REMOTEPROC_TLV_PARAM" not in (tree / COMMANDS).read_text():
        return "upstream"
    if "rproc_pta_seg_info" not in (tree / COMMANDS).read_text():
        return "st-3.19"
    return "st-4.0-r2" if "stm32_rproc_dma_range" in (tree / ST_SOURCES[1]).read_text() else "st-4.0-r1"


def build(flavour: Flavour, out: Path, tree: Path) -> Path:
    """The worker of a flavour below `out`, built when sources or flags changed. CannotBuild: no compiler."""
    for tool in (flavour.compiler, *flavour.runner[:1]):
        if shutil.which(tool) is None:
            raise CannotBuild(f"{tool} is not installed")
    folder = out / f"{flavour.name}-{_fingerprint(tree, flavour)}"
    program = folder / "worker"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _compile(flavour, tree, folder)
    return program


def _fingerprint(tree: Path, flavour: Flavour) -> str:
    digest = hashlib.sha256(repr(flavour).encode())
    theirs = [*SOURCES, COMMANDS, *(ST_SOURCES if release(tree) != "upstream" else ())]
    for path in [*sorted(SHIM.iterdir()), *(tree / name for name in theirs)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _compile(flavour: Flavour, tree: Path, folder: Path) -> None:
    libs = tree / "lib"
    api = [f"-I{libs}/libutee/include", f"-I{libs}/libutils/ext/include", f"-I{tree}/ta/remoteproc/include"]
    ta = [*api, f"-I{tree}/ta/remoteproc/src", f"-I{SHIM}", "-DTRACE_LEVEL=1", "-DCFG_TEE_TA_LOG_LEVEL=1"]
    old = "__GP11_TEE_Malloc" not in (tree / API).read_text()  # before 4.0: version 1.1 of the API
    ta.append(f"-DAPI_SIZE={'uint32_t' if old else 'size_t'}")
    ta.append("-DU(v)=v##U")  # from OP-TEE's own <stdint.h>, which can't be used beside the host's
    plain = tuple(f for f in flavour.flags if "sanitize" not in f and "coverage" not in f)
    builtin = _output([flavour.compiler, "-print-file-name=include"])
    heap = ["-fno-builtin", "-nostdinc", "-isystem", builtin, "-DTRACE_LEVEL=0"]
    heap += [f"-I{libs}/libutils/isoc", f"-I{libs}/libutils/isoc/include", *api]
    units = [
        (SHIM / "ta.c", [*flavour.flags, "-Os", *ta]),
        (tree / SOURCES[1], [*flavour.flags, "-Os", *ta]),
        (SHIM / "worker.c", [*_worker_flags(flavour), "-O2", *ta]),
        (SHIM / "frames.c", [*_worker_flags(flavour), "-O2"]),
        (SHIM / "tee_api.c", [*_worker_flags(flavour), "-O2", *ta]),
        *_platform(flavour, tree, folder, ta),
        (SHIM / "numbers.c", [*plain, "-O2"]),
        (SHIM / "heap.c", [*plain, "-Os", *heap]),
    ]
    objects = objects_of(flavour, units, folder)
    keep = [f"--keep-global-symbol={name}" for name in HEAP_API]  # its malloc must not become the program's
    run([flavour.compiler.replace("gcc", "objcopy"), *keep, str(folder / "heap.o")], folder)
    run([flavour.compiler, *flavour.flags, *objects, "-o", str(folder / "worker.new")], folder)
    (folder / "worker.new").rename(folder / "worker")


def _platform(flavour: Flavour, tree: Path, folder: Path, ta: list[str]) -> list[tuple[Path, list[str]]]:
    """Units of the platform: ours for upstream's TA, ST's own for ST's."""
    flags = [*_worker_flags(flavour), "-O2"]
    if release(tree) == "upstream":
        return [(SHIM / "platform.c", [*flags, *ta])]
    empty = folder / "empty"
    for name in ST_SOURCES:
        included = re.findall(r'^#include [<"](.+)[>"]', (tree / name).read_text(), re.MULTILINE)
        for header in set(included) - REAL_HEADERS:
            (empty / header).parent.mkdir(parents=True, exist_ok=True)
            (empty / header).touch()
    theirs = [f"-I{(tree / name).parent}" for name in ST_SOURCES]
    st = [*flags, f"-I{empty}", *ta, *theirs, f"-I{tree}/core/include"]
    return [
        (SHIM / "platform_st.c", st),
        (SHIM / "core.c", st),
        (SHIM / "aes.c", [*flags]),
    ]


def objects_of(flavour: Flavour, units: Sequence[tuple[Path, list[str]]], folder: Path) -> list[str]:
    """Object files in `folder` of C files with their flags. CannotBuild: one does not compile."""
    objects = []
    for unit, flags in units:
        target = folder / f"{unit.stem}.o"
        run([flavour.compiler, "-std=gnu11", "-w", *flags, "-c", str(unit), "-o", str(target)], folder)
        objects.append(str(target))
    return objects


def _worker_flags(flavour: Flavour) -> tuple[str, ...]:
    return tuple(f for f in flavour.flags if "coverage" not in f)


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"{' '.join(command[:1])}: {done.stderr.strip()[:2000]}")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
