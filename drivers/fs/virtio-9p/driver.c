/* SPDX-License-Identifier: MIT */
/*
 * virtio 9P transport (device 9: virtio 1.2 reserves the number, Linux's
 * linux/virtio_9p.h has the layout): one queue of messages and room for their answers,
 * passed on.  The configuration is the tag by which a client chooses among several.
 *
 * A message means something only in its session, which a reset ends: those in flight are
 * failed then (answered with nothing), not given to the next session.
 */
#include "base/util.h"
#include "drv/forward.h"

#define F_MOUNT_TAG BIT(0)

static struct forward forward;

static const struct forward_ops ops = {.has_session = true};

static void on_queue(struct drv *d, uint32_t queue)
{
	forward_queue(&forward, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	forward_irq(&forward);
}

static k_status_t start(struct drv *d)
{
	return forward_start(d, &forward, &ops, F_MOUNT_TAG, 128);
}

const struct driver driver = {.start = start, .queue = on_queue, .irq = on_irq};
