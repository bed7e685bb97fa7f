/* SPDX-License-Identifier: MIT */
/*
 * virtio console device (virtio 1.1, 5.3), passed on with its control queues: the
 * client speaks the device's own protocol.  The one change is the number of ports:
 * the link has fewer queues than a device with 31 ports, so the client is told how
 * many fit, and answers for ports beyond that it does not take them.
 */
#include "base/byteorder.h"
#include "base/util.h"
#include "drv/forward.h"

#define F_SIZE		BIT(0)
#define F_MULTIPORT	BIT(1)

enum { CONFIG_MAX_PORTS = 4, CONFIG_LENGTH = 12 };

static struct forward forward;

/* Queues that the client sends on. */
static bool drains(uint32_t queue)
{
	return queue % 2;
}

static const struct forward_ops ops = { .drains = drains };

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
	uint64_t features = F_SIZE | (d->layout.queue_count >= 4 ? F_MULTIPORT : 0);
	uint8_t config[CONFIG_LENGTH];
	k_status_t st = forward_start(d, &forward, &ops, features, 32);

	if (st != K_OK)
		return st;
	virtio_hw_config(&forward.hw, config, sizeof(config));
	put_le32(config + CONFIG_MAX_PORTS,
		 MIN(get_le32(config + CONFIG_MAX_PORTS), d->layout.queue_count / 2 - 1));
	drv_config(d, config, sizeof(config));
	return K_OK;
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
