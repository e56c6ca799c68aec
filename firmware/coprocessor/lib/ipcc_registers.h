/* SPDX-License-Identifier: MIT */
/*
 * Registers of the core's IPCC by their side: each of its two processors has four. OWN_TO_OTHER_SR and
 * OTHER_TO_OWN_SR have the channels that one occupies for the other; OWN_SCR frees the other's and occupies its own.
 *
 * Ref: RM0436 and RM0457, IPCC: IPCC_CxCR (0x00, 0x10), CxMR (0x04, 0x14), CxSCR (0x08, 0x18), CxTOCySR (0x0c, 0x1c)
 */
#ifndef IPCC_REGISTERS_H
#define IPCC_REGISTERS_H

#include "core.h"

#define IPCC_OWN (IPCC_BASE + 0x10u * (IPCC_PROCESSOR - 1u))
#define IPCC_OTHER (IPCC_BASE + 0x10u * (2u - IPCC_PROCESSOR))

#define OWN_CR REG32(IPCC_OWN + 0x00u)
#define CR_RXOIE (1u << 0)
#define CR_TXFIE (1u << 16)
#define OWN_MR REG32(IPCC_OWN + 0x04u)
#define OWN_SCR REG32(IPCC_OWN + 0x08u)
#define OWN_TO_OTHER_SR REG32(IPCC_OWN + 0x0Cu)
#define OTHER_TO_OWN_SR REG32(IPCC_OTHER + 0x0Cu)
#define SEND(channels) ((channels) << 16)

#endif
