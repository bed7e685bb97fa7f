/* SPDX-License-Identifier: MIT */
/* init's look at the command line: a name, a NUL, the line. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "init.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 2), value[24], all[64];
	const char *line;

	memcpy(text, data, n);
	text[n] = text[n + 1] = '\0';
	line = text + strlen(text) + 1;
	if (text[0] && option_value(line, text, value, sizeof(value)))
		fuzz_assert(strlen(value) < sizeof(value));
	option_collect(line, text, all, sizeof(all));
	fuzz_assert(strlen(all) < sizeof(all));
	free(text);
	return 0;
}
