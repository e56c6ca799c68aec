# SPDX-License-Identifier: BSD-2-Clause
# Build variables of OP-TEE's own STM32MP2 platform for the machine stm32mp257f-ev1.
PLATFORM=stm32mp2-257F_EV1
# An illegal access is reported, and does not end everything.
CFG_STM32_PANIC_ON_IAC_EVENT=n
