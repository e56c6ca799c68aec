# SPDX-License-Identifier: MIT
"""What Linux makes of a core that runs before Linux does. Pure.

The driver of the STM32MP15's M4 finds it by a register that the boot loader wrote, and takes the resource
table from where another one says. It has no image: a crash is recovered with the default firmware's file.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c (rproc_boot, rproc_attach, rproc_detach, rproc_shutdown,
     rproc_boot_recovery, rproc_set_firmware), remoteproc_sysfs.c (firmware_show),
     stm32_rproc.c (stm32_rproc_get_loaded_rsc_table)
"""

from mpbench.deployment.facts import DeployFacts

DEFAULT_FIRMWARE = "rproc-{core}-fw"
"""Name that the kernel gives a core's firmware. Ref: remoteproc_core.c, rproc_alloc_firmware()"""
UNKNOWN = "unknown"
"""What `firmware` reads while a core is attached."""

ANSWERS = {
    ("detached", "start"): ("OK", "attached"),
    ("detached", "stop"): ("EINVAL", "detached"),
    ("detached", "detach"): ("EINVAL", "detached"),
    ("attached", "stop"): ("OK", "offline"),
    ("attached", "detach"): ("OK", "detached"),
    ("running", "detach"): ("EINVAL", "running"),
    ("offline", "detach"): ("EINVAL", "offline"),
}
"""(state, word) → errno's name, or "OK", and the state after the word is written to the core's `state`."""


def answer(state: str, word: str, *, table: bool = True) -> tuple[str, str]:
    """One of ANSWERS; without a resource table in the image (`table`), Linux attaches to nothing."""
    if (state, word, table) == ("detached", "start", False):
        return "ENOENT", "detached"
    return ANSWERS[state, word]


def expect(state: str, word: str, identity: str, *, table: bool = True) -> DeployFacts:
    """Facts after the word is written; firmware that prints `identity` is heard where Linux has its trace."""
    errno, after = answer(state, word, table=table)
    heard = after in ("attached", "running")
    return DeployFacts(errno, after, beating=heard, identity=identity if heard else "")


def recovered(crashed: str, default: str | None) -> DeployFacts:
    """Facts after a crash of an attached core; identities of what crashed, and of the default firmware.

    That runs; without a file of it (None) the core is offline, and the trace of what crashed stays.
    """
    if default is None:
        return DeployFacts("OK", "offline", beating=False, identity=crashed)
    return DeployFacts("OK", "running", beating=True, identity=default)
