/* SPDX-License-Identifier: MIT */
/* See drv/forward.h. */
#include "drv/forward.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"

enum { PIECES = 192 };

unsigned int forward_translate(struct forward *f, const struct vq_segment *in, unsigned int n,
			       struct vq_segment *out, unsigned int max)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int k = drv_bus_segments(f->hw.d, &in[i], out + used, max - used);

		if (!k)
			return 0;
		used += k;
	}
	return used;
}

static unsigned int prepare(struct forward *f, uint32_t q, const struct vq_chain *c,
			    struct vq_segment *out, const char **why)
{
	unsigned int max = MIN((unsigned int)PIECES, (unsigned int)f->hw.queue[q].ring.size);

	*why = "address outside of the link";
	if (f->ops && f->ops->prepare)
		return f->ops->prepare(f, q, c, out, max, why);
	return forward_translate(f, c->segments, c->count, out, max);
}

/* Hand the waiting chain to the device; false: no room there yet, or the client is broken. */
static bool hand_over(struct forward *f, uint32_t q)
{
	struct vq_segment out[PIECES];
	const struct vq_chain *c = &f->queue[q].chain;
	const char *why;
	uint16_t head;
	unsigned int n = prepare(f, q, c, out, &why);

	if (!n) {
		drv_break(f->hw.d, why);
		return false;
	}
	if (!vq_driver_add(&f->hw.queue[q], out, n, (void *)(uintptr_t)c->head, &head))
		return false;
	f->queue[q].waiting = false;
	return true;
}

void forward_queue(struct forward *f, uint32_t q)
{
	struct drv *d = f->hw.d;

	if (q >= f->queues)
		return;
	do {
		vq_device_notifications(&d->queue[q], false);
		while (!d->broken) {
			if (!f->queue[q].waiting)
				f->queue[q].waiting = vq_device_take(&d->queue[q],
								     &f->queue[q].chain);
			if (!f->queue[q].waiting || !hand_over(f, q))
				break;
		}
	} while (!f->queue[q].waiting && !d->broken &&
		 vq_device_notifications(&d->queue[q], true));
	virtio_hw_publish(&f->hw, q);
}

static void complete(struct forward *f, uint32_t q)
{
	struct drv *d = f->hw.d;
	uint32_t written;
	uint16_t hw_head;
	void *cookie;
	bool any = false;

	while (vq_driver_take(&f->hw.queue[q], &cookie, &hw_head, &written)) {
		uint16_t head = (uint16_t)(uintptr_t)cookie;

		if (f->ops && f->ops->finish)
			written = f->ops->finish(f, q, head, written);
		vq_device_answer(&d->queue[q], head, written);
		any = true;
	}
	if (f->hw.queue[q].broken)
		rt_panic("%s: the device broke the protocol: %s", d->start.name,
			 f->hw.queue[q].broken);
	drv_publish(d, q);
	if (any && f->queue[q].waiting)
		forward_queue(f, q);
}

static void config_changed(struct forward *f)
{
	uint8_t config[LINK_CONFIG_MAX];
	size_t n = MIN((size_t)f->hw.config_length, sizeof(config));

	virtio_hw_config(&f->hw, config, n);
	drv_config(f->hw.d, config, n);
}

void forward_irq(struct forward *f)
{
	uint32_t about = f->hw.ops->interrupt(&f->hw);

	for (uint32_t q = 0; q < f->queues; q++)
		complete(f, q);
	if ((about & 2) && !f->hw.message_interrupts)
		config_changed(f);
}

k_status_t forward_start(struct drv *d, struct forward *f, const struct forward_ops *ops,
			 uint64_t features, uint32_t depth)
{
	k_status_t st = virtio_hw_open(d, &f->hw);

	if (st == K_OK)
		st = virtio_hw_choose(&f->hw, features);
	f->ops = ops;
	for (uint32_t q = 0; q < d->layout.queue_count && st == K_OK; q++) {
		f->queue[q].segments = rt_alloc(d->layout.queue_size * sizeof(struct vq_segment));
		if (!f->queue[q].segments)
			return K_ERR_NO_MEMORY;
		f->queue[q].chain.segments = f->queue[q].segments;
		st = virtio_hw_queue(&f->hw, q, depth);
		if (st == K_ERR_NOT_FOUND && q > 0) {
			st = K_OK;	/* a device with fewer queues than the link has */
			break;
		}
		if (st == K_OK)
			f->queues = q + 1;
	}
	if (st != K_OK)
		return st;
	config_changed(f);
	drv_offer(d, f->hw.features & features);
	virtio_hw_run(&f->hw);
	return K_OK;
}
