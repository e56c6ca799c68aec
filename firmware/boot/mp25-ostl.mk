# SPDX-License-Identifier: BSD-2-Clause
# Build variables of upstream's OP-TEE with answers as of ST's 4.0.0-stm32mp-r2, with those of
# firmware/optee/config.mk: kind mp25-st without a tree of the user's own.
PLATFORM=stm32mp2-257F_EV1
# ST's default, as upstream's: an illegal access ends everything.
CFG_STM32_PANIC_ON_IAC_EVENT=y
CFG_MPBENCH_RPROC_PTA=y
CFG_MPBENCH_RPROC_STM32MP2=y
# The default, as in ST's: large TLVs are refused for want of memory.
CFG_REMOTEPROC_TA_HEAP_SIZE=4096
# As ST's release reports it to Linux; the name that is printed is in firmware/optee-st/append.txt.
CFG_OPTEE_REVISION_MAJOR=4
CFG_OPTEE_REVISION_MINOR=0
