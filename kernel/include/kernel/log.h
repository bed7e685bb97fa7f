/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log: a ring of bytes in memory, and the early console.
 *
 * One line per call, from any context (interrupts, locks held; not NMI).  Each
 * byte of the ring has a sequence number that only grows; a reader that is too
 * slow loses the oldest lines.  A record is "<level>[seconds.micros] text\n".
 * Until the console is given away (log_console_release), lines of level below
 * loglevel= also go to the early console at once.
 */
#pragma once

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

/* A component drives the console's device from now on; and back (its death, or panic). */
void log_console_release(void);
void log_console_take(void);

void log_set_console_level(int level);	/* lines with level < this are printed */

/* From the handler of IPI_RESCHEDULE: call notify if lines were added. */
void log_run_notify(void);

/* panic() alone: write without the lock, also to the ring. */
void log_panic_begin(void);
void log_panic_write(const char *text, size_t length);
