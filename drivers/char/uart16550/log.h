/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log lines among the bytes of the client.
 *
 * The driver of the kernel's console prints log lines (k_device_console_take).  One
 * goes out whole, and where the client's output stands at the start of a line.  A
 * client that stays within a line (a prompt) does not hold the log up for ever: after
 * LOG_PATIENCE_NS the line is ended for it.
 */
#pragma once

#include "abi/calls.h"
#include "drv/drv.h"

#define LOG_PATIENCE_NS	1000000000ull

struct log_lines {
	bool active;			/* this port is the console */
	k_handle_t timer;		/* rings LOG_LATE */
	bool due;			/* there may be lines to fetch */
	bool late;			/* waited long enough */
	bool timer_runs;
	bool within_line;		/* the client's last byte was no newline */
	uint32_t sent, length;		/* of text; equal: no line is under way */
	char text[2 * K_LOG_LINE_MAX];
};

/* Become the printer of the kernel's lines, if @d's port is its console. */
k_status_t log_take(struct log_lines *l, struct drv *d) __attribute__((warn_unused_result));
/* Bits of DRV_OWN_BITS rang. */
void log_rang(struct log_lines *l, uint64_t bits);

/*
 * What to send before anything of the client's, *@n bytes; NULL: nothing now.
 * Afterwards log_sent() says how much of it went out.
 */
const uint8_t *log_bytes(struct log_lines *l, struct drv *d, uint32_t *n);
void log_sent(struct log_lines *l, uint32_t n);

/* How many of the client's @n bytes at @p to send now: up to a newline, if a line waits for it. */
uint32_t log_client_may_send(struct log_lines *l, const uint8_t *p, uint32_t n);
