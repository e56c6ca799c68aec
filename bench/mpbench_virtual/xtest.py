# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite for the virtual board: Debian's xtest with what it needs, as one archive.

Debian signs the suite's trusted applications with a key of its own. Here they are signed again, by OP-TEE's
script, with the key for trusted applications that the board's OP-TEE was built with: OP-TEE's public one.
The application for PKCS #11, which a part of the suite is about, is that of the board's OP-TEE.

Ref: OP-TEE 4.10 core/include/signed_hdr.h (struct shdr, shdr_bootstrap_ta), scripts/sign_encrypt.py
"""

import shutil
import struct
import sys
from collections.abc import Iterable
from inspect import getsource
from pathlib import Path

from mpbench.core.errors import InfrastructureError
from mpbench_virtual.application import kit_of, optee_of
from mpbench_virtual.fetch import fetch, source_tree, unpack_deb
from mpbench_virtual.models import KINDS
from mpbench_virtual.steps import BuildStep, Place, build, quiet
from mpbench_virtual.tools import run_logged

PACKAGES = {
    "xtest": ("usr/bin/xtest",),
    "libckteec": ("libckteec.so.0",),
    "libcrypto": ("libcrypto.so.3",),
    "libzstd": ("libzstd.so.1",),
    "libc": ("libm.so.6",),
}
HOME = "tmp/xtest"
"""Where the program and its libraries stand on the board, below /."""
APPLICATIONS = "lib/optee_armtz"
PLUGINS = "usr/lib/tee-supplicant/plugins"
"""Where the board's tee-supplicant looks for trusted applications, and for plug-ins when it begins."""

KIND = KINDS["mp25"]
"""Debian has the suite for arm64 only."""
PKCS11 = "fd02c9da-306c-48c7-a49c-bbd827ae86ee.ta"

MAGIC, BOOTSTRAP = 0x4F545348, 1
HEADER = struct.Struct("<4I2H")
BOOTSTRAP_HEADER = struct.Struct("<16sI")


def archive() -> Path:
    """tar.gz to be unpacked in the board's root; made once."""
    optee = optee_of(KIND)
    return build([optee, BuildStep("xtest", _inputs, _make, (optee.name,))], quiet)["xtest"] / "xtest.tar.gz"


def _inputs() -> Iterable[str]:
    found = [fetch(name)[0] for name in (*PACKAGES, "optee")]
    return [getsource(sys.modules[__name__]), *(f"{p.package} {p.version} {p.sha256}" for p in found)]


def _make(place: Place) -> None:
    root, unpacked = place.work / "root", place.work / "unpacked"
    for stale in (root, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    (root / HOME).mkdir(parents=True)
    (root / APPLICATIONS).mkdir(parents=True)
    (root / PLUGINS).mkdir(parents=True)
    unpacked.mkdir()
    for name, wanted in PACKAGES.items():
        unpack_deb(name, unpacked / name, place.log)
        for file in wanted:
            found = next((unpacked / name).rglob(Path(file).name))
            shutil.copy(found.resolve(), root / HOME / Path(file).name)
    shutil.copy(kit_of(KIND, place) / f"ta/{PKCS11}", root / APPLICATIONS)
    for plugin in (unpacked / "xtest" / PLUGINS).iterdir():
        shutil.copy(plugin, root / PLUGINS)
    optee = source_tree("optee")
    for application in sorted((unpacked / "xtest").rglob("*.ta")):
        elf, version = plain(application.read_bytes())
        if elf:
            _sign(optee, place, (elf, version), root / APPLICATIONS / application.name)
    run_logged(["tar", "-C", root, "-czf", place.out / "xtest.tar.gz", "."], place.log)


def plain(signed: bytes) -> tuple[bytes, int]:
    """The program inside of a signed trusted application, and its version; empty for other kinds of images.

    InfrastructureError if it is none.
    """
    if len(signed) < HEADER.size or HEADER.unpack_from(signed)[0] != MAGIC:
        raise InfrastructureError(f"no signed trusted application: it begins with {signed[:4].hex()}")
    _, kind, size, _, hash_size, signature_size = HEADER.unpack_from(signed)
    if kind != BOOTSTRAP:
        return b"", 0
    at = HEADER.size + hash_size + signature_size
    _, version = BOOTSTRAP_HEADER.unpack_from(signed, at)
    return signed[at + BOOTSTRAP_HEADER.size :][:size], version


def _sign(optee: Path, place: Place, application: tuple[bytes, int], signed: Path) -> None:
    elf, version = application
    program = place.work / f"{signed.stem}.elf"
    program.write_bytes(elf)
    key, script = optee / "keys/default_ta.pem", optee / "scripts/sign_encrypt.py"
    named: list[str | Path] = ["--uuid", signed.stem, "--key", key, "--ta-version", str(version)]
    run_logged([sys.executable, script, *named, "--in", program, "--out", signed], place.log)
