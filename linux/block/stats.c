/* SPDX-License-Identifier: MIT */
#include "base/format.h"
#include "base/string.h"
#include "block/stats.h"
#include "lx/lock_rank.h"
#include "rt/time.h"

#define NS_PER_MS 1000000u

void lx_io_stats_init(struct lx_io_stats *s)
{
	*s = (struct lx_io_stats){ 0 };
	rt_mutex_init(&s->lock, LX_LOCK_LEAF);
}

static uint32_t in_flight(const struct lx_io_stats *s)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < LX_IO_KINDS; i++)
		n += s->in_flight[i];
	return n;
}

uint64_t lx_io_begin(struct lx_io_stats *s, enum lx_io_kind kind)
{
	uint64_t now = rt_now_ns();

	rt_mutex_lock(&s->lock);
	if (!in_flight(s))
		s->busy_since = now;
	s->in_flight[kind]++;
	rt_mutex_unlock(&s->lock);
	return now;
}

void lx_io_end(struct lx_io_stats *s, enum lx_io_kind kind, uint64_t begun, uint64_t bytes)
{
	uint64_t now = rt_now_ns();

	rt_mutex_lock(&s->lock);
	s->in_flight[kind]--;
	s->count[kind]++;
	s->bytes[kind] += bytes;
	s->ns[kind] += now - begun;
	if (!in_flight(s))
		s->busy_ns += now - s->busy_since;
	rt_mutex_unlock(&s->lock);
}

void lx_io_numbers(struct lx_io_stats *s, struct lx_io_numbers *n)
{
	uint64_t now = rt_now_ns(), all = 0, busy;

	*n = (struct lx_io_numbers){ 0 };
	rt_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < LX_IO_KINDS; i++) {
		n->count[i] = s->count[i];
		n->sectors[i] = s->bytes[i] / 512;
		n->ms[i] = s->ns[i] / NS_PER_MS;
		all += s->ns[i];
	}
	n->reading = s->in_flight[LX_IO_READ];
	n->writing = in_flight(s) - n->reading;
	busy = s->busy_ns + (in_flight(s) && now > s->busy_since ? now - s->busy_since : 0);
	rt_mutex_unlock(&s->lock);
	n->busy_ms = busy / NS_PER_MS;
	n->weighted_ms = all / NS_PER_MS;
}

/* Requests are not merged here: those fields are 0. */
static size_t show(const struct lx_io_numbers *n, const char *format, char *buf, size_t size)
{
	const uint64_t v[] = {
		n->count[LX_IO_READ], 0, n->sectors[LX_IO_READ], n->ms[LX_IO_READ],
		n->count[LX_IO_WRITE], 0, n->sectors[LX_IO_WRITE], n->ms[LX_IO_WRITE],
		n->reading + n->writing, n->busy_ms, n->weighted_ms,
		n->count[LX_IO_DISCARD], 0, n->sectors[LX_IO_DISCARD], n->ms[LX_IO_DISCARD],
		n->count[LX_IO_FLUSH], n->ms[LX_IO_FLUSH],
	};
	size_t len = 0;

	for (unsigned int i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		len += (size_t)scnprintf(buf + len, size - len, format, i ? " " : "",
					 (unsigned long long)v[i]);
	return len;
}

size_t lx_io_show(struct lx_io_stats *s, bool wide, char *buf, size_t size)
{
	struct lx_io_numbers n;

	lx_io_numbers(s, &n);
	return show(&n, wide ? "%s%8llu" : "%s%llu", buf, size);
}
