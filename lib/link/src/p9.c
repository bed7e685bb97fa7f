/* SPDX-License-Identifier: MIT */
/*
 * 9P servers, see link/p9.h.
 *
 * A request is two descriptors: a message and room for its answer, each in pages of data
 * memory of its own.  There are at most as many as the ring has room for, so that starting
 * one always succeeds.
 *
 * States of a request: FREE (on the free list), GOT (the user's), FLYING, DONE (the user's
 * again).  lock guards lists, ring, page map and given_up; state is written under it, and
 * read by whoever waits without it.
 */
#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "link/p9.h"
#include "link_priv.h"
#include "rt/memory.h"

enum { FREE, GOT, FLYING, DONE };
enum { DESCRIPTORS = 2 };

#define F_MOUNT_TAG BIT(0)

struct p9link {
	/* Constant. */
	struct link *link;
	uint32_t pages; /* of data memory */
	char tag[P9LINK_TAG_MAX + 1];

	struct rt_mutex lock;
	struct vq_driver queue; /* lock */
	struct vq_driver_slot *slots;
	uint64_t *page_map;	     /* lock: set: in use */
	struct p9link_request *free; /* lock */
	struct p9link_request requests[P9LINK_REQUESTS_MAX];
};

static bool read_tag(struct p9link *p)
{
	uint8_t config[2 + P9LINK_TAG_MAX];
	uint32_t n;

	link_config_read(p->link, 0, config, MIN(sizeof(config), (size_t)LINK_CONFIG_MAX));
	n = get_le16(config);
	if (!n || n > LINK_CONFIG_MAX - 2 || memchr(config + 2, '\0', n))
		return false;
	memcpy(p->tag, config + 2, n);
	return true;
}

static k_status_t set_up(struct p9link *p, struct link *l)
{
	const struct link_geometry *g = link_geometry(l);
	uint32_t count = MIN(g->queue_size / DESCRIPTORS, P9LINK_REQUESTS_MAX);

	p->link = l;
	p->pages = (uint32_t)(g->data_length / K_PAGE_SIZE);
	if (!read_tag(p) || p->pages < 2 * DIV_ROUND_UP(P9LINK_MESSAGE_MAX, K_PAGE_SIZE) || !count)
		return K_ERR_NOT_SUPPORTED;
	p->slots = rt_alloc(g->queue_size * sizeof(*p->slots));
	p->page_map = rt_zalloc(BITMAP_WORDS(p->pages) * sizeof(uint64_t));
	if (!p->slots || !p->page_map)
		return K_ERR_NO_MEMORY;
	rt_mutex_init(&p->lock, l->rank);
	link_queue_init(l, 0, &p->queue, p->slots);
	while (count--) {
		p->requests[count].tag = (uint16_t)count;
		p->requests[count].next = p->free;
		p->free = &p->requests[count];
	}
	return K_OK;
}

k_status_t p9link_open(struct link *l, uint64_t deadline_ns, struct p9link **out)
{
	k_status_t st = link_negotiate(l, F_MOUNT_TAG, deadline_ns, false);
	struct p9link *p = NULL;

	if (st == K_OK) {
		p = rt_zalloc(sizeof(*p));
		st = p ? set_up(p, l) : K_ERR_NO_MEMORY;
	}
	if (st == K_OK) {
		*out = p;
		return K_OK;
	}
	if (p) {
		rt_free(p->slots);
		rt_free(p->page_map);
		rt_free(p);
	}
	link_close(l);
	return st;
}

void p9link_close(struct p9link *p)
{
	link_close(p->link);
	rt_free(p->slots);
	rt_free(p->page_map);
	rt_free(p);
}

const char *p9link_tag(const struct p9link *p)
{
	return p->tag;
}

uint32_t p9link_session(const struct p9link *p)
{
	return link_resets(p->link);
}

bool p9link_is_dead(const struct p9link *p)
{
	return link_is_dead(p->link);
}

/* -- requests ------------------------------------------------------------------------------ */

static struct p9link_request *take_free(struct p9link *p, uint32_t t_room, uint32_t r_room)
{
	uint32_t t_pages = DIV_ROUND_UP(t_room, K_PAGE_SIZE);
	uint32_t pages = t_pages + DIV_ROUND_UP(r_room, K_PAGE_SIZE);
	struct p9link_request *r = p->free;
	size_t first;

	if (!r)
		return NULL;
	first = bitmap_find_clear_run(p->page_map, p->pages, 0, pages);
	if (first == p->pages)
		return NULL;
	bitmap_set_range(p->page_map, first, pages);
	p->free = r->next;
	r->first_page = (uint32_t)first;
	r->pages = pages;
	r->t = p->link->data + first * K_PAGE_SIZE;
	r->r = r->t + t_pages * K_PAGE_SIZE;
	r->t_room = t_room;
	r->r_room = r_room;
	r->answer_len = 0;
	r->given_up = false;
	atomic_store_explicit(&r->state, GOT, memory_order_relaxed);
	return r;
}

static void give_back(struct p9link *p, struct p9link_request *r)
{
	bitmap_clear_range(p->page_map, r->first_page, r->pages);
	atomic_store_explicit(&r->state, FREE, memory_order_relaxed);
	r->next = p->free;
	p->free = r;
}

k_status_t p9link_get(struct p9link *p, uint32_t t_room, uint32_t r_room,
		      enum p9link_patience patience, struct p9link_request **out)
{
	k_status_t st = K_OK;

	if (!t_room || !r_room || t_room > P9LINK_MESSAGE_MAX || r_room > P9LINK_MESSAGE_MAX)
		return K_ERR_BAD_ARGUMENT;
	while (st == K_OK) {
		uint32_t seq = link_seq(p->link);
		struct p9link_request *r;

		rt_mutex_lock(&p->lock);
		r = take_free(p, t_room, r_room);
		rt_mutex_unlock(&p->lock);
		if (r) {
			*out = r;
			return K_OK;
		}
		if (patience == P9LINK_NO_WAIT)
			return K_ERR_SHOULD_WAIT;
		/*
		 * Room comes when a request is put back, which changes seq; those that were given
		 * up come back when somebody looks at the ring.
		 */
		if (!p9link_poll(p, NULL))
			st = link_wait_change(p->link, seq, K_DEADLINE_NEVER,
					      patience == P9LINK_INTERRUPTIBLE);
	}
	return st;
}

static void finish(struct p9link *p, struct p9link_request *r, uint32_t answer_len)
{
	r->answer_len = MIN(answer_len, r->r_room);
	if (r->given_up)
		give_back(p, r);
	else
		/* release: pairs with the acquire of whoever waits; the answer comes first */
		atomic_store_explicit(&r->state, DONE, memory_order_release);
}

/* The lock is held; there is room by construction. */
static bool enqueue(struct p9link *p, struct p9link_request *r, uint32_t t_len)
{
	uint64_t t = LINK_DATA + (uint64_t)r->first_page * K_PAGE_SIZE;
	struct vq_segment s[DESCRIPTORS] = {
		{t, t_len, false},
		{t + (uint64_t)(r->r - r->t), r->r_room, true},
	};

	if (!vq_driver_add(&p->queue, s, DESCRIPTORS, r, &r->head))
		return false;
	link_publish(p->link, 0, &p->queue);
	return true;
}

void p9link_start(struct p9link *p, struct p9link_request *r, uint32_t t_len)
{
	rt_mutex_lock(&p->lock);
	atomic_store_explicit(&r->state, FLYING, memory_order_relaxed);
	if (link_is_dead(p->link) || !enqueue(p, r, MIN(t_len, r->t_room)))
		finish(p, r, 0);
	rt_mutex_unlock(&p->lock);
}

/* Complete what the device has used; all of it, if the device is gone.  The lock is held. */
static bool reap(struct p9link *p)
{
	bool any = false;
	uint32_t written;
	uint16_t head;
	void *cookie;

	while (vq_driver_take(&p->queue, &cookie, &head, &written)) {
		finish(p, cookie, written);
		any = true;
	}
	if (p->queue.broken)
		link_kill(p->link, p->queue.broken);
	if (link_is_dead(p->link)) {
		while ((cookie = vq_driver_abandon(&p->queue, &head))) {
			finish(p, cookie, 0);
			any = true;
		}
	}
	return any;
}

static bool is_done(struct p9link_request *r)
{
	return r && atomic_load_explicit(&r->state, memory_order_acquire) == DONE;
}

/* @r NULL: true if anything was done. */
bool p9link_poll(struct p9link *p, struct p9link_request *r)
{
	bool any;

	if (is_done(r))
		return true;
	rt_mutex_lock(&p->lock);
	any = reap(p);
	rt_mutex_unlock(&p->lock);
	if (any)
		link_changed(p->link);
	return r ? is_done(r) : any;
}

k_status_t p9link_wait(struct p9link *p, struct p9link_request *r, bool interruptible)
{
	for (;;) {
		uint32_t seq = link_seq(p->link);
		k_status_t st;

		/* Interrupts are always on: what is answered after this look rings the bell. */
		if (p9link_poll(p, r))
			return K_OK;
		st = link_wait_change(p->link, seq, K_DEADLINE_NEVER, interruptible);
		if (st == K_ERR_KICKED)
			return p9link_poll(p, r) ? K_OK : st;
	}
}

void p9link_put(struct p9link *p, struct p9link_request *r)
{
	bool flying;

	rt_mutex_lock(&p->lock);
	flying = atomic_load_explicit(&r->state, memory_order_relaxed) == FLYING;
	if (flying)
		r->given_up = true;
	else
		give_back(p, r);
	rt_mutex_unlock(&p->lock);
	if (!flying)
		link_changed(p->link);
}
