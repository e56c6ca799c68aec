# SPDX-License-Identifier: MIT
"""Profiles: what differs between loaders and boards, as data.

A profile is a YAML file in profiles/ beside this module, or any file with the same schema; `derives` names
the profile that it changes, or several, the later ones first in rank. profiles/parts/ has what profiles are
made of, releases and boards, no profiles themselves. Errors name file and line.
"""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, field, frozen

from mpbench.core.errors import UsageError
from mpbench.core.yaml_reader import YamlNode, parse_yaml, read_yaml
from mpbench.layout import TEST_DECRYPTION_KEY
from mpbench.twin.kernels import KERNELS, RELEASES
from mpbench.twin.memory import Core, Region, read_cores, read_region

if TYPE_CHECKING:
    from mpbench.twin.verifier import PublicKey

PROFILES = Path(__file__).with_name("profiles")
PARTS = PROFILES / "parts"
VARIABLE = "MPBENCH_PROFILE"
"""Environment variable: name or file of the board's profile."""

Verifier = Callable[[bytes, bytes], bool]
"""(SHA-256 of header and TLVs, signature) → whether the platform's key made it."""

MAX_DERIVATIONS = 8

LOADERS = ("upstream", "st-3.19", "st-4.0-r1", "st-4.0-r2")
"""Values of Profile.loader; ST's: OP-TEE 3.19.0-stm32mp, 4.0.0-stm32mp-r1 and -r2."""


AddressWindow = tuple[int, int, int]
"""A region as it is searched: device addresses start .. end, and what makes a physical address of one."""


Allocates = bool | Literal["lost"] | None
"""Whether Linux can allocate memory for a core; "lost": it takes some that it cannot give back, see
linux_table.LOST; None: not known."""


@frozen
class Profile:
    """A loader and its board.

    word_bits: 64 or 32, word size of the TA; heap_bytes: heap of the TA;
    sessions: how many sessions the operating system holds open (each takes heap), one per core by default;
    pta_state: "shared" if the platform keeps one running state for all cores, "per-core" otherwise;
    loader: whose TA and platform: "upstream", or ST's (OpenSTLinux) by release;
    dma_ranges: of the cores' bus: how st-4.0-r2 translates addresses, none if it does not;
    panics_on_memory: whether a client that shares a few MiB at once makes this build of OP-TEE panic for lack
    of translation tables: core/mm/core_mmu.c, core_mmu_map_pages, "Failed to spread pgdir on small tables";
    key_in_image: whether st-4.0-r2 takes its key from PKEYINFO, for RSA and ECDSA, and compares its hash with
    fuses (CFG_REMOTEPROC_PUB_KEY_VERIFY); key_hash: that hash, empty: any; decryption_key: AES-256 key of
    encrypted images, zeros: the fuses are blank;
    formats, protection: capabilities of the platform (bit masks);
    faults: platform commands that fail, with their TEE result (a stop that times out, a region not mapped);
    errno: of the operating system's driver for every refusal;
    checks_table: whether that driver looks at the resource table in memory before it starts the core;
    driver: which one that is, in the words of kernels.RELEASES;
    manager: "tee" if a TEE loads the cores, "linux" if Linux does: plain ELF files, see linux_elf.py; a core
    may have another one, Core.manager;
    board: words of the root's `compatible` in Linux' device tree, one of which a fitting board has;
    optee: release as OP-TEE prints it, without what a build adds, "" if unknown or none;
    kernel: version of Linux, one of kernels.KERNELS; allocates: whether Linux can allocate memory for a
    core beyond that of its device tree, see linux_values.LinuxSide; None: the board's Linux is not known;
    verify: the platform's key, None until `with_key`; windows: the regions by processor id.
    """

    name: str
    word_bits: int
    heap_bytes: int
    pta_state: str
    cores: tuple[Core, ...]
    loader: str = "upstream"
    dma_ranges: tuple[Region, ...] = ()
    key_in_image: bool = False
    key_hash: bytes = b""
    decryption_key: bytes = field(default=bytes(32), repr=False)
    formats: int = 1
    protection: int = 1
    faults: Mapping[int, int] = field(factory=dict)
    errno: str = "EIO"
    checks_table: bool = False
    driver: str = "series"
    sessions: int = 1
    panics_on_memory: bool = False
    manager: str = "tee"
    board: tuple[str, ...] = ()
    optee: str = ""
    kernel: str = "6.12"
    allocates: Allocates = None
    verify: Verifier | None = field(default=None, eq=False, repr=False)
    windows: Mapping[int, tuple[AddressWindow, ...]] = field(init=False, eq=False, repr=False)

    @windows.default
    def _windows(self) -> Mapping[int, tuple[AddressWindow, ...]]:
        return {
            core.id: tuple((r.da, r.da + r.size, r.pa - r.da) for r in core.regions)
            for core in self.cores
            if not self.by_linux(core)
        }

    def core(self, wanted: str | int) -> Core:
        """The core of that name or processor id; UsageError if the board has none."""
        for core in self.cores:
            if wanted in (core.name, core.id):
                return core
        known = ", ".join(f"{c.name} ({c.id})" for c in self.cores)
        raise UsageError(f"profile {self.name}: no core {wanted!r}; it has {known}")

    def has_core(self, number: int) -> bool:
        """Whether the TEE's platform knows this processor id: not that of a core which Linux loads."""
        return any(c.id == number and not self.by_linux(c) for c in self.cores)

    def manager_of(self, core: str | int | Core | None) -> str:
        """Who loads a core: "tee" or "linux"; None: the cores of which the profile says nothing else.

        UsageError for a name or id that the board lacks.
        """
        if core is None:
            return self.manager
        known = core if isinstance(core, Core) else self.core(core)
        return known.manager or self.manager

    def by_linux(self, core: str | int | Core | None) -> bool:
        """Whether Linux loads a core by itself, from a plain ELF; see manager_of()."""
        return self.manager_of(core) == "linux"

    def with_key(self, key: "PublicKey | Path | str") -> "Profile":
        """This board with that public key in its TEE; an ECDSA key where the image brings its key."""
        from mpbench.twin.verifier import key_hash, read_key, verifier_of  # noqa: PLC0415 - slow to import

        public = read_key(key, ecdsa=self.key_in_image)
        return evolve(self, verify=verifier_of(public), key_hash=key_hash(public))

    def with_verifier(self, verify: Verifier) -> "Profile":
        """This board with any function in place of its key."""
        return evolve(self, verify=verify)


def load_profile(name_or_path: str | Path, key: "PublicKey | Path | str | None" = None) -> Profile:
    """Profile by name (see `profile_names`) or from a file; `key` is the public key in its TEE.

    UsageError with file, line and key for whatever is wrong with it.
    """
    values = _read(name_or_path, 0)
    profile = Profile(**values)
    if "sessions" not in values:
        profile = evolve(profile, sessions=sum(not profile.by_linux(core) for core in profile.cores))
    return profile if key is None else profile.with_key(key)


def profile_names() -> list[str]:
    """Names of the profiles that come with the bench."""
    return sorted(file.stem for file in PROFILES.glob("*.yaml"))


def _read(name_or_path: str | Path, depth: int) -> dict[str, Any]:
    """Values of a profile by name, those of the ones that it derives from included."""
    top = _document(name_or_path, parts=depth > 0)
    found = top.entries(("derives", *_FIELDS, "cores"))
    values: dict[str, Any] = {}
    if "derives" in found:
        if depth >= MAX_DERIVATIONS:
            raise found["derives"].wrong(f"has more than {MAX_DERIVATIONS} steps: derived from itself?")
        for name in _names(found["derives"]):
            values |= _read(name, depth + 1)
    if "cores" in found:
        values["cores"] = read_cores(found["cores"], values.get("cores", ()))
    values |= {name: read(found[name]) for name, read in _FIELDS.items() if name in found}
    if depth == 0 and (missing := [f"`{name}`" for name in _NEEDED if name not in values]):
        raise top.wrong(f"lacks {', '.join(missing)}")
    return values


def _names(node: YamlNode) -> list[str]:
    """What a profile derives from: one name, or a list of them."""
    return [item.text() for item in node.items()] if node.is_list else [node.text()]


def _document(name_or_path: str | Path, *, parts: bool) -> YamlNode:
    own = [*PROFILES.glob("*.yaml"), *(PARTS.glob("*.yaml") if parts else ())]
    if found := next((file for file in own if file.stem == name_or_path), None):
        return _of_the_bench(found)
    if not os.path.isfile(name_or_path):  # False for what no path can be, e.g. for its length
        known = ", ".join(profile_names())
        raise UsageError(f"{name_or_path!s:.200}: neither a profile file nor one of {known}")
    return read_yaml(Path(name_or_path), "the profile")


@functools.cache
def _of_the_bench(file: Path) -> YamlNode:
    """A file of PROFILES or PARTS, parsed once: a board is compared with all profiles, which share parts."""
    return parse_yaml(file.read_text(encoding="utf-8"), file.stem, "the profile")


def _decryption_key(node: YamlNode) -> bytes:
    """`test`: the public one of ST's test builds; `blank`: fuses that nobody wrote; or the key in hex."""
    text = node.text()
    known = {"test": TEST_DECRYPTION_KEY, "blank": bytes(len(TEST_DECRYPTION_KEY))}
    if text in known:
        return known[text]
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != len(TEST_DECRYPTION_KEY):
        raise node.wrong("is no key; expected test, blank or 64 hexadecimal digits")
    return key


_NEEDED = ("name", "word_bits", "heap_bytes", "pta_state", "cores")
_FIELDS: dict[str, Callable[[YamlNode], Any]] = {
    "name": lambda node: node.text(),
    "word_bits": lambda node: node.choice(64, 32),
    "heap_bytes": lambda node: node.integer(1024, 1 << 24),
    "sessions": lambda node: node.integer(1, 64),
    "pta_state": lambda node: node.choice("shared", "per-core"),
    "loader": lambda node: node.choice(*LOADERS),
    "dma_ranges": lambda node: tuple(read_region(name, item) for name, item in node.entries().items()),
    "key_in_image": lambda node: node.choice(True, False),
    "decryption_key": _decryption_key,
    "formats": lambda node: node.integer(0, 0xFFFFFFFF),
    "protection": lambda node: node.integer(0, 0xFFFFFFFF),
    "errno": lambda node: node.text(),
    "panics_on_memory": lambda node: node.choice(True, False),
    "checks_table": lambda node: node.choice(True, False),
    "driver": lambda node: node.choice(*RELEASES),
    "manager": lambda node: node.choice("tee", "linux"),
    "board": lambda node: tuple(item.text() for item in node.items()),
    "optee": lambda node: node.text(),
    "kernel": lambda node: node.choice(*KERNELS),
    "allocates": lambda node: node.choice(True, False, "lost"),
}
