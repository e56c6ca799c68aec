# SPDX-License-Identifier: MIT
"""No command writes over one of its inputs, or over what is no file: exit code 2, nothing is changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mpbench.commands.main import main
from mpbench.core.evidence import Artefact
from mpbench.core.lines import ProvenanceLine, RunEnd, RunStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench.image.sign import sign
from testcases.unit.image_rig import firmware, key, write_key

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A key, an ELF, key information and a pass phrase, each also by a hard and a symbolic link."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fw.elf").write_bytes(firmware())
    (tmp_path / "info").write_bytes(b"slot 3")
    (tmp_path / "phrase").write_bytes(b"open\n")
    (tmp_path / "phrase").chmod(0o600)
    write_key(tmp_path / "k.pem", key(), b"open")
    for name in ("fw.elf", "info", "phrase", "k.pem"):
        os.link(name, f"hard-{name}")
        os.symlink(name, f"soft-{name}")
    return tmp_path


SIGN = ["sign", "--key", "k.pem", "--key-info", "info", "--passphrase-file", "phrase", "fw.elf", "-o"]


def held(directory: Path) -> dict[str, object]:
    """Every path below a directory: its content, or what it is."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("name", ["fw.elf", "info", "phrase", "k.pem"])
@pytest.mark.parametrize("spelling", ["{}", "./{}", "hard-{}", "soft-{}", "../{here}/{}"])
def test_sign_never_writes_over_an_input(desk, capsys, name, spelling):
    """Whichever name of the file is given: it is known by device and inode."""
    before, output = held(desk), Path(spelling.format(name, here=desk.name))
    assert main([*SIGN, str(output)]) == 2
    assert capsys.readouterr().err == (
        f"mpbench: error: cannot write {output}: it is the input {name}; give another output\n"
    )
    assert held(desk) == before


@pytest.mark.parametrize("name", ["phrase", "info"])
def test_sign_never_writes_over_what_a_uri_names(desk, capsys, monkeypatch, name):
    """The PIN's file and the token's library belong to the inputs, before anything is asked or loaded."""
    before = held(desk)
    monkeypatch.setenv("PKCS11_MODULE", "info")
    uri = "pkcs11:object=rsa?pin-source=file:phrase"
    assert main(["sign", "--key", uri, "fw.elf", "-o", f"hard-{name}"]) == 2
    assert f"cannot write hard-{name}: it is the input {name}; give" in capsys.readouterr().err
    assert held(desk) == before


def test_sign_does_not_follow_a_link_to_another_file(desk, capsys):
    """What it leads to stays, and the message has the path to give."""
    (desk / "other").write_bytes(b"precious")
    (desk / "out").symlink_to("other")
    assert main([*SIGN, "out"]) == 2
    assert capsys.readouterr().err == (
        "mpbench: error: cannot write out: it is a symbolic link to other; give that path\n"
    )
    assert (desk / "other").read_bytes() == b"precious"


@pytest.mark.usefixtures("desk")
def test_sign_writes_to_a_stream_that_is_named():
    """/dev/stdout gets the image alone, for a pipe; /dev/null takes it and stays a device."""
    code = "import sys; from mpbench.commands.main import main; sys.exit(main())"
    run = [sys.executable, "-c", code, *SIGN]
    piped = subprocess.run([*run, "/dev/stdout"], capture_output=True, check=True)
    assert piped.stdout == image_with_info()
    assert piped.stderr == f"/dev/stdout: {len(piped.stdout)} bytes\n".encode()
    assert main([*SIGN, "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()
    with open("fw.elf", "ab") as elf:
        taken = subprocess.run([*run, "/dev/stdout"], stdout=elf, stderr=subprocess.PIPE, check=False)
    assert taken.returncode == 2
    assert b"cannot write /dev/stdout: it is the input fw.elf; give another output" in taken.stderr
    assert Path("fw.elf").read_bytes() == firmware()


def image_with_info() -> bytes:
    return sign([firmware()], key(), key_info=b"slot 3")


@pytest.fixture
def run(tmp_path):
    """Directory of a run with evidence that only its owner may read."""
    record = Record(new_directory(tmp_path / "runs", "mp25", CLOCK), "r1", CLOCK)
    record.append(RunStart(target="mp25", command=(), bench="0.1.0", continues=None))
    kept = record.keep([Artefact("console", b"U-Boot 2025.01\n")])
    record.append(ProvenanceLine(entries={}, virtual=False, evidence=kept))
    record.append(RunEnd(counts={}))
    record.close()
    (record.directory / "evidence" / kept[0].file).chmod(0o600)
    return record.directory


def test_report_does_not_replace_its_record(run, capsys):
    """A page that is a second name of the record, or of evidence."""
    evidence = next((run / "evidence").iterdir())
    for name, source in (("index.html", run / "record.jsonl"), ("junit.xml", evidence)):
        (run / name).unlink(missing_ok=True)
        os.link(source, run / name)
        before = held(run)
        assert main(["report", str(run)]) == 2
        assert capsys.readouterr().err == (
            f"mpbench: error: cannot write {run / name}: it is the input {source}; give another output\n"
        )
        assert held(run) == before
        (run / name).unlink()


def as_file(out: Path, _: Path) -> str:
    out.write_text("precious")
    return "it is no directory"


def as_fifo(out: Path, _: Path) -> str:
    os.mkfifo(out)
    return "it is no directory"


def as_another_run(out: Path, run: Path) -> str:
    shutil.copytree(run, out)
    return "it is the directory of another run"


def with_linked_evidence(out: Path, run: Path) -> str:
    out.mkdir()
    (out / "evidence").symlink_to(run)
    return f"{out / 'evidence'} is no directory"


@pytest.mark.parametrize("made", [as_file, as_fifo, as_another_run, with_linked_evidence])
def test_report_refuses_a_place_that_is_none_for_a_page(tmp_path, run, capsys, made):
    """Before anything is written."""
    why = made(tmp_path / "out", run)
    before = held(tmp_path)
    assert main(["report", str(run), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"mpbench: error: cannot write the report to {tmp_path / 'out'}: {why}\n"
    )
    assert held(tmp_path) == before


@pytest.mark.parametrize("name", ["index.html", "junit.xml", "measurements.csv", "summary.json"])
def test_report_replaces_files_only(tmp_path, run, capsys, name):
    """One output that is something else, and none of the four is written."""
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / name)
    assert main(["report", str(run), "-o", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"mpbench: error: cannot write {out / name}: it is a FIFO; only regular files are replaced\n"
    )
    assert [path.name for path in out.iterdir()] == [name]


def test_evidence_keeps_its_mode(tmp_path, run, monkeypatch):
    """Linked or copied: what only its owner may read is not published for others."""
    source = next((run / "evidence").iterdir())
    assert main(["report", str(run), "-o", str(tmp_path / "linked")]) == 0

    def other_disk(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    assert main(["report", str(run), "-o", str(tmp_path / "copied")]) == 0
    for name in ("linked", "copied"):
        file = tmp_path / name / "evidence" / source.name
        assert file.read_bytes() == b"U-Boot 2025.01\n"
        assert file.stat().st_mode & 0o777 == 0o600


def test_evidence_that_is_a_link_is_not_published(tmp_path, run, capsys):
    """It could lead to any file of the host; the record's check names it."""
    source = next((run / "evidence").iterdir())
    secret = tmp_path / "secret"
    source.rename(secret)
    source.symlink_to(secret)
    assert main(["report", str(run), "-o", str(tmp_path / "out")]) == 0
    assert list((tmp_path / "out" / "evidence").iterdir()) == []
    assert main(["record", str(run)]) == 1
    assert f"  evidence/{source.name} is missing or was changed" in capsys.readouterr().out


def test_evidence_below_a_linked_directory_is_not_read(tmp_path, run):
    """The directory itself may not lead elsewhere either."""
    (run / "evidence").rename(tmp_path / "elsewhere")
    (run / "evidence").symlink_to(tmp_path / "elsewhere")
    assert main(["record", str(run)]) == 1


def test_a_record_that_is_no_file_is_refused(run, capsys):
    """A link, a FIFO: the first could be published, the second would be waited for."""
    log = run / "record.jsonl"
    log.rename(run / "kept")
    log.symlink_to("kept")
    assert main(["record", str(run)]) == 2
    log.unlink()
    os.mkfifo(log)
    assert main(["record", str(run)]) == 2
    assert capsys.readouterr().err == (
        f"mpbench: error: cannot read {log}: it is a symbolic link; a regular file is needed\n"
        f"mpbench: error: cannot read {log}: it is a FIFO; a regular file is needed\n"
    )


def test_signoff_never_replaces_a_key(tmp_path, run, capsys):
    """Neither the private key, nor the public one, nor the key that it signs with."""
    assert main(["signoff", "--new-key", str(tmp_path / "ann.pub")]) == 2
    (tmp_path / "bob.pub").write_text("precious")
    assert main(["signoff", "--new-key", str(tmp_path / "bob.pem")]) == 2
    assert main(["signoff", "--new-key", str(tmp_path / "ann.pem")]) == 0
    assert main(["report", str(run)]) == 0
    os.link(tmp_path / "ann.pem", run / "signatures.json")
    before = held(tmp_path)
    assert main(["signoff", str(run), "--by", "Ann", "--key", str(tmp_path / "ann.pem")]) == 2
    assert capsys.readouterr().err == (
        f"mpbench: error: cannot write {tmp_path}/ann.pub: .pub is the suffix of its public key;"
        " give another name\n"
        f"mpbench: error: cannot write {tmp_path}/bob.pub: File exists; a key is never replaced\n"
        f"mpbench: error: cannot write {run}/signatures.json: it is the input {tmp_path}/ann.pem;"
        " give another output\n"
    )
    assert held(tmp_path) == before
