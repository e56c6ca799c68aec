// SPDX-License-Identifier: MIT
/*
 * OP-TEE's remoteproc TA, unmodified, as one translation unit with the only thing the
 * peer needs of its insides: a way to forget everything between two cases.
 */
#include <remoteproc_core.c>

#include "ta.h"

void ta_forget(void)
{
	TAILQ_INIT(&firmware_head);
	session_refcount = 0;
	pta_session = TEE_HANDLE_NULL;
}
