/* SPDX-License-Identifier: MIT */
#include "drv/blk_request.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

enum { HEADER = 16, RANGE = 16 };

/* Whether the payload of a request may go that way. */
static bool way_is_right(uint32_t type, bool device_writes)
{
	switch (type) {
	case BLK_T_IN:
	case BLK_T_GET_ID:
		return device_writes;
	case BLK_T_OUT:
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
		return !device_writes;
	default:
		return true;		/* nothing is done with it */
	}
}

static bool read_payload(const struct vq_chain *c, struct blk_request *r, const char **why)
{
	uint64_t length = 0;

	r->payload = &c->segments[1];
	r->segments = c->count - 2u;
	for (uint32_t i = 0; i < r->segments; i++) {
		length += r->payload[i].len;
		if (!way_is_right(r->type, r->payload[i].device_writes)) {
			*why = "payload that goes the wrong way";
			return false;
		}
	}
	if (length > UINT32_MAX) {
		*why = "more payload than a link holds";
		return false;
	}
	r->length = (uint32_t)length;
	return true;
}

bool blk_request_read(struct drv *d, const struct vq_chain *c, struct blk_request *r,
		      const char **why)
{
	const struct vq_segment *first = &c->segments[0], *last = &c->segments[c->count - 1];
	uint8_t copy[HEADER];
	const void *header;

	header = c->count >= 2 && first->len == HEADER && !first->device_writes ?
			 drv_pointer(d, first->addr, HEADER) : NULL;
	if (!header) {
		*why = "request without a header";
		return false;
	}
	memcpy(copy, header, HEADER);
	*r = (struct blk_request){ .head = c->head, .type = get_le32(copy),
			       .sector = get_le64(copy + 8) };
	r->status = last->len == 1 && last->device_writes ? drv_pointer(d, last->addr, 1) : NULL;
	if (!r->status) {
		*why = "request without a status";
		return false;
	}
	return read_payload(c, r, why);
}

uint32_t blk_request_ranges(struct drv *d, const struct blk_request *r, struct blk_range *ranges)
{
	uint32_t n = r->length / RANGE;
	uint8_t copy[BLK_RANGES * RANGE];
	const void *at;

	if (r->segments != 1 || !n || n > BLK_RANGES || r->length % RANGE)
		return 0;
	at = drv_pointer(d, r->payload->addr, r->length);
	if (!at)
		return 0;
	memcpy(copy, at, r->length);
	for (uint32_t i = 0; i < n; i++)
		ranges[i] = (struct blk_range){ get_le64(copy + i * RANGE),
						get_le32(copy + i * RANGE + 8),
						get_le32(copy + i * RANGE + 12) };
	return n;
}

bool blk_request_write(struct drv *d, const struct blk_request *r, const void *data, uint32_t n)
{
	void *at = r->segments == 1 && r->length >= n ? drv_pointer(d, r->payload->addr, n) : NULL;

	if (at)
		memcpy(at, data, n);
	return at != NULL;
}

unsigned int blk_request_pieces(struct drv *d, const struct blk_request *r, uint32_t skip,
				uint32_t bytes, struct vq_segment *out, unsigned int max)
{
	unsigned int most = bytes / (unsigned int)K_PAGE_SIZE + 2, n = 0;

	for (uint32_t i = 0; i < r->segments && bytes && max - n >= most; i++) {
		struct vq_segment s = r->payload[i];
		uint32_t before = MIN(skip, s.len);
		unsigned int k;

		s.addr += before;
		s.len = MIN(s.len - before, bytes);
		skip -= before;
		if (!s.len)
			continue;
		k = drv_bus_segments(d, &s, out + n, max - n);
		if (!k)
			return 0;
		n += k;
		bytes -= s.len;
	}
	return n;
}
