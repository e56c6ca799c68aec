# SPDX-License-Identifier: MIT
"""`mpbench sign` with a key in hardware: SoftHSM2, a PKCS#11 token in software."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mpbench.commands.main import main
from mpbench.core.errors import UsageError
from mpbench.image.keys import PrivateKey, made_by
from mpbench.image.token_key import parse_uri
from testcases.unit.image_rig import ec_key, firmware, image, key, write_key

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A token with the tests' RSA key (rsa, id 01), their ECDSA key (ec, 02) and one of another curve.

    For the whole module: a PKCS#11 library reads its configuration once in a process.
    """
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    if shutil.which("softhsm2-util") is None or not LIBRARY.exists():
        pytest.skip("softhsm2 is not installed")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    (home / "softhsm.conf").write_text(f"directories.tokendir = {home}/tokens\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(home / "softhsm.conf"))
        patch.setenv("PKCS11_MODULE", str(LIBRARY))
        util("--init-token", "--free", "--label", "lab", "--so-pin", "0000")
        keys: dict[str, PrivateKey] = {"rsa": key(), "ec": ec_key()}
        keys["other"] = ec.generate_private_key(ec.SECP384R1())
        for number, (label, private) in enumerate(keys.items(), 1):
            write_key(home / f"{label}.pem", private)
            file = str(home / f"{label}.pem")
            util("--import", file, "--token", "lab", "--label", label, "--id", f"{number:02x}")
        yield


@pytest.fixture
def token(tokens, tmp_path, monkeypatch):  # noqa: ARG001 - the tokens have to be there
    """A directory with a firmware; the PIN is in THE_PIN."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_PIN", PIN)
    (tmp_path / "fw.elf").write_bytes(firmware())
    return tmp_path


def util(*arguments: str) -> None:
    """softhsm2-util with the PIN."""
    subprocess.run(
        ["softhsm2-util", *arguments, "--pin", PIN], check=True, capture_output=True, env=os.environ
    )


@pytest.mark.parametrize("uri", ["pkcs11:token=lab;object=rsa", "pkcs11:id=%01"])
def test_an_rsa_key_in_a_token_makes_the_same_image_as_its_file(token, uri):
    """By label or id, with the PIN from the environment."""
    assert main(["sign", "--key", uri, "--passphrase-env", "THE_PIN", "-o", "out.bin", "fw.elf"]) == 0
    assert (token / "out.bin").read_bytes() == image()


def test_an_ecdsa_key_in_a_token_signs(token):
    """r and s of P-256; the PIN from a file that the URI names."""
    (token / "pin").write_text(PIN + "\n")
    (token / "pin").chmod(0o600)
    assert main(["sign", "--key", f"pkcs11:object=ec?pin-source=file:{token}/pin", "-o", "o", "fw.elf"]) == 0
    out = (token / "o").read_bytes()
    end = 20 + -(-int.from_bytes(out[8:12], "little") // 8) * 8
    assert made_by(ec_key().public_key(), out[:end], out[end : end + 64])


def test_the_pin_is_asked_for(token, monkeypatch):
    """From the terminal, once."""
    asked = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return PIN

    monkeypatch.setattr("getpass.getpass", ask)
    assert main(["sign", "--key", "pkcs11:object=rsa", "-o", "out.bin", "fw.elf"]) == 0
    assert asked == ["PIN of pkcs11:object=rsa: "]
    assert (token / "out.bin").exists()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=none;object=rsa", "0 tokens fit (none); name one, token=LABEL"),
        ("pkcs11:object=none", "the token has no public key of this name"),
        ("pkcs11:object=other", "RSA or ECDSA P-256 is needed"),
        ("pkcs11:object=rsa?module-path=/nonexistent.so", "/nonexistent.so"),
    ],
)
def test_what_a_token_refuses_is_one_line(token, capsys, uri, words):
    """Exit code 2, nothing written, no PIN in it."""
    assert main(["sign", "--key", uri, "--passphrase-env", "THE_PIN", "-o", "out.bin", "fw.elf"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert PIN not in err
    assert not (token / "out.bin").exists()


def test_a_wrong_pin_is_one_line(token, capsys, monkeypatch):
    """Without the PIN."""
    monkeypatch.setenv("THE_PIN", "9999")
    assert (
        main(["sign", "--key", "pkcs11:object=rsa", "--passphrase-env", "THE_PIN", "-o", "o", "fw.elf"]) == 2
    )
    assert capsys.readouterr().err == "mpbench: error: pkcs11:object=rsa: PinIncorrect\n"
    assert not (token / "o").exists()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=lab", "which key? give object=LABEL or id=%01"),
        ("pkcs11:object=rsa;colour=red", "'colour' is none of token, serial, object, id, type"),
        ("pkcs11:object=rsa?pin-value=1234", "a PIN in a URI can be read by others"),
        ("pkcs11:object=rsa", "which token library? add ?module-path=FILE, or set PKCS11_MODULE"),
    ],
)
def test_a_uri_that_names_too_little_is_one_line(monkeypatch, uri, words):
    """Before any token is asked."""
    monkeypatch.delenv("PKCS11_MODULE", raising=False)
    with pytest.raises(UsageError) as error:
        parse_uri(uri)
    assert words in str(error.value)


def test_a_uri_has_the_names_of_rfc_7512():
    """Percent codes, serial, module, a PIN's file."""
    uri = "pkcs11:token=My%20Token;serial=ab12;id=%01%ff?module-path=/m.so&pin-source=file:/run/pin"
    found = parse_uri(uri)
    assert (found.token, found.serial, found.label, found.id) == ("My Token", "ab12", None, b"\x01\xff")
    assert (found.module, found.pin_file) == ("/m.so", "/run/pin")
