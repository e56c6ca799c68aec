# SPDX-License-Identifier: MIT
"""Profiles: what differs between loaders and boards, as data.

A profile is a YAML file in profiles/ beside this module, or any file with the same schema; `derives` names
the profile it changes. Errors name file and line.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from attrs import evolve, field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mpbench.core.errors import UsageError

Verifier = Callable[[bytes, bytes], bool]
"""(SHA-256 of header and TLVs, signature) → whether the platform's key made it."""

MAX_DERIVATIONS = 8


@frozen
class Region:
    """Memory of a core: where the core sees it (da) and where the host sees it (pa), bytes."""

    name: str
    da: int
    pa: int
    size: int


Window = tuple[int, int, int]
"""A region as it is searched: device addresses start .. end, and what makes a physical address of one."""


@frozen
class Core:
    """A co-processor: its name, its processor id in the TEE, its memory."""

    name: str
    id: int
    regions: tuple[Region, ...]


@frozen
class Profile:
    """A loader and its board.

    word_bits: 64 or 32, word size of the TA; heap_bytes: heap of the TA;
    sessions: how many sessions the operating system holds open (each takes heap), one per core by default;
    pta_state: "shared" if the platform keeps one running state for all cores, "per-core" otherwise;
    hash_type_required: whether HASHTYPE is looked at (OpenSTLinux); plat_tlvs: length by number, None if
    the loader doesn't look at platform TLVs; image_types: IMGTYPE values it loads;
    formats, protection: capabilities of the platform (bit masks);
    faults: platform commands that fail, with their TEE result (a stop that times out, a region not mapped);
    errno: what the operating system's driver makes of every refusal;
    checks_table: whether that driver looks at the resource table in memory before it starts the core;
    verify: the platform's key, None until `with_key`; windows: the regions by processor id.
    """

    name: str
    word_bits: int
    heap_bytes: int
    pta_state: str
    cores: tuple[Core, ...]
    hash_type_required: bool = False
    plat_tlvs: Mapping[int, int] | None = None
    image_types: tuple[int, ...] = (1,)
    formats: int = 1
    protection: int = 1
    faults: Mapping[int, int] = field(factory=dict)
    errno: str = "EIO"
    checks_table: bool = False
    sessions: int = 1
    verify: Verifier | None = field(default=None, eq=False, repr=False)
    windows: Mapping[int, tuple[Window, ...]] = field(init=False, eq=False, repr=False)

    @windows.default
    def _windows(self) -> Mapping[int, tuple[Window, ...]]:
        return {
            core.id: tuple((r.da, r.da + r.size, r.pa - r.da) for r in core.regions) for core in self.cores
        }

    def core(self, wanted: str | int) -> Core:
        """The core of that name or processor id; UsageError if the board has none."""
        for core in self.cores:
            if wanted in (core.name, core.id):
                return core
        known = ", ".join(f"{c.name} ({c.id})" for c in self.cores)
        raise UsageError(f"profile {self.name}: no core {wanted!r}; it has {known}")

    def has_core(self, number: int) -> bool:
        """Whether the platform knows this processor id."""
        return any(c.id == number for c in self.cores)

    def with_key(self, key: rsa.RSAPublicKey | Path | str) -> "Profile":
        """The same board with that public key in its TEE."""
        return evolve(self, verify=rsa_verifier(key if isinstance(key, rsa.RSAPublicKey) else read_key(key)))

    def with_verifier(self, verify: Verifier) -> "Profile":
        """The same board with any judge of signatures."""
        return evolve(self, verify=verify)


def rsa_verifier(key: rsa.RSAPublicKey) -> Verifier:
    """RSASSA-PKCS1-v1_5 with SHA-256, as rproc_pta_verify_rsa_signature does it."""
    scheme, algorithm = padding.PKCS1v15(), Prehashed(hashes.SHA256())

    @lru_cache(maxsize=1024)  # a thousand spoiled payloads have one signature
    def verify(digest: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, digest, scheme, algorithm)
        except InvalidSignature:
            return False
        return True

    return verify


def read_key(path: Path | str) -> rsa.RSAPublicKey:
    """RSA public key of a PEM file (public key, or an unencrypted private key). UsageError if it is none."""
    try:
        pem = Path(path).read_bytes()
        private = b"PRIVATE KEY" in pem
        key = load_pem_private_key(pem, None).public_key() if private else load_pem_public_key(pem)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no public key in PEM form") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise UsageError(f"{path}: {type(key).__name__}; the platform verifies RSA only")
    return key


# ------------------------------------------------------------------------------------------- reading


class _Loader(yaml.SafeLoader):
    """Safe YAML whose mappings remember their lines and refuse a key given twice."""


class _Map(dict[str, Any]):
    """A mapping with the line of every key."""

    lines: dict[str, int]
    line: int


def _mapping(loader: _Loader, node: yaml.MappingNode) -> _Map:
    found = _Map()
    found.lines, found.line = {}, node.start_mark.line + 1
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if key in found:
            raise UsageError(f"{node.start_mark.name}:{line}: {key!r} is given twice")
        found[key], found.lines[key] = loader.construct_object(value_node, deep=True), line
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_profile(name_or_path: str | Path, key: rsa.RSAPublicKey | Path | str | None = None) -> Profile:
    """Profile by name (see `profile_names`) or from a file; `key` is the public key in its TEE."""
    values = _read(name_or_path, 0)
    profile = Profile(**{k: v for k, v in values.items() if v is not None})
    if "sessions" not in values:
        profile = evolve(profile, sessions=len(profile.cores))
    return profile if key is None else profile.with_key(key)


def profile_names() -> list[str]:
    """Names of the profiles that come with the bench."""
    files = resources.files("mpbench.twin").joinpath("profiles").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def _read(name_or_path: str | Path, depth: int) -> dict[str, Any]:
    path, text = _text(name_or_path)
    try:
        stream = yaml.compose(text, Loader=_Loader)
        raw = _construct(text, path) if stream is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(raw, _Map):
        raise UsageError(f"{path}:1: a profile is a mapping")
    return _resolve(raw, path, depth)


def _construct(text: str, path: str) -> Any:
    loader = _Loader(text)
    loader.name = path
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _text(name_or_path: str | Path) -> tuple[str, str]:
    if isinstance(name_or_path, str) and name_or_path in profile_names():
        return name_or_path, resources.files("mpbench.twin").joinpath(
            f"profiles/{name_or_path}.yaml"
        ).read_text()
    try:
        return str(name_or_path), Path(name_or_path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(profile_names())
        raise UsageError(f"{name_or_path}: neither a readable profile file nor one of {known}") from error


def _resolve(raw: _Map, path: str, depth: int) -> dict[str, Any]:
    base: dict[str, Any] = {}
    if "derives" in raw:
        if depth >= MAX_DERIVATIONS:
            raise UsageError(f"{path}:{raw.lines['derives']}: derives from itself")
        base = _read(_text_of(raw, "derives", path), depth + 1)
    checked = {key: _field(raw, key, path) for key in raw if key != "derives"}
    merged = {**base, **checked}
    for key in ("name", "word_bits", "heap_bytes", "pta_state", "cores"):
        if key not in merged:
            raise UsageError(f"{path}:{raw.line}: {key!r} is missing")
    return merged


def _text_of(raw: _Map, key: str, path: str) -> str:
    value = raw[key]
    if not isinstance(value, str) or not value:
        raise UsageError(f"{path}:{raw.lines[key]}: {key} is {value!r}; it must be text")
    return value


def _number(raw: _Map, key: str, path: str, low: int, high: int) -> int:
    value = raw.get(key)
    line = raw.lines.get(key, raw.line)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{path}:{line}: {key} is {value!r}; a number from {low:#x} to {high:#x} is needed")
    return value


def _choice(raw: _Map, key: str, path: str, choices: tuple[Any, ...]) -> Any:
    if isinstance(raw[key], bool) != isinstance(choices[0], bool) or raw[key] not in choices:
        allowed = ", ".join(str(c) for c in choices)
        raise UsageError(f"{path}:{raw.lines[key]}: {key} is {raw[key]!r}; one of {allowed} is needed")
    return raw[key]


def _field(raw: _Map, key: str, path: str) -> Any:
    check = _FIELDS.get(key)
    if check is None:
        raise UsageError(
            f"{path}:{raw.lines[key]}: unknown key {key!r}; known: derives, {', '.join(_FIELDS)}"
        )
    return check(raw, key, path)


def _cores(raw: _Map, key: str, path: str) -> tuple[Core, ...]:
    cores = tuple(_core(item, name, path) for name, item in _items(raw, key, path))
    numbers = [core.id for core in cores]
    if len(set(numbers)) != len(numbers):
        raise UsageError(f"{path}:{raw.lines[key]}: two cores have the same id")
    return cores


def _items(raw: _Map, key: str, path: str) -> list[tuple[str, _Map]]:
    value = raw.get(key)
    line = raw.lines.get(key, raw.line)
    if not isinstance(value, _Map) or not value:
        raise UsageError(f"{path}:{line}: {key} must be a mapping with at least one entry")
    for name, item in value.items():
        if not isinstance(item, _Map):
            raise UsageError(f"{path}:{value.lines[name]}: {name} must be a mapping")
    return list(value.items())


def _core(raw: _Map, name: str, path: str) -> Core:
    _only(raw, ("id", "regions"), path)
    regions = tuple(_region(item, region, path) for region, item in _items(raw, "regions", path))
    return Core(name, _number(raw, "id", path, 0, 0xFFFFFFFF), regions)


def _region(raw: _Map, name: str, path: str) -> Region:
    _only(raw, ("da", "pa", "size"), path)
    da = _number(raw, "da", path, 0, 0xFFFFFFFF)
    pa = _number(raw, "pa", path, 1, (1 << 48) - 1) if "pa" in raw else da
    size = _number(raw, "size", path, 1, 1 << 32)
    if da + size > 1 << 32:
        raise UsageError(f"{path}:{raw.line}: {name} runs past 32 bits: {da:#x} + {size:#x}")
    return Region(name, da, pa, size)


def _only(raw: _Map, known: tuple[str, ...], path: str) -> None:
    for key in raw:
        if key not in known:
            raise UsageError(f"{path}:{raw.lines[key]}: unknown key {key!r}; known: {', '.join(known)}")


def _plat_tlvs(raw: _Map, key: str, path: str) -> Mapping[int, int]:
    value = raw[key]
    good = isinstance(value, _Map) and all(
        isinstance(n, int) and isinstance(v, int) and v > 0 for n, v in value.items()
    )
    if not good:
        raise UsageError(f"{path}:{raw.lines[key]}: plat_tlvs must give a length in bytes for each number")
    return dict(value)


def _image_types(raw: _Map, key: str, path: str) -> tuple[int, ...]:
    value = raw[key]
    if not isinstance(value, list) or not all(v in (1, 2) for v in value):
        raise UsageError(
            f"{path}:{raw.lines[key]}: image_types is {value!r}; a list of 1 (ELF), 2 (encrypted ELF)"
        )
    return tuple(value)


_FIELDS: dict[str, Callable[[_Map, str, str], Any]] = {
    "name": _text_of,
    "word_bits": lambda r, k, p: _choice(r, k, p, (64, 32)),
    "heap_bytes": lambda r, k, p: _number(r, k, p, 1024, 1 << 24),
    "sessions": lambda r, k, p: _number(r, k, p, 1, 64),
    "pta_state": lambda r, k, p: _choice(r, k, p, ("shared", "per-core")),
    "hash_type_required": lambda r, k, p: _choice(r, k, p, (True, False)),
    "plat_tlvs": _plat_tlvs,
    "image_types": _image_types,
    "formats": lambda r, k, p: _number(r, k, p, 0, 0xFFFFFFFF),
    "protection": lambda r, k, p: _number(r, k, p, 0, 0xFFFFFFFF),
    "errno": _text_of,
    "checks_table": lambda r, k, p: _choice(r, k, p, (True, False)),
    "cores": _cores,
}
