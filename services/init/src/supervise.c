/* SPDX-License-Identifier: MIT */
/*
 * Supervision: how incarnations end, and what follows.
 *
 * An incarnation ends by itself (exit, fault), because somebody asked for it, or because
 * a look once a second finds it
 *
 *	without a heartbeat	at work on the same thing for BUSY_CPU_NS of processor time or
 *				BUSY_WALL_NS in all: it loops, or sleeps where it must not
 *	with a stalled queue	waiting, with requests of a disk unanswered, and none answered for
 *				STALL_MS (concord.stall=): the device has gone silent, or an answer was
 *				missed; its successor resets the device and believes nothing (renew.c).
 *				The third time in a row, it fails what is in flight: nobody waits for ever
 *	accused			its client says that it broke the protocol (renew.c)
 *
 * The heartbeat costs the driver two stores per wake-up and no message: it counts in its
 * record (struct record.beat), and only a number that does not change is news.
 *
 * The next incarnation starts at once.  One that ends soon, without having answered anything or
 * because it says that its client broke the protocol, is a failure; from the fourth failure in a row on there is a pause before the next, twice
 * as long each time; after FAILURES the instance is given up: its link is closed.
 *
 * A request that an incarnation died of (record.current says which one it worked on) is
 * counted; the third time in a row the driver is told to refuse it (record_request.fatal).  So is
 * one that a driver calls against the protocol: who of the two is wrong only their successors show.
 */
#include <stdatomic.h>

#include "base/format.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"
#include "virtio/link_layout.h"

#define SECOND		1000000000ull
#define BUSY_CPU_NS	(2 * SECOND)
#define BUSY_WALL_NS	(15 * SECOND)
#define ALIVE_NS	SECOND		/* whoever lived that long was no failure */
#define PAUSE_NS	10000000ull	/* the first */

enum { FREE_FAILURES = 3, FAILURES = 10, FATAL = 3, SILENCES = 3 };

static uint64_t now_ns(void)
{
	uint64_t now = 0;

	(void)!k_clock_read(K_CLOCK_MONOTONIC, &now);
	return now;
}

/* -- ends ------------------------------------------------------------------------------------ */

void instance_end(struct instance *in, const char *why, bool wished)
{
	if (in->state != INSTANCE_RUNNING || in->ending)
		return;
	in->ending = why;
	in->wished = wished;
	if (k_process_kill(in->process, K_EXIT_KILLED) != K_OK)
		report(RT_LOG_ERR, "init: cannot end %s", in->name);
}

/* The request that it worked on when it ended, or NULL.  The record may be nonsense. */
static struct record_request *suspect(const struct instance *in, uint32_t *queue, uint32_t *head)
{
	uint32_t current = atomic_load_explicit(&in->record->current, memory_order_relaxed);
	struct record_request *r;

	*queue = current >> 16;
	*head = (current & 0xffff) - 1;
	if (!current || *queue >= in->link.queue_count || *head >= in->link.queue_size)
		return NULL;
	r = &record_inflight(&in->link, in->record, *queue)->requests[*head];
	return r->inflight ? r : NULL;
}

static void blame_request(struct instance *in)
{
	uint32_t queue, head;
	struct record_request *r;

	if (!in->record)
		return;
	r = in->wished ? NULL : suspect(in, &queue, &head);
	if (!r) {
		in->suspect = 0;
		return;
	}
	r->fatal = r->counter == in->suspect ? (uint8_t)MIN(r->fatal + 1, 255) : 1;
	in->suspect = r->counter;
	if (r->fatal == FATAL)
		report(RT_LOG_ERR, "%s: request %lu of queue %u ended %d incarnations in a row: "
		       "it fails, the device goes on", in->name, r->counter, queue, FATAL);
}

/* How many requests are on record as taken; with @fail, they are to fail. */
static uint32_t requests_taken(struct instance *in, bool fail)
{
	uint32_t count = 0;

	for (uint32_t q = 0; q < in->link.queue_count; q++) {
		struct record_inflight *t = record_inflight(&in->link, in->record, q);

		for (uint32_t d = 0; d < in->link.queue_size; d++) {
			count += t->requests[d].inflight != 0;
			if (fail)
				t->requests[d].overdue = t->requests[d].inflight;
		}
	}
	return count;
}

/* The device has not answered anything through resets, by drivers that adopted nothing: their record is good. */
static void fail_requests(struct instance *in)
{
	report(RT_LOG_ERR, "%s: its device answered nothing %d times in a row: %u requests fail", in->name,
	       SILENCES, requests_taken(in, true));
	in->silences = 0;
}

/*
 * Its queue stands still, which is the device's doing if it was given something.  What its successor
 * adopts: the last time the requests, to fail them, else nothing.
 */
static void fell_silent(struct instance *in)
{
	uint64_t answered = atomic_load_explicit(&in->record->answered, memory_order_relaxed);

	if (in->ending)
		return;
	if (answered != in->silent_since)
		in->silences = 0;
	in->silent_since = answered;
	in->silences += requests_taken(in, false) != 0;
	in->wants_reset = true;
	in->is_distrusted = in->silences < SILENCES;
	instance_end(in, "a stalled queue", false);
}

static bool has_faulted(const struct instance *in)
{
	struct k_process_info i;

	return !in->ending && k_process_info(in->process, &i) == K_OK &&
	       (i.exit_status & K_EXIT_FAULT) && !(i.exit_status & K_EXIT_KILLED);
}

/* It ended by itself with this status. */
static bool ended_with(const struct instance *in, uint32_t status)
{
	struct k_process_info i;

	return !in->ending && k_process_info(in->process, &i) == K_OK &&
	       !(i.exit_status & (K_EXIT_FAULT | K_EXIT_KILLED)) && i.exit_status == status;
}

/* It ended because it found its client to break the protocol. */
static bool accused_its_client(const struct instance *in)
{
	return ended_with(in, COMPONENT_EXIT_PROTOCOL);
}

static bool was_failure(const struct instance *in)
{
	uint64_t answered = in->record ? atomic_load_explicit(&in->record->answered,
							      memory_order_relaxed) : 0;

	if (in->wished || in->died_ns - in->started_ns >= ALIVE_NS)
		return false;
	/* A client that is served and breaks the protocol in turn is not served for ever. */
	return answered == in->answered || in->is_distrusted || accused_its_client(in);
}

static void give_up(struct instance *in, const char *why)
{
	in->state = INSTANCE_DEAD;
	instance_close_link(in);
	if (in->conf->serves)
		report(RT_LOG_ERR, "%s: %s: its clients get errors from now on", in->name, why);
}

/* Start the next one, or set the time for it. */
static void start_next(struct instance *in)
{
	uint32_t extra = in->failures > FREE_FAILURES ? in->failures - FREE_FAILURES : 0;
	k_status_t st;

	if (in->failures > FAILURES) {
		give_up(in, "it ends without having done anything, again and again");
		return;
	}
	if (!renew_is_done(in, now_ns())) {
		in->state = INSTANCE_WAITING;
		return;
	}
	if (extra && in->state != INSTANCE_WAITING) {
		in->state = INSTANCE_WAITING;
		in->retry_ns = now_ns() + (PAUSE_NS << extra);
		return;
	}
	st = instance_incarnate(in);
	if (st == K_OK) {
		in->state = INSTANCE_RUNNING;
		return;
	}
	report(RT_LOG_ERR, "init: cannot start %s again: status %d", in->name, st);
	in->failures = MAX(in->failures + 1, (uint32_t)FREE_FAILURES + 1);
	in->state = INSTANCE_WAITING;
	in->retry_ns = now_ns() + SECOND;
}

static void account(struct instance *in)
{
	struct k_process_info info;

	if (k_process_info(in->process, &info) == K_OK)
		in->cpu_ns += info.cpu_ns;
	if (!in->record)
		return;
	in->record->deaths++;
	in->answered = atomic_load_explicit(&in->record->answered, memory_order_relaxed);
}

void instance_ended(struct instance *in)
{
	bool blames, fell_over, absent;

	if (in->state != INSTANCE_RUNNING)
		return;
	absent = ended_with(in, COMPONENT_EXIT_ABSENT);
	if (absent && in->incarnation == 1) {
		instance_discard(in);
		return;
	}
	in->died_ns = now_ns();
	blames = accused_its_client(in);
	fell_over = in->incarnation > 1 && !in->ready && has_faulted(in);
	(void)!renew_is_accused(in);	/* it may have ended before that was seen */
	in->failures = was_failure(in) ? in->failures + 1 : 0;
	post_mortem(in->name, in->program.name, in->ending, in->process);
	post_mortem_requests(in);
	account(in);
	update_ended(in);
	instance_forget(in);
	if (in->removal == REMOVAL_LEAVING) {
		slot_instance_ended(in);
		return;
	}
	if (update_takes_over(in)) {
		in->suspect = 0;
		supervise();
		return;
	}
	if (!in->conf->restart || init.never_restart || absent) {
		give_up(in, absent ? "its device is gone" : "it is not started again");
		return;
	}
	blame_request(in);
	if (in->silences >= SILENCES)
		fail_requests(in);
	/* What it adopted, it seems: nobody else has been there since. */
	in->is_distrusted |= fell_over && !in->suspect;
	if (renew_is_due(in, blames))
		renew_begin(in);
	in->is_distrusted = false;
	start_next(in);
	supervise();
}

/* -- beginnings -------------------------------------------------------------------------------- */

/* It serves: whoever waited since the last one's end goes on. */
static void ready(struct instance *in)
{
	static const char *const how[] = {
		[RECORD_NOTHING] = "", [RECORD_STARTED] = ", with a new device",
		[RECORD_ADOPTED] = ", with the live device", [RECORD_RESET] = ", after a reset",
	};
	const struct record *r = in->record;
	uint32_t adoption;
	char requests[96] = "";

	in->ready = true;
	in->wants_reset = false;
	update_serves(in);
	if (!in->died_ns || !r)
		return;
	adoption = atomic_load_explicit(&r->adoption, memory_order_relaxed);
	in->stall_ns = now_ns() - in->died_ns;
	if (adoption == RECORD_ADOPTED || adoption == RECORD_RESET)
		snprintf(requests, sizeof(requests), ": %u requests were with it, %u of them done; "
			 "%u issued", r->adopted, r->finished, r->issued);
	report(RT_LOG_WARNING, "%s: incarnation %u serves after %lu us%s%s", in->name,
	       in->incarnation, in->stall_ns / 1000, how[MIN(adoption, (uint32_t)RECORD_RESET)],
	       requests);
}

void instance_message(struct instance *in)
{
	for (;;) {
		k_handle_t handles[K_MESSAGE_MAX_HANDLES];
		uint32_t kind = 0;
		struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind),
				       .handles = (uint64_t)handles,
				       .handle_count = K_MESSAGE_MAX_HANDLES };

		if (in->state != INSTANCE_RUNNING || k_channel_recv(in->channel, &m, 0) != K_OK)
			return;
		for (uint32_t i = 0; i < m.handle_count; i++)
			rt_close(handles[i]);
		if (m.length != sizeof(kind))
			continue;
		if (kind == COMPONENT_READY && !in->ready)
			ready(in);
		else if (kind == COMPONENT_SLOT_EJECT || kind == COMPONENT_SLOT_GONE)
			slot_empty(in, kind == COMPONENT_SLOT_GONE);
	}
}

/* -- looking after them --------------------------------------------------------------------------- */

/* At work on the same thing for too long. */
static bool hangs(struct instance *in, uint64_t beat, uint64_t now)
{
	struct k_process_info info;
	bool busy = beat & 1;

	if (k_process_info(in->process, &info) != K_OK)
		return false;
	if (!busy || beat != in->seen_beat) {
		in->seen_beat = beat;
		in->seen_cpu_ns = info.cpu_ns;
		in->beat_since_ns = now;
		return false;
	}
	return info.cpu_ns - in->seen_cpu_ns >= BUSY_CPU_NS || now - in->beat_since_ns >= BUSY_WALL_NS;
}

/* As its client sees it: what the driver has noted of its answers is its own opinion. */
bool instance_has_requests(const struct instance *in)
{
	struct link_layout layout;
	uint16_t available, used;
	uint32_t client;

	if (in->conf->serves != LINK_CLASS_BLOCK || !in->ready ||
	    !link_layout_make(&in->link, &layout) ||
	    !instance_control_read(in, offsetof(struct link_header, client_state), &client, 4) ||
	    client != LINK_CLIENT_OPEN)
		return false;
	for (uint32_t q = 0; q < in->link.queue_count; q++)
		if (instance_control_read(in, link_layout_available(&layout, q), &available, 2) &&
		    instance_control_read(in, link_layout_used(&layout, q), &used, 2) &&
		    available != used)
			return true;
	return false;
}

/* Its queue does not move. */
static bool stalls(struct instance *in, uint64_t now)
{
	uint64_t answered = atomic_load_explicit(&in->record->answered, memory_order_relaxed);
	uint64_t limit_ms = init.stall_ms;

	if (answered != in->seen_answered || !in->ready || !instance_has_requests(in)) {
		in->seen_answered = answered;
		in->answered_since_ns = now;
		return false;
	}
	/* On probation, the end of which it must not outlast. */
	if (update_is_on_trial(in))
		limit_ms = MIN(limit_ms, init.probation_ms / 2);
	return now - in->answered_since_ns >= limit_ms * 1000000;
}

static void look_after(struct instance *in, uint64_t now)
{
	uint64_t beat = atomic_load_explicit(&in->record->beat, memory_order_relaxed);

	if (renew_is_accused(in)) {
		instance_end(in, "its client says that it broke the protocol", false);
	} else if (hangs(in, beat, now)) {
		instance_end(in, "no heartbeat", false);
	} else if (stalls(in, now)) {
		fell_silent(in);
	}
}

void supervise(void)
{
	uint64_t now = now_ns(), next = update_look(now);

	for (size_t i = 0; i < INSTANCES; i++) {
		struct instance *in = &init.instances[i];

		if (in->state == INSTANCE_WAITING && (in->is_renewing || in->retry_ns <= now))
			start_next(in);
		if (in->state == INSTANCE_RUNNING && in->record) {
			look_after(in, now);
			next = MIN(next, now + SECOND);
		}
		if (in->state == INSTANCE_WAITING)
			next = MIN(next, in->retry_ns);
	}
	if (next != UINT64_MAX &&
	    k_timer_set(init.tick, next, next == now + SECOND ? SECOND / 4 : 0) != K_OK)
		report(RT_LOG_ERR, "init: no timer to look after drivers");
}
