# SPDX-License-Identifier: BSD-2-Clause
# As mp15-debian-tee.mk, with all of OP-TEE in memory: with its pager opening the remoteproc application, which is
# part of the start, takes 3 s of an emulated CPU. BL2 wants the pager; on this board nothing starts OP-TEE by BL2.
CFG_WITH_PAGER=n
