# SPDX-License-Identifier: BSD-2-Clause
incdirs-y += .
srcs-$(CFG_MPBENCH_RPROC) += rproc_core.c rproc_upstream.c rproc_firewall.c
# The board part: the registers of an STM32MP25, and what its platform lacks; or those of an STM32MP15.
srcs-$(CFG_MPBENCH_RPROC_STM32MP2) += stm32mp2_rproc.c callouts.c console_notif.c
srcs-$(CFG_MPBENCH_RPROC_STM32MP1) += stm32mp1_rproc.c

# The PTA with a state for each core. CFG_REMOTEPROC_PTA, upstream's with one
# state for all cores, excludes it: both have the same UUID.
ifeq ($(CFG_MPBENCH_RPROC_PTA),y)
ifeq ($(CFG_REMOTEPROC_PTA),y)
$(error CFG_MPBENCH_RPROC_PTA and CFG_REMOTEPROC_PTA exclude each other)
endif
ifeq ($(wildcard $(RPROC_SIGN_KEY)),)
$(error RPROC_SIGN_KEY=$(RPROC_SIGN_KEY): no such key file)
endif
srcs-y += remoteproc_pta.c
gensrcs-y += mpbench_rproc_key
produce-mpbench_rproc_key = mpbench_rproc_key.c
depends-mpbench_rproc_key = $(RPROC_SIGN_KEY) scripts/pem_to_pub_c.py
recipe-mpbench_rproc_key = $(PYTHON3) scripts/pem_to_pub_c.py \
	--prefix rproc_pub_key --key $(RPROC_SIGN_KEY) \
	--out $(sub-dir-out)/mpbench_rproc_key.c
endif
