/* SPDX-License-Identifier: MIT */
/*
 * A 9P server over a link (virtio 9P transport): messages there and answers back, whatever
 * they say.
 *
 *	st = p9link_get(l, t_room, r_room, P9LINK_WAIT, &r);
 *	... write the message to r->t, with r->tag as its tag ...
 *	p9link_start(l, r, t_len);
 *	st = p9link_wait(l, r, interruptible);
 *	... r->answer_len bytes at r->r ...
 *	p9link_put(l, r);
 *
 * The memory at t and r is shared with the driver: copy an answer before you interpret it.
 * A tag belongs to a request until its answer has come, also if whoever asked is gone.
 */
#pragma once

#include "link/link.h"

struct p9link;

struct p9link_request {
	/* For the user: constant from get to put. */
	uint8_t *t, *r;			/* in link memory */
	uint32_t t_room, r_room;
	uint16_t tag;
	/* Valid once done; 0: there is no answer, the device or its driver failed. */
	uint32_t answer_len;

	/* The library's. */
	_Atomic(uint32_t) state;	/* enum in p9.c */
	bool given_up;			/* put while in flight: freed when it is answered */
	uint16_t head;
	uint32_t first_page, pages;
	struct p9link_request *next;
};

/* The most that a message or an answer can have, in bytes. */
#define P9LINK_MESSAGE_MAX	(500u * 1024)
#define P9LINK_TAG_MAX		255
#define P9LINK_REQUESTS_MAX	32u

/*
 * Take the server on @l: sleeps until the driver is ready (at most until @deadline_ns:
 * TIMED_OUT).  The link belongs to it from then on, also on failure.  NOT_SUPPORTED: it has no
 * tag.
 */
k_status_t p9link_open(struct link *l, uint64_t deadline_ns, struct p9link **out);
void p9link_close(struct p9link *p);	/* nothing is in flight */

const char *p9link_tag(const struct p9link *p);
/* Changes when the server's session has ended; read before the first message of a session. */
uint32_t p9link_session(const struct p9link *p);
bool p9link_is_dead(const struct p9link *p);	/* the driver stays gone: all requests fail */

/*
 * A request with room for a message of @t_room and an answer of @r_room bytes, each at most
 * P9LINK_MESSAGE_MAX.  While others have all the room: SHOULD_WAIT, or sleep.  KICKED: only with
 * P9LINK_INTERRUPTIBLE.
 */
enum p9link_patience { P9LINK_NO_WAIT, P9LINK_WAIT, P9LINK_INTERRUPTIBLE };
k_status_t p9link_get(struct p9link *p, uint32_t t_room, uint32_t r_room,
		      enum p9link_patience patience, struct p9link_request **out);
void p9link_start(struct p9link *p, struct p9link_request *r, uint32_t t_len);
/* Whether it is done; looks at the ring, does not sleep. */
bool p9link_poll(struct p9link *p, struct p9link_request *r);
/* Sleep until it is done.  OK, or KICKED (interruptible only; it is still in flight). */
k_status_t p9link_wait(struct p9link *p, struct p9link_request *r, bool interruptible);
/* Give it back, in flight or not. */
void p9link_put(struct p9link *p, struct p9link_request *r);
