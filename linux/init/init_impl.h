/* SPDX-License-Identifier: MIT */
/* Shared by the files of linux/init. */
#pragma once

#include "lx/fs.h"
#include "lx/types.h"

#define MAX_INIT_ARGS	32
#define MAX_INIT_ENVS	32

/* What the command line says, as Linux understands it.  Strings point into buffer. */
struct cmdline {
	char buffer[1024];
	struct lx_root_args root;
	const char *init, *rdinit;
	const char *trace;		/* lx.trace= */
	bool gpt;			/* trust the second header of a partition table */
	const char *argv[MAX_INIT_ARGS + 2];	/* [0] is the program's name; NULL-terminated */
	const char *envp[MAX_INIT_ENVS + 3];
	unsigned int argc, envc;
};

extern struct cmdline lx_cmdline;

void cmdline_parse(struct cmdline *c, const char *line);

/* Start process 1, on a thread of its own. */
void init_task_start(k_handle_t initrd, uint64_t initrd_length);
/* init has reported all devices. */
void init_settled(void);
/* As Linux panics: says why and ends the machine as panic= says. */
void init_panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
