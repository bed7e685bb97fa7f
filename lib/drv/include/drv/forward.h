/* SPDX-License-Identifier: MIT */
/*
 * A link whose protocol is that of the hardware behind it: chains that the client
 * makes available in queue i of the link go, with addresses translated, into queue
 * i of the device, and come back.  Most drivers of virtio devices are this and a
 * few lines about features.
 */
#pragma once

#include "drv/virtio_hw.h"

struct forward;

/* What a driver may want to do to chains on their way; each may be NULL. */
struct forward_ops {
	/*
	 * Turn a chain of the client into what the device gets: at most @max pieces.
	 * 0: it is against the protocol, *@why says how.
	 */
	unsigned int (*prepare)(struct forward *f, uint32_t queue, const struct vq_chain *chain,
				struct vq_segment *out, unsigned int max, const char **why);
	/* The device used it; @written bytes.  Returns what the client is told. */
	uint32_t (*finish)(struct forward *f, uint32_t queue, uint16_t head, uint32_t written);
};

struct forward {
	struct virtio_hw hw;
	const struct forward_ops *ops;
	uint32_t queues;
	struct {
		struct vq_chain chain;	/* taken, and waiting for room in the device's ring */
		struct vq_segment *segments;
		bool waiting;
	} queue[LINK_QUEUES_MAX];
};

/*
 * Open the device with those of @features that it offers; the link offers the same.
 * Queues of @depth on the device's side.
 */
k_status_t forward_start(struct drv *d, struct forward *f, const struct forward_ops *ops,
			 uint64_t features, uint32_t depth) __attribute__((warn_unused_result));
/* For driver.queue and driver.irq. */
void forward_queue(struct forward *f, uint32_t queue);
void forward_irq(struct forward *f);

/* The translation that is used when there is no prepare(). */
unsigned int forward_translate(struct forward *f, const struct vq_segment *in, unsigned int n,
			       struct vq_segment *out, unsigned int max);
