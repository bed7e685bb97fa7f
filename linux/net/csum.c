/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071): the ones' complement sum of words of 16 bits.  Sums are in the
 * order of memory: words are added as they lie there, and the result is stored as it is, which
 * is right on machines of either order (RFC 1071, section 2 B).
 */
#include "base/util.h"
#include "lx/pbuf.h"

static uint32_t fold_64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)sum;
}

static uint32_t fold_32(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

uint32_t lx_csum_add(uint32_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t total = sum;
	uint32_t word;
	uint16_t half;

	/* halves of a 64-bit sum: no carry is lost in 2^32 additions */
	for (; n >= 16; n -= 16, p += 16) {
		uint32_t w[4];

		memcpy(w, p, sizeof(w));
		total += (uint64_t)w[0] + w[1] + w[2] + w[3];
	}
	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, sizeof(word));
		total += word;
	}
	if (n >= 2) {
		memcpy(&half, p, sizeof(half));
		total += half;
		n -= 2;
		p += 2;
	}
	if (n) {
		const uint8_t last[2] = { *p, 0 };

		memcpy(&half, last, sizeof(half));
		total += half;
	}
	return fold_64(total);
}

uint32_t lx_pbuf_csum(const struct lx_pbuf *p, uint32_t off, uint32_t n, uint32_t sum)
{
	bool odd = false;		/* is the number of bytes summed so far */

	for (unsigned int i = 0; i < p->nr_pieces && n; i++) {
		const struct lx_piece *piece = &p->piece[i];
		uint32_t part, of_part;

		if (off >= piece->len) {
			off -= piece->len;
			continue;
		}
		part = MIN(n, piece->len - off);
		of_part = fold_32(lx_csum_add(0, piece->data + off, part));
		/* a piece that begins with the second half of a word: its sum has its bytes swapped */
		if (odd)
			of_part = (of_part & 0xff) << 8 | of_part >> 8;
		sum = fold_64((uint64_t)sum + of_part);
		odd ^= part & 1;
		n -= part;
		off = 0;
	}
	return sum;
}

bool lx_pbuf_set_csum(struct lx_pbuf *p, uint32_t start, uint16_t offset)
{
	if (start > p->len || p->len - start < (uint32_t)offset + 2 ||
	    start + lx_pbuf_headroom(p) > UINT16_MAX)
		return false;
	p->csum = LX_CSUM_PARTIAL;
	p->csum_at = (uint16_t)(lx_pbuf_headroom(p) + start);
	p->csum_offset = offset;
	return true;
}

int lx_pbuf_complete_csum(struct lx_pbuf *p)
{
	int32_t start = lx_pbuf_offset(p, p->csum_at);
	uint16_t sum;
	int err;

	if (start < 0 || (uint32_t)start > p->len || p->len - (uint32_t)start < (uint32_t)p->csum_offset + 2)
		return -EINVAL;
	/* the field has to be ours to write */
	err = lx_pbuf_pull_up(p, (uint32_t)start + p->csum_offset + 2);
	if (err)
		return err;
	sum = lx_csum_fold(lx_pbuf_csum(p, (uint32_t)start, p->len - (uint32_t)start, 0));
	/* 0 means "none" to UDP, and is the same number as this to everybody */
	if (!sum)
		sum = 0xffff;
	lx_pbuf_write(p, (uint32_t)start + p->csum_offset, &sum, sizeof(sum));
	p->csum = LX_CSUM_NONE;
	return 0;
}
