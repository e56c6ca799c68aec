# SPDX-License-Identifier: MIT
"""JSON of records, journals and manifests has one reading, or is refused."""

import pytest

from mpbench.core.json_reader import json_object, parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1], "b": {"a": 2}}', {"a": [1], "b": {"a": 2}}),
        (b"[1e307, -1.5E+300, 0.0]", [1e307, -1.5e300, 0.0]),
        (b'"sha256 12e999 is text"', "sha256 12e999 is text"),
        (b" 7\n", 7),
        ("9" * 300, int("9" * 300)),
        ('"\\ud800"', "\ud800"),
    ],
)
def test_a_sound_text_is_read(text, value):
    """As Python's own reader does."""
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"verdict": "FAIL", "verdict": "PASS"}', "key 'verdict' is given twice in one object"),
        (b'[{"x": {"a": 1, "b": 2, "a": 1}}]', "key 'a' is given twice in one object"),
        (b'{"value": NaN}', "NaN is no number of JSON"),
        (b"[-Infinity]", "-Infinity is no number of JSON"),
        ("1" + "0" * 260 + "e50", "10000000000000000000 is no number that a float can have"),
        (b"1e999", "1e999 is no number that a float can have"),
        (b'["e123", -1E0500]', "-1E0500 is no number that a float can have"),
        ("9" * 400, "99999999999999999999 is no number that a float can have"),
        ("9" * 400 + ".5", "99999999999999999999 is no number that a float can have"),
        (b"[" * 100_000, "nested too deep"),
        (b'"\xff"', "invalid start byte"),
        (b'"\xed\xa0\x80"', "invalid continuation byte"),
        (b"\xff\xfe1\0", "invalid start byte"),
        (b"", "Expecting value"),
        (b"1 2", "Extra data"),
    ],
)
def test_any_other_is_one_error(text, words):
    """Two keys, no number, too large, too deep, no UTF-8, more than one value."""
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        parse_json(text)


def test_an_object_or_nothing():
    """For lines of which damaged ones are ignored."""
    assert json_object(b'{"a": 1}') == {"a": 1}
    lines = (b"[1]", b"{", b"\xff", b"null", b'{"a": 1, "a": 1}', b'{"a":' * 100_000)
    assert [json_object(line) for line in lines] == [None] * 6
