/* SPDX-License-Identifier: MIT */
/* The command line as the personality reads it; a NUL ends it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "init/init_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct cmdline c;
	char *text = malloc(n + 1);

	memcpy(text, data, n);
	text[n] = '\0';
	cmdline_parse(&c, text);
	free(text);
	fuzz_assert(c.argc <= MAX_INIT_ARGS && c.envc <= MAX_INIT_ENVS);
	for (unsigned int i = 0; i < c.argc; i++)
		fuzz_touch(c.argv[1 + i], strlen(c.argv[1 + i]));
	for (unsigned int i = 0; i < c.envc; i++)
		fuzz_assert(strchr(c.envp[i], '='));
	fuzz_assert(!c.argv[1 + c.argc] && !c.envp[c.envc]);
	return 0;
}
