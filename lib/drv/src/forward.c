/* SPDX-License-Identifier: MIT */
/*
 * See drv/forward.h.
 *
 * A request's way, and where a death leaves it (docs/decisions/0006-adoption.md):
 *
 *	taken		in the in-flight table; the device has not seen it: issued again
 *	added, noted	in the device's ring, which does not show it yet: the same
 *	published	the device has it: awaited
 *	used		the device's used ring has it: finished again, which changes nothing
 *	answered	written into the link's used ring, not shown: the same
 *	published	it has left the in-flight table; its entry in the device's used ring
 *			is skipped
 *	settled		the record says so; its descriptors may be used again
 */
#include "drv/die.h"
#include "drv/forward.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/time.h"
#include "rt/lock.h"

enum { PIECES = 192, DRAIN_MS = 200 };

uint8_t *forward_slot(struct forward *f, uint32_t queue, uint16_t head, uint64_t *bus)
{
	uint64_t at = (queue * f->hw.d->layout.queue_size + head) * (uint64_t)f->ops->slot_size;

	*bus = f->slots_bus + at;
	return f->slots + at;
}

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

/* -- to the device ---------------------------------------------------------------------------- */

static unsigned int prepare(struct forward *f, uint32_t q, const struct vq_chain *c,
			    struct vq_segment *out, const char **why)
{
	unsigned int max = MIN((unsigned int)PIECES, (unsigned int)f->hw.queue[q].ring.size);

	*why = "address outside of the link";
	if (f->ops->prepare)
		return f->ops->prepare(f, q, c, out, max, why);
	return forward_translate(f, c->segments, c->count, out, max);
}

/* The client gets an error, the device nothing: it was fatal to three drivers, or overdue, or its session ended. */
static void refuse(struct forward *f, uint32_t q, const struct vq_chain *c)
{
	uint32_t written = f->ops->fail ? f->ops->fail(f, q, c) : 0;

	vq_device_answer(&f->hw.d->queue[q], c->head, written);
	drv_publish(f->hw.d, q);
}

/* Hand the waiting chain to the device; false: no room there yet, or the client is broken. */
static bool hand_over(struct forward *f, uint32_t q)
{
	struct vq_segment out[PIECES];
	const struct vq_chain *c = &f->queue[q].chain;
	const char *why;
	uint16_t head;
	unsigned int n;

	if (!drv_work_on(f->hw.d, q, c->head) || drv_is_overdue(f->hw.d, q, c->head)) {
		drv_work_done(f->hw.d);
		refuse(f, q, c);
		f->queue[q].waiting = false;
		return true;
	}
	n = prepare(f, q, c, out, &why);
	if (drv_blames()) {
		why = "it was told to say so";
		n = 0;
	}
	if (!n) {
		drv_break(f->hw.d, why);
		return false;
	}
	drv_step();
	if (vq_driver_add(&f->hw.queue[q], out, n, (void *)(uintptr_t)c->head, &head)) {
		virtio_hw_note(&f->hw, q, head, c->head);
		f->queue[q].with_device[c->head] = true;
		f->queue[q].waiting = false;
	}
	drv_work_done(f->hw.d);
	return !f->queue[q].waiting;
}

/* The next chain that the device does not have: a predecessor's first. */
static bool next_chain(struct forward *f, uint32_t q)
{
	struct forward_queue *fq = &f->queue[q];
	struct vq_device *link = &f->hw.d->queue[q];

	while (fq->issuing) {
		if (!vq_device_adopted(link, &fq->issued, &fq->chain)) {
			fq->issuing = false;
		} else if (fq->failing) {
			refuse(f, q, &fq->chain);
		} else if (!fq->with_device[fq->chain.head]) {
			f->hw.d->record->issued++;
			return true;
		}
	}
	return vq_device_take(link, &fq->chain);
}

/* After a reset: requests of the predecessor are done one by one, and before all others. */
static bool is_held_back(struct forward *f, uint32_t q)
{
	struct forward_queue *fq = &f->queue[q];

	if (!fq->in_order)
		return false;
	if (vq_driver_in_flight(&f->hw.queue[q]))
		return true;
	fq->in_order = fq->issuing || fq->waiting;
	return false;
}

void forward_queue(struct forward *f, uint32_t q)
{
	struct drv *d = f->hw.d;
	struct forward_queue *fq = &f->queue[q];
	bool held = false;

	if (q >= f->queues)
		return;
	do {
		vq_device_notifications(&d->queue[q], false);
		while (!d->broken && !(held = is_held_back(f, q))) {
			if (!fq->waiting)
				fq->waiting = next_chain(f, q);
			if (!fq->waiting || !hand_over(f, q))
				break;
		}
	} while (!fq->waiting && !held && !d->broken && vq_device_notifications(&d->queue[q], true));
	virtio_hw_publish(&f->hw, q);
}

/* -- from the device --------------------------------------------------------------------------- */

static void answer(struct forward *f, uint32_t q, uint16_t head, uint32_t written)
{
	struct drv *d = f->hw.d;

	/* Whatever was fatal about finishing it: what the device did is lost on the client. */
	if (!drv_work_on(d, q, head))
		written = 0;
	else if (f->ops->finish)
		written = f->ops->finish(f, q, head, written);
	drv_step();
	if (drv_talks_nonsense())
		vq_device_answer(&d->queue[q], (uint16_t)(d->queue[q].ring.size - 1), written);
	vq_device_answer(&d->queue[q], head, written);
	f->queue[q].with_device[head] = false;
	drv_work_done(d);
}

/* A device that lies has lost its claim to the rings: the successor resets it. */
static void device_broke(struct forward *f, const char *why)
{
	f->hw.d->record->phase = RECORD_SETUP;
	rt_panic("%s: the device broke the protocol: %s", f->hw.d->start.name, why);
}

/* Answer what the device has used; how many. */
static uint32_t complete(struct forward *f, uint32_t q)
{
	uint32_t written, n = 0;
	uint16_t hw_head;
	void *cookie;

	for (; vq_driver_take(&f->hw.queue[q], &cookie, &hw_head, &written); n++)
		answer(f, q, (uint16_t)(uintptr_t)cookie, written);
	if (f->hw.queue[q].broken)
		device_broke(f, f->hw.queue[q].broken);
	drv_publish(f->hw.d, q);
	if (n)
		virtio_hw_settle(&f->hw, q);
	return n;
}

void forward_config(struct forward *f)
{
	uint8_t config[LINK_CONFIG_MAX];
	size_t n = MIN((size_t)f->hw.config_length, sizeof(config));

	virtio_hw_config(&f->hw, config, n);
	drv_config(f->hw.d, config, n);
}

void forward_irq(struct forward *f)
{
	uint32_t about = f->hw.ops->interrupt(&f->hw);

	for (uint32_t q = 0; q < f->queues; q++) {
		const struct forward_queue *fq = &f->queue[q];

		if (complete(f, q) && (fq->waiting || fq->issuing || fq->in_order))
			forward_queue(f, q);
	}
	if ((about & 2) && !f->hw.message_interrupts)
		forward_config(f);
}

/* -- start and succession ---------------------------------------------------------------------- */

static bool make_slots(struct forward *f)
{
	struct drv *d = f->hw.d;

	if (!f->ops->slot_size)
		return true;
	f->slots = virtio_hw_dma(&f->hw, (uint64_t)d->layout.queue_count * d->layout.queue_size *
				 f->ops->slot_size, 64, &f->slots_bus);
	return f->slots != NULL;
}

static k_status_t make_queues(struct forward *f, uint32_t depth)
{
	k_status_t st = make_slots(f) ? K_OK : K_ERR_NO_MEMORY;

	for (uint32_t q = 0; q < f->hw.d->layout.queue_count && st == K_OK; q++) {
		st = virtio_hw_queue(&f->hw, q, depth);
		if (st == K_ERR_NOT_FOUND && q > 0)
			return K_OK;	/* a device with fewer queues than the link has */
		f->queues = q + 1;
	}
	return st;
}

/* The predecessor's rings become ours; false: they are not what the record says. */
static bool adopt_queues(struct forward *f)
{
	struct drv *d = f->hw.d;

	virtio_hw_adopt(&f->hw);
	if (!make_slots(f) || f->hw.queue_count > d->layout.queue_count)
		return false;
	for (uint32_t q = 0; q < f->hw.queue_count; q++) {
		struct vq_driver *ring = &f->hw.queue[q];

		if (virtio_hw_adopt_queue(&f->hw, q) != K_OK)
			return false;
		for (uint16_t i = 0; i < ring->ring.size; i++)
			if (ring->slots[i].count)
				f->queue[q].with_device[(uintptr_t)ring->slots[i].cookie] = true;
		d->record->adopted += vq_driver_in_flight(ring);
	}
	f->queues = f->hw.queue_count;
	return true;
}

/* All that the device has finished by now. */
static void finish_queues(struct forward *f)
{
	for (uint32_t q = 0; q < f->queues; q++)
		f->hw.d->record->finished += complete(f, q);
}

/* Requests that the device does not have are to be issued before new ones. */
static void issue_again(struct forward *f, bool after_reset)
{
	for (uint32_t q = 0; q < f->queues; q++) {
		f->queue[q].issuing = true;
		f->queue[q].in_order = after_reset && f->ops->replay_in_order;
		f->queue[q].failing = after_reset && f->ops->has_session;
	}
}

static void adopted_live(struct forward *f)
{
	finish_queues(f);
	issue_again(f, false);
	/* It may have been about to be notified. */
	for (uint32_t q = 0; q < f->queues; q++)
		if (vq_driver_in_flight(&f->hw.queue[q]))
			f->hw.ops->notify(&f->hw, q);
	f->hw.d->record->adoption = RECORD_ADOPTED;
}

static bool has_drained(struct forward *f)
{
	for (uint32_t q = 0; q < f->queues; q++) {
		const struct vq_driver *ring = &f->hw.queue[q];

		if (f->ops->drains && f->ops->drains(q) &&
		    atomic_load_explicit(&ring->ring.used->idx, memory_order_relaxed) !=
		    ring->avail_idx)
			return false;
	}
	return true;
}

/* Bytes on their way out cannot be taken back: let them, for a while, rather than send them twice. */
static void drain(struct forward *f)
{
	_Atomic(uint32_t) nobody = 0;

	for (uint32_t q = 0; q < f->queues; q++)
		if (f->ops->drains && f->ops->drains(q))
			f->hw.ops->notify(&f->hw, q);
	for (int ms = 0; ms < DRAIN_MS && !has_drained(f); ms++)
		(void)!rt_wait(&nobody, 0, rt_now_ns() + 1000000, false);
}

static k_status_t set_up(struct forward *f, uint64_t features, uint32_t depth)
{
	k_status_t st;

	virtio_hw_begin(&f->hw);
	if (f->ops->choose)
		features = f->ops->choose(features & virtio_hw_offered(&f->hw));
	st = virtio_hw_choose(&f->hw, features);
	if (st == K_OK)
		st = make_queues(f, depth);
	if (st == K_OK)
		virtio_hw_run(&f->hw);
	return st;
}

/*
 * A device without a past, or one whose past ends here: it was @adopted, and works still, or was reset by
 * a predecessor that died before it had answered what the device had done.
 */
static k_status_t start_over(struct forward *f, bool adopted, uint64_t features, uint32_t depth)
{
	struct drv *d = f->hw.d;
	k_status_t st;

	if (adopted && virtio_hw_is_live(&f->hw))
		drain(f);
	st = virtio_hw_reset(&f->hw);
	if (st != K_OK)
		return st;
	/* It is quiet: what its rings say now is all that it will ever have done. */
	if (adopted)
		finish_queues(f);
	f->queues = 0;
	for (uint32_t q = 0; q < LINK_QUEUES_MAX; q++)
		for (uint32_t i = 0; i < LINK_QUEUE_SIZE_MAX; i++)
			f->queue[q].with_device[i] = false;
	st = set_up(f, features, depth);
	if (st != K_OK || d->start.incarnation == 1)
		return st;
	drv_was_reset(d);
	issue_again(f, true);
	d->record->adoption = RECORD_RESET;
	return K_OK;
}

static bool allocate(struct forward *f)
{
	struct drv *d = f->hw.d;

	for (uint32_t q = 0; q < d->layout.queue_count; q++) {
		f->queue[q].chain.segments =
			rt_alloc(d->layout.queue_size * sizeof(struct vq_segment));
		if (!f->queue[q].chain.segments)
			return false;
	}
	return true;
}

k_status_t forward_start(struct drv *d, struct forward *f, const struct forward_ops *ops,
			 uint64_t features, uint32_t depth)
{
	static const struct forward_ops plain = { 0 };
	uint32_t how = drv_adopt_flags(d);
	bool adopted;
	k_status_t st = virtio_hw_open(d, &f->hw);

	if (st != K_OK)
		return st;
	f->ops = ops ? ops : &plain;
	if (f->ops->watches_config)
		virtio_hw_watch_config(&f->hw);
	if (!allocate(f))
		return K_ERR_NO_MEMORY;
	d->record->adoption = RECORD_STARTED;
	d->record->adopted = d->record->issued = d->record->finished = 0;
	adopted = virtio_hw_has_past(&f->hw) && adopt_queues(f);
	if (adopted && virtio_hw_is_live(&f->hw) && !(how & COMPONENT_ADOPT_RESET))
		adopted_live(f);
	else if (d->start.incarnation > 1 && (how & COMPONENT_ADOPT_LIVE))
		return K_ERR_BAD_STATE;
	else
		st = start_over(f, adopted, features, depth);
	if (st != K_OK)
		return st;
	forward_config(f);
	drv_offer(d, f->hw.features & features);
	return K_OK;
}
