/* SPDX-License-Identifier: MIT */
/*
 * What the clients of the isolation tests share: a personality (placement process) that has
 * no Linux in it.  It uses every link that it is given in a thread of its own; when all
 * have been used it says so on the log, and asks for power-off.
 */
#pragma once

#include "abi/bootstrap.h"
#include "abi/status.h"
#include "link/link.h"

#define SECONDS 1000000000ull

struct client {
	const char *word;		/* what its lines on the log begin with */
	uint64_t linger_ns;		/* from the last use to power-off */
	void (*start)(const struct linux_start *m);		/* or NULL */
	/* Whether @m could be opened; or NULL: only failures are told. */
	void (*opened)(const struct linux_link *m, k_status_t st);
	void (*use)(struct link *l);	/* returns when done with it; the link stays open */
};

/* Each client defines its own. */
extern const struct client client;

/* "WORD: NAME: ..." on the log. */
void say(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
