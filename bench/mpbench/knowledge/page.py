# SPDX-License-Identifier: MIT
"""Troubleshooting on one page, as users meet things; `python -m mpbench.knowledge.page FILE` writes it"""

import sys
from collections.abc import Iterator
from pathlib import Path

from mpbench.knowledge.messages import Message, advice_by_code, messages
from mpbench.layout import Tee
from mpbench.twin.reasons import REASONS

SECTIONS = (
    ("The lab and the bench", "bench", ("bench-",)),
    ("Before Linux: TF-A and U-Boot", "boot", ("tfa-", "uboot-", "gcc-")),
    ("OP-TEE in Linux", "linux", ("optee-", "tee-register", "tee-protected-")),
    ("The core's device", "linux", ("stm32-", "ipcc-", "mailbox-", "srm-", "mpbench-")),
    (
        "Starting a core",
        "linux",
        ("rproc-", "firmware-", "elf-", "tee-invoke", "tee-open-", "tee-session", "tee-map-"),
    ),
    ("The answer of a shell or of STM32CubeIDE", "boot", ("shell-", "cubeide-")),
    ("The remoteproc TA on the secure console", "ta", ("ta-",)),
    ("OP-TEE's platform and firewall on the secure console", "optee", ("",)),
    ("RPMsg and virtio", "linux", ("virtio-", "rpmsg-")),
    ("Core dumps", "linux", ("coredump-",)),
    ("Linux itself fails", "linux", ("linux-",)),
)
HEAD = """\
<!-- Made from bench/mpbench/knowledge/messages by `python -m mpbench.knowledge.page`; do not edit. -->
# Troubleshooting

What messages mean, where they come from, and what to try, in the order in which a user meets them.
`mpbench explain` takes any of these lines, a whole log, or a run's directory, and finds the cause among them.
Read in the sources named at each message; the STM32MP firewall's reports were seen under emulation only.
"""


def troubleshooting() -> str:
    """The page as Markdown."""
    return HEAD + "".join(_section(*section) for section in SECTIONS)


def _section(title: str, by: str, prefixes: tuple[str, ...]) -> str:
    rows = [
        m for m in messages() if m.by == by and m.level not in ("state", "mark") and m.id.startswith(prefixes)
    ]
    return f"\n## {title}\n" + "".join(_entry(m) for m in rows)


def _entry(message: Message) -> str:
    shown = "".join(f"- `{text.replace('`', chr(39))}`\n" for text in message.text[:6])
    more = f"- and {len(message.text) - 6} more\n" if len(message.text) > 6 else ""
    return (
        f"\n{shown}{more}\n"
        + "".join(f"{line}\n" for line in _lines(message))
        + f"\nFrom: {message.source}\n"
    )


def _lines(message: Message) -> Iterator[str]:
    reasons = [REASONS[name] for name in message.reasons]
    means = message.means or "; ".join(r.text for r in reasons)
    yield f"{means[0].upper()}{means[1:]}."
    causes, advice = message.causes, message.advice
    if reasons and reasons[0].code:
        advice = advice_by_code().get(Tee(reasons[0].code).name, ())
    yield from _listed("Causes", causes)
    yield from _listed("Try", advice)
    for number, other in message.numbers.items():
        yield f"\n`{number}`: {other['means']}."
        yield from _listed("Causes", tuple(other.get("causes", ())))
        yield from _listed("Try", tuple(other.get("try", ())))


def _listed(title: str, items: tuple[str, ...]) -> Iterator[str]:
    if items:
        yield f"\n{title}:\n"
        yield from (f"- {item}" for item in items)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(troubleshooting(), encoding="utf-8")
