/* SPDX-License-Identifier: MIT */
/*
 * Entropy sources, see link/rng.h.  One request at a time, in the first page of
 * data memory; a reader that gives up leaves it in flight for the next.
 */
#include "base/string.h"
#include "base/util.h"
#include "link/rng.h"
#include "link_priv.h"
#include "rt/memory.h"

struct rng {
	struct link *link;
	struct rt_mutex lock;
	struct vq_driver queue;		/* lock */
	struct vq_driver_slot slots[LINK_QUEUE_SIZE_MAX];
	bool flying;			/* lock */
};

k_status_t rng_open(struct link *l, struct rng **out)
{
	struct rng *r = rt_zalloc(sizeof(*r));

	if (!r)
		return K_ERR_NO_MEMORY;
	r->link = l;
	rt_mutex_init(&r->lock, l->rank);
	link_queue_init(l, 0, &r->queue, r->slots);
	*out = r;
	return K_OK;
}

void rng_close(struct rng *r)
{
	link_close(r->link);
	rt_free(r);
}

/* Have a request in flight, or take the answer of one: its bytes, 0 if there is none yet. */
static uint32_t request_or_take(struct rng *r)
{
	struct vq_segment s = { LINK_DATA, K_PAGE_SIZE, true };
	uint32_t written = 0;
	uint16_t head;
	void *cookie;

	if (r->flying && vq_driver_take(&r->queue, &cookie, &head, &written))
		r->flying = false;
	if (!r->flying && !written && vq_driver_add(&r->queue, &s, 1, NULL, &head)) {
		r->flying = true;
		link_publish(r->link, 0, &r->queue);
	}
	if (r->queue.broken)
		link_kill(r->link, r->queue.broken);
	return written;
}

k_status_t rng_read(struct rng *r, void *buf, size_t n, uint64_t deadline_ns, bool interruptible,
		    size_t *done)
{
	k_status_t st = K_OK;

	*done = 0;
	if (!atomic_load_explicit(&r->link->negotiated, memory_order_acquire))
		st = link_negotiate(r->link, 0, deadline_ns, interruptible);
	while (st == K_OK) {
		uint32_t seq = link_seq(r->link), got;

		rt_mutex_lock(&r->lock);
		got = request_or_take(r);
		if (got) {
			*done = MIN(n, (size_t)got);
			memcpy(buf, r->link->data, *done);
			memset(r->link->data, 0, got);
		}
		rt_mutex_unlock(&r->lock);
		if (got)
			return K_OK;
		if (link_is_dead(r->link))
			return K_ERR_IO;
		st = link_wait_change(r->link, seq, deadline_ns, interruptible);
	}
	return st == K_ERR_CLOSED ? K_ERR_IO : st;
}
