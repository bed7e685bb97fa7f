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
#include "drv/die.h"
#include "drv/forward.h"
#include "rt/log.h"

#define F_RO		BIT(5)
#define F_BLK_SIZE	BIT(6)
#define F_TOPOLOGY	BIT(10)
#define F_FLUSH		BIT(9)
#define F_MQ		BIT(12)
#define F_DISCARD	BIT(13)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11 };
/* A request's slot: header and status for the device; where in link memory the client wants it. */
enum { HEADER = 16, STATUS = 16, CLIENT = 24, SLOT = 32, DEPTH = 128 };
enum { S_IOERR = 1 };

static struct forward forward;

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

/* The client's status byte, the last of the chain; NULL: there is none. */
static uint8_t *status_of(struct drv *d, const struct vq_chain *c)
{
	const struct vq_segment *last = &c->segments[c->count - 1];

	return last->len == 1 && last->device_writes ? drv_pointer(d, last->addr, 1) : NULL;
}

static unsigned int prepare(struct forward *f, uint32_t queue, const struct vq_chain *c,
			    struct vq_segment *out, unsigned int max, const char **why)
{
	struct drv *d = f->hw.d;
	uint64_t bus;
	uint8_t *slot = forward_slot(f, queue, c->head, &bus);
	unsigned int n = 1, k;

	if (c->count < 2 || max < 2 || !copy_header(d, c, slot, why))
		return 0;
	if (CONFIG_CHECKS && get_le64(slot + 8) == drv_die_sector() && get_le32(slot) < T_FLUSH)
		rt_panic("%s: told to die of this sector", d->start.name);
	if (!status_of(d, c)) {
		*why = "request without a status";
		return 0;
	}
	put_le64(slot + CLIENT, c->segments[c->count - 1].addr);
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
	uint64_t bus;
	const uint8_t *slot = forward_slot(f, queue, head, &bus);
	/* The device could have written there: the address is checked again. */
	uint8_t *client = drv_pointer(f->hw.d, get_le64(slot + CLIENT), 1);

	if (client && !drv_is_mute())
		*client = *(const volatile uint8_t *)(slot + STATUS);
	return written;
}

static uint32_t fail(struct forward *f, uint32_t queue, const struct vq_chain *c)
{
	uint8_t *client = status_of(f->hw.d, c);

	if (!client)
		return 0;
	*client = S_IOERR;
	return 1;
}

static const struct forward_ops ops = {
	.slot_size = SLOT, .replay_in_order = true, .prepare = prepare, .finish = finish,
	.fail = fail,
};

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
	return forward_start(d, &forward, &ops,
			     F_RO | F_BLK_SIZE | F_TOPOLOGY | F_FLUSH | F_MQ | F_DISCARD, DEPTH);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
