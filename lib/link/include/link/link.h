/* SPDX-License-Identifier: MIT */
/*
 * The client side of a link: the personality's end.  Class by class, use
 * link/blk.h, link/net.h, link/console.h, link/rng.h and link/p9.h, which stand on this.
 *
 * The server is hostile: whatever it writes into shared memory, calls here
 * return a status and touch no memory but the link's.  Data that arrives in link
 * memory can change under the reader: copy first, then check the copy.
 *
 * Waiting: there is no thread behind a link.  Of the threads that wait for
 * requests of a queue one waits on the bell and completes the requests of all
 * (link_wait).  All functions may be called by any thread; they sleep only
 * where they say so.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "abi/bootstrap.h"
#include "abi/link.h"
#include "abi/types.h"

struct link;
struct virtio_queue;

/*
 * Take over a link as a LINUX_LINK message brought it: @handles are
 * LINUX_LINK_HANDLES many and belong to the link afterwards, also on failure.
 * @rank: lock rank of the link's mutexes (rt/lock.h).  Does not wait for the driver.
 */
k_status_t link_open(const struct link_geometry *geometry, const k_handle_t *handles,
		     uint32_t rank, struct link **out);
/* All requests have ended; nobody uses the link any more. */
void link_close(struct link *l);

const struct link_geometry *link_geometry(const struct link *l);

/*
 * Sleep until the driver has said what it offers, then negotiate @wanted (bits
 * it does not offer are left out; see link_features()).  Until then link_features()
 * is 0 and link_config_read() gives zeros; every class's open function calls this.
 * CLOSED: the driver died.  TIMED_OUT, KICKED (interruptible only).
 */
k_status_t link_negotiate(struct link *l, uint64_t wanted, uint64_t deadline_ns,
			  bool interruptible);
uint64_t link_features(const struct link *l);

/* A consistent copy of @n bytes of the configuration; zeros beyond what there is. */
void link_config_read(struct link *l, size_t offset, void *dst, size_t n);

/* Which incarnation of the driver serves it, or will once it is up: from 1. */
uint32_t link_incarnation(const struct link *l);
/*
 * How often the device lost its state: what it had and did not answer was given to it again.  An answer
 * that comes after it did finds this changed.
 */
uint32_t link_resets(const struct link *l);
/* For tests of restarts: the driver counts its kill points anew (drv/die.h). */
void link_round(struct link *l, uint32_t round);

/* The driver is gone for good, or broke the protocol: requests fail with IO. */
bool link_is_dead(const struct link *l);

/* Receive the next message of the bootstrap channel. */
union linux_message {
	uint32_t kind;
	struct linux_start start;
	struct linux_link link;
	struct linux_link_removal removal;
};

/*
 * Sleep for the next message of init.  @handles has room for
 * K_MESSAGE_MAX_HANDLES; those not sent are 0, and the caller owns the others.
 * A message that is too short for its kind is skipped.  CLOSED: init is gone.
 */
k_status_t link_bus_receive(k_handle_t channel, union linux_message *message,
			    k_handle_t *handles, uint64_t deadline_ns);
