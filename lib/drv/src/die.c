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
/* How many are left before it misbehaves; UINT64_MAX: it does not. */
static uint64_t notifications = UINT64_MAX, blame = UINT64_MAX, nonsense = UINT64_MAX,
		deaf = UINT64_MAX, mute = UINT64_MAX, quiet = UINT64_MAX, astray = UINT64_MAX;

void drv_die_start(struct drv *d)
{
	static const struct {
		const char *word;
		uint64_t *left;
	} misdeeds[] = { { "silent:", &notifications }, { "deaf:", &deaf }, { "blame:", &blame },
			 { "nonsense:", &nonsense }, { "mute:", &mute },
			 { "quiet:", &quiet },
			 { "astray:", &astray } };
	static const char sector[] = "sector:";
	char word[32];
	uint64_t n;

	if (!CONFIG_CHECKS || !d->record || !drv_option(d, "die", word, sizeof(word)))
		return;
	dying = d;
	if (str_has_prefix(word, "deaf:"))
		deaf = 0;
	for (size_t i = 0; i < ARRAY_SIZE(misdeeds); i++)
		if (str_has_prefix(word, misdeeds[i].word) && d->start.incarnation == 1 &&
		    parse_u64_all(word + strlen(misdeeds[i].word), &n))
			*misdeeds[i].left = n;
	if (strcmp(word, "sweep") == 0)
		mode = SWEEP;
	else if (strcmp(word, "sweep2") == 0)
		mode = SWEEP_TWICE;
	else if (str_has_prefix(word, sector) && parse_u64_all(word + strlen(sector), &n))
		fatal_sector = n;
	else if (parse_u64_all(word, &n) && n && n < UINT32_MAX) {
		mode = ONCE;
		d->record->die_target = (uint32_t)n;
	}
}

uint64_t drv_die_sector(void)
{
	return fatal_sector;
}

/* From the one on that is meant. */
static bool is_time(uint64_t *left)
{
	if (!CONFIG_CHECKS || *left == UINT64_MAX)
		return false;
	if (!*left)
		return true;
	--*left;
	return false;
}

/* Once. */
static bool is_the_time(uint64_t *left)
{
	bool now = is_time(left);

	if (now)
		*left = UINT64_MAX;
	return now;
}

bool drv_is_silent(void)
{
	return is_time(&notifications);
}

void drv_hears(void)
{
	deaf = UINT64_MAX;
}

bool drv_is_deaf(void)
{
	return is_time(&deaf);
}

bool drv_blames(void)
{
	return is_the_time(&blame);
}

bool drv_talks_nonsense(void)
{
	return is_the_time(&nonsense);
}

bool drv_is_mute(void)
{
	return is_time(&mute);
}

void drv_go_astray(struct drv *d, uint32_t queue)
{
	static _Alignas(64) uint8_t elsewhere[sizeof(struct vring_used) +
					      LINK_QUEUE_SIZE_MAX * sizeof(struct vring_used_elem)];

	if (is_the_time(&astray))
		d->queue[queue].ring.used = (struct vring_used *)elsewhere;
}

bool drv_is_quiet(void)
{
	return is_time(&quiet);
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
