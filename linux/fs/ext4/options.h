/* SPDX-License-Identifier: MIT */
/* Mount options, see ext4(5). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct e4_options {
	bool noload;			/* do not replay the journal (read-only mounts) */
	bool errors_set;
	uint8_t errors;			/* E4_ERRORS_*, if errors_set */
	bool commit_set;
	uint32_t commit;		/* seconds between commits */
	bool discard_set, discard;
};

/* "a,b=c": -EINVAL for what is not known or not done.  @text may be NULL. */
int e4_options_parse(struct e4_options *o, const char *text);
