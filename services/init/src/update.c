/* SPDX-License-Identifier: MIT */
/*
 * Replacing a component's program while it runs, and while it is used.
 *
 * The program arrives piece by piece (RECEIVING) in memory of our own, which nobody else can
 * write.  When all is there it is checked and loaded into a process, so that
 * whatever can fail without the old one's end has failed by then.  Then
 *
 *	HANDING_OVER	the old incarnation's channel is closed, which tells it to end between two
 *			requests; one that does not is killed, which is as good
 *	STARTING	the new one was started over the same link, record and live device, as
 *			any next incarnation is (docs/decisions/0006-adoption.md)
 *	ON_PROBATION	it serves.  Until the end of its probation, the old program is kept
 *	KEPT		it is the component's program now, until the next boot
 *
 * If it does not serve in time, or ends in its probation for whatever reason but somebody's
 * wish, the next incarnation runs the old program again (REVERTED).  Its failures count
 * for nobody: no request is blamed, no pause is made.
 *
 * What this does not give: protection from a program that writes nonsense into the record, or
 * tells its device to.  It has the authority of the component that it replaces, no more and
 * no less.
 *
 * One update at a time, so that one that was left half done costs little: the
 * next one takes its place.
 */
#include <stdatomic.h>

#include "abi/control.h"
#include "base/format.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"

#define HAND_OVER_NS	1000000000ull	/* to end between two requests */
#define START_NS	10000000000ull	/* to serve, or to show that it is alive (drv_alive()) */
#define START_MAX_NS	150000000000ull	/* ... for a device that takes its time */

_Static_assert(sizeof(struct control_request) + CONTROL_DATA_MAX <= K_MESSAGE_MAX_BYTES, "a message");
_Static_assert(sizeof(struct control_reply) <= K_MESSAGE_MAX_BYTES, "a message");

static struct update {
	uint32_t state;			/* enum control_update_state; 0: there was none yet */
	uint64_t token;			/* its number */
	struct instance *in;
	struct program program;
	uint64_t received;		/* bytes */
	struct prepared next;		/* HANDING_OVER */
	struct program old;		/* STARTING, ON_PROBATION: what to go back to */
	uint32_t incarnation;
	uint64_t answered;		/* requests, by those before it */
	uint64_t beat;			/* STARTING: when it was looked at last */
	uint64_t deadline_ns;		/* of these states */
	char why[96];
} update;

static uint64_t now_ns(void)
{
	uint64_t now = 0;

	(void)!k_clock_read(K_CLOCK_MONOTONIC, &now);
	return now;
}

static bool is_under_way(void)
{
	return update.state == CONTROL_UPDATE_HANDING_OVER ||
	       update.state == CONTROL_UPDATE_STARTING ||
	       update.state == CONTROL_UPDATE_ON_PROBATION;
}

bool update_is_on_trial(const struct instance *in)
{
	return update.in == in && (update.state == CONTROL_UPDATE_STARTING ||
				   update.state == CONTROL_UPDATE_ON_PROBATION);
}

static void why(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void why(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(update.why, sizeof(update.why), fmt, args);
	va_end(args);
}

/* -- its memory ------------------------------------------------------------------------------- */

/* Programs of the bundle stay. */
static void program_drop(struct program *p)
{
	if (p->memory && p->memory != init.handle[K_BOOT_BUNDLE]) {
		rt_unmap((void *)(uintptr_t)p->data, ALIGN_UP(p->length, (uint64_t)K_PAGE_SIZE));
		rt_close(p->memory);
	}
	*p = (struct program){ 0 };
}

static k_status_t program_make(struct program *p, uint64_t length)
{
	struct k_map map = { .length = ALIGN_UP(length, (uint64_t)K_PAGE_SIZE),
			     .prot = K_PROT_READ, .max_prot = K_PROT_READ, .flags = K_MAP_SHARED };
	k_status_t st = k_memory_create(init.components_group, map.length, 0, &map.memory);

	if (st != K_OK)
		return st;
	st = k_space_map(0, &map);
	if (st != K_OK) {
		rt_close(map.memory);
		return st;
	}
	*p = (struct program){ .name = "its update", .data = (const void *)map.addr,
			       .length = length, .memory = map.memory };
	return K_OK;
}

/* -- what conctl asks for ------------------------------------------------------------------------ */

static k_status_t refuse(k_status_t st, struct control_reply *r, const char *text)
{
	strlcpy(r->update.why, text, sizeof(r->update.why));
	return st;
}

static k_status_t begin(const char *name, uint64_t length, struct control_reply *r)
{
	struct instance *in = instance_find(name);
	k_status_t st;

	if (!in)
		return refuse(K_ERR_NOT_FOUND, r, "no such component");
	if (!in->record || !in->conf->restart || init.never_restart)
		return refuse(K_ERR_NOT_SUPPORTED, r, "it is none that can be replaced while it runs");
	if (is_under_way())
		return refuse(K_ERR_BAD_STATE, r, "another update is under way");
	if (!length || length > CONTROL_PROGRAM_MAX)
		return refuse(K_ERR_TOO_BIG, r, "the program is empty, or larger than 4 MiB");
	program_drop(&update.program);
	update = (struct update){ .token = update.token + 1, .in = in };
	st = program_make(&update.program, length);
	if (st != K_OK)
		return refuse(st, r, "no memory for the program");
	update.state = CONTROL_UPDATE_RECEIVING;
	r->next = update.token;
	return K_OK;
}

static k_status_t receive(uint64_t offset, const void *bytes, size_t n, struct control_reply *r)
{
	uint64_t done = 0;
	k_status_t st;

	if (update.state != CONTROL_UPDATE_RECEIVING)
		return refuse(K_ERR_BAD_STATE, r, "the program is complete");
	if (offset != update.received || !n || n > update.program.length - offset)
		return refuse(K_ERR_BAD_ARGUMENT, r, "bytes that are not the next ones of the program");
	st = k_memory_write(update.program.memory, offset, bytes, n, &done);
	update.received += done;
	return st;
}

/* From here on there is no way back but forward: the old one ends, and then comes the new one. */
static void hand_over(struct instance *in)
{
	update.state = CONTROL_UPDATE_HANDING_OVER;
	update.deadline_ns = now_ns() + HAND_OVER_NS;
	in->wished = true;
	rt_close(in->channel);
	in->channel = 0;
	supervise();
}

static k_status_t commit(struct control_reply *r)
{
	struct instance *in = update.in;
	const char *text;
	k_status_t st;

	if (update.state != CONTROL_UPDATE_RECEIVING || update.received != update.program.length)
		return refuse(K_ERR_BAD_STATE, r, "the program is not complete");
	if (in->state != INSTANCE_RUNNING || !in->ready || in->ending)
		return refuse(K_ERR_BAD_STATE, r, "the component does not run");
	if (!program_check(&update.program, &text)) {
		snprintf(r->update.why, sizeof(r->update.why), "the program is %s", text);
		program_drop(&update.program);
		update.state = 0;
		return K_ERR_NOT_SUPPORTED;
	}
	st = instance_prepare(in, &update.program, &update.next);
	if (st != K_OK)
		return refuse(st, r, "the program cannot be loaded");
	hand_over(in);
	return K_OK;
}

static k_status_t tell(struct control_reply *r)
{
	r->update.state = update.state;
	r->update.incarnation = update.incarnation;
	r->update.stall_ns = update.in->stall_ns;
	r->update.probation_ms = init.probation_ms;
	strlcpy(r->update.why, update.why, sizeof(r->update.why));
	return K_OK;
}

k_status_t update_control(const struct control_request *q, const void *bytes, size_t n,
			  struct control_reply *r)
{
	if (q->op == CONTROL_UPDATE_BEGIN)
		return begin(q->name, q->index, r);
	if (!update.state || q->token != update.token)
		return refuse(K_ERR_NOT_FOUND, r, "another update took its place");
	switch (q->op) {
	case CONTROL_UPDATE_DATA:
		return receive(q->index, bytes, n, r);
	case CONTROL_UPDATE_COMMIT:
		return commit(r);
	default:
		return tell(r);
	}
}

/* -- what happens to it ---------------------------------------------------------------------------- */

static void revert(struct instance *in)
{
	report(RT_LOG_ERR, "%s: its update %s: back to the program before it", in->name, update.why);
	program_drop(&update.program);
	in->program = update.old;
	update.old = (struct program){ 0 };
	update.state = CONTROL_UPDATE_REVERTED;
	in->wished = true;		/* nobody else is to blame for its end */
	in->failures = 0;
}

static void keep(struct instance *in)
{
	report(RT_LOG_NOTICE, "%s: its update is kept", in->name);
	program_drop(&update.old);
	update.program = (struct program){ 0 };		/* it is in->program now */
	update.state = CONTROL_UPDATE_KEPT;
}

static void say_end(const struct instance *in)
{
	struct k_process_info i;

	if (in->ending)
		why("was ended: %s", in->ending);
	else if (k_process_info(in->process, &i) == K_OK && (i.exit_status & K_EXIT_FAULT))
		why("died: exception %lu at %lx", i.fault_vector, i.fault_rip);
	else
		why("ended by itself");
}

void update_ended(struct instance *in)
{
	if (!update_is_on_trial(in))
		return;
	if (in->wished) {		/* it is started again, with the same chance */
		update.state = CONTROL_UPDATE_STARTING;
		update.deadline_ns = now_ns() + START_NS;
		update.incarnation++;
		return;
	}
	say_end(in);
	revert(in);
}

bool update_takes_over(struct instance *in)
{
	k_status_t st;

	if (update.in != in || update.state != CONTROL_UPDATE_HANDING_OVER)
		return false;
	st = instance_launch(in, &update.next);
	update.incarnation = in->incarnation;
	update.old = in->program;
	in->program = update.program;
	if (st != K_OK) {
		why("cannot be started: status %d", st);
		revert(in);
		return false;
	}
	update.state = CONTROL_UPDATE_STARTING;
	update.deadline_ns = now_ns() + START_NS;
	return true;
}

void update_serves(struct instance *in)
{
	if (!update_is_on_trial(in))
		return;
	update.state = CONTROL_UPDATE_ON_PROBATION;
	update.answered = atomic_load_explicit(&in->record->answered, memory_order_relaxed);
	update.deadline_ns = now_ns() + init.probation_ms * 1000000;
}

/* Nothing but a queue that does not move speaks for it: that is for supervise.c to decide. */
static bool has_done_nothing(const struct instance *in)
{
	return instance_has_requests(in) &&
	       atomic_load_explicit(&in->record->answered, memory_order_relaxed) == update.answered;
}

/* It waits for its device, and says so. */
static bool still_starts(const struct instance *in, uint64_t now)
{
	uint64_t beat = atomic_load_explicit(&in->record->beat, memory_order_relaxed);

	if (beat == update.beat || now - in->started_ns >= START_MAX_NS)
		return false;
	update.beat = beat;
	update.deadline_ns = now + START_NS;
	return true;
}

void update_removed(struct instance *in)
{
	if (update.in == in && update.state == CONTROL_UPDATE_HANDING_OVER) {
		rt_close(update.next.process);
		rt_close(update.next.space);
	}
	if (update_is_on_trial(in)) {
		program_drop(&update.old);
		update.program = (struct program){ 0 };		/* it is in->program */
	}
	if (update.in == in && (is_under_way() || update.state == CONTROL_UPDATE_RECEIVING)) {
		why("came to nothing: the device of %s was removed", in->name);
		program_drop(&update.program);
		update.state = CONTROL_UPDATE_REVERTED;
	}
	program_drop(&in->program);
}

uint64_t update_look(uint64_t now)
{
	if (!is_under_way())
		return UINT64_MAX;
	if (now < update.deadline_ns)
		return update.deadline_ns;
	switch (update.state) {
	case CONTROL_UPDATE_HANDING_OVER:
		instance_end(update.in, "it does not end for its update", true);
		break;
	case CONTROL_UPDATE_STARTING:
		if (still_starts(update.in, now))
			return update.deadline_ns;
		instance_end(update.in, "it does not serve in time", false);
		break;
	default:
		if (!has_done_nothing(update.in))
			keep(update.in);
	}
	return UINT64_MAX;		/* an end rings */
}
