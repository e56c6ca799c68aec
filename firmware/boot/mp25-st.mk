# SPDX-License-Identifier: BSD-2-Clause
# Build variables of ST's OP-TEE, a tree of the user's own, for the machine stm32mp257f-ev1.
PLATFORM=stm32mp2-257F_EV1
# Inside OP-TEE, as on other virtual boards: Linux' driver asks for it before there is a tee-supplicant.
CFG_IN_TREE_EARLY_TAS=remoteproc/80a4c275-0a47-4905-8285-1486a9771a08
# Fonts of the trusted user interface, which are drawn with a Python package that the bench has no use for.
CFG_WITH_TUI=n
# AES in software: of SAES and CRYP the machine has the registers only. What was written to secure storage, which
# OP-TEE looks into for every application, could not be read again: TEE_ERROR_CORRUPT_OBJECT.
CFG_STM32_SAES=n
CFG_STM32_CRYP=n
