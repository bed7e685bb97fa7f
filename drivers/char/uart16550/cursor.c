/* SPDX-License-Identifier: MIT */
#include "cursor.h"

/* Words of the record: the request that the cursor is at, and the bytes of it that are done. */
enum { WORD_COUNTER, WORD_DONE };

void cursor_start(struct cursor *c, struct drv *d, uint32_t queue, bool receives, uint64_t *words)
{
	c->queue = queue;
	c->receives = receives;
	c->words = words;
	c->chain.segments = c->segments;
	c->adopting = d->start.incarnation > 1;
}

void cursor_advance(struct cursor *c, uint32_t n)
{
	c->offset += n;
	c->done += n;
	c->words[WORD_DONE] = c->done;
}

/* Go on where the predecessor was, if it had begun this chain. */
static void resume(struct cursor *c, struct drv *d)
{
	uint64_t counter = vq_device_counter(&d->queue[c->queue], c->chain.head), skip;

	if (c->words[WORD_COUNTER] != counter) {
		c->words[WORD_DONE] = 0;
		atomic_signal_fence(memory_order_release);
		c->words[WORD_COUNTER] = counter;
	}
	skip = c->words[WORD_DONE];
	c->done = (uint32_t)skip;
	for (c->segment = 0; c->segment < c->chain.count; c->segment++) {
		const struct vq_segment *s = &c->segments[c->segment];

		if (s->device_writes != c->receives)
			continue;
		if (skip < s->len)
			break;
		skip -= s->len;
	}
	c->offset = (uint32_t)skip;
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
}
