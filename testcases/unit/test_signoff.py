# SPDX-License-Identifier: MIT
"""Sign-off: what is signed is what the record says, and every later change is found."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mpbench.commands import main
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine, ProvenanceLine, RunEnd, RunStart, SignaturesLine, TestEnd, TestStart
from mpbench.core.record import LOG, Clock, Record, new_directory, read
from mpbench.core.verdict import Judgement
from mpbench.core.version import made_by
from mpbench.report import publish, signoff
from mpbench.report.manifest import MANIFEST, SIGNATURES, dump
from mpbench.report.remake import remake
from mpbench.report.sources import JOURNAL, hash_of, read_sources
from mpbench.report.tree import tree_of

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)


def run_in(root, *, roles=(), verdict=Verdict.PASS, run="r1", continues=None, ends=True):
    """Directory of a run with evidence and page."""
    record = Record(new_directory(root, "mp25", CLOCK), run, CLOCK)
    record.append(RunStart("mp25", (), "0.1.0", continues))
    if roles:
        record.append(SignaturesLine(tuple(roles)))
    record.append(PlanLine(("t",), 1))
    record.append(ProvenanceLine({}, False, record.keep([Artefact("console", b"U-Boot 2025.01\n")])))
    record.append(TestStart(None, "It works.", test="t"))
    record.append(TestEnd(verdict, "", 5, test="t"))
    if ends:
        record.append(RunEnd({"PASS": 1}))
    record.close()
    publish.write([record.directory], record.directory)
    return record.directory


@pytest.fixture
def page(tmp_path):
    return run_in(tmp_path / "runs")


@pytest.fixture
def key(tmp_path):
    signoff.new_key(tmp_path / "ann.pem")
    return signoff.load_key(tmp_path / "ann.pem")


@pytest.fixture
def bob(tmp_path):
    """A second person's key."""
    signoff.new_key(tmp_path / "bob.pem")
    return signoff.load_key(tmp_path / "bob.pem")


@pytest.fixture
def trusted(tmp_path, key, bob):
    assert key
    assert bob
    return signoff.load_trusted([tmp_path])


def refusal(directory, key, role="tested") -> str:
    """Why a report is not signed; nothing was written."""
    before = sorted(p.name for p in directory.iterdir())
    with pytest.raises(UsageError) as refused:
        signoff.sign(directory, key, "Ann", role, CLOCK)
    assert sorted(p.name for p in directory.iterdir()) == before
    return str(refused.value)


def test_a_signed_report_is_verified(page, key, bob, trusted):
    """Files, verdict and signature are as they were; a second person signs the same manifest."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    signoff.sign(page, bob, "Bob", "reviewed", CLOCK)
    found = signoff.verify(page, trusted)
    assert found.wrong == ()
    assert (found.manifest.verdict, found.manifest.made_by) == ("PASS", made_by())
    assert sorted(found.manifest.files)[1:] == [
        "index.html",
        "junit.xml",
        "measurements.csv",
        "record.jsonl",
        "summary.json",
    ]
    assert [(s.by, s.role, s.utc) for s in found.signed] == [
        ("Ann", "tested", "2026-11-18T11:06:40+00:00"),
        ("Bob", "reviewed", "2026-11-18T11:06:40+00:00"),
    ]


@pytest.mark.parametrize("continues", [{"r1": "r1"}, {"r1": "r2", "r2": "r1"}])
def test_a_record_that_is_not_complete_is_continued_by_a_complete_one(tmp_path, key, continues):
    """By itself, or by another that is killed as well: nothing was continued, and nothing is signed."""
    killed = [
        run_in(tmp_path / run, run=run, continues=other, ends=False) for run, other in continues.items()
    ]
    publish.write(killed, tmp_path / "page")
    assert "the run did not end" in refusal(tmp_path / "page", key)
    last = run_in(tmp_path / "r3", run="r3", continues="r1")
    publish.write([*killed, last], tmp_path / "page")
    signoff.sign(tmp_path / "page", key, "Ann", "tested", CLOCK)


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


def link(path):
    path.symlink_to("/etc/hostname")


def unix_socket(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(path))


def device(path):
    try:
        os.mknod(path, 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("needs root: a device file")


def sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


ADDED = [
    (sparse, "x is larger than 268435456 bytes"),
    (os.mkfifo, "x is a FIFO"),
    (unix_socket, "x is a socket"),
    (device, "x is a device"),
    (link, "x is a symbolic link"),
    (os.mkdir, "directory x was added"),
]


@pytest.mark.parametrize(("make", "expected"), ADDED)
def test_what_is_no_file_is_found_and_never_signed(tmp_path, key, trusted, make, expected):
    """FIFO, socket, device, link, empty directory: verify names it, signoff refuses, nothing is opened."""
    page = run_in(tmp_path / "runs")
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    make(page / "x")
    assert signoff.verify(page, trusted).wrong == (expected,)
    other = run_in(tmp_path / "other")
    make(other / "x")
    said = refusal(other, key)
    assert said.endswith(("what is signed are files", "x/ is no part of the report"))


@pytest.mark.parametrize("name", [LOG, "index.html", "evidence"])
def test_a_link_in_place_of_a_part_is_found(tmp_path, page, key, trusted, name):
    """Also if it leads to the same bytes."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    moved = tmp_path / "moved"
    (page / name).rename(moved)
    (page / name).symlink_to(moved)
    assert signoff.verify(page, trusted).wrong[0] == f"{name} is a symbolic link"
    for own in signoff.OWN:
        (page / own).unlink()
    assert f"{name} is a symbolic link; what is signed are files" in refusal(page, key)


def test_an_empty_directory_that_was_signed_counts_too(tmp_path, key, trusted):
    """A run without evidence has an empty directory for it."""
    record = Record(new_directory(tmp_path / "runs", "mp25", CLOCK), "r1", CLOCK)
    record.append(RunStart("mp25", (), "0.1.0"))
    record.append(RunEnd({}))
    record.close()
    publish.write([record.directory], record.directory)
    signoff.sign(record.directory, key, "Ann", "tested", CLOCK)
    assert signoff.verify(record.directory, trusted).wrong == ()
    (record.directory / "evidence").rmdir()
    assert signoff.verify(record.directory, trusted).wrong == ("directory evidence is missing",)


def test_a_changed_manifest_or_signature_is_not_genuine(page, key, trusted):
    """Neither the list nor who signed it, as what and when, can be changed."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    manifest, signatures = page / MANIFEST, page / SIGNATURES
    good = manifest.read_text()
    manifest.write_text(good.replace('"PASS"', '"FAIL"'))
    assert signoff.verify(page, trusted).wrong == (
        "verdict: the manifest has 'FAIL', the record 'PASS'",
        "the signature of Ann (tested) is not genuine: manifest or signature were changed",
    )
    manifest.write_text(good)
    (entry,) = json.loads(signatures.read_text())
    for field, value in (
        ("by", "Eve"),
        ("role", "released"),
        ("utc", "2027-11-18T11:06:40+00:00"),
        ("signature", "A" * 86 + "=="),
    ):
        signatures.write_bytes(dump([entry | {field: value}]))
        assert "is not genuine" in signoff.verify(page, trusted).wrong[0]
    signatures.write_bytes(dump([entry]))
    assert signoff.verify(page, trusted).wrong == ()


def test_a_removed_signature_is_missed(tmp_path, key, bob, trusted):
    """By the roles that the target file asks for, and by the signatures after it."""
    page = run_in(tmp_path / "asked", roles=("tested", "reviewed", "reviewed"))
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    assert signoff.verify(page, trusted).wrong == ("no signature as reviewed", "no signature as reviewed")
    signoff.sign(page, bob, "Bob", "reviewed", CLOCK)
    assert signoff.verify(page, trusted).wrong == ("no signature as reviewed",)
    first, second = json.loads((page / SIGNATURES).read_text())
    (page / SIGNATURES).write_bytes(dump([second]))
    assert signoff.verify(page, trusted).wrong == (
        "the signature of Bob (reviewed): the signatures before it were changed, or one was removed",
        "no signature as reviewed",
        "no signature as tested",
    )
    (page / SIGNATURES).write_bytes(dump([first, first]))
    assert "the signature of Ann (tested): its key has signed twice" in signoff.verify(page, trusted).wrong
    (page / SIGNATURES).unlink()
    assert signoff.verify(page, trusted).wrong[-1] == "not signed"


def test_a_key_signs_once(page, key):
    """Two roles need two people."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    with pytest.raises(UsageError, match=r"^this key has signed as tested \(Ann\): one key, one signature$"):
        signoff.sign(page, key, "Bob", "reviewed", CLOCK)


def test_roles_that_are_asked_for_cannot_be_dropped(tmp_path, key, trusted):
    """A manifest without them is not that of the record, whoever signed it."""
    page = run_in(tmp_path / "asked", roles=("tested", "reviewed"))
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    text = (page / MANIFEST).read_text()
    (page / MANIFEST).write_text(text.replace('[\n  "tested",\n  "reviewed"\n ]', "[]"))
    assert (
        "signatures: the manifest has (), the record ('tested', 'reviewed')"
        in signoff.verify(page, trusted).wrong
    )


def test_a_strangers_signature_is_not_trusted(page, key, tmp_path):
    """Who changes a report can sign it anew, but not with a key that the reader trusts."""
    signoff.sign(page, key, "Eve", "tested", CLOCK)
    signoff.new_key(tmp_path / "others" / "real.pem")
    (text,) = signoff.verify(page, signoff.load_trusted([tmp_path / "others"])).wrong
    assert "is not among those that you trust" in text


def test_a_manifest_without_signature_is_not_enough(page, key, trusted):
    """Somebody has to have signed."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / SIGNATURES).unlink()
    assert signoff.verify(page, trusted).wrong == ("not signed",)


@pytest.mark.parametrize("name", publish.WRITTEN)
def test_a_forged_part_is_not_signed(page, key, name):
    """Page, summary, JUnit and CSV are made again from the record, and each has to be that."""
    (page / name).write_bytes((page / name).read_bytes().replace(b"PASS", b"pass") + b" ")
    again = f"`mpbench report {page}` makes it again, then look at it"
    assert refusal(page, key) == (
        f"{page}: not signed: {name}: not what {made_by()} makes from the record; {again}"
    )


def test_a_forged_page_with_its_manifest_is_not_signed(page, key, bob):
    """A manifest that lies there already, of forged files, is no reason to sign them."""
    signoff.sign(page, bob, "Eve", "tested", CLOCK)
    digest = tree_of(page).files["index.html"]
    (page / "index.html").write_text("<p>all good")
    forged = tree_of(page).files["index.html"]
    text = (page / MANIFEST).read_text()
    text = text.replace(digest.sha256, forged.sha256).replace(
        f'"size": {digest.size}', f'"size": {forged.size}'
    )
    (page / MANIFEST).write_text(text)
    for own in ((SIGNATURES,), ()):
        for name in own:
            (page / name).unlink()
        assert "index.html: made by an unknown version, this is" in refusal(page, key, "reviewed")


def test_a_manifest_with_another_verdict_is_not_signed(tmp_path, key):
    """What the record says decides."""
    page = run_in(tmp_path / "fail", verdict=Verdict.FAIL)
    good = signoff.manifest_of(remake(page, tree_of(page)).page, tree_of(page))
    assert good.verdict == "FAIL"
    (page / MANIFEST).write_bytes(good.text().replace(b'"FAIL"', b'"PASS"'))
    assert refusal(page, key) == (
        f"{page}: manifest.json is not that of this report; remove it if nobody signed it"
    )


def test_signatures_without_a_manifest_are_of_another_report(page, key, bob):
    """They are not kept under a new manifest."""
    signoff.sign(page, bob, "Bob", "tested", CLOCK)
    (page / MANIFEST).unlink()
    assert (
        refusal(page, key) == f"{page}: signatures.json without a manifest.json: they are of another report"
    )


def test_without_a_record_nothing_is_signed(tmp_path, page, key):
    """A page alone, a directory that does not exist, another run's record."""
    other = run_in(tmp_path / "others", verdict=Verdict.FAIL)
    (page / LOG).rename(tmp_path / "kept")
    assert refusal(page, key) == (
        f"{page}: no record.jsonl and no sources.json: without a record nothing is signed"
    )
    shutil.copy(other / LOG, page / LOG)
    assert "not what mpbench" in refusal(page, key)
    with pytest.raises(UsageError, match=r"cannot lock .*nowhere: No such file or directory"):
        signoff.sign(tmp_path / "nowhere", key, "Ann", "tested", CLOCK)


def test_a_page_of_another_version_is_said_to_be_one(page, key):
    """One line with both versions, and how to make it again."""
    for name in publish.WRITTEN:
        text = (page / name).read_text()
        (page / name).write_text(text.replace(made_by(), "mpbench 0.0.9"))
    again = f"`mpbench report {page}` makes it again, then look at it"
    assert refusal(page, key) == (
        f"{page}: not signed: index.html, summary.json: made by mpbench 0.0.9, this is {made_by()}; {again}"
    )


def test_a_signing_that_was_killed_can_be_done_again(page, key, trusted):
    """What it was writing is removed; what a process that lives is writing is no part of the report."""
    mine = page / f".{MANIFEST}.{os.getpid()}-1.part"
    mine.write_bytes(b"{")
    assert f"not signed: {mine.name} is no part of the report" in refusal(page, key)
    mine.unlink()
    with subprocess.Popen(["true"]) as killed:
        pass
    (page / f".{MANIFEST}.{killed.pid}-1.part").write_bytes(b"{")
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    assert signoff.verify(page, trusted).wrong == ()


def test_only_what_belongs_to_the_report_is_signed(page, key):
    """A file that the record does not give is no part of it, wherever it is."""
    for name in ("notes.txt", "evidence/more.txt", "sub/index.html", "logs/x.log", "journal.jsonl"):
        (page / name).parent.mkdir(exist_ok=True)
        (page / name).write_text("x")
        assert f"{name} is no part of the report" in refusal(page, key)
        (page / name).unlink()
        if name.split("/")[0] in ("sub", "logs"):
            (page / name).parent.rmdir()


def test_changed_evidence_and_a_run_that_was_killed_are_not_signed(tmp_path, page, key):
    """What the page refers to is there, and the run came to its end."""
    (evidence,) = (page / "evidence").iterdir()
    good = evidence.read_bytes()
    evidence.write_text("other")
    assert f"evidence/{evidence.name} was changed" in refusal(page, key)
    evidence.unlink()
    assert f"evidence/{evidence.name} is missing" in refusal(page, key)
    evidence.write_bytes(good)
    killed = run_in(tmp_path / "killed", ends=False)
    assert "record.jsonl: the run did not end" in refusal(killed, key)
    log = page / LOG
    log.write_bytes(log.read_bytes()[:-2])
    publish.write([page], page)
    assert "the last line is incomplete" in refusal(page, key)


def test_a_directory_of_more_than_a_report_is_not_read_to_its_end(page, key, monkeypatch):
    """The root of a file system, for example."""
    monkeypatch.setattr("mpbench.report.tree.MOST", 5)
    assert refusal(page, key) == f"{page} has more than 5 files: is it the directory of one report?"


def test_a_second_signature_needs_what_the_first_one_saw(page, key, bob):
    """Changed since the first signature: the second is refused, with the file's name."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / "junit.xml").write_text("")
    words = r"junit\.xml: not what mpbench .*; it has a manifest\.json: more signatures need the page"
    with pytest.raises(UsageError, match=words):
        signoff.sign(page, bob, "Bob", "reviewed", CLOCK)


def test_a_page_about_several_runs_has_its_records(tmp_path, page, key, trusted):
    """They are beside it, so that it is made again and compared; a forged summary is not signed."""
    other, merged = run_in(tmp_path / "others", run="r2"), tmp_path / "merged"
    publish.write([page, other], merged)
    assert publish.write_again(merged) == merged / "index.html"
    shutil.rmtree(page)
    shutil.rmtree(other)
    good = (merged / "summary.json").read_text()
    (merged / "summary.json").write_text(good + " ")
    assert "summary.json: not what" in refusal(merged, key)
    (merged / "summary.json").write_text(good)
    signoff.sign(merged, key, "Ann", "tested", CLOCK)
    found = signoff.verify(merged, trusted)
    assert (found.wrong, found.manifest.verdict) == ((), "PASS")
    (record, _) = (merged / "records").iterdir()
    record.write_bytes(record.read_bytes().replace(b"works", b"fails"))
    assert signoff.verify(merged, trusted).wrong == (f"records/{record.name} was changed",)


def test_a_run_that_is_twice_on_a_page_is_signed(page, key, trusted, tmp_path):
    """Its record is there once."""
    publish.write([page, page], tmp_path / "twice")
    signoff.sign(tmp_path / "twice", key, "Ann", "tested", CLOCK)
    assert signoff.verify(tmp_path / "twice", trusted).wrong == ()


def test_a_night_is_signed_with_its_runs(tmp_path, key, trusted):
    """A killed run that another continues, its logs and its journal; each run's own page is checked too."""
    night = night_in(tmp_path)
    run = read_sources(night).runs(night)[1].directory
    good = (run / "index.html").read_text()
    (run / "index.html").write_text(good + " ")
    assert f"{run.relative_to(night)}/index.html: not what" in refusal(night, key)
    (run / "index.html").write_text(good)
    signoff.sign(night, key, "Ann", "tested", CLOCK)
    assert signoff.verify(night, trusted).wrong == ()
    (night / "logs" / "job.log").write_text("")
    assert signoff.verify(night, trusted).wrong == ("logs/job.log was changed",)


def night_in(tmp_path, others=()):
    """Directory of a night with a killed run, one that continues it, and verdicts of units without a run."""
    night = tmp_path / "night"
    killed = run_in(night / "runs" / "job", ends=False)
    (killed / "index.html").unlink()
    run = run_in(night / "runs" / "job", run="r2", continues="r1")
    (night / "logs").mkdir()
    (night / "logs" / "job.log").write_text("pytest\n")
    page = publish.write_runs([read(killed), read(run)], night, [], ["job: second attempt"], others)
    end = {"kind": "verdict", "verdict": page.verdict.value, "sources": hash_of(night)}
    (night / JOURNAL).write_text(f'{{"kind": "held"}}\n{json.dumps(end)}\n{{"kind": "end"}}\n')
    return night


LACKS = Judgement(Verdict.INCOMPLETE, ("job on b: nothing was run",))


def drop_others(night):
    """The unit that nothing was run in disappears, from page and exports too."""
    runs = read_sources(night).runs(night)
    publish.write_runs(runs, night, [], ["job: second attempt"])


def drop_runs(night):
    """The failed unit's record as well."""
    publish.write_runs(read_sources(night).runs(night)[1:], night, [], ["job: second attempt"], [LACKS])


def drop_journal(night):
    (night / JOURNAL).unlink()


def kill(night):
    """As a night that was killed before its end."""
    (night / JOURNAL).write_text('{"kind": "held"}\n')


def forge_verdict(night):
    """The last verdict counts; a FAIL of it is no INCOMPLETE."""
    end = {"kind": "verdict", "verdict": "FAIL", "sources": hash_of(night)}
    with (night / JOURNAL).open("a") as file:
        file.write(json.dumps(end) + "\n")


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (drop_others, "sources.json is not what the night wrote, by its journal.jsonl"),
        (drop_runs, "sources.json is not what the night wrote, by its journal.jsonl"),
        (drop_journal, "sources.json is that of a night, whose journal.jsonl is missing"),
        (kill, "journal.jsonl has no verdict of the night: it was killed, or an earlier mpbench ran it"),
        (forge_verdict, "the verdict is INCOMPLETE, and 'FAIL' in journal.jsonl"),
    ],
)
def test_a_forged_night_is_not_signed(tmp_path, key, forge, words):
    """What no record holds, units without a run, is checked against the journal of the night."""
    night = night_in(tmp_path, [LACKS])
    forge(night)
    assert words in refusal(night, key)


def test_a_role_that_is_expected_is_missed(page, key, bob, capsys, tmp_path):
    """The last signature of a report that asks for none can be removed unnoticed, but for `--role`."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    alone = (page / SIGNATURES).read_bytes()
    signoff.sign(page, bob, "Bob", "reviewed", CLOCK)
    words = ["verify", str(page), "--trust", str(tmp_path)]
    assert main.main([*words, "--role", "reviewed", "--role", "tested"]) == 0
    assert "--role" not in capsys.readouterr().out
    (page / SIGNATURES).write_bytes(alone)
    assert main.main(words) == 0
    assert "asks for no signatures: were the last of several removed, nothing" in capsys.readouterr().out
    assert main.main([*words, "--role", "reviewed"]) == 1
    assert "  WRONG: no signature as reviewed\n" in capsys.readouterr().out
    assert signoff.verify(page, signoff.load_trusted([tmp_path]), ["tested", "tested"]).wrong == (
        "no signature as tested",
    )


def test_keys_are_guarded(page, key, tmp_path):
    """A shared, missing, foreign or existing key is refused, and a signature has a name."""
    with pytest.raises(UsageError, match="--by NAME"):
        signoff.sign(page, key, " ", "tested", CLOCK)
    with pytest.raises(UsageError, match="File exists"):
        signoff.new_key(tmp_path / "ann.pem")
    with pytest.raises(
        UsageError, match=r"cannot write \.: it is a directory; give a file, e\.g\. signoff\.pem"
    ):
        signoff.new_key(Path())
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


def good_manifest(page, key) -> dict:
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    return json.loads((page / MANIFEST).read_text())


DIGEST = "0" * 64
GOOD = {"size": 1, "sha256": DIGEST}
LINE = "no manifest of ours: line {}: expected the size and sha256 of a file, or the end"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 3}, "`version` is 3; expected 2"),
        ({"version": 1}, "a manifest of version 1: verify it with the mpbench that signed it"),
        ({"version": True}, "a manifest of version 1: verify it with the mpbench that signed it"),
        ({"version": 2.0}, "`version` is 2.0; expected 2"),
        ({"version": None}, "`version` is None; expected 2"),
        ({"verdict": "GOOD"}, "`verdict` is 'GOOD'; expected one of BLOCKED, ERROR, FAIL,"),
        ({"verdict": ["PASS"]}, "`verdict` is a list; expected one of"),
        ({"document": "1"}, "`document` is '1'; expected four groups of four hex digits"),
        ({"made_by": ""}, "`made_by` is ''; expected the name and version of the program"),
        ({"signatures": "tested"}, "`signatures` is 'tested'; expected a list of roles"),
        ({"signatures": ["t"] * 21}, "`signatures` is a list; expected a list of roles"),
        ({"directories": ["../x"]}, "`directories` is a list; expected a sorted list of paths"),
        ({"directories": ["b", "a"]}, "`directories` is a list; expected a sorted list of paths"),
        ({"directories": [[]]}, "`directories` is a list; expected a sorted list of paths"),
        ({"files": []}, "`files` is a list; expected an object"),
        ({"files": {}}, "no manifest of ours: `files` is empty, or in other blanks than `signoff` writes"),
        (
            {"files": {"/etc/x": {"size": 1, "sha256": DIGEST}}},
            "'/etc/x' is no path below the report's directory",
        ),
        (
            {"files": {"../x": {"size": 1, "sha256": DIGEST}}},
            "'../x' is no path below the report's directory",
        ),
        ({"files": {"b": GOOD, "a": GOOD}}, "no manifest of ours: `files` is not sorted"),
        ({"files": {"x": {"size": -1, "sha256": DIGEST}}}, LINE.format(11)),
        ({"files": {"x": {"size": True, "sha256": DIGEST}}}, LINE.format(11)),
        ({"files": {"a": GOOD, "x": {"size": 1, "sha256": "0"}}}, LINE.format(14)),
        ({"files": {"x": {"sha256": DIGEST, "size": 1}}}, LINE.format(11)),
        ({"files": {"x": {"size": 1}}}, LINE.format(11)),
        ({"files": {"x": []}}, LINE.format(11)),
        ({"files": {"a": GOOD}, "more": 1}, LINE.format(14)),
        ({"verdict": "FAIL", "document": 0}, "`document` is 0; expected four groups of four hex digits"),
    ],
)
def test_a_manifest_is_a_closed_list_with_types(page, key, trusted, changed, message):
    """Each wrong value is named with what is right; nothing more may be in it."""
    (page / MANIFEST).write_bytes(dump(good_manifest(page, key) | changed))
    with pytest.raises(UsageError) as refused:
        signoff.verify(page, trusted)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "field", ["version", "document", "verdict", "made_by", "signatures", "directories", "files"]
)
def test_every_field_of_a_manifest_is_needed(page, key, trusted, field):
    """A missing one is named."""
    found = good_manifest(page, key)
    del found[field]
    (page / MANIFEST).write_bytes(dump(found))
    with pytest.raises(UsageError, match=f"no manifest of ours: `{field}` is missing; expected "):
        signoff.verify(page, trusted)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("by", "", "a name"),
        ("by", 1, "a name"),
        ("role", "x" * 2001, "a role"),
        ("utc", "2027", "a time such as 2026-11-18T11:06:40+00:00"),
        ("utc", "2026-13-45T11:06:40+00:00", "a time such as 2026-11-18T11:06:40+00:00"),
        ("key", "x", "64 hex digits"),
        ("earlier", None, "64 hex digits"),
        ("signature", "AAAA", "a signature in base64"),
        ("signature", "A" * 85 + "B==", "a signature in base64"),
    ],
)
def test_a_signature_has_types_too(tmp_path, key, field, value, expected):
    """A value of another form is named with what is right."""
    page = run_in(tmp_path / "runs")
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (entry,) = json.loads((page / SIGNATURES).read_text())
    (page / SIGNATURES).write_bytes(dump([entry | {field: value}]))
    with pytest.raises(UsageError, match=f"no signatures of ours: `{field}` is .*; expected ") as refused:
        signoff.verify(page, {})
    assert str(refused.value).endswith(f"; expected {expected}")


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURES])
@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        '{"a": 1}',
        "",
        "\0",
        "\udcff",
        "[" * 100_000,
        '{"a":' * 5000,
        "1" * 5000,
        "NaN",
        '"x"',
        "null",
    ],
    ids=lambda text: repr(text[:8]),
)
def test_what_is_no_manifest_is_said(page, key, trusted, name, text):
    """Broken files are an error in one line, and no verdict."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    (page / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"of ours") as refused:
        signoff.verify(page, trusted)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURES])
def test_a_manifest_is_bounded_and_a_file(page, key, trusted, name):
    """A huge one, a link, a FIFO and a directory are refused before they are read."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    good = (page / name).read_bytes()
    (page / name).write_bytes(good[:-1] + b" " * (17 << 20))
    with pytest.raises(UsageError, match="larger than"):
        signoff.verify(page, trusted)
    for make, kind in ((link, "symbolic link"), (os.mkfifo, "a FIFO"), (os.mkdir, "Is a directory")):
        (page / name).unlink()
        make(page / name)
        with pytest.raises(UsageError, match=f"cannot read .*{name}: .*{kind}"):
            signoff.verify(page, trusted)
        if make is os.mkdir:
            (page / name).rmdir()


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_a_manifest_has_one_text(page, key, trusted, change):
    """A blank more is another text for the same content."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    for name in (MANIFEST, SIGNATURES):
        good = (page / name).read_bytes()
        (page / name).write_bytes(good + change)
        with pytest.raises(UsageError, match="other fields or blanks than `signoff` writes"):
            signoff.verify(page, trusted)
        (page / name).write_bytes(good)


def test_a_disk_that_takes_no_signature_is_the_labs_fault(page, key, monkeypatch):
    """Nothing half-written stays."""

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    before = sorted(page.iterdir())
    with pytest.raises(InfrastructureError, match=r"cannot write .*manifest\.json: No space left"):
        signoff.sign(page, key, "Ann", "tested", CLOCK)
    assert sorted(page.iterdir()) == before


def test_names_are_printed_escaped(page, tmp_path, capsys):
    """Escape codes, line breaks and bytes that are no UTF-8, in names of files and of signers."""
    pem = tmp_path / "ann.pem"
    signoff.new_key(pem)
    assert main.main(["signoff", str(page), "--key", str(pem), "--by", "Ann\x1b[2J"]) == 0
    (page / "evil\x1b[31m\nWRONG").write_text("")
    os.close(os.open(os.fsencode(page) + b"/\xff", os.O_CREAT))
    (page / "d\u202e").mkdir()
    assert main.main(["verify", str(page), "--trust", str(pem.with_suffix(".pub"))]) == 1
    out = capsys.readouterr().out
    assert "tested: Ann␛[2J, " in out
    assert "WRONG: evil␛[31m␊WRONG was added\n" in out
    assert "WRONG: ⟨U+DCFF⟩ was added\n" in out
    assert "WRONG: directory d⟨U+202E⟩ was added\n" in out
    assert main.main(["signoff", str(page), "--key", str(pem), "--by", "Ann"]) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_keys_in_the_report_itself_are_not_trusted(page, key, tmp_path, capsys):
    """Who forges a report brings their own key."""
    signoff.sign(page, key, "Eve", "tested", CLOCK)
    shutil.copy(tmp_path / "ann.pub", page / "evidence")
    for trust in (page / "evidence" / "ann.pub", page / "evidence", page):
        assert main.main(["verify", str(page), "--trust", str(trust)]) == 2
        assert "is in the report: who changed that could replace the keys" in capsys.readouterr().err


def test_a_terminal_of_another_encoding_is_no_error(page, key, tmp_path):
    """Characters that it lacks are escaped."""
    signoff.sign(page, key, "Änn", "tested", CLOCK)
    (page / "µ").write_text("")
    words = [
        sys.executable,
        "-c",
        "from mpbench.commands.main import main; raise SystemExit(main())",
        "verify",
        str(page),
        "--trust",
        str(tmp_path),
    ]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"tested: \\xc4nn, " in done.stdout
    assert b"WRONG: \\xb5 was added" in done.stdout


def test_a_path_that_is_too_long_is_one_line(page, key, trusted):
    """A directory tree deeper than the kernel takes a path."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    here = os.open(page, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    with pytest.raises(UsageError, match=r"^cannot read .*: File name too long$"):
        signoff.verify(page, trusted)


def test_a_signed_report_is_not_written_over(page, key, tmp_path, capsys):
    """`mpbench report` would invalidate the signatures."""
    signoff.sign(page, key, "Ann", "tested", CLOCK)
    assert main.main(["report", str(page)]) == 2
    assert "it is signed, it has manifest.json; give -o DIR" in capsys.readouterr().err
    assert main.main(["report", str(page), "-o", str(tmp_path / "out")]) == 0


def test_signing_and_verifying_as_commands(tmp_path, capsys):
    """`mpbench signoff` and `verify`: 0 for a good report, 1 for a changed one, 2 without a report."""
    page, pem = run_in(tmp_path / "runs", roles=("tested", "reviewed")), tmp_path / "keys" / "lab.pem"
    assert main.main(["signoff", str(page), "--key", str(pem), "--by", "Ann"]) == 2
    assert f"no key at {pem}: `mpbench signoff --new-key {pem}` makes one" in capsys.readouterr().err
    assert main.main(["verify", str(page), "--trust", str(pem)]) == 2
    assert f"no public keys at {pem}: give those of the signers, --trust PUB" in capsys.readouterr().err
    assert main.main(["signoff", "--new-key", str(pem)]) == 0
    assert main.main(["signoff", str(page), "--key", str(pem), "--by", "Ann"]) == 0
    assert "not yet signed: reviewed\n" in capsys.readouterr().out
    second = tmp_path / "keys" / "bob.pem"
    assert main.main(["signoff", "--new-key", str(second)]) == 0
    words = ["signoff", str(page), "--key", str(second), "--by", "Bob", "--role", "reviewed"]
    assert main.main(words) == 0
    assert "not yet signed" not in capsys.readouterr().out
    assert main.main(["verify", str(page), "--trust", str(pem.parent)]) == 0
    assert "tested: Ann" in capsys.readouterr().out
    (page / "index.html").write_text("")
    assert main.main(["verify", str(page), "--trust", str(pem.parent)]) == 1
    assert "WRONG: index.html was changed" in capsys.readouterr().out
    assert main.main(["signoff"]) == 2
    capsys.readouterr()
    assert main.main(["verify", str(tmp_path / "runs"), "--trust", str(pem.parent)]) == 2
    assert f"{tmp_path / 'runs'} is not signed: it has no manifest.json" in capsys.readouterr().err
