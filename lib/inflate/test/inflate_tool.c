/* SPDX-License-Identifier: MIT */
/*
 * inflate_tool [PIECE...]: decompress standard input to standard output in pieces of
 * that many bytes, once for each.  Exit status 0, or 2 for invalid input.  With "damage N":
 * decompress N damaged copies of the input, and expect only that nothing breaks.  With "cut N":
 * every N-th beginning of the input, and expect that each is invalid (status 2), as the input is not.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inflate/inflate.h"

static uint8_t input[8 << 20];

static int run(const uint8_t *data, size_t n, size_t piece, FILE *out)
{
	void *state = aligned_alloc(16, (inflate_state_size() + 15) & ~(size_t)15);
	uint8_t *exact = malloc(n ? n : 1), *buf = malloc(piece);
	struct inflate *s;
	enum inflate_result r;
	size_t got, total = 0;

	memcpy(exact, data, n);
	s = inflate_open(state, exact, n);
	do {
		r = inflate_read(s, buf, piece, &got);
		if (out)
			fwrite(buf, 1, got, out);
		total += got;
	} while (r == INFLATE_OK && total < 64u << 20);
	free(state);
	free(exact);
	free(buf);
	return r == INFLATE_END ? 0 : 2;
}

static int damage(size_t n, int copies)
{
	srand(1);
	for (int i = 0; i < copies; i++) {
		size_t at = (size_t)rand() % n;
		uint8_t old = input[at];
		size_t cut = rand() % 4 ? n : (size_t)rand() % n;

		input[at] ^= (uint8_t)(1 << rand() % 8);
		run(input, cut, 1000, NULL);
		input[at] = old;
	}
	return 0;
}

/* The first status that is not 2, or 2. */
static int cut(size_t n, size_t step)
{
	int status = 2;

	for (size_t at = 0; at < n && status == 2; at += step)
		status = run(input, at, 65536, NULL);
	return status;
}

int main(int argc, char **argv)
{
	size_t n = fread(input, 1, sizeof(input), stdin);
	int status = 0;

	if (argc == 3 && strcmp(argv[1], "damage") == 0)
		return damage(n, atoi(argv[2]));
	if (argc == 3 && strcmp(argv[1], "cut") == 0)
		return cut(n, (size_t)atoi(argv[2]));
	if (argc < 2)
		return run(input, n, 65536, stdout);
	for (int i = 1; i < argc && !status; i++)
		status = run(input, n, (size_t)atoi(argv[i]), stdout);
	return status;
}
