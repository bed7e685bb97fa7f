/* SPDX-License-Identifier: MIT */
#include "drv/blk_server.h"

#include "base/string.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/time.h"

enum { ERRORS_LOGGED = 10, EXIT_RESET = 2 };

k_status_t blk_server_init(struct blk_server *s, struct drv *d, const struct blk_server_ops *ops)
{
	const struct link_layout *l = &d->layout;

	*s = (struct blk_server){ .d = d, .ops = ops, .queue_count = l->queue_count };
	for (uint32_t q = 0; q < l->queue_count; q++) {
		struct blk_queue *queue = &s->queue[q];

		queue->flights = rt_zalloc(l->queue_size * sizeof(*queue->flights));
		queue->chain.segments = rt_alloc(l->queue_size * sizeof(*queue->chain.segments));
		if (!queue->flights || !queue->chain.segments)
			return K_ERR_NO_MEMORY;
	}
	return k_timer_create(d->bell, BLK_TICK, &s->timer);
}

void blk_server_reset(struct blk_server *s, const char *why, bool rings_are_good)
{
	if (!rings_are_good)
		s->d->record->phase = RECORD_SETUP;
	drv_log(s->d, RT_LOG_ERR, "%s: %s is to be reset", why, s->ops->device);
	k_process_exit(EXIT_RESET);
}

/* -- answers --------------------------------------------------------------------------------- */

static void answer(struct blk_server *s, uint32_t q, uint16_t head, uint8_t *status_at,
		   uint8_t status, uint32_t written)
{
	*status_at = status;
	/* The status is one of the bytes that were written. */
	vq_device_answer(&s->d->queue[q], head, written + 1);
}

static void land(struct blk_server *s, uint32_t q, struct blk_flight *f, uint16_t head,
		 uint8_t status, uint32_t written)
{
	answer(s, q, head, f->status, status, written);
	*f = (struct blk_flight){ 0 };
	s->queue[q].active--;
}

/* -- to the device --------------------------------------------------------------------------- */

static void run_timer(struct blk_server *s)
{
	if (!s->timer_runs &&
	    k_timer_set(s->timer, rt_now_ns() + BLK_SECOND, BLK_SECOND / 4) == K_OK)
		s->timer_runs = true;
}

static void launch(struct blk_server *s, uint32_t q, uint16_t head, const struct blk_plan *p,
		   struct blk_flight *f)
{
	f->now = p->now;
	f->total = p->total;
	f->since_ns = rt_now_ns();
	f->with_device = true;
	s->ops->launch(s, q, head, f);
	run_timer(s);
}

/* The next command of the request whose chain is @c, or its answer. */
static void issue(struct blk_server *s, uint32_t q, const struct vq_chain *c, struct blk_flight *f)
{
	struct blk_plan p = { 0 };
	struct blk_request r;

	if (!blk_request_read(s->d, c, &r, &p.why)) {
		drv_break(s->d, p.why);
		return;
	}
	if (CONFIG_CHECKS && r.sector == drv_die_sector() && r.type < BLK_T_FLUSH)
		rt_panic("%s: told to die of this sector", s->d->start.name);
	f->status = r.status;
	f->type = (uint8_t)r.type;
	switch (s->ops->plan(s, q, &r, f, &p)) {
	case BLK_COMMAND:
		launch(s, q, c->head, &p, f);
		break;
	case BLK_ANSWERED:
		land(s, q, f, c->head, p.status, p.written);
		break;
	case BLK_LATER:
		s->queue[q].again++;
		s->queue[q].blocked = true;
		break;
	case BLK_PROTOCOL:
		drv_break(s->d, p.why);
		break;
	}
}

/* -- from the link --------------------------------------------------------------------------- */

/* It ran into its deadline under several incarnations. */
static bool hangs(const struct blk_server *s, uint32_t q, uint64_t counter)
{
	const uint64_t *words = s->d->record->words;

	return words[BLK_WORD_HUNG_TIMES] >= BLK_HUNG_MAX && words[BLK_WORD_HUNG_QUEUE] == q &&
	       words[BLK_WORD_HUNG] == counter;
}

/* It was fatal to drivers, or to the device. */
static void refuse(struct blk_server *s, uint32_t q, const struct vq_chain *c)
{
	struct blk_request r;
	const char *why;

	if (blk_request_read(s->d, c, &r, &why))
		answer(s, q, c->head, r.status, BLK_S_IOERR, 0);
	else
		drv_break(s->d, why);
}

/* A request that the device knows nothing of. */
static void begin(struct blk_server *s, uint32_t q, const struct vq_chain *c)
{
	struct blk_flight *f = &s->queue[q].flights[c->head];
	uint64_t counter = vq_device_counter(&s->d->queue[q], c->head);

	if (!drv_work_on(s->d, q, c->head) || drv_is_overdue(s->d, q, c->head)) {
		refuse(s, q, c);
	} else if (hangs(s, q, counter)) {
		drv_log(s->d, RT_LOG_ERR,
			"request %lu of queue %u was not done in %u times %llu s: it fails", counter,
			q, BLK_HUNG_MAX, BLK_TIMEOUT_NS / BLK_SECOND);
		refuse(s, q, c);
	} else {
		*f = (struct blk_flight){ .counter = counter };
		s->queue[q].active++;
		issue(s, q, c, f);
	}
	drv_work_done(s->d);
}

/* The next command of a request that waits for one. */
static void issue_waiting(struct blk_server *s, uint32_t q)
{
	struct blk_queue *queue = &s->queue[q];
	uint16_t head = 0;
	uint64_t counter;

	while (!queue->flights[head].counter || queue->flights[head].with_device)
		head++;
	queue->again--;
	counter = queue->flights[head].counter - 1;
	/* The first one after the one before it: the request itself. */
	if (!vq_device_adopted(&s->d->queue[q], &counter, &queue->chain))
		return;			/* the client broke its queue */
	(void)drv_work_on(s->d, q, head);
	issue(s, q, &queue->chain, &queue->flights[head]);
	drv_work_done(s->d);
}

/* The next chain that the device does not have: a predecessor's first. */
static bool next_chain(struct blk_server *s, uint32_t q)
{
	struct blk_queue *queue = &s->queue[q];
	struct vq_device *link = &s->d->queue[q];

	while (queue->issuing && vq_device_adopted(link, &queue->issued, &queue->chain)) {
		if (queue->flights[queue->chain.head].counter)
			continue;	/* it was adopted with the device */
		s->d->record->issued++;
		return true;
	}
	queue->issuing = false;
	return vq_device_take(link, &queue->chain);
}

/* A predecessor's requests are done one by one, and before all others. */
static bool is_held_back(struct blk_queue *queue)
{
	if (!queue->in_order || queue->active)
		return queue->in_order;
	queue->in_order = queue->issuing;
	return false;
}

/* True: the link has no more; false: something has to end first. */
static bool take_all(struct blk_server *s, uint32_t q)
{
	struct blk_queue *queue = &s->queue[q];

	while (!s->d->broken && !s->d->queue[q].broken) {
		if (queue->blocked || !s->ops->has_room(s, q))
			return false;
		if (queue->again) {
			issue_waiting(s, q);
			continue;
		}
		if (is_held_back(queue))
			return false;
		if (!next_chain(s, q))
			return true;
		begin(s, q, &queue->chain);
	}
	return false;
}

void blk_server_serve(struct blk_server *s, uint32_t q)
{
	struct vq_device *link = &s->d->queue[q];
	struct blk_queue *queue = &s->queue[q];

	if (q >= s->queue_count)
		return;
	do {
		vq_device_notifications(link, false);
		queue->stopped = !take_all(s, q);
	} while (!queue->stopped && vq_device_notifications(link, true));
	if (link->broken)
		drv_break(s->d, link->broken);
	drv_publish(s->d, q);
	s->ops->submit(s, q);
}

void blk_server_go_on(struct blk_server *s, uint32_t q)
{
	struct blk_queue *queue = &s->queue[q];

	queue->blocked = false;
	if (queue->stopped || queue->again)
		blk_server_serve(s, q);
}

/* -- ends of commands ------------------------------------------------------------------------ */

void blk_server_ended(struct blk_server *s, uint32_t q, uint16_t head)
{
	struct blk_flight *f = &s->queue[q].flights[head];

	f->with_device = false;
	(void)drv_work_on(s->d, q, head);
	f->done += f->now;
	if (f->done < f->total)
		s->queue[q].again++;
	else
		land(s, q, f, head, BLK_S_OK, f->type == BLK_T_IN ? f->total : 0);
	drv_work_done(s->d);
}

static const char *name_of(uint8_t type)
{
	return type == BLK_T_IN ? "read" : type == BLK_T_OUT ? "write" : "other";
}

void blk_server_failed(struct blk_server *s, uint32_t q, uint16_t head, uint32_t code, bool again)
{
	struct blk_flight *f = &s->queue[q].flights[head];

	f->with_device = false;
	(void)drv_work_on(s->d, q, head);
	if (s->errors++ < ERRORS_LOGGED)
		drv_log(s->d, RT_LOG_ERR, "request %lu, %s: status %x%s", f->counter,
			name_of(f->type), code,
			s->errors == ERRORS_LOGGED ? " (the last that is logged)" : "");
	if (again && f->tries++ < BLK_RETRIES)
		s->queue[q].again++;
	else
		land(s, q, f, head, BLK_S_IOERR, 0);
	drv_work_done(s->d);
}

void blk_server_returned(struct blk_server *s, uint32_t q, uint16_t head)
{
	s->queue[q].flights[head].with_device = false;
	s->queue[q].again++;
}

/* -- time ------------------------------------------------------------------------------------ */

/* The oldest of the commands that are late; false: none is. */
static bool find_late(struct blk_server *s, uint32_t *queue, uint64_t *counter)
{
	uint64_t now = rt_now_ns();
	bool found = false;

	for (uint32_t q = 0; q < s->queue_count; q++) {
		for (uint32_t i = 0; i < s->d->layout.queue_size; i++) {
			const struct blk_flight *f = &s->queue[q].flights[i];

			if (!f->with_device || now - f->since_ns < BLK_TIMEOUT_NS ||
			    (found && f->counter > *counter))
				continue;
			*queue = q;
			*counter = f->counter;
			found = true;
		}
	}
	return found;
}

static void note_hung(struct blk_server *s, uint32_t q, uint64_t counter)
{
	uint64_t *words = s->d->record->words;

	if (words[BLK_WORD_HUNG_QUEUE] != q || words[BLK_WORD_HUNG] != counter)
		words[BLK_WORD_HUNG_TIMES] = 0;
	words[BLK_WORD_HUNG_QUEUE] = q;
	words[BLK_WORD_HUNG] = counter;
	words[BLK_WORD_HUNG_TIMES]++;
}

void blk_server_tick(struct blk_server *s)
{
	uint64_t counter = 0;
	uint32_t q = 0, active = 0;

	s->timer_runs = false;
	if (find_late(s, &q, &counter)) {
		note_hung(s, q, counter);
		blk_server_reset(s, "a command was not done in time", true);
	}
	for (q = 0; q < s->queue_count; q++)
		active += s->queue[q].active;
	if (active)
		run_timer(s);
}

/* -- succession ------------------------------------------------------------------------------ */

void blk_server_take_over(struct blk_server *s)
{
	struct record *r = s->d->record;
	uint64_t counter;

	r->adopted = r->issued = r->finished = 0;
	for (uint32_t q = 0; q < s->d->layout.queue_count; q++)
		for (counter = 0;
		     vq_device_adopted(&s->d->queue[q], &counter, &s->queue[q].chain);)
			r->adopted++;
}

bool blk_server_find(struct blk_server *s, uint32_t q, uint16_t head, uint64_t counter,
		     struct blk_request *r)
{
	uint64_t before = counter - 1;
	const char *why;

	/* Whoever issues one that cannot be read says what is wrong with it. */
	return counter && vq_device_counter(&s->d->queue[q], head) == counter &&
	       vq_device_adopted(&s->d->queue[q], &before, &s->queue[q].chain) &&
	       blk_request_read(s->d, &s->queue[q].chain, r, &why);
}

void blk_server_finish(struct blk_server *s, uint32_t q, const struct blk_request *r)
{
	(void)drv_work_on(s->d, q, r->head);
	answer(s, q, r->head, r->status, BLK_S_OK, r->type == BLK_T_IN ? r->length : 0);
	drv_work_done(s->d);
	s->d->record->finished++;
}

struct blk_flight *blk_server_adopt(struct blk_server *s, uint32_t q, uint16_t head,
				    uint64_t counter)
{
	struct blk_flight *f;
	struct blk_request r;

	if (!blk_server_find(s, q, head, counter, &r) || s->queue[q].flights[head].counter)
		return NULL;
	f = &s->queue[q].flights[head];
	*f = (struct blk_flight){ .counter = counter, .since_ns = rt_now_ns(), .status = r.status,
				  .type = (uint8_t)r.type, .with_device = true };
	s->queue[q].active++;
	run_timer(s);
	return f;
}

void blk_server_issue_again(struct blk_server *s, bool in_order)
{
	for (uint32_t q = 0; q < s->d->layout.queue_count; q++) {
		s->queue[q].issuing = true;
		s->queue[q].in_order = in_order;
	}
}
