/* SPDX-License-Identifier: MIT */
/*
 * Faults, one after the other.  /faults has a line for each:
 *
 *	NUMBER ADDRESS OLD NEW		address of an instruction, its bytes and what they become
 *
 * A fault's way:
 *
 * 1.	A breakpoint at the instruction, and a round of the load.  If nobody died of it the
 *	round does not go there: the fault would not be activated.  If one did, a driver has died at
 *	exactly this instruction, and the round has to be right all the same.
 * 2.	The fault in its place, in the incarnation that runs then, and the same round again.
 * 3.	Unless that has ended by itself, it is restarted: the next has the text that it should have.
 * 4.	Everything on the disk is compared.  What is wrong is counted and put right.
 *
 * What is known of it is said on the console in one line "fault: NUMBER word=value...".  When the disk does
 * not come back the machine ends, with "fault: NUMBER lost", and the host goes on with another.
 *
 * The words after "--" are the component's name and the disk.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

enum { BYTES_MAX = 16 };

struct fault {
	unsigned int number;
	uint64_t address;
	uint8_t old[BYTES_MAX], new[BYTES_MAX];
	size_t length;
};

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void end(void)
{
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void give_up(const char *fmt, ...)
{
	va_list args;

	printf("faults: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	end();
	abort();
}

static size_t hex_read(const char *text, uint8_t *to)
{
	size_t n = 0;
	unsigned int byte;

	for (; n < BYTES_MAX && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		to[n] = (uint8_t)byte;
	return n;
}

static bool fault_read(FILE *from, struct fault *f)
{
	char old[2 * BYTES_MAX + 2], new[2 * BYTES_MAX + 2];
	unsigned long address;

	if (fscanf(from, "%u %lx %33s %33s", &f->number, &address, old, new) != 4)
		return false;
	f->address = address;
	f->length = hex_read(old, f->old);
	if (!f->length || hex_read(new, f->new) != f->length)
		give_up("fault %u makes no sense", f->number);
	return true;
}

static void lost(const struct fault *f, const char *where)
{
	printf("fault: %u lost=%s\n", f->number, where);
	end();
}

/* After a round: the disk as the good driver shows it. */
static struct result look_at_disk(const struct fault *f, const char *where)
{
	struct result r = load_verify();

	if (r.errors)
		lost(f, where);
	return r;
}

/* The round dies at the instruction.  False: it does not. */
static bool probe(const struct fault *f)
{
	static const uint8_t breakpoint = 0xcc;
	struct result r, disk;
	struct fate fate;

	control_settled();
	control_begin();
	if (!control_poke(f->address, &breakpoint, 1))
		give_up("init does not poke");
	r = load_round(f->number);
	if (r.stuck)
		lost(f, "probe-stuck");
	fate = control_settled();
	if (!fate.trapped && !control_poke(f->address, f->old, 1))
		give_up("init does not poke back");
	if (!fate.trapped && !fate.deaths && !r.errors && !r.wrong)
		return false;
	disk = look_at_disk(f, "probe-disk");
	printf("fault: %u probe deaths=%u errors=%u wrong=%u disk=%u stall=%lu\n", f->number,
	       fate.deaths, r.errors, r.wrong, disk.wrong, (unsigned long)r.stall_ns / 1000);
	return fate.trapped;
}

static void inject(const struct fault *f)
{
	struct result r, disk;
	struct fate fate;

	control_begin();
	if (!control_poke(f->address, f->new, f->length))
		give_up("init does not poke");
	r = load_round(f->number);
	if (r.stuck)
		lost(f, "stuck");
	fate = control_settled();
	if (!fate.deaths && !fate.dead) {
		control_restart();
		fate = control_settled();
		/* Who dies now dies of what was left behind. */
	}
	if (fate.dead)
		lost(f, "given-up");
	if (!fate.served)
		lost(f, "not-served");
	disk = look_at_disk(f, "disk");
	printf("fault: %u deaths=%u how=%s errors=%u wrong=%u disk=%u stall=%lu\n", f->number,
	       fate.deaths, fate.deaths ? fate.how : "-", r.errors, r.wrong, disk.wrong,
	       (unsigned long)r.stall_ns / 1000);
}

int main(int argc, char **argv)
{
	FILE *list = fopen("/faults", "re");
	struct fault f;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || !list)
		give_up("expected a component and a disk, and /faults");
	for (int i = 0; i < 500 && access(argv[2], F_OK); i++)
		usleep(20000);
	control_start(argv[1]);
	load_start(argv[2]);
	while (fault_read(list, &f)) {
		printf("fault: %u begins\n", f.number);
		if (probe(&f))
			inject(&f);
		else
			printf("fault: %u not-reached\n", f.number);
	}
	printf("faults: all done, checksum %016lx\n", (unsigned long)load_checksum());
	end();
}
