# SPDX-License-Identifier: BSD-2-Clause
# OP-TEE for the virtual STM32MP25: 64 bit, and a PTA with a state for each of the two cores.
PLATFORM=vexpress-qemu_armv8a
CFG_ARM64_core=y
CFG_USER_TA_TARGETS=ta_arm64
CFG_ARM_GICV3=n
CFG_MPBENCH_RPROC_PTA=y
