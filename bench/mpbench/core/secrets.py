# SPDX-License-Identifier: MIT
"""Secrets are hidden by value in whatever is recorded or shown.

A secret is the user part of a URL, the value of a variable, option or attribute whose name says so, and a
password inside of any value. Whoever reads one calls learn(); redact() hides what this process has learnt,
Redacting does so for a stream.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TextIO
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 6
"""Shorter values are hidden in URLs only: elsewhere they would hide parts of unrelated words."""

_NAME = re.compile(
    "TOKEN|PASSW|PASSPHRASE|PASS$|PASS_|_PASS|SECRET|CREDENTIAL|API[_-]?KEY|ACCESS[_-]?KEY|PRIVATE[_-]?KEY$|COOKIE|BEARER"
    "|(?:^|[_-])AUTH(?:$|[_-]|ORIZATION)|JWT|_PAT$|_PWD$|(?:USER|HSM|SO|CARD)[_-]?PIN$|PIN[_-](?:VALUE|CODE)",
    re.IGNORECASE,
)
_PLACE = re.compile("(?:FILE|PATH|DIR|SOCK|ENV|HOST|URL)$", re.IGNORECASE)
"""The end of a name whose value only says where a secret is."""
_USER_PART = re.compile(r"""(?<=://)(?:[^\s/"'<>]*|[^\s/@:"'<>]+:(?!\d+/)[^\s@"'<>]*)@""")
"""Of a URL. The second form is for a password with an unquoted slash; a port is no password."""
_PASSWORD = re.compile(r"""(?:^|://)[^\s/@:]*:(?!//|\d+/)([^\s"'<>]+?)@(?=[^\s@/]*(?:[\s/]|$))""")
"""In `http://user:password@host/path` and `user:password@host`."""


_PAIR = re.compile(r"""(?:^|://)([^\s/@:"'<>]+:(?!//|\d+/)[^\s"'<>]+?@)(?=[^\s@/]*(?:[\s/]|$))""")
"""User and password together, with `@`: also without the scheme, and if the password alone is short."""
_BEARER = re.compile(r"""https?://([^\s/@:"'<>]{6,})@""")
"""A user without a password, which is a token."""

_INNER = re.compile(r"""(?:^|[\s?&;,])([\w-]+)=([^\s"'&;,<>]+)|["']([\w-]+)["']\s*:\s*["']([^"'\s]+)["']""")
"""In `http://host/set?user=x&password=y`, `pkcs11:object=x?pin-value=y`, JSON and the like."""
_QUERY = re.compile(r"""(?<=[?&])([\w-]{1,60}=)[^&\s"'<>]+""")
_HEADER = re.compile(r"""(authorization["']?\s*[:=]\s*["']?\w+ )[^\s"'<>]+""", re.IGNORECASE)
_KEY_LINE = 16
"""Characters of a line of a private key that is long enough to be one."""
_PERCENT = re.compile("%[0-9A-F]{2}")

_learnt: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Whether the name of a variable, option or attribute says that its value is a secret."""
    return _NAME.search(name) is not None and _PLACE.search(name) is None


def secret_values(variables: Mapping[str, object]) -> frozenset[str]:
    """Values to hide: those with a secret name, and passwords in any value; in mappings and lists too.

    Each also in the forms that URLs, HTTP and Python's repr() give it.
    """
    found: set[str] = set()
    for name, value in _leaves(variables):
        if is_secret_name(name):
            lines = value.split() if "\n" in value else []
            found |= {value, value.strip(), *(line for line in lines if len(line) >= _KEY_LINE)}
        found |= {b or d for a, b, c, d in _INNER.findall(value) if is_secret_name(a or c)}
        for pattern in (_PASSWORD, _PAIR, _BEARER):
            found |= set(pattern.findall(value))
    forms = {form for text in found for form in _forms(text)}
    return frozenset(form for form in forms if len(form) >= SHORTEST and not form.isspace())


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of every value in mappings and lists, one that contains itself once."""
    stack: list[tuple[str, object]] = [(name, value)]
    seen: set[int] = set()
    while stack:
        name, value = stack.pop()
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, str(value)
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            parts = value.items() if isinstance(value, Mapping) else ((name, part) for part in value)
            stack += [(str(key), part) for key, part in parts]


def _forms(text: str) -> Iterator[str]:
    """A secret as URLs, forms, HTTP, HTML, JSON and repr() have it."""
    from html import escape  # noqa: PLC0415 - it has a table that `mpbench --help` need not wait for

    data = _bytes(text)
    yield from (
        text,
        unquote(text),
        repr(text)[1:-1],
        ascii(text)[1:-1],
        repr(data)[2:-1],
        data.decode("latin-1"),
    )
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (escape(text), escape(text, quote=False))
    for safe in ("", "/"):
        quoted = quote(data, safe=safe)
        yield from (quoted, quoted.replace("%20", "+"), _PERCENT.sub(lambda found: found[0].lower(), quoted))
    if len(text) >= SHORTEST:
        for encoded in (base64.b64encode(data.rstrip(b"@")), base64.urlsafe_b64encode(data.rstrip(b"@"))):
            yield from (encoded.decode(), encoded.decode().rstrip("="))


def _bytes(text: str) -> bytes:
    """Bytes of a value that need not be UTF-8: from the environment, or with surrogates spelt in a file."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def learn(variables: Mapping[str, object]) -> None:
    """Hide the secrets among these values from now on, whatever this process records or prints."""
    _learnt.update(secret_values(variables))


def learn_arguments(words: Sequence[str]) -> None:
    """Learn the secrets in a command line: `--token=X`, `--token X`, `NAME=X`, URLs."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.lstrip("-").partition("=")
        learn({name: value if equals else following if word.startswith("-") else "", "": word})
        learn({name: value for name, _, value in [value.partition("=")]})


def forget() -> None:
    """Hide nothing that was learnt: for tests."""
    _learnt.clear()


def redact(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """`text` with secrets, learnt or given, and the user part of every URL replaced by `***`."""
    for secret in sorted(_learnt | secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, f"{HIDDEN}@" if secret.endswith("@") else HIDDEN)  # of a URL
    if "authorization" in text.lower():
        text = _HEADER.sub(rf"\1{HIDDEN}", text)
    if "://" not in text:
        return text
    return _QUERY.sub(_hidden_value, _USER_PART.sub(f"{HIDDEN}@", text))


def _hidden_value(pair: re.Match[str]) -> str:
    return pair[1] + HIDDEN if is_secret_name(pair[1][:-1]) else pair[0]


def redact_bytes(data: bytes, secrets: frozenset[str] = frozenset()) -> bytes:
    """As redact(), of bytes in any encoding that has ASCII."""
    known = frozenset(_bytes(secret).decode("latin-1") for secret in _learnt | secrets)
    return redact(data.decode("latin-1"), known).encode("latin-1")


class Redacting:
    """A text stream that hides secrets in each write; anything else is that of `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` without secrets."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_all(value: Any, secrets: frozenset[str] = frozenset()) -> Any:
    """`value` with every string in it redacted: in mappings (not their keys), lists and tuples."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {key: redact_all(part, secrets) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(part, secrets) for part in value]
    return value
