/* SPDX-License-Identifier: MIT */
/*
 * What a block device has done, for /proc/diskstats and stat in /sys (Linux's
 * Documentation/admin-guide/iostats.rst says what the numbers mean).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rt/lock.h"

enum lx_io_kind { LX_IO_READ, LX_IO_WRITE, LX_IO_DISCARD, LX_IO_FLUSH, LX_IO_KINDS };

struct lx_io_stats {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF: all below */
	uint64_t count[LX_IO_KINDS], bytes[LX_IO_KINDS], ns[LX_IO_KINDS];
	uint32_t in_flight[LX_IO_KINDS];
	uint64_t busy_since, busy_ns;	/* something was in flight */
};

void lx_io_stats_init(struct lx_io_stats *s);
/* Around a request; what begin returns goes to end. */
uint64_t lx_io_begin(struct lx_io_stats *s, enum lx_io_kind kind);
void lx_io_end(struct lx_io_stats *s, enum lx_io_kind kind, uint64_t begun, uint64_t bytes);

struct lx_io_numbers {			/* milliseconds and sectors of 512 bytes */
	uint64_t count[LX_IO_KINDS], sectors[LX_IO_KINDS], ms[LX_IO_KINDS];
	uint32_t reading, writing;
	uint64_t busy_ms, weighted_ms;
};
void lx_io_numbers(struct lx_io_stats *s, struct lx_io_numbers *n);
/* The 17 numbers as both files have them after the name, separated and padded as @wide says. */
size_t lx_io_show(struct lx_io_stats *s, bool wide, char *buf, size_t size);
