/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of ./concord faults: injects faults into the text of a running driver,
 * one after the other, under a load that knows what every byte should be.
 *
 *	main.c		a fault's way, and what is said of it
 *	list.c		the faults
 *	control.c	init's side: pokes, restarts, how incarnations ended
 *	disk.c		the load of a disk
 *	blocks.c	what a block of it holds
 *	echo.c		the load of a port: the other end sends back what it gets
 *	net.c		... of a network card, the same
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

/* -- loads ------------------------------------------------------------------------------------ */

/* What came of a round of the load, or of a look at what it left. */
struct result {
	uint32_t errors;		/* transfers that failed, and said so */
	uint32_t wrong;			/* blocks or bytes that came back other than they should */
	uint64_t stall_ns;		/* the longest wait for one transfer */
	bool stopped;			/* a port stood still: nothing passed any more */
	bool stuck;			/* it does not end */
};

struct load {
	/* Have a round's ground at @path, a device's node or a card's name.  Ends the program if that fails. */
	void (*start)(const char *path);
	/* A round; the same for the same @seed. */
	struct result (*round)(uint64_t seed);
	/*
	 * When a good driver runs: is all as the last round should have left it?  What is wrong is
	 * counted, and put right.  Errors: the device is lost.
	 */
	struct result (*verify)(void);
	/* Of what the host should see on a disk; 0 for others. */
	uint64_t (*checksum)(void);
};

extern const struct load disk_load, echo_load, net_load;

/* -- list.c ----------------------------------------------------------------------------------- */

enum { FAULT_BYTES = 16 };

struct fault {
	unsigned int number;
	unsigned int group;		/* one round is for all of a group, and its seed */
	uint64_t address;		/* of an instruction */
	uint8_t old[FAULT_BYTES], new[FAULT_BYTES];
	size_t length;
	bool done;			/* injected, or not to be */
};

/* The faults of the file at @path, *@n of them.  Ends the program if they make no sense. */
struct fault *faults_read(const char *path, size_t *n);

/* -- control.c ---------------------------------------------------------------------------------- */

enum { HOW_MAX = 64 };

/* What became of the driver since control_begin(). */
struct fate {
	uint32_t deaths;		/* ends that nobody wished for */
	char how[HOW_MAX];		/* the first of them, in one word */
	uint64_t trap;			/* where one died of a breakpoint, else 0 */
	bool served;			/* the last incarnation that was started serves */
	bool dead;			/* it was given up */
};

/* The component @name is meant from now on.  Ends the program if there is none. */
void control_start(const char *name);
/* Forget what became of it until now. */
void control_begin(void);
/* Wait, a second at most, until it does nothing: it may go on when the load has all it wants. */
void control_idle(void);
/* Wait until the incarnation that runs serves, or it was given up, or for some seconds. */
struct fate control_settled(void);
/* Write into the text of the incarnation that last settled; false: it has ended. */
bool control_poke(uint64_t address, const void *bytes, size_t n);
void control_restart(void);

/* -- main.c --------------------------------------------------------------------------------------- */

/* Say it, and end the machine. */
void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t now_ns(void);
