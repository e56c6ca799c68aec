# SPDX-License-Identifier: MIT
"""What an earlier image left in OP-TEE, so that it refuses the next one whatever it is; most of it ST's.

Ref: ST optee_os 4.0.0-stm32mp core/drivers/remoteproc/stm32_remoteproc.c, stm32_rproc_set_boot_address
     (a boot address that is set already is refused, and only a stop resets it; an image without BOOTADDR
     starts with it); ta/remoteproc/src/remoteproc_core.c (no RELEASE_FW: an image that was loaded and never
     started stays loaded); Linux v6.6-stm32mp drivers/remoteproc/stm32_rproc.c (loads in sanity_check);
     core/kernel/tee_ta_manager.c (an application that panicked answers none of its sessions)
"""

import enum

from mpbench.core.evidence import SECURE_CONSOLE
from mpbench.core.step import Step
from mpbench.deployment.facts import DeployFacts
from mpbench.layout import Tee

REFUSED_TLVS = b"Can't Authenticate the firmware (res = 0xffff0000)"
"""What the TA prints when a platform record is refused; r2's driver names the boot address before it."""


class Leftover(enum.Enum):
    """What is kept; the value is for the step's name."""

    BOOT_ADDRESS = "the boot address"
    IMAGE = "the image"
    DEAD = "its application has panicked"


BY_CODE: dict[int | None, Leftover] = {Tee.BAD_STATE: Leftover.IMAGE, Tee.TARGET_DEAD: Leftover.DEAD}


def leftover(step: Step) -> Leftover | None:
    """What an earlier image left in the TEE, if that is why this deployment was refused. Pure.

    None as well if the twin predicted this refusal: then it is the image's own.
    """
    predicted, observed = step.predicted, step.observed
    assert isinstance(predicted, DeployFacts)
    assert isinstance(observed, DeployFacts)
    if observed.tee_code == predicted.tee_code or observed.state != "offline":
        return None
    printed = step.evidence.get(SECURE_CONSOLE) or b""
    if observed.tee_code == Tee.GENERIC and REFUSED_TLVS in printed:
        return Leftover.BOOT_ADDRESS
    return BY_CODE.get(observed.tee_code)
