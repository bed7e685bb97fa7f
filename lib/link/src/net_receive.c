/* SPDX-License-Identifier: MIT */
/*
 * Frames that come, see net_priv.h.
 *
 * A frame lies in one buffer or, with MRG_RXBUF, in as many as the header at its beginning says;
 * a driver that dies in the middle of answering leaves the rest to its successor, so that a
 * part of a frame is kept until then.  Buffers go back to the device when the frame was copied.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "net_priv.h"

enum { BATCH = 16, BUDGET = 64 };	/* frames: until buffers are shown to the device, at a time */

static uint8_t *buffer_at(const struct net *n, uint32_t buffer)
{
	return n->link->data + (uint64_t)buffer * n->rx.size;
}

static void buffer_add(struct net *n, uint16_t buffer)
{
	struct vq_segment s = { LINK_DATA + (uint64_t)buffer * n->rx.size, n->rx.size, true };
	uint16_t head;

	/* There are as many as the ring has room for. */
	(void)vq_driver_add(&n->rx.vq, &s, 1, (void *)(uintptr_t)buffer, &head);
}

k_status_t net_rx_init(struct net *n)
{
	const struct link_geometry *g = link_geometry(n->link);

	n->rx.count = g->queue_size;
	n->rx.size = (uint32_t)MIN(ALIGN_DOWN(g->data_length / 2 / n->rx.count, 64ull),
				   (uint64_t)NET_BUFFER_MAX);
	return n->rx.size >= NET_BUFFER_MIN ? K_OK : K_ERR_NOT_SUPPORTED;
}

void net_rx_start(struct net *n)
{
	link_queue_init(n->link, NET_RX, &n->rx.vq, n->rx.slots);
	n->rx.need = 0;
	for (uint32_t i = 0; i < n->rx.count; i++)
		buffer_add(n, (uint16_t)i);
	link_publish(n->link, NET_RX, &n->rx.vq);
}

/* -- what comes with a frame --------------------------------------------------------------------- */

static bool read_gso(const struct net *n, struct net_offload *o)
{
	switch (n->rx.header[NET_HDR_GSO_TYPE]) {
	case 0:
		o->gso_size = 0;
		return true;
	case NET_HDR_GSO_TCPV4:
		o->gso = NET_GSO_TCPV4;
		break;
	case NET_HDR_GSO_TCPV6:
		o->gso = NET_GSO_TCPV6;
		break;
	default:
		return false;
	}
	return (n->features & (o->gso == NET_GSO_TCPV4 ? NET_F_GUEST_TSO4 : NET_F_GUEST_TSO6)) &&
	       o->needs_checksum && o->gso_size;
}

/* False: it makes no sense for a frame of @length bytes. */
static bool read_offload(const struct net *n, size_t length, struct net_offload *o)
{
	const uint8_t *h = n->rx.header;
	uint8_t flags = h[NET_HDR_FLAGS];

	*o = (struct net_offload){ .gso_size = get_le16(h + NET_HDR_GSO_SIZE) };
	/* Bits that mean nothing to us are for those who negotiated them (virtio 1.1, 5.1.6.4.2). */
	if (flags & NET_HDR_NEEDS_CSUM) {
		o->needs_checksum = true;
		o->csum_start = get_le16(h + NET_HDR_CSUM_START);
		o->csum_offset = get_le16(h + NET_HDR_CSUM_OFFSET);
		if (!(n->features & NET_F_GUEST_CSUM) || o->csum_start < NET_FRAME_MIN ||
		    o->csum_start + o->csum_offset + 2u > length)
			return false;
	}
	o->is_verified = (n->features & NET_F_GUEST_CSUM) &&
			 (flags & (NET_HDR_DATA_VALID | NET_HDR_NEEDS_CSUM));
	return read_gso(n, o);
}

/* -- copying ----------------------------------------------------------------------------------------- */

/* Where the copy stands: pieces that are left, and how much of the first is used. */
struct target {
	const struct net_piece *piece;
	unsigned int left;
	size_t used;
};

/* Copy @length bytes on; what does not fit is the user's mistake, and lost. */
static void copy_on(struct target *to, const uint8_t *src, size_t length)
{
	while (length && to->left) {
		size_t part = MIN(length, to->piece->length - to->used);

		memcpy((uint8_t *)to->piece->base + to->used, src, part);
		src += part;
		length -= part;
		to->used += part;
		if (to->used == to->piece->length) {
			to->piece++;
			to->left--;
			to->used = 0;
		}
	}
}

static void deliver(struct net *n, size_t length)
{
	struct net_piece pieces[NET_PIECES];
	struct net_offload o;
	struct target to = { .piece = pieces };
	uint32_t skip = n->header_length;
	void *frame = NULL;

	if (length < NET_FRAME_MIN || length > NET_FRAME_MAX || !read_offload(n, length, &o)) {
		n->ops->spoiled(n->user);
		return;
	}
	to.left = MIN(n->ops->room(n->user, &o, length, pieces, &frame), NET_PIECES);
	if (!to.left)
		return;
	for (uint32_t i = 0; i < n->rx.have; i++) {
		copy_on(&to, buffer_at(n, n->rx.part[i].buffer) + skip, n->rx.part[i].length - skip);
		skip = 0;
	}
	n->ops->received(n->user, frame, length, &o);
}

static void frame_is_complete(struct net *n)
{
	size_t length = 0;

	for (uint32_t i = 0; i < n->rx.have; i++)
		length += n->rx.part[i].length;
	deliver(n, length - n->header_length);
	for (uint32_t i = 0; i < n->rx.have; i++)
		buffer_add(n, n->rx.part[i].buffer);
	n->rx.need = 0;
}

/* -- the queue ------------------------------------------------------------------------------------------ */

/* The first buffer of a frame; false: there is none in it, and it is to go back. */
static bool begin_frame(struct net *n, uint16_t buffer, uint32_t written)
{
	/* A driver can have been unable to say what the device wrote. */
	if (written < n->header_length) {
		if (written)
			n->ops->spoiled(n->user);
		return false;
	}
	memcpy(n->rx.header, buffer_at(n, buffer), n->header_length);
	n->rx.have = 0;
	n->rx.need = n->features & NET_F_MRG_RXBUF ? get_le16(n->rx.header + NET_HDR_BUFFERS) : 1;
	if (n->rx.need && n->rx.need <= MIN((uint32_t)NET_BUFFERS_MAX, n->rx.count))
		return true;
	n->rx.need = 0;
	net_accuse(n, "a frame in more buffers than it can need, or in none");
	return false;
}

/* False: the device has used no more buffers. */
static bool take_buffer(struct net *n, unsigned int *frames)
{
	uint32_t written;
	uint16_t head, buffer;
	void *cookie;

	if (!vq_driver_take(&n->rx.vq, &cookie, &head, &written))
		return false;
	buffer = (uint16_t)(uintptr_t)cookie;
	if (!n->rx.need && !begin_frame(n, buffer, written)) {
		buffer_add(n, buffer);
		(*frames)++;
		return true;
	}
	n->rx.part[n->rx.have].buffer = buffer;
	n->rx.part[n->rx.have].length = written;
	if (++n->rx.have == n->rx.need) {
		frame_is_complete(n);
		(*frames)++;
	}
	return true;
}

void net_rx_restart(struct net *n)
{
	unsigned int frames = 0;

	for (uint32_t i = 0; i < n->rx.count && take_buffer(n, &frames); i++)
		;
	net_rx_start(n);
}

/* True: as many as are taken at a time. */
static bool take_frames(struct net *n)
{
	unsigned int frames = 0, shown = 0;

	while (frames < BUDGET && !n->accused && take_buffer(n, &frames)) {
		if (frames - shown < BATCH)
			continue;
		link_publish(n->link, NET_RX, &n->rx.vq);
		shown = frames;
	}
	link_publish(n->link, NET_RX, &n->rx.vq);
	if (n->rx.vq.broken)
		net_accuse(n, n->rx.vq.broken);
	return frames >= BUDGET;
}

bool net_rx_is_ready(struct net *n)
{
	return !n->accused && vq_driver_ready(&n->rx.vq);
}

bool net_rx_look(struct net *n)
{
	bool more;

	if (n->accused)
		return false;
	vq_driver_interrupts(&n->rx.vq, false);
	more = take_frames(n);
	vq_driver_interrupts(&n->rx.vq, true);
	return net_rx_is_ready(n) || (more && !n->accused);
}
