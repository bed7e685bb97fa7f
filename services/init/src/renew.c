/* SPDX-License-Identifier: MIT */
/*
 * Links that are made anew, as nothing that a driver left is to be believed
 * (docs/decisions/0011-links-made-anew.md).
 *
 * Why:	its client found it to break the protocol; its queue stood still; it found its client to break
 *	the protocol, twice in a row; or a successor faults over what it adopts, or successors end
 *	one after the other without having done anything.
 * How:	while no driver runs, the link's epoch is counted up.  The client makes its rings anew, with all
 *	that is in flight, and says so.  Then the record is emptied, so that the next driver adopts
 *	nothing and resets the device, and finds these requests as if they were new.
 *
 * What the device was told to do meanwhile is over with the reset.  It reads and writes the
 * payload of requests in flight, which are the same afterwards.
 *
 * A client that wants nothing now does not look: there is no driver until it does.
 * Clients of disks and of network cards do it (a frame may come twice); others hold bytes that
 * may not be sent twice.
 */
#include <stdatomic.h>

#include "base/string.h"
#include "init.h"
#include "rt/process.h"

#define LOOK_NS		1000000000ull	/* at least */

enum { ACCUSERS = 2, FUTILE = 5 };	/* failures in a row */

bool instance_control_read(const struct instance *in, uint64_t offset, void *to, size_t n)
{
	uint64_t done = 0;

	return k_memory_read(in->control, offset, to, n, &done) == K_OK && done == n;
}

static bool client_can(const struct instance *in)
{
	return in->conf->serves == LINK_CLASS_BLOCK || in->conf->serves == LINK_CLASS_NET;
}

bool renew_is_accused(struct instance *in)
{
	uint32_t accusations;

	if (!client_can(in) ||
	    !instance_control_read(in, offsetof(struct link_header, accusations), &accusations, 4) ||
	    accusations == in->seen_accusations)
		return false;
	in->seen_accusations = accusations;
	in->is_distrusted = true;
	return true;
}

bool renew_is_due(const struct instance *in, bool blames_client)
{
	uint32_t client;

	if (!client_can(in) || !in->record ||
	    !instance_control_read(in, offsetof(struct link_header, client_state), &client, 4) ||
	    client != LINK_CLIENT_OPEN)
		return false;
	return in->is_distrusted || (blames_client && in->failures == ACCUSERS) ||
	       in->failures == FUTILE;
}

void renew_begin(struct instance *in)
{
	uint64_t done;

	in->is_renewing = true;
	in->epoch++;
	(void)!k_memory_write(in->control, offsetof(struct link_header, epoch), &in->epoch,
			      sizeof(in->epoch), &done);
	(void)!k_bell_ring(in->client_bell, LINK_BELL_STATE);
	/* Who rings for the driver rings for us until there is one. */
	(void)!k_bell_chain(in->server_bell, init.bell, BIT(BELL_TICK));
}

/* What is left is init's own, and what tests count. */
static void empty_record(struct instance *in)
{
	struct record *r = in->record;
	const struct record old = *r;

	memset(r, 0, record_length(&in->link));
	r->version = RECORD_VERSION;
	r->deaths = old.deaths;
	atomic_store_explicit(&r->answered, in->answered, memory_order_relaxed);
	r->die_round = old.die_round;
	r->die_target = old.die_target;
	r->die_count = old.die_count;
	r->die_done = old.die_done;
}

bool renew_is_done(struct instance *in, uint64_t now)
{
	uint32_t epoch;

	if (!in->is_renewing)
		return true;
	if (!instance_control_read(in, offsetof(struct link_header, client_epoch), &epoch, 4) ||
	    epoch != in->epoch) {
		in->retry_ns = now + LOOK_NS;
		return false;
	}
	(void)!k_bell_chain(in->server_bell, 0, 0);
	in->is_renewing = false;
	in->suspect = 0;
	empty_record(in);
	return true;
}
