/* SPDX-License-Identifier: MIT */
/*
 * A driver of a memory mapped virtio entropy device, as drivers/char/virtio-rng is,
 * that first tries to reach what lies around its registers.  It dies if it can.
 */
#include "base/util.h"
#include "drv/forward.h"
#include "rt/log.h"
#include "rt/process.h"

#define MAGIC_VALUE 0x74726976u		/* "virt", at offset 0 of each register file */

static struct forward forward;

static void denied(const char *what, k_status_t st)
{
	if (st == K_OK)
		rt_panic("nosy: %s was allowed", what);
}

/* Own registers can be used, @length of them in bytes. */
static void look_at_own(struct drv *d, uint32_t length)
{
	uint64_t v = 0;

	if (k_device_register_read(d->device, 0, 4, &v) != K_OK || v != MAGIC_VALUE)
		rt_panic("nosy: no magic in the own registers: %lx", v);
	if (k_device_register_read(d->device, length - 4, 4, &v) != K_OK)
		rt_panic("nosy: the last own register cannot be read");
}

static void look_around(struct drv *d, uint32_t length)
{
	static const uint32_t widths[] = { 0, 1, 2, 3, 4, 8, 64, ~0u };
	const uint32_t page = K_PAGE_SIZE, top = (1u << K_DEVICE_WINDOW_SHIFT) - 1;
	k_handle_t memory;
	uint64_t v;

	denied("mapping the page", k_device_mmio(d->device, 0, &memory));
	for (uint32_t i = 1; i < 256; i++)
		denied("another window", k_device_mmio(d->device, i, &memory));
	for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
		for (uint32_t at = length; at < 2 * page; at += 2) {
			denied("reading on", k_device_register_read(d->device, at, widths[w], &v));
			denied("writing on", k_device_register_write(d->device, at, widths[w], 0));
			denied("reading before",
			       k_device_register_read(d->device, -at, widths[w], &v));
			denied("reading far away",
			       k_device_register_read(d->device, top - at, widths[w], &v));
		}
		denied("the end", k_device_register_read(d->device, ~0u, widths[w], &v));
		denied("a port", k_device_port_read(d->device, 0, widths[w], &v));
	}
	denied("reading across the end", k_device_register_read(d->device, length - 2, 4, &v));
	denied("a misaligned register", k_device_register_read(d->device, 2, 4, &v));
	denied("a misaligned register", k_device_register_write(d->device, 1, 2, 0));
	denied("three bytes", k_device_register_read(d->device, 0, 3, &v));
	denied("eight bytes", k_device_register_read(d->device, 0, 8, &v));
	drv_log(d, RT_LOG_NOTICE, "all was denied");
}

static k_status_t start(struct drv *d)
{
	uint32_t length = (uint32_t)d->start.device.desc.length;

	look_at_own(d, length);
	look_around(d, length);
	return forward_start(d, &forward, NULL, 0, 8);
}

static void on_queue(struct drv *d, uint32_t queue)
{
	forward_queue(&forward, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	forward_irq(&forward);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
