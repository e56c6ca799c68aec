# SPDX-License-Identifier: MIT
"""Secrets do not appear in what the bench records or prints."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mpbench.core.errors import UsageError
from mpbench.core.secrets import (
    HIDDEN,
    forget,
    is_secret_name,
    learn,
    learn_arguments,
    redact,
    redact_all,
    redact_bytes,
    secret_values,
)
from mpbench.core.terminal import safe_output
from mpbench.harness.environment import read_environment
from mpbench.lab.plan import load
from mpbench.plugin import clean_output

CANARY = "c4n4ry-s3cret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://admin:c4n4ry-s3cret@relay:8080/r/{index}", "http://***@relay:8080/r/{index}"),
        ("GET 'https://token@host/': 500", "GET 'https://***@host/': 500"),
        ("http://u:p@ss@host", "http://***@host"),
        ("http://u:p/w?x#y@host/path", "http://***@host/path"),
        ("http://a:b@h1,http://c:d@h2 and ftp://e@h3", "http://***@h1,http://***@h2 and ftp://***@h3"),
        ('["http://relay", "a@b"]', '["http://relay", "a@b"]'),
        ("http://relay:8080/logo@2x.png", "http://relay:8080/logo@2x.png"),
        ("GET http://h/set?user=me&password=x&on=1: 500", "GET http://h/set?user=me&password=***&on=1: 500"),
        ("{'Authorization': 'Basic dTpw'}", "{'Authorization': 'Basic ***'}"),
        ("authorization: Bearer abc.def", "authorization: Bearer ***"),
        ("test_a.py::test_b[x@y] //a@b", "test_a.py::test_b[x@y] //a@b"),
        ("", ""),
    ],
)
def test_the_user_part_of_a_url_is_hidden(text, shown):
    """User and password of a URL are hidden wherever it appears in a text; other text is unchanged."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LG_TOKEN", CANARY),
        ("MPBENCH_KEY_PASSPHRASE", CANARY),
        ("gitlab_secret", CANARY),
        ("LG_POWER_HOST", f"http://admin:{CANARY}@relay/{{index}}"),
        ("LG_POWER_HOST", f"admin:{CANARY}@relay"),
        ("OTHER", f"http://h:80/ http://admin:{CANARY}@relay:8080"),
        ("LG_POWER_HOST", f"http://relay/set?user=admin&password={CANARY}&on=1"),
        ("SIGNING_KEY", f"pkcs11:object=board?pin-value={CANARY}"),
        ("SETTINGS", f'{{"user": "admin", "api_key": "{CANARY}"}}'),
        ("DSN", f"host=relay user=admin password={CANARY}"),
        ("HSM_PIN", CANARY),
        ("CI_JOB_JWT", CANARY),
        ("RELAY_PWD", CANARY),
    ],
)
def test_a_secret_is_hidden_by_value(name, value):
    """A value that a variable declares as secret is hidden in any text, without the variable's name."""
    found = secret_values({name: value, "LG_PLACE": "desk-25-1"})
    assert (
        redact(f"login with {CANARY!r} failed at desk-25-1", found) == "login with '***' failed at desk-25-1"
    )


def test_each_line_of_a_private_key_is_a_secret():
    """Tools quote the line that they do not understand."""
    found = secret_values({"SSH_PRIVATE_KEY": f"-----BEGIN KEY-----\n{'Ab' * 32}\n-----END KEY-----\n"})
    assert redact(f"bad line: {'Ab' * 32}", found) == "bad line: ***"


def test_other_forms_of_a_secret_are_hidden():
    """The quoted, unquoted and repr() forms of a secret are hidden as well."""
    found = secret_values({"LG_PASSWORD": "p@ss w/o\\rd", "X": "http://u:a%40b%2Fcdef@h"})
    for form in ("p@ss w/o\\rd", "p%40ss%20w%2Fo%5Crd", repr("p@ss w/o\\rd"), "a@b/cdef", "a%40b%2Fcdef"):
        assert form.strip("'") not in redact(f"<{form}>", found)


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ('a&b<c>"d', "a&amp;b&lt;c&gt;&quot;d"),
        ("gr\xfc\xdfe-an", "gr\\u00fc\\u00dfe-an"),
        ('a&b<c>"d', 'a&amp;b&lt;c&gt;"d'),
        ('gr\xfc\xdfe"an', 'gr\xfc\xdfe\\"an'),
        ("gr\xfc\xdfe-an", "gr\\xfc\\xdfe-an"),
        ("gr\xfc\xdfe-an", "gr\\xc3\\xbc\\xc3\\x9fe-an"),
        ("gr\xfc\xdfe-an", "gr\xc3\xbc\xc3\x9fe-an"),
        ("two words", "two+words"),
        ("path/word", "path%2fword"),
        ("p\xe4th/word", "p%C3%A4th/word"),
        ("???>>>???", "Pz8_Pj4-Pz8_"),
        ("long-word", "bG9uZy13b3Jk"),
        ("secret!", "c2VjcmV0IQ"),
        ("caf\udce9 caf\udce9", "caf%E9%20caf%E9"),
        ("spelt \ud800 out", "spelt%20%ED%A0%80%20out"),
    ],
)
def test_a_secret_has_the_forms_of_where_it_is_quoted(secret, form):
    """HTML, JSON, ascii(), repr() of bytes, HTTP's Latin-1, web forms, base64, no UTF-8 at all."""
    assert redact(f"<{form}>", secret_values({"TOKEN": secret})) == "<***>"


def test_bytes_are_redacted_in_any_encoding():
    """What is no UTF-8 stays as it is."""
    found = secret_values({"TOKEN": "gr\xfc\xdfe-an", "WORD_TOKEN": "caf\udce9-noir"})
    data = b"\xff\0 gr\xc3\xbc\xc3\x9fe-an caf\xe9-noir http://u:p@h/\r\n"
    assert redact_bytes(data, found) == b"\xff\0 *** *** http://***@h/\r\n"
    assert redact_bytes(data[:4]) == data[:4]


def test_short_values_and_longer_ones_that_contain_them():
    """A value below six characters is not hidden by value; the longest secret is replaced first."""
    assert secret_values({"TOKEN": "12345", "PASS": ""}) == frozenset()
    found = secret_values({"A_TOKEN": "secret", "B_TOKEN": "secretive"})
    assert redact("secretive secret", found) == "*** ***"


def test_every_string_of_a_line_is_redacted():
    """Strings in lists and mappings are redacted; keys and other values are not changed."""
    line = {CANARY: [f"--key={CANARY}", 1, None, {"x": (CANARY, 2.5)}], "n": 7}
    assert redact_all(line, frozenset([CANARY])) == {
        CANARY: ["--key=***", 1, None, {"x": ["***", 2.5]}],
        "n": 7,
    }


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("MY_API_KEY", True),
        ("api-key", True),
        ("HTTP_AUTHORIZATION", True),
        ("X-Auth", True),
        ("password", True),
        ("DB_PASS", True),
        ("session_cookie", True),
        ("SSH_AUTH_SOCK", False),
        ("PASSPHRASE_FILE", False),
        ("passphrase-env", False),
        ("AUTHOR", False),
        ("PASSAGE", False),
        ("bench_signing_key", False),
        ("OLDPWD", False),
    ],
)
def test_names_of_secrets(name, secret):
    """A name says that its value is one; names of places where a secret is do not."""
    assert is_secret_name(name) is secret


def test_what_was_learnt_is_hidden_everywhere():
    """At any depth of a target file, from arguments in all their forms, and until it is forgotten."""
    entries: dict = {"a": [{"password": CANARY, "n": 7, "flag": True}], "b": {"host": "http://u:short@h"}}
    entries["c"] = entries
    learn(entries)
    learn_arguments(["--api-key=c4-equals", "--token", "c4-following", "relay_token=c4-named", "x"])
    learn_arguments(["--note=lab_token=c4-nested", "--user-token"])
    text = f"{CANARY} u:short@h c4-equals c4-following c4-named c4-nested"
    assert redact(text) == "*** ***@h *** *** *** ***"
    assert redact_all({"x": [text]})["x"] == ["*** ***@h *** *** *** ***"]
    forget()
    assert redact(text) == text


def test_the_form_of_http_is_hidden():
    """User and password as a header of HTTP has them."""
    assert redact("Basic dTpsb25nLXdvcmQ=", secret_values({"X": "http://u:long-word@h"})) == "Basic ***"


def test_a_token_as_user_of_a_url():
    """A user without a password is a secret; that of another scheme is a name."""
    found = secret_values({"A": "https://t0k3n-of-host@h/x", "B": "ssh://operator@h"})
    assert redact("t0k3n-of-host operator", found) == "*** operator"


def test_streams_hide_secrets(capsys):
    """Standard output and error, lines and whole writes; the stream's other attributes are its own."""
    learn({"TOKEN": CANARY})
    with safe_output():
        print(f"out {CANARY}")
        sys.stderr.writelines([f"err {CANARY}\n", "more\n"])
        assert sys.stdout.encoding
    forget()
    print(CANARY)
    assert capsys.readouterr() == (f"out ***\n{CANARY}\n", "err ***\nmore\n")


def test_files_of_other_plug_ins_have_no_secret(tmp_path, monkeypatch):
    """What this run wrote is cleaned: a JUnit file, results of Allure. Anything else beside them stays."""
    monkeypatch.setattr(os, "environ", {"TOKEN": CANARY})
    uuid = "3d5180fd-4768-4dc0-b930-81d353702e7f"
    options = SimpleNamespace(allure_report_dir=".", xmlpath="junit.xml", htmlpath=None)
    parameters: Any = SimpleNamespace(dir=tmp_path, args=[])
    trace = SimpleNamespace(root=SimpleNamespace(_writer=None))
    config: Any = SimpleNamespace(
        option=options, invocation_params=parameters, stash=pytest.Stash(), trace=trace
    )
    kept = [tmp_path / name for name in ("played.yaml", f"{uuid}-old.txt", f"{uuid}-link.txt")]
    kept[0].write_text(CANARY)
    kept[1].write_text(CANARY)
    kept[2].symlink_to(kept[0])
    (tmp_path / "junit.xml").write_text(CANARY)
    clean_output.pytest_configure(config)
    clean_output.pytest_unconfigure(config)
    assert (tmp_path / "junit.xml").read_text() == CANARY  # of an earlier run
    written = [tmp_path / "junit.xml", tmp_path / f"{uuid}-result.json"]
    for path in written:
        path.write_text(f"<x>{CANARY}</x> ")
    clean_output.pytest_unconfigure(config)
    forget()
    assert [path.read_text() for path in written] == ["<x>***</x> "] * 2
    assert [path.read_text() for path in kept] == [CANARY] * 3


SECRET = "hunter2-secret"
PLAN = """
jobs:
- {{name: a, target: plan.yaml, tags: {{a: b}}, tests: [t], variables: {{API_TOKEN: {}}}}}
"""
TARGET = """
targets: {{main: {{resources: {{}}, drivers: {{}}}}}}
options: {{api_token: {}}}
"""


@pytest.mark.parametrize("value", ["918273645566", "0x918273645566", "918273645566.5", f'"{SECRET}\\0"'])
def test_a_plan_that_is_refused_does_not_show_the_secret(tmp_path, value):
    """It is no text, and the error quotes what it is."""
    (tmp_path / "plan.yaml").write_text(PLAN.format(value))
    with pytest.raises(UsageError) as found:
        load(tmp_path / "plan.yaml")
    assert "`API_TOKEN` is" in str(found.value)
    assert HIDDEN in redact(str(found.value))


@pytest.mark.parametrize("value", [f"*{SECRET}", f"!{SECRET} x", f"!!{SECRET} x"])
@pytest.mark.parametrize(
    ("text", "read_it"), [(PLAN, load), (TARGET, lambda path: read_environment(str(path)))]
)
def test_a_password_that_is_read_as_yaml_is_hidden(tmp_path, text, read_it, value):
    """Without quotes `*` begins an alias and `!` a tag, whose name PyYAML's and labgrid's errors quote."""
    (tmp_path / "plan.yaml").write_text(text.format(value))
    with pytest.raises(UsageError) as found:
        read_it(tmp_path / "plan.yaml")
    shown = redact(str(found.value))
    assert (SECRET in shown, HIDDEN in shown) == (False, True)
