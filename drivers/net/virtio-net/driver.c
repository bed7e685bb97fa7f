/* SPDX-License-Identifier: MIT */
/*
 * virtio network device (virtio 1.1, 5.1): a queue that receives and one that sends.
 *
 * Frames are passed on where they lie.  The header before a frame to be sent is a segment of its
 * own in the link's slots: the device gets a checked copy of it in this driver's own memory, as the
 * client could change it while the device reads it, and could want what was not negotiated.
 *
 * The device's features are chosen when it is set up, which may be before there is a client.
 * Those that decide what received frames look like are the client's, too, or it is refused.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/forward.h"

#define F_CSUM		BIT(0)
#define F_GUEST_CSUM	BIT(1)
#define F_MTU		BIT(3)
#define F_MAC		BIT(5)
#define F_GUEST_TSO4	BIT(7)
#define F_GUEST_TSO6	BIT(8)
#define F_HOST_TSO4	BIT(11)
#define F_HOST_TSO6	BIT(12)
#define F_MRG_RXBUF	BIT(15)
#define F_STATUS	BIT(16)

#define GUEST_TSO	(F_GUEST_TSO4 | F_GUEST_TSO6)
#define HOST_TSO	(F_HOST_TSO4 | F_HOST_TSO6)
#define ALL		(F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | GUEST_TSO | HOST_TSO | F_MRG_RXBUF | \
			 F_STATUS | VIRTIO_F_VERSION_1)
/* What the device does to frames that it receives. */
#define RECEIVING	(F_GUEST_CSUM | GUEST_TSO | F_MRG_RXBUF | VIRTIO_F_VERSION_1)

enum { RECEIVE = 0, SEND = 1 };
enum { DEPTH = 256, SLOT = 16 };
/* The header (virtio 1.1, 5.1.6): places, flags, kinds of segmentation. */
enum { FLAGS = 0, GSO_TYPE = 1, HDR_LEN = 2, GSO_SIZE = 4, CSUM_START = 6, CSUM_OFFSET = 8,
       HEADER_SHORT = 10, NUM_BUFFERS = 10, HEADER = 12 };
enum { NEEDS_CSUM = 1 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4 };

static struct forward forward;

/* Devices from before virtio 1.0 leave the number of buffers out where it is always one. */
static uint32_t header_length(const struct forward *f)
{
	return f->hw.features & (VIRTIO_F_VERSION_1 | F_MRG_RXBUF) ? HEADER : HEADER_SHORT;
}

static bool gso_is_negotiated(uint64_t features, uint8_t type)
{
	return (type == GSO_TCPV4 && (features & F_HOST_TSO4)) ||
	       (type == GSO_TCPV6 && (features & F_HOST_TSO6));
}

/* Whether a header means something for a frame of @length bytes. */
static bool header_is_sound(uint64_t features, const uint8_t *h, uint32_t length)
{
	bool csum = h[FLAGS] & NEEDS_CSUM;

	if ((h[FLAGS] & ~NEEDS_CSUM) || (csum && !(features & F_CSUM)))
		return false;
	if (csum && get_le16(h + CSUM_START) + get_le16(h + CSUM_OFFSET) + 2u > length)
		return false;
	if (h[GSO_TYPE] == GSO_NONE)
		return true;
	return csum && gso_is_negotiated(features, h[GSO_TYPE]) && get_le16(h + GSO_SIZE) &&
	       get_le16(h + HDR_LEN) <= length;
}

static unsigned int prepare_send(struct forward *f, const struct vq_chain *c,
				 struct vq_segment *out, unsigned int max, const char **why)
{
	const struct vq_segment *first = &c->segments[0];
	const uint32_t length = header_length(f);
	uint8_t header[HEADER] = { 0 };
	const void *theirs;
	uint8_t *slot;
	uint64_t bus;
	unsigned int n;

	theirs = first->len == length && max ? drv_pointer(f->hw.d, first->addr, length) : NULL;
	if (c->count < 2 || c->writable || !theirs) {
		*why = "frame without a header";
		return 0;
	}
	memcpy(header, theirs, length);
	put_le16(header + NUM_BUFFERS, 0);
	if (!header_is_sound(f->hw.features, header, c->readable - length)) {
		*why = "header that makes no sense";
		return 0;
	}
	slot = forward_slot(f, SEND, c->head, &bus);
	memcpy(slot, header, length);
	out[0] = (struct vq_segment){ bus, length, false };
	n = forward_translate(f, c->segments + 1, c->count - 1u, out + 1, max - 1);
	return n ? n + 1 : 0;
}

static unsigned int prepare(struct forward *f, uint32_t queue, const struct vq_chain *c,
			    struct vq_segment *out, unsigned int max, const char **why)
{
	if (queue == SEND)
		return prepare_send(f, c, out, max, why);
	if (c->readable || c->writable < HEADER) {
		*why = "buffer that cannot hold a frame";
		return 0;
	}
	return forward_translate(f, c->segments, c->count, out, max);
}

/* Received frames that are larger than a buffer need several; checksums come before segments. */
static uint64_t choose(uint64_t offered)
{
	uint64_t features = offered & ALL;

	if (!(features & F_MRG_RXBUF) || !(features & F_GUEST_CSUM))
		features &= ~GUEST_TSO;
	if (!(features & F_CSUM))
		features &= ~HOST_TSO;
	return features;
}

/* What was sent cannot be taken back: before a reset it is given time to leave. */
static bool drains(uint32_t queue)
{
	return queue == SEND;
}

static const struct forward_ops ops = {
	.slot_size = SLOT, .watches_config = true, .choose = choose, .prepare = prepare,
	.drains = drains,
};

static void opened(struct drv *d)
{
	if (d->offered & ~d->features & RECEIVING)
		drv_break(d, "it does not take frames as the device receives them");
}

static void on_queue(struct drv *d, uint32_t queue)
{
	forward_queue(&forward, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	if (index == VIRTIO_HW_CONFIG_IRQ)
		forward_config(&forward);
	else
		forward_irq(&forward);
}

static k_status_t start(struct drv *d)
{
	return forward_start(d, &forward, &ops, ALL, DEPTH);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq, .opened = opened };
