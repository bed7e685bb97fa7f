/* SPDX-License-Identifier: MIT */
/*
 * The first byte says how large the pieces are that the output is read in, and whether
 * a plain gzip header is put before the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "inflate/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t header[10] = { 0x1f, 0x8b, 8 };
	static uint8_t state[1 << 17] __attribute__((aligned(16)));
	size_t piece, got, total = 0, used = 0;
	struct inflate *s;
	uint8_t *out, *in;

	if (!n || inflate_state_size() > sizeof(state))
		return 0;
	piece = 1 + data[0] * 16u;
	out = malloc(piece);
	in = malloc(n + sizeof(header));
	if (data[0] & 1) {
		memcpy(in, header, sizeof(header));
		used = sizeof(header);
	}
	memcpy(in + used, data + 1, n - 1);
	used += n - 1;
	in = realloc(in, used ? used : 1);
	s = inflate_open(state, in, used);
	while (inflate_read(s, out, piece, &got) == INFLATE_OK && total < 1 << 20) {
		fuzz_assert(got > 0 && got <= piece);
		total += got;
	}
	fuzz_assert(inflate_used(s) <= used);
	free(in);
	free(out);
	return 0;
}
