/* SPDX-License-Identifier: MIT */
/*
 * Requests of block devices on their way, see link/blk.h.  Their format: virtio 1.1, 5.2.6.
 *
 * A request is three descriptors: header and status in the slot of its first
 * descriptor, payload in pages of data memory.  A queue has as many requests as its
 * ring has room for, so that submitting always succeeds.  The data memory is for all queues.
 *
 * A driver that breaks the protocol is accused, and the queue waits; when init has ended it, the
 * rings of all queues are made anew and all requests in flight are put into them again (renew()), in
 * their order.  An answer that makes no sense is against the protocol, too: the request stays in
 * flight; the third such answer to it is its failure.
 *
 * Waiting: one thread of each queue, the leader, waits on the link's bell, and finishes the requests of
 * all.  The others follow: each sleeps until its own request is done, or until the leader, whose is,
 * makes it the next one.  (Of the leaders, too, one waits on the bell itself, and wakes the others:
 * link_wait_change().)  Leaders look from time to time without being told; answers that are
 * found so, again and again, mean that the driver does not tell.
 *
 * States of a request: FREE (on the free list), GOT (the user's), FLYING, DONE (the
 * user's again).  The queue's lock guards its lists and ring, room_lock what is free; state
 * and status of what is in flight are written under the queue's, and read by whoever waits without it.
 */
#include "base/hash.h"
#include "blk_priv.h"
#include "rt/held.h"
#include "rt/log.h"
#include "rt/time.h"

enum { FREE, GOT, FLYING, DONE };
enum { IS_DONE = 1, TO_LEAD = 2 };	/* blk_request.roused: why */
enum { STATUS_OFFSET = 16 };

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPPORTED = 2 };
enum { REFUSED_MAX = 2, UNTOLD_MAX = 3 };
#define LOOK_NS 1000000000ull		/* the leader looks that often, told or not */

static k_status_t check(const struct blk *b, enum blk_op op, uint64_t sector, uint32_t length)
{
	switch (op) {
	case BLK_READ:
	case BLK_WRITE:
		if (!length || length > BLK_REQUEST_MAX || length % b->block_size ||
		    (sector * BLK_SECTOR) % b->block_size)
			return K_ERR_BAD_ARGUMENT;
		if (!range_within(sector, length / BLK_SECTOR, blk_sectors(b)))
			return K_ERR_BEYOND_END;
		return op == BLK_WRITE && blk_is_read_only(b) ? K_ERR_ACCESS : K_OK;
	case BLK_FLUSH:
		return length ? K_ERR_BAD_ARGUMENT : K_OK;
	case BLK_GET_ID:
		return length != ID_LENGTH ? K_ERR_BAD_ARGUMENT : K_OK;
	case BLK_DISCARD:
		if (length != DISCARD_LENGTH)
			return K_ERR_BAD_ARGUMENT;
		return b->max_discard ? K_OK : K_ERR_NOT_SUPPORTED;
	default:
		return K_ERR_BAD_ARGUMENT;
	}
}

/* A free request with pages for it, or NULL.  room_lock is held. */
static struct blk_request *take_free(struct blk_queue *q, uint32_t length)
{
	uint32_t pages = DIV_ROUND_UP(length, K_PAGE_SIZE);
	struct blk_request *r = q->free;
	struct blk *b = q->blk;
	size_t first = 0;

	if (!r)
		return NULL;
	if (pages) {
		first = bitmap_find_clear_run(b->page_map, b->pages, 0, pages);
		if (first == b->pages)
			return NULL;
		bitmap_set_range(b->page_map, first, pages);
	}
	q->free = r->next;
	r->data_offset = (uint32_t)first * K_PAGE_SIZE;
	r->data_pages = pages;
	r->data = pages ? b->link->data + r->data_offset : NULL;
	return r;
}

/* room_lock is held. */
static void give_back(struct blk *b, struct blk_request *r)
{
	if (r->data_pages)
		bitmap_clear_range(b->page_map, r->data_offset / K_PAGE_SIZE, r->data_pages);
	atomic_store_explicit(&r->state, FREE, memory_order_relaxed);
	r->next = r->queue->free;
	r->queue->free = r;
}

/* Until a request is put back.  room_lock is held, but meanwhile. */
static void wait_for_room(struct blk *b)
{
	uint32_t seq = atomic_load_explicit(&b->room, memory_order_relaxed);

	b->wanting++;
	rt_mutex_unlock(&b->room_lock);
	(void)!rt_wait(&b->room, seq, K_DEADLINE_NEVER, false);
	rt_mutex_lock(&b->room_lock);
	b->wanting--;
}

struct blk_queue *blk_queue_of_caller(struct blk *b)
{
	if (b->queue_count == 1)
		return b->queues;
	return &b->queues[hash_ptr(rt_thread_token(), 0) % b->queue_count];
}

k_status_t blk_request_get(struct blk *b, enum blk_op op, uint64_t sector, uint32_t length,
			   bool wait, struct blk_request **out)
{
	return blk_request_get_from(blk_queue_of_caller(b), op, sector, length, wait, out);
}

k_status_t blk_request_get_from(struct blk_queue *q, enum blk_op op, uint64_t sector, uint32_t length,
				bool wait, struct blk_request **out)
{
	struct blk *b = q->blk;
	struct blk_request *r;
	k_status_t st = check(b, op, sector, length);

	if (st != K_OK)
		return st;
	rt_mutex_lock(&b->room_lock);
	while (!(r = take_free(q, length)) && wait)
		wait_for_room(b);
	rt_mutex_unlock(&b->room_lock);
	if (!r)
		return K_ERR_SHOULD_WAIT;
	r->op = op;
	r->sector = sector;
	r->length = length;
	r->user = NULL;
	r->refused = 0;
	r->status = K_OK;
	atomic_store_explicit(&r->state, GOT, memory_order_relaxed);
	*out = r;
	return K_OK;
}

void blk_request_put(struct blk *b, struct blk_request *r)
{
	bool wanted;

	rt_mutex_lock(&b->room_lock);
	give_back(b, r);
	wanted = b->wanting;
	if (wanted)
		atomic_fetch_add_explicit(&b->room, 1, memory_order_relaxed);
	rt_mutex_unlock(&b->room_lock);
	if (wanted)
		rt_wake(&b->room, UINT32_MAX);
}

static uint32_t type_of(enum blk_op op)
{
	static const uint8_t types[] = { [BLK_READ] = T_IN, [BLK_WRITE] = T_OUT,
					 [BLK_FLUSH] = T_FLUSH, [BLK_DISCARD] = T_DISCARD,
					 [BLK_GET_ID] = T_GET_ID };

	return types[op];
}

/* Put the request into the ring, for the next publish().  The lock is held; there is room by construction. */
static void enqueue(struct blk_queue *q, struct blk_request *r)
{
	struct link *l = q->blk->link;
	struct vq_segment s[DESCRIPTORS];
	uint16_t head = q->vq.free_head;
	uint64_t slot = link_slot(l, q->index, head);
	uint8_t *header = link_slot_pointer(l, q->index, head);
	unsigned int n = 0;

	put_le32(header, type_of(r->op));
	put_le32(header + 4, 0);
	put_le64(header + 8, r->op == BLK_READ || r->op == BLK_WRITE ? r->sector : 0);
	header[STATUS_OFFSET] = 0xff;
	s[n++] = (struct vq_segment){ slot, STATUS_OFFSET, false };
	if (r->data)
		s[n++] = (struct vq_segment){ LINK_DATA + r->data_offset, r->length,
					      r->op == BLK_READ || r->op == BLK_GET_ID };
	s[n++] = (struct vq_segment){ slot + STATUS_OFFSET, 1, true };
	(void)!vq_driver_add(&q->vq, s, n, r, &r->head);
}

/* Show the driver what was put there.  The lock is held. */
static void publish(struct blk_queue *q)
{
	if (!q->vq.broken)
		link_publish(q->blk->link, q->index, &q->vq);
}

static void accuse(struct blk_queue *q, const char *why)
{
	/* relaxed: cleared with all locks held, and this has one */
	if (!atomic_exchange_explicit(&q->blk->accused, true, memory_order_relaxed))
		link_accuse(q->blk->link, why);
	q->vq.broken = why;		/* nothing of this ring is looked at any more */
}

/* The request in flight that follows @order, or NULL.  The lock is held. */
static struct blk_request *next_in_flight(struct blk_queue *q, uint64_t order)
{
	struct blk_request *found = NULL;

	for (uint32_t i = 0; i < q->blk->request_count; i++) {
		struct blk_request *r = &q->requests[i];

		if (atomic_load_explicit(&r->state, memory_order_relaxed) == FLYING &&
		    r->order > order && (!found || r->order < found->order))
			found = r;
	}
	return found;
}

/* All locks are held. */
static void renew_queue(struct blk_queue *q)
{
	struct blk_request *r = NULL;

	link_queue_init(q->blk->link, q->index, &q->vq, q->slots);
	q->untold = 0;
	while ((r = next_in_flight(q, r ? r->order : 0)))
		enqueue(q, r);
	publish(q);
}

/* If init asks for new rings, no driver runs: all that is in flight goes into them.  The lock is held, but meanwhile. */
static void renew(struct blk_queue *q)
{
	struct blk *b = q->blk;
	uint32_t epoch;

	if (likely(!link_is_renewed(b->link, &epoch)))
		return;
	rt_mutex_unlock(&q->lock);
	for (uint32_t i = 0; i < b->queue_count; i++)
		rt_mutex_lock_nested(&b->queues[i].lock);
	if (link_is_renewed(b->link, &epoch)) {		/* nobody else did it meanwhile */
		atomic_store_explicit(&b->accused, false, memory_order_relaxed);
		for (uint32_t i = 0; i < b->queue_count; i++)
			renew_queue(&b->queues[i]);
		link_renewed(b->link, epoch);
	}
	for (uint32_t i = b->queue_count; i-- > 0;)
		rt_mutex_unlock(&b->queues[i].lock);
	rt_mutex_lock(&q->lock);
}

/* Have the thread that follows with @r go on.  The lock is held. */
static void rouse(struct blk_request *r, uint32_t why)
{
	list_remove(&r->link);
	r->followed = false;
	atomic_store_explicit(&r->roused, why, memory_order_relaxed);
	rt_wake(&r->roused, 1);
}

/* The lock is held. */
static void finish(struct blk_request *r, k_status_t status)
{
	r->status = status;
	/* release: pairs with the acquire of whoever waits; status and payload come first */
	atomic_store_explicit(&r->state, DONE, memory_order_release);
	if (r->followed)
		rouse(r, IS_DONE);
}

void blk_submit_more(struct blk_request *r, bool more)
{
	struct blk_queue *q = r->queue;
	bool ok;

	rt_mutex_lock(&q->lock);
	renew(q);
	ok = !link_is_dead(q->blk->link);
	if (ok) {
		atomic_store_explicit(&r->state, FLYING, memory_order_relaxed);
		r->order = ++q->submitted;
		if (!q->vq.broken)	/* else the next one takes it */
			enqueue(q, r);
	}
	if (!ok)
		finish(r, K_ERR_IO);
	else if (!more)
		publish(q);
	rt_mutex_unlock(&q->lock);
}

void blk_tell(struct blk_queue *q)
{
	rt_mutex_lock(&q->lock);
	publish(q);
	rt_mutex_unlock(&q->lock);
}

void blk_submit(struct blk *b, struct blk_request *r)
{
	blk_submit_more(r, false);
}

/* What came of it; or *@nonsense, which is why this cannot be an answer. */
static k_status_t status_of(const struct blk_request *r, uint32_t written, const char **nonsense)
{
	const volatile uint8_t *slot = link_slot_pointer(r->queue->blk->link, r->queue->index, r->head);
	uint8_t status = slot[STATUS_OFFSET];

	*nonsense = NULL;
	if (status == S_UNSUPPORTED)
		return K_ERR_NOT_SUPPORTED;
	if (status == S_IOERR)
		return K_ERR_IO;
	/* A device that wrote less than was asked for leaves old contents in the buffer. */
	if (status != S_OK)
		*nonsense = "an answer without a status";
	else if (r->op == BLK_READ && written < r->length + 1)
		*nonsense = "less was read than was asked for";
	return *nonsense ? K_ERR_IO : K_OK;
}

/* The device used the request, which stays in flight if that was no answer. */
static void answered(struct blk_request *r, uint32_t written)
{
	const char *nonsense;
	k_status_t st = status_of(r, written, &nonsense);

	if (nonsense && r->refused++ < REFUSED_MAX)
		accuse(r->queue, nonsense);
	else
		finish(r, st);
}

/* Complete what the device has used; all of it, if the device is gone.  The lock is held. */
static void reap(struct blk_queue *q)
{
	struct blk_request *r;
	uint32_t written;
	uint16_t head;
	void *cookie;

	renew(q);
	while (vq_driver_take(&q->vq, &cookie, &head, &written))
		answered(cookie, written);
	if (q->vq.broken)
		accuse(q, q->vq.broken);
	while (link_is_dead(q->blk->link) && (r = next_in_flight(q, 0)))
		finish(r, K_ERR_IO);
}

static bool is_done(struct blk_request *r)
{
	return atomic_load_explicit(&r->state, memory_order_acquire) == DONE;
}

/* -- waiting */

/* Until @r is done: true, and the lock is not held any more; or nobody leads: it is. */
static bool follow(struct blk_queue *q, struct blk_request *r)
{
	uint32_t why;

	atomic_store_explicit(&r->roused, 0, memory_order_relaxed);
	list_add_last(&q->followers, &r->link);
	r->followed = true;
	rt_mutex_unlock(&q->lock);
	while (!(why = atomic_load_explicit(&r->roused, memory_order_relaxed)))
		(void)!rt_wait(&r->roused, 0, K_DEADLINE_NEVER, false);
	if (why == IS_DONE && is_done(r))
		return true;
	rt_mutex_lock(&q->lock);
	return false;
}

/* Until the driver or init says something, or a while has passed.  The lock is held, but meanwhile. */
static void lead(struct blk_queue *q)
{
	struct link *l = q->blk->link;
	uint32_t seq = link_seq(l), looks = link_looks(l), epoch;
	bool more;

	q->led = true;
	/* From here on the driver tells us, and what came just before is seen now. */
	vq_driver_interrupts(&q->vq, true);
	more = vq_driver_ready(&q->vq) || link_is_dead(l) || link_is_renewed(l, &epoch);
	rt_mutex_unlock(&q->lock);
	if (!more)
		(void)!link_wait_change(l, seq, rt_now_ns() + LOOK_NS, false);
	rt_mutex_lock(&q->lock);
	q->led = false;
	/* Once in a while it was just about to. */
	if (!more && link_looks(l) != looks && vq_driver_ready(&q->vq) && ++q->untold >= UNTOLD_MAX) {
		reap(q);
		if (q->untold)		/* still the same ring */
			accuse(q, "it does not tell of its answers");
	}
}

k_status_t blk_wait(struct blk *b, struct blk_request *r)
{
	struct blk_queue *q = r->queue;

	if (is_done(r))
		return r->status;
	rt_mutex_lock(&q->lock);
	for (reap(q); !is_done(r); reap(q)) {
		if (!q->led)
			lead(q);
		else if (follow(q, r))
			return r->status;
	}
	/* who leads next */
	if (!q->led && !list_is_empty(&q->followers))
		rouse(list_entry(list_first(&q->followers), struct blk_request, link), TO_LEAD);
	rt_mutex_unlock(&q->lock);
	return r->status;
}
