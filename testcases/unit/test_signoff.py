# SPDX-License-Identifier: MIT
"""Sign-off: what is signed is what was seen, and every later change is found."""

import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mpbench.commands import main
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.lines import PlanLine, ProvenanceLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench.report import publish as report
from mpbench.report import signoff

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)


@pytest.fixture
def page(tmp_path):
    """Directory of a run with evidence and page."""
    record = Record(new_directory(tmp_path / "runs", "mp25", CLOCK), "r1", CLOCK)
    record.append(RunStart(target="mp25", command=(), bench="0.1.0", continues=None))
    kept = record.keep([Artefact("console", b"U-Boot 2025.01\n")])
    record.append(ProvenanceLine(entries={}, virtual=False, evidence=kept))
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core=None, title="It works.", requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=5))
    record.append(RunEnd(counts={"PASS": 1}))
    record.close()
    report.write([record.directory], record.directory)
    return record.directory


@pytest.fixture
def key(tmp_path):
    signoff.new_key(tmp_path / "ann.pem")
    return signoff.load_key(tmp_path / "ann.pem")


@pytest.fixture
def trusted(tmp_path, key):
    assert key
    return signoff.load_trusted([tmp_path])


def test_a_signed_report_is_verified(page, key, trusted):
    """Files, verdict and signature are as they were; a second person signs the same manifest."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    signoff.sign(page, key, "Bob", "reviewed", CLOCK)
    found = signoff.verify(page, trusted)
    assert found.wrong == ()
    assert (found.verdict, found.files) == ("PASS", 6)
    assert [(s.by, s.role, s.utc) for s in found.signed] == [
        ("Ann", "tested", "2026-11-18T11:06:40+00:00"),
        ("Bob", "reviewed", "2026-11-18T11:06:40+00:00"),
    ]


def test_every_byte_of_every_file_counts(page, key, trusted):
    """One flipped bit, a file more, a file less: each is named."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    for path in [p for p in page.rglob("*") if p.is_file() and p.name not in signoff.OWN]:
        good = path.read_bytes()
        path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        name = path.relative_to(page).as_posix()
        assert signoff.verify(page, trusted).wrong == (f"{name} was changed",)
        path.unlink()
        assert signoff.verify(page, trusted).wrong == (f"{name} is missing",)
        path.write_bytes(good)
    (page / "evidence" / "new.txt").write_text("x")
    assert signoff.verify(page, trusted).wrong == ("evidence/new.txt was added",)


def test_a_changed_manifest_or_signature_is_not_genuine(page, key, trusted):
    """Neither the list nor who signed it, as what and when, can be changed."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    manifest, signatures = page / signoff.MANIFEST, page / signoff.SIGNATURES
    good = manifest.read_text()
    manifest.write_text(good.replace('"PASS"', '"FAIL"'))
    assert "is not genuine" in signoff.verify(page, trusted).wrong[0]
    manifest.write_text(good)
    for field, value in (("by", "Eve"), ("role", "released"), ("utc", "2027"), ("signature", "AAAA")):
        entries = json.loads(signatures.read_text())
        changed = [entries[0] | {field: value}]
        signatures.write_text(json.dumps(changed))
        assert "is not genuine" in signoff.verify(page, trusted).wrong[0]
        signatures.write_text(json.dumps(entries))
    assert signoff.verify(page, trusted).wrong == ()


def test_a_strangers_signature_is_not_trusted(page, key, tmp_path):
    """Who changes a report can sign it anew, but not with a key that the reader trusts."""
    signoff.sign(page, key, "Eve", "tested", CLOCK)
    signoff.new_key(tmp_path / "others" / "real.pem")
    (text,) = signoff.verify(page, signoff.load_trusted([tmp_path / "others"])).wrong
    assert "is not among those that you trust" in text


def test_a_manifest_without_signature_is_not_enough(page, key, trusted):
    """Somebody has to have signed."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / signoff.SIGNATURES).unlink()
    assert signoff.verify(page, trusted).wrong == ("not signed",)


def test_a_page_that_is_not_the_records_is_not_signed(page, key):
    """A page somebody improved, changed evidence, and a run that was killed are refused."""
    index = page / report.INDEX
    good = index.read_text()
    index.write_text(good.replace("It works.", "It works well."))
    with pytest.raises(UsageError, match=r"index\.html is not what this mpbench makes from the record"):
        signoff.sign(page, key, "Ann", "tested", CLOCK)
    index.write_text(good)
    (evidence,) = (page / "evidence").iterdir()
    evidence.write_text("other")
    with pytest.raises(UsageError, match="evidence is missing or was changed"):
        signoff.sign(page, key, "Ann", "tested", CLOCK)
    log = page / "record.jsonl"
    log.write_bytes(log.read_bytes()[:-2])
    with pytest.raises(UsageError, match="nothing to sign"):
        signoff.sign(page, key, "Ann", "tested", CLOCK)
    assert not (page / signoff.MANIFEST).exists()


def test_a_second_signature_needs_what_the_first_one_saw(page, key):
    """Changed since the first signature: the second is refused, with the file's name."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / "junit.xml").write_text("")
    with pytest.raises(UsageError, match=r"junit\.xml was changed"):
        signoff.sign(page, key, "Bob", "reviewed", CLOCK)


def test_a_merged_page_is_signed_by_its_files(page, key, trusted, tmp_path):
    """A page about several runs has no record of its own; a link in it, or no summary, is refused."""
    merged = tmp_path / "merged"
    report.write([page], merged)
    signoff.sign(merged, key, "Ann", "tested", CLOCK)
    assert signoff.verify(merged, trusted).wrong == ()
    (merged / "link").symlink_to(page)
    with pytest.raises(UsageError, match="link is a link"):
        signoff.verify(merged, trusted)
    shutil.rmtree(merged)
    merged.mkdir()
    with pytest.raises(UsageError, match=r"no summary\.json"):
        signoff.sign(merged, key, "Ann", "tested", CLOCK)


def test_keys_are_guarded(page, key, tmp_path):
    """A shared, missing, foreign or existing key is refused, and a signature has a name."""
    with pytest.raises(UsageError, match="--by NAME"):
        signoff.sign(page, key, " ", "tested", CLOCK)
    with pytest.raises(UsageError, match="File exists"):
        signoff.new_key(tmp_path / "ann.pem")
    (tmp_path / "ann.pem").chmod(0o644)
    with pytest.raises(UsageError, match="lets others read it"):
        signoff.load_key(tmp_path / "ann.pem")
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "other.pem").write_bytes(pem)
    (tmp_path / "other.pem").chmod(0o600)
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        signoff.load_key(tmp_path / "other.pem")
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "other.pub").write_bytes(public)
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        signoff.load_trusted([tmp_path / "other.pub"])
    (tmp_path / "none.pub").write_text("x")
    with pytest.raises(UsageError, match="no public key"):
        signoff.load_trusted([tmp_path / "none.pub"])


@pytest.mark.parametrize("name", [signoff.MANIFEST, signoff.SIGNATURES])
@pytest.mark.parametrize("text", ["[1]", "{", '{"a": 1}'])
def test_what_is_no_manifest_is_said(page, key, trusted, name, text):
    """Broken files are an error in one line, and no verdict."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / name).write_text(text)
    with pytest.raises(UsageError, match=r"of ours"):
        signoff.verify(page, trusted)


def test_a_disk_that_takes_no_signature_is_the_labs_fault(page, monkeypatch):
    """Nothing half-written stays."""

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InfrastructureError, match=r"cannot write .*manifest\.json: No space left"):
        signoff._write(page / signoff.MANIFEST, {})


def test_signing_and_verifying_as_commands(page, tmp_path, capsys):
    """`mpbench signoff` and `verify`: 0 for a good report, 1 for a changed one, 2 without a report."""
    pem = tmp_path / "keys" / "lab.pem"
    assert main.main(["signoff", "--new-key", str(pem)]) == 0
    assert main.main(["signoff", str(page), "--key", str(pem), "--by", "Ann"]) == 0
    assert main.main(["verify", str(page), "--trust", str(pem.with_suffix(".pub"))]) == 0
    assert "tested: Ann" in capsys.readouterr().out
    (page / "index.html").write_text("")
    assert main.main(["verify", str(page), "--trust", str(pem.parent)]) == 1
    assert "WRONG: index.html was changed" in capsys.readouterr().out
    assert main.main(["signoff"]) == 2
    assert main.main(["verify", str(tmp_path), "--trust", str(pem.parent)]) == 2
