/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of ./concord faults: injects faults into the text of a running disk
 * driver, one after the other, under a load that knows what every block of the disk should hold.
 *
 *	main.c		a fault's way, and what is said of it
 *	control.c	init's side: pokes, restarts, how incarnations ended
 *	load.c		the load
 *	blocks.c	what a block holds
 *
 * The host's side (tools/concord/faults.py) chooses the faults, and judges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR = 512, BLOCKS = 2048, WORKERS = 4 };

/* -- blocks.c: every block says which it is, and which write it is of ------------------------ */

void block_fill(void *to, uint32_t block, uint32_t version);
/* It is version @version of @block, to the last bit. */
bool block_is(const void *data, uint32_t block, uint32_t version);
/* FNV-1a of the @n bytes, going on from @sum. */
uint64_t checksum(uint64_t sum, const void *data, size_t n);
#define CHECKSUM_START 0xcbf29ce484222325ull

/* -- load.c -------------------------------------------------------------------------------------- */

/* What came of a round of the load, or of a look at the whole disk. */
struct result {
	uint32_t errors;		/* transfers that failed, and said so */
	uint32_t wrong;			/* blocks that came back other than they were acknowledged */
	uint64_t stall_ns;		/* the longest single transfer */
	bool stuck;			/* it does not end */
};

/* Open the disk at @path, and write all of it.  Ends the program if that fails. */
void load_start(const char *path);
/* A round of writes, flushes and reads by all workers at once; the same for the same @seed. */
struct result load_round(uint64_t seed);
/* Read all; what is wrong is counted, and written anew. */
struct result load_verify(void);
/* The checksum of what the disk should hold. */
uint64_t load_checksum(void);

/* -- control.c ---------------------------------------------------------------------------------- */

enum { HOW_MAX = 64 };

/* What became of the driver since control_begin(). */
struct fate {
	uint32_t deaths;		/* ends that nobody wished for */
	char how[HOW_MAX];		/* the first of them, in one word */
	bool trapped;			/* one died of a breakpoint */
	bool served;			/* the last incarnation that was started serves */
	bool dead;			/* it was given up */
};

/* The component @name is meant from now on.  Ends the program if there is none. */
void control_start(const char *name);
/* Forget what became of it until now. */
void control_begin(void);
/* Wait until the incarnation that runs serves, or it was given up, or for some seconds. */
struct fate control_settled(void);
/* Write into its text; false: init refuses. */
bool control_poke(uint64_t address, const void *bytes, size_t n);
void control_restart(void);

/* -- main.c --------------------------------------------------------------------------------------- */

/* Say it, and end the machine. */
void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t now_ns(void);
