# SPDX-License-Identifier: MIT
"""Secrets are hidden by value in whatever is recorded or shown. Pure.

A secret is the user part of a URL, the value of a variable whose name says so, and a password inside of any
variable's value.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 6
"""Shorter values are hidden in URLs only: elsewhere they would hide parts of unrelated words."""

_NAME = re.compile("TOKEN|PASS|SECRET|CREDENTIAL", re.IGNORECASE)
_USER_PART = re.compile(r"""(?<=://)(?:[^\s/"'<>]*|[^\s/@:"'<>]+:(?!\d+/)[^\s@"'<>]*)@""")
"""Of a URL. The second form is for a password with an unquoted slash; a port is no password."""
_PASSWORD = re.compile(r"""(?:^|://)[^\s/@:]*:(?!//|\d+/)([^\s"'<>]+?)@(?=[^\s@/]*(?:[\s/]|$))""")
"""In `http://user:password@host/path` and `user:password@host`."""


def is_secret_name(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return _NAME.search(name) is not None


def secret_values(variables: Mapping[str, str]) -> frozenset[str]:
    """Values to hide: those of variables with a secret name, and passwords in any value.

    Each also in the forms that URLs and Python's repr() give it.
    """
    found = {text for name, text in variables.items() if is_secret_name(name)}
    found |= {password for text in variables.values() for password in _PASSWORD.findall(text)}
    forms = {form for text in found for form in (text, quote(text, safe=""), unquote(text), repr(text)[1:-1])}
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def redact(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """`text` with `secrets` and the user part of every URL replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _USER_PART.sub(f"{HIDDEN}@", text) if "://" in text else text


def redact_all(value: Any, secrets: frozenset[str]) -> Any:
    """`value` with every string in it redacted: in mappings (not their keys), lists and tuples."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {key: redact_all(part, secrets) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(part, secrets) for part in value]
    return value
