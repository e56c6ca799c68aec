# SPDX-License-Identifier: MIT
"""Fetches Debian packages with a private apt state; the machine's own configuration is not changed.

Ref: apt-get(8), apt.conf(5); sources.yaml beside this file lists what is fetched.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache, cmp_to_key
from pathlib import Path

import yaml
from attrs import evolve, frozen

from mpbench.core.directories import cache_dir
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual.tools import require, run_logged

SOURCES = Path(__file__).with_name("sources.yaml")
GUEST_ARCHITECTURES = ("arm64", "armhf")
"""Architectures of the packages in a board's root file system; the first is the default."""


@frozen
class Package:
    """A Debian package: kind is `source` (upstream's tarball is wanted) or `binary`, for an architecture.

    meta: package that depends on the current one of a series whose names have a version, such as kernels
    """

    name: str
    kind: str
    suite: str
    package: str
    version: str
    sha256: str
    architecture: str = GUEST_ARCHITECTURES[0]
    meta: str = ""

    @property
    def qualified(self) -> str:
        """Name for apt, with the architecture unless it is the default."""
        suffix = "" if self.architecture == GUEST_ARCHITECTURES[0] else f":{self.architecture}"
        return self.package + suffix

    @property
    def directory(self) -> Path:
        """Directory that holds the fetched file and nothing else."""
        return cache_dir() / "downloads" / f"{self.qualified}_{self.version}".replace(":", "%3a")


FETCHED: list[Package] = []
"""Downloaded by this process, until steps.build() has reported them."""
REPLACED: list[tuple[Package, Package]] = []
"""Packages that have left the archive, and those taken instead, until left_archive() has reported them."""


@cache
def packages() -> dict[str, Package]:
    """The packages of sources.yaml by name."""
    return {name: Package(name=name, **entry) for name, entry in yaml.safe_load(SOURCES.read_text()).items()}


def fetch(name: str) -> tuple[Package, Path]:
    """The package and its file; from the cache if there, else from the machine's mirror.

    If the recorded version has left the archive, the newest one is taken, and left_archive() reports it.
    InfrastructureError when the mirror cannot be reached or a file's hash is not the recorded one.
    """
    package = packages()[name]
    successor = _successor_file(package)
    if successor.exists():
        package = evolve(package, **yaml.safe_load(successor.read_text()))
    if not package.directory.is_dir():
        package = _download(package, Apt.shared())
    return package, next(package.directory.iterdir())


def _successor_file(package: Package) -> Path:
    """Records which version is the substitute for one that has left the archive."""
    return package.directory.with_name(package.directory.name + ".successor")


def _download(wanted: Package, apt: "Apt") -> Package:
    found = wanted
    if not apt.has(wanted):
        found = evolve(wanted, package=apt.current(wanted)) if wanted.meta else wanted
        found = evolve(found, version=apt.newest(found))
    with tempfile.TemporaryDirectory(dir=_made(cache_dir() / "downloads")) as scratch:
        file = apt.download(found, Path(scratch))
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        if found.directory == wanted.directory and sha256 != wanted.sha256:
            raise InfrastructureError(
                f"{file.name}: SHA-256 is {sha256}, recorded is {wanted.sha256}; the mirror has wrong data"
            )
        found = evolve(found, sha256=sha256)
        keep = Path(scratch) / "keep"
        keep.mkdir()
        file.rename(keep / file.name)
        keep.rename(found.directory)
    FETCHED.append(found)
    if found != wanted:
        REPLACED.append((wanted, found))
        differs = {key: getattr(found, key) for key in ("package", "version", "sha256")}
        _successor_file(wanted).write_text(yaml.safe_dump(differs))
    return found


def left_archive() -> str:
    """One sentence about all packages that were replaced since the last call, "" if none was."""
    taken = ", ".join(f"{new.package} {new.version} (tested: {old.version})" for old, new in REPLACED)
    REPLACED.clear()
    return taken and (
        f"the archive no longer has the tested versions, so newer packages are taken: {taken}; if the "
        "virtual board does not work with them, build in an empty MPBENCH_CACHE with an MPBENCH_MIRROR that "
        "has the tested ones, such as a date of snapshot.debian.org"
    )


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


class Apt:
    """apt with its lists, cache and sources in the bench's cache directory."""

    def __init__(self, home: Path, mirror: str) -> None:
        self.home = home
        for part in ("lists/partial", "cache/archives/partial"):
            _made(home / part)
        keyring = next(iter(sorted(glob.glob("/usr/share/keyrings/debian-archive-keyring.*"))), None)
        if keyring is None:
            raise UsageError(
                "no Debian archive keyring; install with: apt-get install debian-archive-keyring"
            )
        signed = f"[signed-by={keyring}] {mirror}"
        (home / "sources.list").write_text(
            f"deb {signed} trixie main\ndeb-src {signed} trixie main\ndeb-src {signed} sid main\n"
        )
        self.options = [
            f"-oDir::Etc::sourcelist={home / 'sources.list'}",
            "-oDir::Etc::sourceparts=/dev/null",
            f"-oDir::State::Lists={home / 'lists'}",
            "-oDir::State::status=/dev/null",
            f"-oDir::Cache={home / 'cache'}",
            # Debian's images of containers turn these off: each command would read all lists again.
            "-oDir::Cache::pkgcache=pkgcache.bin",
            "-oDir::Cache::srcpkgcache=srcpkgcache.bin",
            f"-oAPT::Architecture={GUEST_ARCHITECTURES[0]}",
            f"-oAPT::Architectures={','.join(GUEST_ARCHITECTURES)}",
            "-oAPT::Sandbox::User=",
            "-oAcquire::Retries=3",
            "-oAcquire::Languages=none",
            # A mirror may be out of date: files are pinned by hash, and signatures are still checked.
            "-oAcquire::Check-Valid-Until=false",
        ]

    @classmethod
    @cache
    def shared(cls) -> "Apt":
        """One apt per process, with fresh lists."""
        apt = cls(cache_dir() / "apt", mirror())
        apt.update()
        return apt

    def update(self) -> None:
        """Fetch the lists; InfrastructureError when the mirror cannot be reached."""
        # Without this option apt-get ends with 0 although a list could not be fetched.
        self._get("update", "-oAPT::Update::Error-Mode=any", "update")

    def _get(self, log_name: str, *words: str, cwd: Path | None = None) -> None:
        log = self.home / f"{log_name}.log"
        log.unlink(missing_ok=True)
        run_logged(["apt-get", *self.options, *words], log, cwd=cwd)

    def versions(self, package: Package) -> list[str]:
        """Versions in the archive, newest last."""
        words = ("showsrc", "--only-source") if package.kind == "source" else ("show",)
        command = ["apt-cache", *self.options, *words, package.qualified]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        found = {line.removeprefix("Version: ") for line in lines if line.startswith("Version: ")}
        return sorted(found, key=cmp_to_key(_compare_versions))

    def has(self, package: Package) -> bool:
        """Whether the archive still has this version."""
        return package.version in self.versions(package)

    def newest(self, package: Package) -> str:
        """The newest version in the archive; InfrastructureError if there is none."""
        versions = self.versions(package)
        if not versions:
            raise InfrastructureError(f"the mirror has no package {package.package} in {package.suite}")
        return versions[-1]

    def current(self, package: Package) -> str:
        """Name of the package of a series that `meta` depends on; InfrastructureError if there is none."""
        command = ["apt-cache", *self.options, "depends", evolve(package, package=package.meta).qualified]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        names = [line.split("Depends: ")[1].split(":")[0] for line in lines if "Depends: " in line]
        if not names:
            raise InfrastructureError(f"the mirror has no package {package.meta} in {package.suite}")
        return names[0]

    def download(self, package: Package, into: Path) -> Path:
        """Fetch one package into `into`; returns its file."""
        source = package.kind == "source"
        words = ("source", "--download-only", "--only-source") if source else ("download",)
        self._get(package.qualified, *words, f"{package.qualified}={package.version}", cwd=into)
        pattern = "*.orig.tar.?z*" if source else "*.deb"
        return next(file for file in into.glob(pattern) if file.suffix != ".asc")


def _compare_versions(one: str, other: str) -> int:
    done = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False)
    return -1 if done.returncode == 0 else 1


def mirror() -> str:
    """The Debian mirror that this machine uses, or MPBENCH_MIRROR."""
    if named := os.environ.get("MPBENCH_MIRROR"):
        return named
    require("apt-get")
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    uris = [line.split(" ", 1)[0] for line in lines if line.endswith(" Debian")]
    if not uris:
        raise UsageError(
            "apt on this machine has no Debian mirror; run apt-get update, or set MPBENCH_MIRROR to a mirror"
        )
    return uris[0]


OWN_TREES = {
    "optee": ("MPBENCH_OPTEE_SRC", "core/core.mk"),
    "tfa": ("MPBENCH_TFA_SRC", "bl31/bl31.mk"),
    "linux": ("MPBENCH_LINUX_SRC", "drivers/remoteproc/remoteproc_core.c"),
    "scp": ("MPBENCH_SCP_FIRMWARE", "product/optee/stm32mp2/sub-stm32mp2.mk"),
}
"""Sources that a tree of the user's own may replace: the variable that names it, and a file of such a tree.
SCP-firmware (scp) is no package of Debian: there is a tree of the user's own, or none. Its product is what
upstream's OP-TEE includes (core/lib/scmi-server/sub.mk); trees of 2024 lack it."""


def own_tree(name: str) -> Path | None:
    """The tree of the user's own that a source is taken from; None for the recorded one.

    UsageError if the variable names something else.
    """
    variable, file = OWN_TREES.get(name, ("", ""))
    given = os.environ.get(variable, "") if variable else ""
    if given and not (Path(given) / file).is_file():
        raise UsageError(f"{variable}={given!r} is no source tree of that kind: it has no {file}")
    return Path(given).absolute() if given else None


def source_tree(name: str) -> Path:
    """Source that is built: own_tree(), else recorded_tree()."""
    return own_tree(name) or recorded_tree(name)


def recorded_tree(name: str) -> Path:
    """Source of a source package in sources.yaml: unpacked once per version, never built in place."""
    package, file = fetch(name)
    tree = cache_dir() / "sources" / package.directory.name
    if not tree.is_dir():
        with tempfile.TemporaryDirectory(dir=_made(tree.parent)) as scratch:
            unpack_source(file, Path(scratch)).rename(tree)
    return tree


def unpack_source(file: Path, scratch: Path) -> Path:
    """Unpack a tarball, or the tarball inside a linux-source package; the directory of the tree."""
    log = scratch / "unpack.log"
    if file.suffix == ".deb":
        run_logged(["dpkg-deb", "-x", file, scratch / "deb"], log)
        file = next((scratch / "deb/usr/src").glob("*.tar.xz"))
    tree = _made(scratch / "tree")
    run_logged(["tar", "-xf", file, "-C", tree, "--strip-components=1"], log)
    shutil.rmtree(scratch / "deb", ignore_errors=True)
    return tree


def unpack_deb(name: str, into: Path, log: Path) -> None:
    """Unpack a binary package below a directory, as dpkg -x does."""
    run_logged(["dpkg-deb", "-x", fetch(name)[1], into], log)
