/* SPDX-License-Identifier: MIT */
#include "cursor.h"
#include "drv/die.h"

enum { WORD_COUNTER, WORD_DONE, WORD_PLANNED, WORD_PASSED };

#define NOTHING (~0ull)			/* of PASSED */

/* The driver's stores to the record are seen by whoever comes after it, in their order. */
static void set_word(struct cursor *c, uint32_t word, uint64_t v)
{
	atomic_signal_fence(memory_order_seq_cst);
	((volatile uint64_t *)c->words)[word] = v;
	atomic_signal_fence(memory_order_seq_cst);
	drv_step();
}

static uint64_t get_word(const struct cursor *c, uint32_t word)
{
	return ((const volatile uint64_t *)c->words)[word];
}

/* DONE and PLANNED hold bytes and note in one word. */
static uint64_t place(uint32_t bytes, uint32_t note)
{
	return (uint64_t)note << 32 | bytes;
}

void cursor_start(struct cursor *c, struct drv *d, uint32_t queue, bool receives, uint64_t *words)
{
	c->queue = queue;
	c->receives = receives;
	c->words = words;
	c->chain.segments = c->segments;
	c->adopting = d->start.incarnation > 1;
	/* What passed is counted, or it is output and needs no more than that. */
	if (!receives && cursor_is_passing(c))
		set_word(c, WORD_DONE, get_word(c, WORD_PLANNED));
	if (get_word(c, WORD_DONE) == get_word(c, WORD_PLANNED))
		set_word(c, WORD_PASSED, NOTHING);
	c->note = (uint32_t)(get_word(c, WORD_DONE) >> 32);
}

uint64_t *cursor_plan(struct cursor *c, uint32_t n, uint32_t note)
{
	set_word(c, WORD_PLANNED, place(c->done + n, note));
	return &c->words[WORD_PASSED];
}

bool cursor_is_passing(const struct cursor *c)
{
	return get_word(c, WORD_PASSED) != NOTHING;
}

uint64_t cursor_result(const struct cursor *c)
{
	return get_word(c, WORD_PASSED);
}

void cursor_passed(struct cursor *c)
{
	uint64_t planned = get_word(c, WORD_PLANNED);

	drv_step();
	set_word(c, WORD_DONE, planned);
	set_word(c, WORD_PASSED, NOTHING);
	c->offset += (uint32_t)planned - c->done;
	c->done = (uint32_t)planned;
	c->note = (uint32_t)(planned >> 32);
}

/* The record tells of another chain, which was answered: nothing of this one is done. */
static void begin(struct cursor *c, uint64_t counter)
{
	set_word(c, WORD_PASSED, NOTHING);
	set_word(c, WORD_DONE, place(0, c->note));
	set_word(c, WORD_COUNTER, counter);
}

/* Go on where the predecessor was, if it had begun this chain. */
static void resume(struct cursor *c, struct drv *d)
{
	uint64_t counter = vq_device_counter(&d->queue[c->queue], c->chain.head);
	uint32_t skip;

	if (get_word(c, WORD_COUNTER) != counter)
		begin(c, counter);
	skip = c->done = (uint32_t)get_word(c, WORD_DONE);
	for (c->segment = 0; c->segment < c->chain.count; c->segment++) {
		const struct vq_segment *s = &c->segments[c->segment];

		if (s->device_writes != c->receives)
			continue;
		if (skip < s->len)
			break;
		skip -= s->len;
	}
	c->offset = skip;
}

bool cursor_take(struct cursor *c, struct drv *d)
{
	struct vq_device *q = &d->queue[c->queue];

	if (c->busy)
		return true;
	c->adopting = c->adopting && vq_device_adopted(q, &c->adopted, &c->chain);
	if (!c->adopting && !vq_device_take(q, &c->chain))
		return false;
	c->busy = true;
	resume(c, d);
	return true;
}

uint8_t *cursor_piece(struct cursor *c, struct drv *d, uint32_t *n)
{
	for (; c->segment < c->chain.count; c->segment++, c->offset = 0) {
		struct vq_segment *s = &c->segments[c->segment];
		uint8_t *p;

		if (s->device_writes != c->receives || c->offset >= s->len)
			continue;
		p = drv_pointer(d, s->addr, s->len);
		if (!p) {
			drv_break(d, "address outside of the link");
			return NULL;
		}
		*n = s->len - c->offset;
		return p + c->offset;
	}
	return NULL;
}

void cursor_answer(struct cursor *c, struct drv *d, uint32_t written)
{
	vq_device_answer(&d->queue[c->queue], c->chain.head, written);
	c->busy = false;
	drv_publish(d, c->queue);
}
