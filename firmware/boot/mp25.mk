# SPDX-License-Identifier: BSD-2-Clause
# Build variables of OP-TEE's own STM32MP2 platform for the machine stm32mp257f-ev1, with those of
# firmware/optee/config.mk.
PLATFORM=stm32mp2-257F_EV1
# An illegal access is reported, and does not end everything.
CFG_STM32_PANIC_ON_IAC_EVENT=n
# What loads the cores: ours, as upstream has no driver of this SoC's.
CFG_MPBENCH_RPROC_PTA=y
CFG_MPBENCH_RPROC_STM32MP2=y
