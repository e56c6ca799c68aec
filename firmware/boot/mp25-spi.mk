# SPDX-License-Identifier: BSD-2-Clause
# As mp25.mk, but for OP-TEE's notification: a shared interrupt, SPI 235, which no block of the SoC has.
PLATFORM=stm32mp2-257F_EV1
CFG_STM32_PANIC_ON_IAC_EVENT=n
CFG_MPBENCH_RPROC_PTA=y
CFG_MPBENCH_RPROC_STM32MP2=y
CFG_MPBENCH_NOTIF_INTID=267
