# SPDX-License-Identifier: BSD-2-Clause
# As mp15-debian-tee.mk, with all of OP-TEE in memory: with its pager opening the remoteproc application, which is
# part of the start, takes 3 s of an emulated CPU. BL2 wants the pager; on this board nothing starts OP-TEE by BL2.
CFG_WITH_PAGER=n
# Built for size, the default, it moves memory byte by byte, firmware as well.
# Ref: OP-TEE lib/libutils/isoc/newlib/memmove.c, __OPTIMIZE_SIZE__
CFG_CC_OPT_LEVEL=2
# The application is in memory as it is, not packed.
CFG_EARLY_TA_COMPRESS=n
# Linux' device tree has OP-TEE's nodes; adding them took OP-TEE a third of its start: it reads that tree uncached.
# Ref: OP-TEE core/mm/core_mmu.c, MEM_AREA_EXT_DT
CFG_EXTERNAL_DT=n
