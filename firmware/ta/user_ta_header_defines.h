/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USER_TA_HEADER_DEFINES_H
#define USER_TA_HEADER_DEFINES_H

#define TA_UUID { 0xc5a8f8a3, 0x2b5c, 0x4b0e, { 0x9d, 0x3b, 0x7c, 0x1f, 0x0e, 0x6f, 0x4a, 0x21 } }
#define TA_FLAGS 0
#define TA_STACK_SIZE (2 * 1024)
#define TA_DATA_SIZE (4 * 1024)
#define TA_DESCRIPTION "waits, and can be cancelled"

#endif
