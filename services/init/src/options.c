/* SPDX-License-Identifier: MIT */
/* Words of the kernel command line: separated by blanks, "quoted parts" kept together. */
#include "base/parse.h"
#include "base/string.h"
#include "init.h"

/* The next word at *@at; false: there is none, or "--" ends what is the system's. */
static bool next_word(const char **at, const char **word, size_t *n)
{
	const char *s = *at;
	bool quoted = false;

	while (char_is_space(*s))
		s++;
	*word = s;
	for (; *s && (quoted || !char_is_space(*s)); s++)
		if (*s == '"')
			quoted = !quoted;
	*n = (size_t)(s - *word);
	*at = s;
	return *n && !(*n == 2 && memcmp(*word, "--", 2) == 0);
}

bool option_value(const char *line, const char *name, char *value, size_t size)
{
	size_t name_length = strlen(name), n;
	const char *word;
	bool found = false;

	while (next_word(&line, &word, &n)) {
		size_t length;

		if (n <= name_length || memcmp(word, name, name_length) || word[name_length] != '=')
			continue;
		length = MIN(n - name_length - 1, size - 1);
		memcpy(value, word + name_length + 1, length);
		value[length] = '\0';
		found = true;
	}
	return found;
}

void option_collect(const char *line, const char *prefix, char *out, size_t size)
{
	size_t prefix_length = strlen(prefix), used = 0, n;
	const char *word;

	out[0] = '\0';
	while (next_word(&line, &word, &n)) {
		if (n < prefix_length || memcmp(word, prefix, prefix_length) || used + n + 2 > size)
			continue;
		if (used)
			out[used++] = ' ';
		memcpy(out + used, word, n);
		used += n;
		out[used] = '\0';
	}
}
