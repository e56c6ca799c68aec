# SPDX-License-Identifier: MIT
"""What an earlier image left in OP-TEE or Linux, so that the next one, whatever it is, does not run.

Most of it is ST's OP-TEE's, which refuses the next image then.

Ref: ST optee_os 4.0.0-stm32mp core/drivers/remoteproc/stm32_remoteproc.c, stm32_rproc_set_boot_address
     (a boot address that is set already is refused, and only a stop resets it; an image without BOOTADDR
     starts with it); ta/remoteproc/src/remoteproc_core.c (no RELEASE_FW: an image that was loaded and never
     started stays loaded); Linux v6.6-stm32mp drivers/remoteproc/stm32_rproc.c (loads in sanity_check);
     core/kernel/tee_ta_manager.c (an application that panicked answers none of its sessions); Linux
     drivers/remoteproc/remoteproc_core.c (rproc_boot: a core that counts as started is not started, without
     a word; rproc_boot_recovery that fails leaves the count)
"""

import enum

from mpbench.core.evidence import KMSG, SECURE_CONSOLE
from mpbench.core.step import Step
from mpbench.deployment.facts import DeployFacts
from mpbench.layout import Tee

REFUSED_TLVS = b"Can't Authenticate the firmware (res = 0xffff0000)"
"""What the TA prints when a platform record is refused; r2's driver names the boot address before it."""


POWERING_UP = b": powering up "
"""What Linux prints whenever it starts a core. Ref: Linux remoteproc_core.c, rproc_boot()"""
IN_THE_TEE = "refused for what an earlier one left in the TEE"


class Leftover(enum.Enum):
    """What is kept; the value is for the step's name."""

    BOOT_ADDRESS = f"{IN_THE_TEE}: the boot address"
    IMAGE = f"{IN_THE_TEE}: the image"
    DEAD = f"{IN_THE_TEE}: its application has panicked"
    COUNT = "not started: Linux counts the core as started since a recovery failed"


BY_CODE: dict[int | None, Leftover] = {Tee.BAD_STATE: Leftover.IMAGE, Tee.TARGET_DEAD: Leftover.DEAD}


def leftover(step: Step) -> Leftover | None:
    """What an earlier image left, if that is why this deployment was refused or nothing started. Pure.

    None as well if the twin predicted this refusal: then it is the image's own.
    """
    predicted, observed = step.predicted, step.observed
    assert isinstance(predicted, DeployFacts)
    assert isinstance(observed, DeployFacts)
    if observed.state != "offline":
        return None
    logged = step.evidence.get(KMSG)
    if observed.errno == predicted.errno == "OK" and logged is not None and POWERING_UP not in logged:
        return Leftover.COUNT
    if observed.tee_code == predicted.tee_code:
        return None
    printed = step.evidence.get(SECURE_CONSOLE) or b""
    if observed.tee_code == Tee.GENERIC and REFUSED_TLVS in printed:
        return Leftover.BOOT_ADDRESS
    return BY_CODE.get(observed.tee_code)
