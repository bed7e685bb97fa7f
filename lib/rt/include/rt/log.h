/* SPDX-License-Identifier: MIT */
/*
 * The log of the system, and ends that cannot go on.
 */
#pragma once

#include <stdint.h>

/* Levels as in syslog(3). */
enum { RT_LOG_EMERG, RT_LOG_ALERT, RT_LOG_CRIT, RT_LOG_ERR, RT_LOG_WARNING, RT_LOG_NOTICE,
       RT_LOG_INFO, RT_LOG_DEBUG };

/* One line, without the newline.  Formats: base/format.h. */
void rt_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * An invariant of this program is broken: log and end (placement kernel: kernel
 * panic; placement process: the process dies and leaves a post-mortem).
 */
void rt_panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define rt_assert(cond) \
	do { \
		if (!(cond)) \
			rt_panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond); \
	} while (0)
