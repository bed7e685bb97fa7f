/* SPDX-License-Identifier: MIT */
/*
 * Decompression of gzip members (RFC 1952, RFC 1951), all input in memory,
 * output in pieces of any size.  Hostile input gives INFLATE_INVALID; no memory
 * but the state's and the output's is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inflate_result {
	INFLATE_OK,			/* *produced > 0: call again */
	INFLATE_END,			/* the member is complete, its checksum right */
	INFLATE_INVALID,
};

/* About 40 KiB: the 32 KiB window and the Huffman tables.  The fields are private. */
struct inflate;

/* Bytes of memory that a struct inflate takes. */
size_t inflate_state_size(void);

/* Whether @data begins with a gzip header. */
bool inflate_is_gzip(const void *data, size_t length);

/* Start on the member at @data in @state (inflate_state_size() bytes, aligned to 16). */
struct inflate *inflate_open(void *state, const void *data, size_t length);

/*
 * Write at most @n bytes to @dst.  INFLATE_END comes with the last bytes or after
 * them (*@produced may be 0 then).
 */
enum inflate_result inflate_read(struct inflate *s, void *dst, size_t n, size_t *produced);

/* After INFLATE_END: bytes of input used, header and trailer included. */
size_t inflate_used(const struct inflate *s);
