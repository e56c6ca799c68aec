# SPDX-License-Identifier: BSD-2-Clause
# Build variables of OP-TEE's own STM32MP1 platform for the machine stm32mp157c-dk2.
PLATFORM=stm32mp1-157C_DK2
# The platform's remoteproc driver, PTA and application.
CFG_STM32MP_REMOTEPROC=y
CFG_USER_TA_TARGETS=ta_arm32
# What conf.mk has for stm32mp157c-dk2.dts; the device tree here has another name.
CFG_TZDRAM_START=0xde000000
CFG_DRAM_SIZE=0x20000000
CFG_STM32MP15_HUK=y
CFG_STM32_HUK_FROM_DT=y
# Off by default on an STM32MP15; the interrupt is the one that conf.mk has for an STM32MP13.
CFG_CORE_ASYNC_NOTIF=y
CFG_CORE_ASYNC_NOTIF_GIC_INTID=31
