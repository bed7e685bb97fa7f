/* SPDX-License-Identifier: MIT */
/*
 * Errors of writing back, which every open file is to hear of once (fsync(2), syncfs(2)).
 *
 * A sequence is a number that holds the last error, a count, and whether anybody was told
 * of that error.  A file keeps the number that it has seen; another one means news.  The count goes up
 * only if the error before was told: errors in a row, of which nobody knows, are one.  An error that
 * nobody was told of is news also to a file that is opened afterwards.
 *
 * Both words are changed by compare and exchange, without locks; they order nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct lx_errseq {
	_Atomic(uint32_t) value;	/* errno: 12 bits; LX_ERRSEQ_TOLD; a count */
};

#define LX_ERRSEQ_ERRNO	0xfffu
#define LX_ERRSEQ_TOLD	0x1000u
#define LX_ERRSEQ_COUNT	0x2000u

/* Note @err, a negative errno. */
static inline void lx_errseq_set(struct lx_errseq *s, int err)
{
	uint32_t old = atomic_load(&s->value), new;

	do {
		new = (old & ~(LX_ERRSEQ_ERRNO | LX_ERRSEQ_TOLD)) | (uint32_t)-err;
		if (old & LX_ERRSEQ_TOLD)
			new += LX_ERRSEQ_COUNT;
	} while (!atomic_compare_exchange_weak(&s->value, &old, new));
}

/* What a file that is being opened has seen. */
static inline uint32_t lx_errseq_sample(const struct lx_errseq *s)
{
	uint32_t now = atomic_load(&((struct lx_errseq *)s)->value);

	return now & LX_ERRSEQ_TOLD ? now : 0;
}

/* The error since *@seen, which has been told then; 0: none.  Of several callers with one @seen, one is told. */
static inline int lx_errseq_tell(struct lx_errseq *s, _Atomic(uint32_t) *seen)
{
	uint32_t now = atomic_load(&s->value), before = atomic_load(seen);

	if (now == before)
		return 0;
	/* if another error comes in between, that one is told now, or next time */
	if (!(now & LX_ERRSEQ_TOLD) &&
	    atomic_compare_exchange_strong(&s->value, &now, now | LX_ERRSEQ_TOLD))
		now |= LX_ERRSEQ_TOLD;
	if (!atomic_compare_exchange_strong(seen, &before, now))
		return 0;
	return -(int)(now & LX_ERRSEQ_ERRNO);
}
