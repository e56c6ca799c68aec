# SPDX-License-Identifier: MIT
"""Sign-off: a manifest of every file of a report by SHA-256, and people's signatures below it.

    DIR/manifest.json     what was signed: size and SHA-256 of each file, and the verdict
    DIR/signatures.json   who signed it: name, role, time, key, signature (Ed25519, RFC 8032)

A signature covers the manifest's hash and what the signer states about themselves. Checking needs the
signers' public keys from somewhere else than DIR: who can change the report could replace keys in it.
"""

import base64
import datetime
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from mpbench.core.errors import UsageError
from mpbench.core.files import check_private, locked_directory, read_bounded, remove_leftovers, write_whole
from mpbench.core.notes import checked
from mpbench.core.record import LOG, Clock, iso
from mpbench.core.version import made_by
from mpbench.image.keys import parse_private_key
from mpbench.report.manifest import (
    MANIFEST,
    SIGNATURES,
    Manifest,
    brief,
    dump,
    is_text,
    parse,
    read_manifest,
)
from mpbench.report.model import Page
from mpbench.report.remake import differences, remake
from mpbench.report.signing import document_id, roles
from mpbench.report.sources import SOURCES, read_sources
from mpbench.report.summarize import summarize
from mpbench.report.tree import Tree, tree_of

OWN = frozenset({MANIFEST, SIGNATURES})
LIMIT_BYTES = 1 << 20
"""Of the signatures."""
SHOWN = 5
"""Most differences in the message of a refusal."""


@frozen
class Signature:
    """Who signed, as what, when (ISO 8601), with which key (SHA-256 of its raw bytes).

    earlier: hash of the signatures before it, see chain()
    """

    by: str
    role: str
    utc: str
    key: str
    earlier: str
    signature: str = field(default="", repr=False)

    def covers(self, manifest: bytes) -> bytes:
        """What is signed."""
        stated = asdict(self) | {"manifest": hashlib.sha256(manifest).hexdigest()}
        del stated["signature"]
        return json.dumps(stated, sort_keys=True, ensure_ascii=True).encode()


@frozen
class Checked:
    """What `verify` found. wrong: a line for everything that is not as it was signed."""

    manifest: Manifest
    signed: tuple[Signature, ...]
    wrong: tuple[str, ...]


def new_key(path: Path) -> str:
    """Make a private key that only its owner can read; its fingerprint. UsageError if a file exists."""
    if not path.name:
        raise UsageError(f"cannot write {path}: it is a directory; give a file, e.g. {path / 'signoff.pem'}")
    public_path = path.with_suffix(".pub")
    if path == public_path:
        raise UsageError(f"cannot write {path}: .pub is the suffix of its public key; give another name")
    for file in (path, public_path):
        if os.path.lexists(file):
            raise UsageError(f"cannot write {file}: File exists; a key is never replaced")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, pem, UsageError, mode=0o600, exclusive=True)
    except OSError as e:
        raise UsageError(f"cannot write {path}: {e.strerror}") from e
    write_whole(public_path, public, UsageError, mode=0o644)
    return fingerprint(key.public_key())


def load_key(path: Path) -> Ed25519PrivateKey:
    """A signer's private key. UsageError: unreadable, readable by others, of another kind."""
    if not os.path.lexists(path):
        raise UsageError(f"no key at {path}: `mpbench signoff --new-key {path}` makes one")
    check_private(path)
    key = parse_private_key(read_bounded(path), None, str(path))
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not an Ed25519 key; `mpbench signoff --new-key {path}` makes one")
    return key


def load_trusted(paths: Iterable[Path]) -> dict[str, Ed25519PublicKey]:
    """Public keys by fingerprint; a directory for its *.pub. UsageError for any other file."""
    paths = list(paths)
    for path in paths:
        if not path.exists():
            raise UsageError(f"no public keys at {path}: give those of the signers, --trust PUB")
    files = (file for path in paths for file in (sorted(path.glob("*.pub")) if path.is_dir() else [path]))
    return {fingerprint(key): key for key in map(_public, files)}


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(read_bounded(path))
    except (ValueError, UnsupportedAlgorithm) as e:
        raise UsageError(f"{path}: no public key in PEM form") from e
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: not an Ed25519 key")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw key, in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def sign(
    directory: Path, key: Ed25519PrivateKey, by: str, role: str, clock: Clock | None = None
) -> tuple[Signature, Manifest]:
    """Add a signature; the first one makes the manifest.

    UsageError unless everything in the directory is what this version makes from the record, nothing is
    missing and nothing else is there; and for a key that has signed already.
    """
    by, role = checked(by, "--by NAME: who signs"), checked(role, "--role")
    with locked_directory(directory):
        remove_leftovers(directory)  # of a signing that was killed
        data, manifest = _manifest(directory)
        earlier = read_signatures(directory)
        unsigned = Signature(
            by, role, iso((clock or Clock()).utc_s()), fingerprint(key.public_key()), chain(earlier)
        )
        if again := [s for s in earlier if s.key == unsigned.key]:
            raise UsageError(
                f"this key has signed as {again[0].role} ({again[0].by}): one key, one signature"
            )
        signature = evolve(unsigned, signature=base64.b64encode(key.sign(unsigned.covers(data))).decode())
        write_whole(directory / MANIFEST, data)
        write_whole(directory / SIGNATURES, dump([asdict(s) for s in (*earlier, signature)]))
    return signature, manifest


def _manifest(directory: Path) -> tuple[bytes, Manifest]:
    """Text and content of the manifest as the record gives it. UsageError: the directory is not so."""
    if not any(os.path.lexists(directory / name) for name in (LOG, SOURCES)):
        raise UsageError(f"{directory}: no {LOG} and no {SOURCES}: without a record nothing is signed")
    tree = tree_of(directory, OWN)
    if tree.odd:
        name, kind = next(iter(tree.odd.items()))
        raise UsageError(f"{directory}: {name} is {kind}; what is signed are files")
    remade = remake(directory, tree)
    if wrong := list(differences(remade, tree, directory)):
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise UsageError(f"{directory}: not signed: {'; '.join(wrong[:SHOWN])}{more}")
    found = manifest_of(remade.page, tree)
    lies_there = (directory / MANIFEST).is_symlink() or (directory / MANIFEST).exists()
    if lies_there and read_manifest(directory / MANIFEST)[0] != found.text():
        raise UsageError(f"{directory}: {MANIFEST} is not that of this report; remove it if nobody signed it")
    if not lies_there and read_signatures(directory):
        raise UsageError(f"{directory}: {SIGNATURES} without a {MANIFEST}: they are of another report")
    return found.text(), found


def manifest_of(page: Page, tree: Tree) -> Manifest:
    """What is signed of a page and the files in its directory."""
    return Manifest(
        document_id(page), page.verdict.value, made_by(), roles(page), tree.directories, tree.files
    )


def verify(directory: Path, trusted: Mapping[str, Ed25519PublicKey], expected: Sequence[str] = ()) -> Checked:
    """Whether files and signatures are as they were. UsageError if there is nothing to check.

    expected: roles that must have signed beside those that the report asks for. A report cannot prove that
    nobody signed it after the last signature that is there.
    """
    if not os.path.lexists(directory / MANIFEST):
        raise UsageError(f"{directory} is not signed: it has no {MANIFEST}; `mpbench signoff` signs a report")
    data, manifest = read_manifest(directory / MANIFEST)
    tree, signed = tree_of(directory, OWN), read_signatures(directory)
    wrong = list(_changes(manifest, tree))
    if not wrong:
        wrong += _against_record(directory, manifest)
    for number, s in enumerate(signed):
        wrong += _doubts(s, data, signed[:number], trusted)
    asked = Counter(manifest.roles) | Counter(expected)
    wrong += [f"no signature as {role}" for role in missing(asked.elements(), signed)]
    return Checked(manifest, signed, tuple(wrong if signed else [*wrong, "not signed"]))


def missing(roles_asked: Iterable[str], signed: Iterable[Signature]) -> list[str]:
    """Roles that are asked for and have not signed."""
    return sorted((Counter(roles_asked) - Counter(s.role for s in signed)).elements())


def _changes(manifest: Manifest, tree: Tree) -> Iterator[str]:
    """A line for everything that is missing, was changed or was added."""
    signed, now = manifest.files, tree.files
    yield from (f"{name} is {kind}" for name, kind in tree.odd.items())
    yield from (f"{name} is missing" for name in sorted(signed.keys() - now.keys() - tree.odd.keys()))
    yield from (
        f"{name} was changed" for name in sorted(signed.keys() & now.keys()) if signed[name] != now[name]
    )
    yield from (f"{name} was added" for name in sorted(now.keys() - signed.keys()))
    was, there = set(manifest.directories), set(tree.directories)
    yield from (f"directory {name} is missing" for name in sorted(was - there))
    yield from (f"directory {name} was added" for name in sorted(there - was))


def _against_record(directory: Path, manifest: Manifest) -> Iterator[str]:
    """A line for everything that the manifest states and the record does not."""
    try:
        sources = read_sources(directory)
        page = summarize(sources.runs(directory), sources.others)
    except UsageError as e:
        yield f"the record cannot be read: {e}"
        return
    stated = (manifest.document, manifest.verdict, manifest.roles)
    recorded = (document_id(page), page.verdict.value, roles(page))
    for name, says, record in zip(("document", "verdict", "signatures"), stated, recorded, strict=True):
        if says != record:
            yield f"{name}: the manifest has {says!r}, the record {record!r}"


def _doubts(
    s: Signature, manifest: bytes, earlier: Sequence[Signature], trusted: Mapping[str, Ed25519PublicKey]
) -> Iterator[str]:
    """What is wrong with a signature."""
    who = f"the signature of {s.by} ({s.role})"
    if s.key in {other.key for other in earlier}:
        yield f"{who}: its key has signed twice"
    if s.earlier != chain(earlier):
        yield f"{who}: the signatures before it were changed, or one was removed"
    if s.key not in trusted:
        yield f"{who}: key {s.key[:16]}… is not among those that you trust"
        return
    try:
        trusted[s.key].verify(base64.b64decode(s.signature), s.covers(manifest))
    except (InvalidSignature, ValueError):
        yield f"{who} is not genuine: manifest or signature were changed"


def chain(earlier: Sequence[Signature]) -> str:
    """Hash of the signatures before one: none of them can be removed later."""
    return hashlib.sha256(dump([asdict(s) for s in earlier])).hexdigest()


def read_signatures(directory: Path) -> tuple[Signature, ...]:
    """Those of a report, () without any. UsageError for any other form than sign() writes."""
    path = directory / SIGNATURES
    if not path.is_symlink() and not path.exists():
        return ()
    data, wrong = read_bounded(path, limit_bytes=LIMIT_BYTES, follow=False), f"{path}: no signatures of ours"
    content = parse(data, wrong)
    if type(content) is not list or not all(type(entry) is dict for entry in content):
        raise UsageError(f"{wrong}: {brief(content)} in place of a list of objects")
    for entry in content:
        for name, (right, fits) in SIGNATURE_FIELDS.items():
            if not fits(entry.get(name)):
                raise UsageError(f"{wrong}: `{name}` is {brief(entry.get(name))}; expected {right}")
    found = tuple(Signature(**{name: entry[name] for name in SIGNATURE_FIELDS}) for entry in content)
    if dump([asdict(s) for s in found]) != data:
        raise UsageError(f"{wrong}: other fields or blanks than `signoff` writes")
    return found


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda found: type(found) is str and re.fullmatch(pattern, found) is not None


def _is_time(found: object) -> bool:
    if not _matches(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\+00:00")(found):
        return False
    try:
        return bool(datetime.datetime.fromisoformat(str(found)))
    except ValueError:
        return False


SIGNATURE_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "by": ("a name", is_text),
    "role": ("a role", is_text),
    "utc": ("a time such as 2026-11-18T11:06:40+00:00", _is_time),
    "key": ("64 hex digits", _matches("[0-9a-f]{64}")),
    "earlier": ("64 hex digits", _matches("[0-9a-f]{64}")),
    "signature": ("a signature in base64", _matches("[A-Za-z0-9+/]{85}[AQgw]==")),
}
"""Name → what is right, and whether a value is that."""
