# SPDX-License-Identifier: MIT
"""Secrets do not appear in what the bench records or prints."""

import pytest

from mpbench.core.secrets import redact, redact_all, secret_values

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
    ],
)
def test_a_secret_is_hidden_by_value(name, value):
    """A value that a variable declares as secret is hidden in any text, without the variable's name."""
    found = secret_values({name: value, "LG_PLACE": "desk-25-1"})
    assert (
        redact(f"login with {CANARY!r} failed at desk-25-1", found) == "login with '***' failed at desk-25-1"
    )


def test_other_forms_of_a_secret_are_hidden():
    """The quoted, unquoted and repr() forms of a secret are hidden as well."""
    found = secret_values({"LG_PASSWORD": "p@ss w/o\\rd", "X": "http://u:a%40b%2Fcdef@h"})
    for form in ("p@ss w/o\\rd", "p%40ss%20w%2Fo%5Crd", repr("p@ss w/o\\rd"), "a@b/cdef", "a%40b%2Fcdef"):
        assert form.strip("'") not in redact(f"<{form}>", found)


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
