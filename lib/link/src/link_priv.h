/* SPDX-License-Identifier: MIT */
/* The client side of a link, for the files of lib/link. */
#pragma once

#include "abi/calls.h"
#include "link/link.h"
#include "rt/lock.h"
#include "virtio/link_layout.h"

struct link {
	/* Constant after link_open(). */
	struct link_geometry geometry;
	struct link_layout layout;
	k_handle_t control_memory, data_memory, client_bell, server_bell;
	struct link_header *header;	/* start of the control memory; shared */
	uint8_t *data;			/* shared */
	uint32_t rank;

	/* Constant once negotiated is set. */
	uint64_t features;
	_Atomic(bool) negotiated;

	_Atomic(bool) dead;		/* never cleared */
	uint32_t epoch;			/* of our rings; under the lock of the class */

	/*
	 * Waiters (link_wait_change): one of them is the poller and waits on the bell,
	 * the others wait for seq to change.
	 */
	_Atomic(uint32_t) poller;	/* 1: somebody is */
	_Atomic(uint32_t) seq;
	_Atomic(uint32_t) sleepers;	/* on seq */
	_Atomic(uint32_t) looks;	/* deadlines of pollers that passed without the bell, ever; before seq */
};

/* Start queue @i with @slots (queue_size of them). */
void link_queue_init(struct link *l, uint32_t i, struct vq_driver *q, struct vq_driver_slot *slots);
/* Show what was added to @q; rings the server if it wants that. */
void link_publish(struct link *l, uint32_t i, struct vq_driver *q);
/* The queue is broken: so is the link. */
void link_kill(struct link *l, const char *why);
/* The same, for those who can make their rings anew: init replaces the driver, and asks for it. */
void link_accuse(struct link *l, const char *why);
/* Init asks that the rings be made anew, in that epoch. */
bool link_is_renewed(const struct link *l, uint32_t *epoch);
/* They are of that epoch now. */
void link_renewed(struct link *l, uint32_t epoch);
/* A slot's address as the server knows it, and ours. */
uint64_t link_slot(const struct link *l, uint32_t queue, uint32_t descriptor);
void *link_slot_pointer(const struct link *l, uint32_t queue, uint32_t descriptor);

/*
 * Sleep until something may have changed since @seq was read by link_seq(): a
 * bell bit, or another waiter's news.  OK, or TIMED_OUT, KICKED.  The caller had
 * interrupts of its queue enabled and looked at the ring after link_seq().
 */
k_status_t link_wait_change(struct link *l, uint32_t seq, uint64_t deadline_ns,
			    bool interruptible);
static inline uint32_t link_seq(const struct link *l)
{
	return atomic_load_explicit(&l->seq, memory_order_acquire);
}
/* Differs from before a link_wait_change() if what woke us was not the bell, but a poller's deadline. */
static inline uint32_t link_looks(const struct link *l)
{
	return atomic_load_explicit(&l->looks, memory_order_relaxed);
}
/* Sleep until link_changed(), whoever calls it; does not look at the bell. */
k_status_t link_sleep(struct link *l, uint32_t seq, uint64_t deadline_ns, bool interruptible);
/* Something changed that other waiters should look at. */
void link_changed(struct link *l);
