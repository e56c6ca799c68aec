# SPDX-License-Identifier: BSD-2-Clause
# Build variables of OP-TEE where ours is laid over it, passed on make's command line; firmware/boot/KIND.mk has
# those of a kind of board. Not here, because they differ by user: RPROC_SIGN_KEY, CROSS_COMPILE and O.
# The real TA, inside OP-TEE: no tee-supplicant is needed to load it.
CFG_IN_TREE_EARLY_TAS=remoteproc/80a4c275-0a47-4905-8285-1486a9771a08
# Above the 4 KiB default, which is full at about 28 segments.
CFG_REMOTEPROC_TA_HEAP_SIZE=32768
# The default 10 MiB can't map a region above 8 MiB, and RELEASE maps regions whole.
CFG_RESERVED_VASPACE_SIZE=0x2000000
# Ours: core/pta/mpbench, the board behind a PTA.
CFG_MPBENCH_RPROC=y
