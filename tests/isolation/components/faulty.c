/* SPDX-License-Identifier: MIT */
/*
 * An entropy source without hardware that misbehaves as the word faulty.mode= of the
 * command line says, from its second request on:
 *
 *	good	answers all, with bytes 0xa5
 *	fault	writes to address 0
 *	jump	jumps into data
 *	kernel	reads the kernel's memory
 *	exit	ends
 *	used	publishes more answers than there were requests
 *	id	answers a request that does not exist
 *	length	claims to have written 4 GiB
 *	scribble fills the shared control memory with noise
 *	silent	does not answer
 *	hang	loops
 *	start	does not even start
 *	reach	tries what its handles do not allow; dies if something is allowed
 */
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/drv.h"
#include "rt/log.h"
#include "rt/process.h"
#include "rt/random.h"

static char mode[16] = "good";
static unsigned int requests;

static bool is(const char *name)
{
	return strcmp(mode, name) == 0;
}

static void denied(const char *what, k_status_t st)
{
	if (st == K_OK)
		rt_panic("faulty: %s was allowed", what);
}

/* Every handle number, for what only others may do. */
static void reach(struct drv *d)
{
	static uint8_t bytes[64];
	uint64_t v;
	k_handle_t out, out2;
	struct k_device_desc desc = { .kind = K_DEVICE_PORTS, .base = 0x3f8, .length = 8,
				      .irq = ~0u, .name = "mine" };
	struct k_group_limits limits = { 0 };
	struct k_map map = { .length = K_PAGE_SIZE, .addr = 0xffff800000000000ull,
			     .prot = K_PROT_READ, .max_prot = K_PROT_READ, .flags = K_MAP_FIXED };

	for (k_handle_t h = 1; h < 4096; h++) {
		denied("power", k_power(h, K_POWER_PANIC, 0));
		denied("a device", k_device_create(h, &desc, &out));
		denied("configuration space", k_device_config_read(h, 0, 0, 4, &v));
		denied("ports", k_device_port_read(h, 0, 1, &v));
		denied("a group", k_group_create(h, &limits, &out));
		denied("memory of a group", k_memory_create(h, K_PAGE_SIZE, 0, &out));
		denied("a process", k_process_create(h, "x", 1, &out, &out2));
		denied("killing", k_process_kill(h, 1));
		denied("another space", k_space_read(h, 0x400000, bytes, sizeof(bytes), &v));
		denied("the log", k_log_read(h, 0, bytes, sizeof(bytes), &v, &v));
		if (h != d->bell)
			denied("somebody's bell", k_bell_wait(h, 1, 0, 0, &v));
	}
	denied("kernel addresses", k_space_map(0, &map));
	denied("copying from the kernel", k_log_write(7, (void *)0xffffffff80100000ull, 64));
	denied("copying to the kernel", k_random((void *)0xffffffff80100000ull, 64));
	rt_log(RT_LOG_NOTICE, "faulty: all was denied");
}

static void scribble(struct drv *d)
{
	uint8_t *p = d->control;

	for (uint64_t at = 0; at < d->layout.length; at += K_PAGE_SIZE)
		rt_random(p + at, K_PAGE_SIZE);
	(void)!k_bell_ring(d->client_bell, ~0ull);
}

static void misbehave(struct drv *d, const struct vq_chain *c)
{
	struct vq_device *q = &d->queue[0];

	if (is("fault"))
		*(volatile int *)(uintptr_t)requests = 1;
	else if (is("jump"))
		((void (*)(void))(uintptr_t)mode)();
	else if (is("kernel"))
		requests += *(volatile unsigned int *)0xffffffff80100000ull;
	else if (is("exit"))
		k_process_exit(3);
	else if (is("used"))
		q->used_idx = (uint16_t)(q->used_idx + 7);
	else if (is("id"))
		vq_device_answer(q, (uint16_t)(q->ring.size - 1), 4);
	else if (is("length"))
		vq_device_answer(q, c->head, UINT32_MAX);
	else if (is("scribble"))
		scribble(d);
	else if (is("reach"))
		reach(d);
	else if (is("hang"))
		for (volatile int forever = 1; forever;)
			;
	if (is("good") || is("reach"))
		vq_device_answer(q, c->head, c->writable);
}

static void serve(struct drv *d, const struct vq_chain *c)
{
	uint8_t *p = drv_pointer(d, c->segments[0].addr, c->segments[0].len);

	if (!p) {
		drv_break(d, "address outside of the link");
		return;
	}
	memset(p, 0xa5, c->segments[0].len);
	if (!drv_work_on(d, 0, c->head))
		vq_device_answer(&d->queue[0], c->head, 0);
	else if (requests++ == 0 && d->start.incarnation == 1)
		vq_device_answer(&d->queue[0], c->head, c->writable);
	else
		misbehave(d, c);
	drv_work_done(d);
}

static void on_queue(struct drv *d, uint32_t queue)
{
	static bool adopted;
	struct vq_segment segments[LINK_QUEUE_SIZE_MAX];
	struct vq_chain c = { .segments = segments };
	uint64_t counter = 0;

	while (!adopted && !d->broken && vq_device_adopted(&d->queue[0], &counter, &c))
		serve(d, &c);
	adopted = true;
	while (!d->broken && vq_device_take(&d->queue[0], &c))
		serve(d, &c);
	drv_publish(d, 0);
}

static k_status_t start(struct drv *d)
{
	static const char word[] = "faulty.mode=";

	if (str_has_prefix(d->start.options, word)) {
		strlcpy(mode, d->start.options + strlen(word), sizeof(mode));
		mode[strcspn(mode, " ")] = '\0';
	}
	drv_offer(d, 0);
	return is("start") ? K_ERR_IO : K_OK;
}

static void on_irq(struct drv *d, uint32_t index)
{
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
