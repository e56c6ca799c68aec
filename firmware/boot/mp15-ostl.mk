# SPDX-License-Identifier: BSD-2-Clause
# Build variables of upstream's OP-TEE with answers as of ST's 4.0.0-stm32mp-r2 on the machine stm32mp157c-dk2, with
# those of firmware/optee/config.mk: kind mp15-st.
PLATFORM=stm32mp1-157C_DK2
CFG_MPBENCH_RPROC_PTA=y
CFG_MPBENCH_RPROC_STM32MP1=y
CFG_USER_TA_TARGETS=ta_arm32
# What conf.mk has for stm32mp157c-dk2.dts; the device tree here has another name.
CFG_TZDRAM_START=0xde000000
CFG_DRAM_SIZE=0x20000000
CFG_STM32MP15_HUK=y
CFG_STM32_HUK_FROM_DT=y
# All of OP-TEE is in memory, as in mp15.mk.
CFG_WITH_PAGER=n
# The default, as in ST's: large TLVs are refused for want of memory.
CFG_REMOTEPROC_TA_HEAP_SIZE=4096
# As ST's release reports it to Linux; the name that is printed is in firmware/optee-st/append.txt. Notifications are
# off, as by default on an STM32MP15.
CFG_OPTEE_REVISION_MAJOR=4
CFG_OPTEE_REVISION_MINOR=0
