/* SPDX-License-Identifier: MIT */
/*
 * virtio block device (virtio 1.1, 5.2).
 *
 * Chains are passed on, but for header and status: the client could change them
 * while the device reads them, so the device gets a checked copy of the header in
 * this driver's own memory, and writes its status there.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/forward.h"
#include "rt/log.h"

#define F_RO		BIT(5)
#define F_BLK_SIZE	BIT(6)
#define F_TOPOLOGY	BIT(10)
#define F_FLUSH		BIT(9)
#define F_DISCARD	BIT(13)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11 };
enum { HEADER = 16, STATUS = 16, SLOT = 32, DEPTH = 128 };

static struct forward forward;

/* Per head of the link's queue: header and status for the device. */
static uint8_t *slots;
static uint64_t slots_bus;
static uint8_t *client_status[LINK_QUEUE_SIZE_MAX];	/* where the client wants the status */

static bool type_is_known(uint32_t type)
{
	return type == T_IN || type == T_OUT || type == T_FLUSH || type == T_GET_ID ||
	       type == T_DISCARD;
}

/* The client's header (first segment) into our slot; false: it is against the protocol. */
static bool copy_header(struct drv *d, const struct vq_chain *c, uint8_t *slot, const char **why)
{
	const struct vq_segment *s = &c->segments[0];
	const void *header = s->len == HEADER && !s->device_writes ?
				     drv_pointer(d, s->addr, HEADER) : NULL;

	if (!header) {
		*why = "request without a header";
		return false;
	}
	memcpy(slot, header, HEADER);
	if (!type_is_known(get_le32(slot))) {
		*why = "request of an unknown type";
		return false;
	}
	return true;
}

static unsigned int prepare(struct forward *f, uint32_t queue, const struct vq_chain *c,
			    struct vq_segment *out, unsigned int max, const char **why)
{
	struct drv *d = f->hw.d;
	uint8_t *slot = slots + c->head * SLOT;
	uint64_t bus = slots_bus + c->head * SLOT;
	const struct vq_segment *last = &c->segments[c->count - 1];
	unsigned int n = 1, k;

	if (c->count < 2 || max < 2 || !copy_header(d, c, slot, why))
		return 0;
	client_status[c->head] = last->len == 1 && last->device_writes ?
					 drv_pointer(d, last->addr, 1) : NULL;
	if (!client_status[c->head]) {
		*why = "request without a status";
		return 0;
	}
	out[0] = (struct vq_segment){ bus, HEADER, false };
	if (c->count > 2) {
		k = forward_translate(f, &c->segments[1], c->count - 2u, out + 1, max - 2);
		if (!k)
			return 0;
		n += k;
	}
	slot[STATUS] = 0xff;
	out[n++] = (struct vq_segment){ bus + STATUS, 1, true };
	return n;
}

static uint32_t finish(struct forward *f, uint32_t queue, uint16_t head, uint32_t written)
{
	*client_status[head] = *(volatile uint8_t *)(slots + head * SLOT + STATUS);
	return written;
}

static const struct forward_ops ops = { .prepare = prepare, .finish = finish };

static void on_queue(struct drv *d, uint32_t queue)
{
	forward_queue(&forward, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	forward_irq(&forward);
}

static k_status_t start(struct drv *d)
{
	k_status_t st = forward_start(d, &forward, &ops,
				      F_RO | F_BLK_SIZE | F_TOPOLOGY | F_FLUSH | F_DISCARD, DEPTH);

	if (st != K_OK)
		return st;
	slots = virtio_hw_dma(&forward.hw, d->layout.queue_size * SLOT, SLOT, &slots_bus);
	return slots ? K_OK : K_ERR_NO_MEMORY;
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
