/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

/* The header: places, and the flag that asks for a checksum. */
enum { FLAGS = 0, GSO_TYPE = 1, CSUM_START = 6, CSUM_OFFSET = 8 };
enum { NEEDS_CSUM = 1 };

/* -- pieces ------------------------------------------------------------------------------------ */

/* Bytes [@from, @from + @n) of the frame of @c, after what is in @f; false: not all the link's. */
static bool add_range(struct drv *d, const struct vq_chain *c, uint32_t from, uint32_t n,
		      struct frame *f)
{
	for (uint16_t i = 1; i < c->count && n; i++) {
		struct vq_segment s = c->segments[i];
		unsigned int k;

		if (from >= s.len) {
			from -= s.len;
			continue;
		}
		s.addr += from;
		s.len = MIN(s.len - from, n);
		from = 0;
		n -= s.len;
		k = drv_bus_segments(d, &s, f->piece + f->count, FRAME_PIECES - f->count);
		if (!k)
			return false;
		f->count += k;
	}
	return true;
}

static bool add_own(struct frame *f, uint64_t bus, uint32_t n)
{
	if (f->count == FRAME_PIECES)
		return false;
	f->piece[f->count++] = (struct vq_segment){ bus, n, false };
	return true;
}

/* -- checksums that the card's contexts cannot name -------------------------------------------- */

/* Of the frame from @from on, in the order of its bytes; false: they cannot be read. */
static bool sum_up(struct drv *d, const struct vq_chain *c, uint32_t from, uint16_t *sum)
{
	uint32_t total = 0, at = 0;

	for (uint16_t i = 1; i < c->count; i++) {
		const volatile uint8_t *p = drv_pointer(d, c->segments[i].addr, c->segments[i].len);

		if (!p)
			return false;
		for (uint32_t k = 0; k < c->segments[i].len; k++, at++)
			if (at >= from)
				total += (at - from) & 1 ? p[k] : (uint32_t)p[k] << 8;
	}
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	*sum = (uint16_t)~total;
	return true;
}

/* The frame is sent around the place of its checksum, which lies in @extra. */
static bool add_summed(struct drv *d, const struct vq_chain *c, uint32_t length, uint32_t start,
		       uint32_t place, struct frame_extra *extra, uint64_t extra_bus,
		       struct frame *f)
{
	uint16_t sum;

	if (!sum_up(d, c, start, &sum))
		return false;
	put_be16(extra->checksum, sum ? sum : 0xffff);	/* UDP's 0 means that there is none */
	return add_range(d, c, 0, place, f) && add_own(f, extra_bus, sizeof(extra->checksum)) &&
	       add_range(d, c, place + 2, length - place - 2, f);
}

/* -- frames to be sent ------------------------------------------------------------------------- */

static bool header_is_sound(uint64_t features, const uint8_t *h, uint32_t length)
{
	if ((h[FLAGS] & ~NEEDS_CSUM) || h[GSO_TYPE])
		return false;
	return !(h[FLAGS] & NEEDS_CSUM) ||
	       ((features & NET_F_CSUM) &&
		get_le16(h + CSUM_START) + get_le16(h + CSUM_OFFSET) + 2u <= length);
}

static bool read_header(struct drv *d, const struct vq_chain *c, uint8_t *h)
{
	const void *theirs = NULL;

	if (c->count >= 2 && !c->writable && c->segments[0].len == NET_HEADER)
		theirs = drv_pointer(d, c->segments[0].addr, NET_HEADER);
	if (theirs)
		memcpy(h, theirs, NET_HEADER);
	return theirs;
}

enum frame_verdict frame_to_send(struct drv *d, const struct vq_chain *c, uint64_t features,
				 struct frame_extra *extra, uint64_t extra_bus,
				 uint64_t zeroes_bus, struct frame *f, const char **why)
{
	uint32_t length = c->readable - NET_HEADER, start, place;
	uint8_t h[NET_HEADER];
	bool good;

	*f = (struct frame){ 0 };
	*why = "frame without a header";
	if (!read_header(d, c, h))
		return FRAME_PROTOCOL;
	*why = "header that makes no sense";
	if (!header_is_sound(features, h, length))
		return FRAME_PROTOCOL;
	if (length < FRAME_LEAST || length > FRAME_MAX)
		return FRAME_DROPPED;
	*why = "address outside of the link, or a frame in too many pieces";
	start = get_le16(h + CSUM_START);
	place = start + get_le16(h + CSUM_OFFSET);
	f->has_checksum = (h[FLAGS] & NEEDS_CSUM) && place <= UINT8_MAX;
	f->sum_from = (uint8_t)start;
	f->sum_at = (uint8_t)place;
	if ((h[FLAGS] & NEEDS_CSUM) && !f->has_checksum)
		good = add_summed(d, c, length, start, place, extra, extra_bus, f);
	else
		good = add_range(d, c, 0, length, f);
	if (good && length < FRAME_PADDED)
		good = add_own(f, zeroes_bus, FRAME_PADDED - length);
	return good ? FRAME_GOOD : FRAME_PROTOCOL;
}

/* -- receive buffers --------------------------------------------------------------------------- */

bool frame_buffer(struct drv *d, const struct vq_chain *c, uint64_t *bus, const char **why)
{
	struct vq_segment s = c->segments[0], out;
	void *header;

	*why = "buffer that cannot hold a frame";
	if (c->count != 1 || c->readable || s.len < NET_HEADER + NIC_BUFFER)
		return false;
	*why = "address outside of the link";
	header = drv_pointer(d, s.addr, NET_HEADER);
	if (!header)
		return false;
	memset(header, 0, NET_HEADER);
	s.addr += NET_HEADER;
	s.len = NIC_BUFFER;
	*why = "buffer that is not in one piece";
	if (drv_bus_segments(d, &s, &out, 1) != 1)
		return false;
	*bus = out.addr;
	return true;
}
