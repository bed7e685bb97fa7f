/* SPDX-License-Identifier: MIT */
#include "log.h"
#include "base/string.h"

#define LOG_DUE		(1ull << 40)
#define LOG_LATE	(1ull << 41)

k_status_t log_take(struct log_lines *l, struct drv *d)
{
	k_status_t st = k_timer_create(d->bell, LOG_LATE, &l->timer);

	if (st != K_OK)
		return st;
	st = k_device_console_take(d->device, d->bell, LOG_DUE);
	if (st == K_ERR_NOT_FOUND)
		return K_OK;		/* another port */
	l->active = st == K_OK;
	l->due = l->active;
	return st;
}

void log_rang(struct log_lines *l, uint64_t bits)
{
	if (bits & LOG_DUE)
		l->due = l->active;
	if (bits & LOG_LATE) {
		l->late = l->timer_runs;
		l->timer_runs = false;
	}
}

/* Wait for the end of the client's line, not for ever. */
static void be_patient(struct log_lines *l)
{
	uint64_t now = 0;

	if (l->timer_runs)
		return;
	l->timer_runs = k_clock_read(K_CLOCK_MONOTONIC, &now) == K_OK &&
			k_timer_set(l->timer, now + LOG_PATIENCE_NS, 0) == K_OK;
	l->late = !l->timer_runs;
}

/* The next line into text, with carriage returns.  False: there is none. */
static bool fetch(struct log_lines *l, struct drv *d)
{
	char line[K_LOG_LINE_MAX];
	uint64_t n = 0;
	uint32_t at = 0;

	if (k_device_console_read(d->device, line, sizeof(line), &n) != K_OK || !n)
		return false;
	if (l->within_line) {
		l->text[at++] = '\r';
		l->text[at++] = '\n';
	}
	memcpy(l->text + at, line, n - 1);
	at += (uint32_t)n - 1;
	l->text[at++] = '\r';
	l->text[at++] = '\n';
	l->sent = 0;
	l->length = at;
	l->within_line = false;
	return true;
}

const uint8_t *log_bytes(struct log_lines *l, struct drv *d, uint32_t *n)
{
	if (l->sent == l->length) {
		if (!l->due)
			return NULL;
		if (l->within_line && !l->late) {
			be_patient(l);
			return NULL;
		}
		/* This also tells the kernel that the line before is out. */
		l->due = fetch(l, d);
		l->late = l->timer_runs = false;
		if (!l->due)
			return NULL;
	}
	*n = l->length - l->sent;
	return (const uint8_t *)l->text + l->sent;
}

void log_sent(struct log_lines *l, uint32_t n)
{
	l->sent += n;
}

uint32_t log_client_may_send(struct log_lines *l, const uint8_t *p, uint32_t n)
{
	const uint8_t *newline = l->due ? memchr(p, '\n', n) : NULL;

	if (newline)
		n = (uint32_t)(newline - p) + 1;
	l->within_line = p[n - 1] != '\n';
	return n;
}
