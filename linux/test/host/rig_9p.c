/* SPDX-License-Identifier: MIT */
/*
 * A 9P server that is a function: it is called when a message is sent, and what it answers is
 * there at once.  Messages and answers lie in memory of exactly their size, so that a sanitizer
 * sees a byte too many.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "abi/status.h"
#include "fs/9p/init.h"
#include "link/p9.h"
#include "test/host/rig.h"

struct p9link {
	char tag[32];
	rig_9p_server serve;
	_Atomic(uint32_t) session, requests;
	_Atomic(uint16_t) next_tag;
};

struct p9link *rig_9p(const char *tag, rig_9p_server serve)
{
	struct p9link *p = calloc(1, sizeof(*p));

	strncpy(p->tag, tag, sizeof(p->tag) - 1);
	p->serve = serve;
	lx_9p_channel_add(p);
	return p;
}

void rig_9p_reset(struct p9link *p)
{
	atomic_fetch_add(&p->session, 1);
}

unsigned int rig_9p_requests(const struct p9link *p)
{
	return atomic_load(&((struct p9link *)p)->requests);
}

void p9link_close(struct p9link *p)
{
	free(p);
}

const char *p9link_tag(const struct p9link *p)
{
	return p->tag;
}

uint32_t p9link_session(const struct p9link *p)
{
	return atomic_load(&((struct p9link *)p)->session);
}

bool p9link_is_dead(const struct p9link *p)
{
	return false;
}

k_status_t p9link_get(struct p9link *p, uint32_t t_room, uint32_t r_room,
		      enum p9link_patience patience, struct p9link_request **out)
{
	struct p9link_request *r = calloc(1, sizeof(*r));

	if (!t_room || !r_room || t_room > P9LINK_MESSAGE_MAX || r_room > P9LINK_MESSAGE_MAX)
		abort();
	r->t = malloc(t_room);
	r->r = malloc(r_room);
	memset(r->r, 0xa5, r_room);
	r->t_room = t_room;
	r->r_room = r_room;
	r->tag = atomic_fetch_add(&p->next_tag, 1) & 0x7fff;
	atomic_fetch_add(&p->requests, 1);
	*out = r;
	return K_OK;
}

void p9link_start(struct p9link *p, struct p9link_request *r, uint32_t t_len)
{
	size_t n;

	if (t_len > r->t_room)
		abort();
	n = p->serve(p, r->t, t_len, r->r, r->r_room);
	atomic_store(&r->state, n != RIG_9P_SILENT);
	if (n == RIG_9P_SILENT)
		return;
	r->answer_len = (uint32_t)(n < r->r_room ? n : r->r_room);
}

bool p9link_poll(struct p9link *p, struct p9link_request *r)
{
	return atomic_load(&r->state);
}

k_status_t p9link_wait(struct p9link *p, struct p9link_request *r, bool interruptible)
{
	if (atomic_load(&r->state))
		return K_OK;
	sched_yield();
	return K_ERR_KICKED;		/* perhaps for nothing */
}

void p9link_put(struct p9link *p, struct p9link_request *r)
{
	atomic_fetch_sub(&p->requests, 1);
	free(r->t);
	free(r->r);
	free(r);
}
