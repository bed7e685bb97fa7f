/* SPDX-License-Identifier: MIT */
/*
 * A link whose protocol is that of the hardware behind it: chains that the client
 * makes available in queue i of the link go, with addresses translated, into queue
 * i of the device, and come back.  Most drivers of virtio devices are this and a
 * few lines about features.
 *
 * It takes over from a dead predecessor (docs/decisions/0006-adoption.md): live, where
 * record and rings fit together and the device says that it works; else after a reset,
 * and then what was in flight is issued again, in its order, before anything new.
 */
#pragma once

#include "drv/virtio_hw.h"

struct forward;

/* What a driver may want to do to chains on their way; each may be NULL. */
struct forward_ops {
	/* Bytes of DMA memory, zeroed, for each descriptor of a link's queue: forward_slot(). */
	uint32_t slot_size;
	/*
	 * One after the other: after a reset a chain is issued again only when the one before
	 * it is done.  For devices that work on several at a time and in any order.
	 */
	bool replay_in_order;
	/*
	 * Requests belong to a session that a reset ends: those in flight then are failed
	 * instead of issued again.
	 */
	bool has_session;
	/* The client is to be told when the configuration changes: driver.irq() calls forward_config(). */
	bool watches_config;
	/* Which of the features that are wanted and offered are taken.  NULL: all of them. */
	uint64_t (*choose)(uint64_t offered);
	/*
	 * Turn a chain of the client into what the device gets: at most @max pieces.
	 * 0: it is against the protocol, *@why says how.
	 */
	unsigned int (*prepare)(struct forward *f, uint32_t queue, const struct vq_chain *chain,
				struct vq_segment *out, unsigned int max, const char **why);
	/*
	 * The device used it; @written bytes.  Returns what the client is told.  The successor
	 * of a driver that died here does it again.
	 */
	uint32_t (*finish)(struct forward *f, uint32_t queue, uint16_t head, uint32_t written);
	/* It is not done: fatal to drivers, or of an old session.  Returns what the client is told was written. */
	uint32_t (*fail)(struct forward *f, uint32_t queue, const struct vq_chain *chain);
	/* What is in flight in @queue is to be done before a reset, if the device still does it. */
	bool (*drains)(uint32_t queue);
};

struct forward {
	struct virtio_hw hw;
	const struct forward_ops *ops;
	uint32_t queues;
	uint8_t *slots;
	uint64_t slots_bus;
	struct forward_queue {
		struct vq_chain chain;	/* taken, and waiting for room in the device's ring */
		bool waiting;
		/* A predecessor's: requests that the device does not have yet, in their order. */
		bool issuing;
		uint64_t issued;	/* counter of the last one */
		bool in_order;		/* ... each when the one before is done */
		bool failing;		/* ... or not at all: their session ended */
		bool with_device[LINK_QUEUE_SIZE_MAX];	/* by head of the link's chain */
	} queue[LINK_QUEUES_MAX];
};

/* The slot of the request at @head, which the device finds at *@bus. */
uint8_t *forward_slot(struct forward *f, uint32_t queue, uint16_t head, uint64_t *bus);

/*
 * Open the device with those of @features that it offers; the link offers the same.
 * Queues of @depth on the device's side.
 */
k_status_t forward_start(struct drv *d, struct forward *f, const struct forward_ops *ops,
			 uint64_t features, uint32_t depth) __attribute__((warn_unused_result));
/* For driver.queue and driver.irq. */
void forward_queue(struct forward *f, uint32_t queue);
void forward_irq(struct forward *f);
/* For driver.irq with VIRTIO_HW_CONFIG_IRQ: tell the client what the configuration is now. */
void forward_config(struct forward *f);

/* The translation that is used when there is no prepare(). */
unsigned int forward_translate(struct forward *f, const struct vq_segment *in, unsigned int n,
			       struct vq_segment *out, unsigned int max);
