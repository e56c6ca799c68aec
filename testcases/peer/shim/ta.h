/* SPDX-License-Identifier: MIT */
#ifndef TA_H
#define TA_H

void ta_forget(void);

#endif
