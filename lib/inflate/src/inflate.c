/* SPDX-License-Identifier: MIT */
/*
 * gzip decompression, see inflate/inflate.h.
 *
 * A state machine that stops wherever the output is full: HEAD (a block header
 * comes next), STORED (block of plain bytes), CODES (Huffman-coded block), COPY
 * (in the middle of a match), TRAILER, DONE, BAD.  Everything that was written
 * goes through a 32 KiB window too, out of which matches are copied, so the
 * caller's buffers may be anything.
 *
 * Bits come from the input lowest first, through a 64-bit accumulator that is
 * filled at the start of each symbol.  Past the end it is filled with zeros, and
 * counted: using one of those bits is an error.
 *
 * Huffman codes: one lookup by FAST_BITS bits answers almost always; longer codes
 * fall back to canonical decoding by length.  Over-subscribed and (but for a
 * single distance code, RFC 1951 3.2.7) incomplete codes are rejected when the
 * tables are made.
 */
#include "base/byteorder.h"
#include "base/hash.h"
#include "base/string.h"
#include "base/util.h"
#include "inflate/inflate.h"

enum { WINDOW = 32768, CODE_BITS = 15, FAST_BITS = 10, LITERALS = 288, DISTANCES = 30 };

enum state { HEAD, STORED, CODES, COPY, TRAILER, DONE, BAD };

struct huffman {
	uint16_t fast[1 << FAST_BITS];	/* symbol << 4 | length; 0: longer than FAST_BITS */
	uint16_t count[CODE_BITS + 1];	/* codes of each length */
	uint16_t symbol[LITERALS];	/* in order of their codes */
};

struct inflate {
	const uint8_t *data;		/* constant */
	size_t length;
	size_t at;			/* next byte to go into the accumulator */
	uint64_t bits;
	unsigned int nbits;
	unsigned int borrowed;		/* of nbits, beyond the end of the input */
	enum state state;
	bool last_block;
	uint32_t crc;
	uint64_t total;
	uint32_t copy_left, copy_distance;	/* COPY; STORED: copy_left */
	uint32_t window_at;
	struct huffman literals, distances;
	uint8_t window[WINDOW];
};

size_t inflate_state_size(void)
{
	return sizeof(struct inflate);
}

bool inflate_is_gzip(const void *data, size_t length)
{
	const uint8_t *p = data;

	return length >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

/* Length of the gzip header, or 0 if it is invalid (RFC 1952, 2.3). */
static size_t header_length(const uint8_t *p, size_t n)
{
	enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xe0 };
	size_t at = 10;
	uint8_t flags;

	if (n < 18 || !inflate_is_gzip(p, n) || p[2] != 8 || (p[3] & RESERVED))
		return 0;
	flags = p[3];
	if (flags & FEXTRA) {
		at += 2 + (size_t)get_le16(p + at);
		if (at >= n)
			return 0;
	}
	for (int field = FNAME; field <= FCOMMENT; field <<= 1) {
		if (!(flags & field))
			continue;
		while (at < n && p[at])
			at++;
		at++;
	}
	if (flags & FHCRC)
		at += 2;
	return at < n ? at : 0;
}

struct inflate *inflate_open(void *state, const void *data, size_t length)
{
	struct inflate *s = state;
	size_t header = header_length(data, length);

	memset(s, 0, offsetof(struct inflate, literals));
	s->data = data;
	s->length = length;
	s->at = header;
	s->state = header ? HEAD : BAD;
	return s;
}

/* -- bits --------------------------------------------------------------------- */

/* At least 48 bits in the accumulator: enough for a symbol, its extra bits and a distance. */
static void fill(struct inflate *s)
{
	if (likely(s->length - s->at >= 8)) {
		unsigned int bytes = (63 - s->nbits) / 8;

		s->bits |= get_le64(s->data + s->at) << s->nbits;
		s->at += bytes;
		s->nbits += bytes * 8;
		s->bits &= BIT(s->nbits) - 1;	/* nbits <= 63 */
		return;
	}
	while (s->nbits <= 55) {
		if (s->at < s->length)
			s->bits |= (uint64_t)s->data[s->at++] << s->nbits;
		else
			s->borrowed += 8;
		s->nbits += 8;
	}
}

static uint32_t take(struct inflate *s, unsigned int n)
{
	uint32_t v = (uint32_t)(s->bits & (BIT(n) - 1));

	s->bits >>= n;
	s->nbits -= n;
	return v;
}

static bool overran(const struct inflate *s)
{
	return s->borrowed > s->nbits;
}

/* Drop the bits up to the next byte, and give whole bytes back to the input. */
static void align_to_byte(struct inflate *s)
{
	take(s, s->nbits % 8);
	if (s->borrowed < s->nbits)
		s->at -= (s->nbits - s->borrowed) / 8;
	s->bits = 0;
	s->nbits = 0;
	s->borrowed = 0;
}

/* -- Huffman codes ------------------------------------------------------------- */

static uint32_t reverse_bits(uint32_t code, unsigned int n)
{
	uint32_t r = 0;

	while (n--) {
		r = r << 1 | (code & 1);
		code >>= 1;
	}
	return r;
}

/* Make the tables for @n symbols with these code lengths. */
static bool huffman_make(struct huffman *h, const uint8_t *lengths, unsigned int n,
			 bool may_be_incomplete)
{
	uint16_t first[CODE_BITS + 2], next_code[CODE_BITS + 2];
	int left = 1;
	unsigned int used = 0;

	memset(h->fast, 0, sizeof(h->fast));
	memset(h->count, 0, sizeof(h->count));
	for (unsigned int i = 0; i < n; i++)
		h->count[lengths[i]]++;
	used = n - h->count[0];
	h->count[0] = 0;
	first[1] = 0;
	next_code[1] = 0;
	for (unsigned int len = 1; len <= CODE_BITS; len++) {
		left = left * 2 - h->count[len];
		if (left < 0)
			return false;
		first[len + 1] = first[len] + h->count[len];
		next_code[len + 1] = (uint16_t)((next_code[len] + h->count[len]) << 1);
	}
	if (left > 0 && !(may_be_incomplete && used <= 1))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int len = lengths[i];
		uint32_t code;

		if (!len)
			continue;
		h->symbol[first[len]++] = (uint16_t)i;
		code = reverse_bits(next_code[len]++, len);
		for (; len <= FAST_BITS && code < 1u << FAST_BITS; code += 1u << len)
			h->fast[code] = (uint16_t)(i << 4 | len);
	}
	return true;
}

/* The next symbol, or -1 if there is no such code. */
static int huffman_symbol(struct inflate *s, const struct huffman *h)
{
	uint16_t entry = h->fast[s->bits & ((1u << FAST_BITS) - 1)];
	int code = 0, first = 0, index = 0;

	if (likely(entry)) {
		take(s, entry & 15);
		return entry >> 4;
	}
	for (unsigned int len = 1; len <= CODE_BITS; len++) {
		int count = h->count[len];

		code |= (int)(s->bits >> (len - 1) & 1);
		if (code - count < first) {
			take(s, len);
			return h->symbol[index + (code - first)];
		}
		index += count;
		first = (first + count) << 1;
		code <<= 1;
	}
	return -1;
}

/* -- blocks -------------------------------------------------------------------- */

static bool fixed_tables(struct inflate *s)
{
	uint8_t lengths[LITERALS];

	memset(lengths, 8, 144);
	memset(lengths + 144, 9, 112);
	memset(lengths + 256, 7, 24);
	memset(lengths + 280, 8, 8);
	if (!huffman_make(&s->literals, lengths, LITERALS, false))
		return false;
	/* 32 codes of 5 bits, of which the last two must not occur: checked when used */
	memset(lengths, 5, 32);
	return huffman_make(&s->distances, lengths, 32, false);
}

/* The code lengths of the two tables, themselves Huffman-coded (RFC 1951, 3.2.7). */
static bool dynamic_tables(struct inflate *s)
{
	static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2,
					   14, 1, 15 };
	uint8_t lengths[LITERALS + 32 + 138] = { 0 };
	unsigned int nlit, ndist, ncode, i;

	fill(s);
	nlit = take(s, 5) + 257;
	ndist = take(s, 5) + 1;
	ncode = take(s, 4) + 4;
	if (nlit > 286 || ndist > DISTANCES)
		return false;
	for (i = 0; i < ncode; i++) {
		fill(s);
		lengths[order[i]] = (uint8_t)take(s, 3);
	}
	if (!huffman_make(&s->distances, lengths, 19, false))
		return false;
	memset(lengths, 0, 19);
	for (i = 0; i < nlit + ndist;) {
		unsigned int repeat = 1, value;
		int symbol;

		fill(s);
		symbol = huffman_symbol(s, &s->distances);
		if (symbol < 0 || overran(s))
			return false;
		value = (unsigned int)symbol;
		if (symbol >= 16) {
			if (symbol == 16 && i == 0)
				return false;
			value = symbol == 16 ? lengths[i - 1] : 0;
			repeat = symbol == 16 ? 3 + take(s, 2) :
				 symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
		}
		if (i + repeat > nlit + ndist)
			return false;
		memset(lengths + i, (int)value, repeat);
		i += repeat;
	}
	return lengths[256] && huffman_make(&s->literals, lengths, nlit, true) &&
	       huffman_make(&s->distances, lengths + nlit, ndist, true);
}

/* Read a block's header; the next state, or BAD. */
static enum state block_begin(struct inflate *s)
{
	uint32_t type;

	fill(s);
	s->last_block = take(s, 1);
	type = take(s, 2);
	if (overran(s))
		return BAD;
	switch (type) {
	case 0:
		align_to_byte(s);
		if (s->length - s->at < 4 ||
		    (get_le16(s->data + s->at) ^ get_le16(s->data + s->at + 2)) != 0xffff)
			return BAD;
		s->copy_left = get_le16(s->data + s->at);
		s->at += 4;
		return STORED;
	case 1:
		return fixed_tables(s) ? CODES : BAD;
	case 2:
		return dynamic_tables(s) && !overran(s) ? CODES : BAD;
	default:
		return BAD;
	}
}

static enum state block_end(const struct inflate *s)
{
	return s->last_block ? TRAILER : HEAD;
}

static void window_put(struct inflate *s, const uint8_t *p, size_t n)
{
	while (n) {
		size_t piece = MIN(n, (size_t)(WINDOW - s->window_at));

		memcpy(s->window + s->window_at, p, piece);
		s->window_at = (s->window_at + (uint32_t)piece) % WINDOW;
		p += piece;
		n -= piece;
	}
}

/* Each of these writes to [dst, end) and returns where it stopped. */

static uint8_t *run_stored(struct inflate *s, uint8_t *dst, uint8_t *end)
{
	size_t n = MIN((size_t)s->copy_left, (size_t)(end - dst));

	if (n > s->length - s->at) {
		s->state = BAD;
		return dst;
	}
	memcpy(dst, s->data + s->at, n);
	window_put(s, dst, n);
	s->at += n;
	s->total += n;
	s->copy_left -= (uint32_t)n;
	if (!s->copy_left)
		s->state = block_end(s);
	return dst + n;
}

static uint8_t *run_copy(struct inflate *s, uint8_t *dst, uint8_t *end)
{
	uint32_t from = (s->window_at - s->copy_distance) % WINDOW;
	uint32_t at = s->window_at;
	uint32_t n = (uint32_t)MIN((size_t)s->copy_left, (size_t)(end - dst));

	s->copy_left -= n;
	s->total += n;
	for (; n; n--) {
		uint8_t c = s->window[from];

		s->window[at] = c;
		*dst++ = c;
		from = (from + 1) % WINDOW;
		at = (at + 1) % WINDOW;
	}
	s->window_at = at;
	if (!s->copy_left)
		s->state = CODES;
	return dst;
}

/* Decode a match whose length symbol is @symbol into copy_left and copy_distance. */
static bool match_begin(struct inflate *s, unsigned int symbol)
{
	static const uint16_t length_base[29] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27,
		31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
	static const uint8_t length_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3,
		3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
	static const uint16_t distance_base[DISTANCES] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65,
		97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289,
		16385, 24577 };
	int d;

	symbol -= 257;
	if (symbol >= ARRAY_SIZE(length_base))
		return false;
	s->copy_left = length_base[symbol] + take(s, length_extra[symbol]);
	d = huffman_symbol(s, &s->distances);
	if (d < 0 || d >= DISTANCES)
		return false;
	s->copy_distance = distance_base[d] + take(s, d < 2 ? 0 : (unsigned int)d / 2 - 1);
	return !overran(s) && s->copy_distance <= s->total;
}

static uint8_t *run_codes(struct inflate *s, uint8_t *dst, uint8_t *end)
{
	while (dst < end) {
		int symbol;

		fill(s);
		symbol = huffman_symbol(s, &s->literals);
		if (symbol < 0 || overran(s)) {
			s->state = BAD;
			return dst;
		}
		if (symbol < 256) {
			*dst++ = (uint8_t)symbol;
			s->window[s->window_at] = (uint8_t)symbol;
			s->window_at = (s->window_at + 1) % WINDOW;
			s->total++;
			continue;
		}
		if (symbol == 256)
			s->state = block_end(s);
		else
			s->state = match_begin(s, (unsigned int)symbol) ? COPY : BAD;
		return dst;
	}
	return dst;
}

static enum state check_trailer(struct inflate *s)
{
	align_to_byte(s);
	if (s->length - s->at < 8 || get_le32(s->data + s->at) != s->crc ||
	    get_le32(s->data + s->at + 4) != (uint32_t)s->total)
		return BAD;
	s->at += 8;
	return DONE;
}

enum inflate_result inflate_read(struct inflate *s, void *buf, size_t n, size_t *produced)
{
	uint8_t *dst = buf, *end = dst + n, *counted = buf;

	while (s->state != BAD && s->state != DONE && (dst < end || s->state == TRAILER)) {
		switch (s->state) {
		case HEAD:
			s->state = block_begin(s);
			break;
		case STORED:
			dst = run_stored(s, dst, end);
			break;
		case CODES:
			dst = run_codes(s, dst, end);
			break;
		case COPY:
			dst = run_copy(s, dst, end);
			break;
		case TRAILER:
			s->crc = crc32(s->crc, counted, (size_t)(dst - counted));
			counted = dst;
			s->state = check_trailer(s);
			break;
		case DONE:
		case BAD:
			break;
		}
	}
	s->crc = crc32(s->crc, counted, (size_t)(dst - counted));
	*produced = (size_t)(dst - (uint8_t *)buf);
	if (s->state == BAD)
		return INFLATE_INVALID;
	return s->state == DONE ? INFLATE_END : INFLATE_OK;
}

size_t inflate_used(const struct inflate *s)
{
	return s->at;
}
