/* SPDX-License-Identifier: MIT */
/* virtio entropy device (virtio 1.1, 5.4): one queue of buffers to fill, passed on. */
#include "drv/forward.h"

static struct forward forward;

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
	return forward_start(d, &forward, NULL, 0, 8);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
