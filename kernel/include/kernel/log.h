/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log: a ring of bytes in memory, and the early console.
 *
 * One line per call, from any context (interrupts, locks held; not NMI).  Each
 * byte of the ring has a sequence number that only grows; a reader that is too
 * slow loses the oldest lines.  A record is "<level>[seconds.micros] text\n".
 * Lines of level below loglevel= also go to the console: at once, or by the driver
 * that has it (device/console.c).
 */
#pragma once

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"
#include "base/util.h"

enum log_level {
	LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG
};

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Text of a process (k_log_write): unprintable bytes are replaced, one record. */
void log_text(enum log_level level, const char *text, size_t length);

/*
 * Copy whole records from @sequence (or the oldest there is) on, at most @size
 * bytes.  Returns the bytes copied, 0: nothing newer; *@next is the sequence to go
 * on with.
 */
size_t log_read(uint64_t sequence, char *dst, size_t size, uint64_t *next);
uint64_t log_end(void);			/* the sequence after the last record */

/* @notify is called after lines were added: interrupt context, no locks held. */
void log_set_notify(void (*notify)(void));

/*
 * For device/console.c, which says how these work together.
 *
 * Release: the kernel prints no more.  Take: it does again, and first what is due.
 */
void log_console_release(void);
void log_console_take(void);
/*
 * Everything that this gave before is out; copy the next line that is due, with its
 * newline.  SHOULD_WAIT: there is none.  TOO_BIG: @size is too small for it.
 */
MUST_CHECK k_status_t log_console_next(char *line, size_t size, size_t *length);
/* Half of the ring waits for whoever has the console. */
bool log_console_is_behind(void);
/* Something does; *@out grows with what is known to be out. */
bool log_console_is_due(uint64_t *out);

void log_set_console_level(int level);	/* lines with level < this are printed */

/* From the handler of IPI_RESCHEDULE: call notify if lines were added. */
void log_run_notify(void);

/*
 * The machine ends, and the other CPUs are stopped: print what is due, on the port
 * itself.  Without the lock; so are those of panic().
 */
void log_last_words(void);

/* panic() alone. */
void log_panic_begin(void);
void log_panic_write(const char *text, size_t length);
