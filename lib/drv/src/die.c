/* SPDX-License-Identifier: MIT */
/* See drv/die.h. */
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/process.h"

enum { DIE_STATUS = 77, SECOND_DEATHS = 29 };
enum { NEVER, ONCE, SWEEP, SWEEP_TWICE };

static struct drv *dying;
static int mode;
static uint64_t fatal_sector = UINT64_MAX;
static uint64_t notifications = UINT64_MAX;	/* that are left */

void drv_die_start(struct drv *d)
{
	static const char sector[] = "sector:", silent[] = "silent:";
	char word[32];
	uint64_t n;

	if (!CONFIG_CHECKS || !d->record || !drv_option(d, "die", word, sizeof(word)))
		return;
	dying = d;
	if (strcmp(word, "sweep") == 0)
		mode = SWEEP;
	else if (strcmp(word, "sweep2") == 0)
		mode = SWEEP_TWICE;
	else if (str_has_prefix(word, sector) && parse_u64_all(word + strlen(sector), &n))
		fatal_sector = n;
	else if (str_has_prefix(word, silent) && parse_u64_all(word + strlen(silent), &n))
		notifications = d->start.incarnation == 1 ? n : UINT64_MAX;
	else if (parse_u64_all(word, &n) && n && n < UINT32_MAX) {
		mode = ONCE;
		d->record->die_target = (uint32_t)n;
	}
}

uint64_t drv_die_sector(void)
{
	return fatal_sector;
}

bool drv_is_silent(void)
{
	if (!CONFIG_CHECKS || notifications == UINT64_MAX)
		return false;
	if (!notifications)
		return true;
	notifications--;
	return false;
}

/* A new round of the client's: one operation further than in the last.  False: none runs. */
static bool follow_round(struct record *r)
{
	struct link_header *h = dying->control;
	uint32_t round = atomic_load_explicit(&h->round, memory_order_relaxed);

	if (round != r->die_round) {
		r->die_round = round;
		r->die_target++;
		r->die_count = 0;
		r->die_done = 0;
	}
	return round != 0;
}

void drv_step(void)
{
	struct record *r;
	uint32_t target;

	if (!CONFIG_CHECKS || mode == NEVER)
		return;
	r = dying->record;
	if (mode != ONCE && !follow_round(r))
		return;
	target = r->die_done ? 1 + r->die_target % SECOND_DEATHS : r->die_target;
	if (r->die_done > (mode == SWEEP_TWICE) || ++r->die_count != target)
		return;
	r->die_done++;
	r->die_count = 0;
	k_process_exit(DIE_STATUS);
}
