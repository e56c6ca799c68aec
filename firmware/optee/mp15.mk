# SPDX-License-Identifier: BSD-2-Clause
# OP-TEE for the virtual STM32MP15: 32 bit, and upstream's own STM32 PTA, unmodified. Its one running state is
# that of the one core. CFG_STM32MP_REMOTEPROC, its driver, isn't set: that wants RCC and reset controllers;
# virt_rproc.c stands in its place.
PLATFORM=vexpress-qemu_virt
CFG_USER_TA_TARGETS=ta_arm32
CFG_REMOTEPROC_PTA=y
