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
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from mpbench.core.errors import UsageError
from mpbench.core.files import check_private, read_bounded, write_whole
from mpbench.core.record import LOG, Clock
from mpbench.core.record import read as read_record
from mpbench.image.keys import parse_private_key
from mpbench.report import publish

MANIFEST = "manifest.json"
SIGNATURES = "signatures.json"
OWN = frozenset({MANIFEST, SIGNATURES})
VERSION = 1


@frozen
class Signature:
    """Who signed, as what, when (ISO 8601), with which key (SHA-256 of its raw bytes)."""

    by: str
    role: str
    utc: str
    key: str
    signature: str = field(default="", repr=False)

    def covers(self, manifest: bytes) -> bytes:
        """What is signed."""
        stated = asdict(self) | {"manifest": hashlib.sha256(manifest).hexdigest()}
        del stated["signature"]
        return json.dumps(stated, sort_keys=True, ensure_ascii=True).encode()


@frozen
class Checked:
    """What `verify` found. wrong: a line for everything that is not as it was signed."""

    verdict: str
    files: int
    signed: tuple[Signature, ...]
    wrong: tuple[str, ...]


def new_key(path: Path) -> str:
    """Make a private key that only its owner can read; its fingerprint. UsageError if a file exists."""
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
    check_private(path)
    key = parse_private_key(read_bounded(path), None, str(path))
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not an Ed25519 key; `mpbench signoff --new-key {path}` makes one")
    return key


def load_trusted(paths: Iterable[Path]) -> dict[str, Ed25519PublicKey]:
    """Public keys by fingerprint; a directory for its *.pub. UsageError for any other file."""
    files = (file for path in paths for file in (sorted(path.glob("*.pub")) if path.is_dir() else [path]))
    return {fingerprint(key): key for key in map(_public, files)}


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(read_bounded(path))
    except ValueError as e:
        raise UsageError(f"{path}: no public key in PEM form") from e
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: not an Ed25519 key")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw key, in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def sign(
    directory: Path, key: Ed25519PrivateKey, by: str, role: str, clock: Clock | None = None
) -> Signature:
    """Add a signature; the first one makes the manifest.

    UsageError: incomplete, changed since the manifest, or a page that is not the record's.
    """
    if not by.strip():
        raise UsageError("who signs? A signature has a name: --by NAME")
    if not (directory / MANIFEST).exists():
        _check_page(directory)
        _write(directory / MANIFEST, _manifest(directory))
    manifest = read_bounded(directory / MANIFEST)
    if wrong := list(_differences(directory, json.loads(manifest))):
        raise UsageError(f"{directory} is not what its manifest says: {'; '.join(wrong[:5])}")
    seconds = (clock or Clock()).utc_s()
    unsigned = Signature(by, role, _iso(seconds), fingerprint(key.public_key()))
    text = base64.b64encode(key.sign(unsigned.covers(manifest))).decode()
    signature = Signature(unsigned.by, unsigned.role, unsigned.utc, unsigned.key, text)
    earlier = [asdict(s) for s in _signatures(directory)]
    _write(directory / SIGNATURES, [*earlier, asdict(signature)])
    return signature


def verify(directory: Path, trusted: Mapping[str, Ed25519PublicKey]) -> Checked:
    """Whether files and signatures are as they were. UsageError if there is nothing to check."""
    manifest = read_bounded(directory / MANIFEST)
    try:
        content = json.loads(manifest)
        wrong = list(_differences(directory, content))
        files, verdict = len(content["files"]), str(content["verdict"])
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{directory / MANIFEST}: no manifest of ours: {e!r}") from e
    signed = _signatures(directory)
    wrong += [text for s in signed if (text := _doubt(s, manifest, trusted))]
    return Checked(verdict, files, signed, tuple(wrong if signed else [*wrong, "not signed"]))


def _doubt(s: Signature, manifest: bytes, trusted: Mapping[str, Ed25519PublicKey]) -> str:
    """What is wrong with a signature, "" for nothing."""
    who = f"the signature of {s.by} ({s.role})"
    if s.key not in trusted:
        return f"{who}: key {s.key[:16]}… is not among those that you trust"
    try:
        trusted[s.key].verify(base64.b64decode(s.signature), s.covers(manifest))
    except (InvalidSignature, ValueError):
        return f"{who} is not genuine: manifest or signature were changed"
    return ""


def _check_page(directory: Path) -> None:
    """UsageError unless the record is complete and gives this very page."""
    if not (directory / LOG).exists():
        return  # a page about several runs: its records stand elsewhere, and are signed there
    run = read_record(directory)
    if run.notes:
        raise UsageError(f"{directory}: {'; '.join(run.notes)}: nothing to sign")
    gone = {ref.file for ref in run.refs() if run.evidence(ref.file) is None}
    if gone:
        raise UsageError(f"{directory}: evidence is missing or was changed: {', '.join(sorted(gone)[:3])}")
    with tempfile.TemporaryDirectory(prefix="signoff-") as fresh:
        publish.write([directory], Path(fresh))
        differing = [
            name for name in publish.WRITTEN if _bytes(Path(fresh) / name) != _bytes(directory / name)
        ]
    if differing:
        raise UsageError(
            f"{directory}: {', '.join(differing)} is not what this mpbench makes from the record; "
            f"`mpbench report {directory}` first, and look at it again"
        )


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _manifest(directory: Path) -> dict[str, object]:
    try:
        verdict = json.loads((directory / publish.SUMMARY).read_text())["verdict"]
    except (OSError, ValueError, KeyError) as e:
        raise UsageError(f"{directory}: no {publish.SUMMARY}; `mpbench report` makes it") from e
    return {"version": VERSION, "verdict": verdict, "files": dict(_hashes(directory))}


def _hashes(directory: Path) -> Iterator[tuple[str, dict[str, object]]]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            raise UsageError(f"{directory}: {name} is a link; what is signed are files")
        if path.is_file() and name not in OWN:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield name, {"size": path.stat().st_size, "sha256": digest}


def _differences(directory: Path, content: Mapping[str, Any]) -> Iterator[str]:
    """A line for each file that is missing, was changed or was added."""
    signed, now = content["files"], dict(_hashes(directory))
    yield from (f"{name} is missing" for name in sorted(signed.keys() - now.keys()))
    yield from (
        f"{name} was changed" for name in sorted(signed.keys() & now.keys()) if signed[name] != now[name]
    )
    yield from (f"{name} was added" for name in sorted(now.keys() - signed.keys()))


def _signatures(directory: Path) -> tuple[Signature, ...]:
    path = directory / SIGNATURES
    if not path.exists():
        return ()
    try:
        return tuple(Signature(**entry) for entry in json.loads(read_bounded(path)))
    except (ValueError, TypeError) as e:
        raise UsageError(f"{path}: no signatures of ours: {e}") from e


def _write(path: Path, content: dict[str, object] | Sequence[object]) -> None:
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode())


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
