/* SPDX-License-Identifier: MIT */
/* Checks of a core: each logs "ok NAME", or "bad NAME" with what it saw; the last line is "done". */
#ifndef CHECKS_H
#define CHECKS_H

#include "firmware.h"

/* run: 0 if all is well, else what was seen */
struct check {
	const char *ok, *bad;
	uint32_t (*run)(void);
};
#define CHECK(name) { "ok " #name, "bad " #name " ", name }

static inline void run_checks(const struct check *checks, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint32_t wrong = checks[n].run();

		if (wrong)
			trace_log_hex(checks[n].bad, wrong);
		else
			trace_log(checks[n].ok);
	}
	trace_log("done");
}

#endif
