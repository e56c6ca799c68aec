# SPDX-License-Identifier: BSD-2-Clause
# As mp25.mk, but for what OP-TEE does after an illegal access: its default, a panic. The device tree is that one's.
PLATFORM=stm32mp2-257F_EV1
CFG_STM32_PANIC_ON_IAC_EVENT=y
CFG_MPBENCH_RPROC_PTA=y
CFG_MPBENCH_RPROC_STM32MP2=y
