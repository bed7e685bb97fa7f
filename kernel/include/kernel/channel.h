/* SPDX-License-Identifier: MIT */
/*
 * Channels: two ends, small messages with handles, synchronous calls.  Theory:
 * ipc/channel.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "kernel/lock.h"
#include "kernel/object.h"

#define CHANNEL_QUEUE_MAX	64u	/* messages that wait at one end */

struct bell;
struct channel_pair;
struct kbytes;

/* One end.  Both lie in one struct channel_pair, which goes when both are destroyed. */
struct channel {
	struct object object;
	struct channel_pair *pair;	/* constant */

	/* The pair's lock. */
	struct list queue;		/* struct message: to be received here, oldest first */
	uint32_t queued;
	struct list receivers;		/* struct channel_waiter: in channel_recv() here */
	struct list callers;		/* struct channel_waiter: in channel_call() here */
	uint64_t next_txid;
	bool closed;			/* no handle to this end is left */
	struct bell *bell;		/* referenced */
	uint64_t bell_bits;
};

struct channel_pair {
	struct spinlock lock;		/* rank LOCK_CHANNEL, irqsave */
	struct channel end[2];
	_Atomic(uint32_t) ends;		/* not yet destroyed */
};

/* A handle under way: holds a name and its reference. */
struct message_handle {
	struct object *object;
	uint32_t rights;
};

struct message {
	struct list link;		/* the pair's lock */
	uint64_t txid;			/* of the caller that waits for an answer, or 0 */
	struct group *group;		/* charged; referenced */
	uint32_t length;
	uint32_t handle_count;
	struct message_handle handles[K_MESSAGE_MAX_HANDLES];
	uint8_t data[];
};

k_status_t channel_create(struct group *group, struct channel *ends[2]) MUST_CHECK;
void channel_close(struct object *object);
void channel_destroy(struct object *object);
uint64_t channel_related(struct object *object);

/* An empty message with room for @length bytes; NO_MEMORY, TOO_BIG. */
k_status_t message_create(struct group *group, uint64_t length, struct message **message) MUST_CHECK;
/* Drops the handles that are still in it. */
void message_destroy(struct message *message);

/*
 * Send towards the other end.  On OK the message belongs to the channel.  A message
 * with a txid answers a call; one that nobody waits for any more is dropped.
 * CLOSED; LIMIT: the other end's queue is full.
 */
k_status_t channel_send(struct channel *channel, struct message *message) MUST_CHECK;

/* The message that is next, or wait for one.  SHOULD_WAIT TIMED_OUT KICKED CLOSED. */
k_status_t channel_recv(struct channel *channel, uint64_t deadline_ns, struct message **message)
	MUST_CHECK;
/* Put a message back at the front of the queue it came from. */
void channel_unrecv(struct channel *channel, struct message *message);

/*
 * Send and wait for the answer.  If the other end closes before it answered: CLOSED.
 * On failure before sending (CLOSED, LIMIT) the message stays the caller's:
 * *@sent says which.
 */
k_status_t channel_call(struct channel *channel, struct message *message, uint64_t deadline_ns,
			struct message **reply, bool *sent) MUST_CHECK;

/* Ring @bell (NULL: none) when a message comes or the other end closes; at once if so already. */
void channel_watch(struct channel *channel, struct bell *bell, uint64_t bits);
