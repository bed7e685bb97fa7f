/* SPDX-License-Identifier: MIT */
/*
 * Faults, one after the other, in groups.  A fault's way:
 *
 * 1.	Breakpoints at the instructions of all that are left of its group, and a round of the
 *	load.  If nobody dies of one, the round goes to none of them: they would not be activated.
 *	If one does, a driver has died at exactly this instruction, and the round has to be right
 *	all the same.
 * 2.	That fault in its place, in the incarnation that runs then, and the same round again.
 * 3.	Unless that has ended by itself, it is restarted: the next has the text it should have.
 * 4.	Everything is compared.  What is wrong is counted and put right.
 * 5.	The same for what is left of the group.
 *
 * So what a group costs is two rounds for each that is activated, and one.
 *
 * What is known of a fault is said on the console in lines "fault: NUMBER ...":
 *
 *	probes			it is the first of those that are left
 *	probe word=value...	a driver stopped there
 *	not-reached		none did
 *	none			there is nothing to inject: it was the stop that was wanted
 *	word=value...		it was injected
 *	lost=...		the device does not come back: the machine ends, and the host goes
 *				on with what is left
 *
 * The words after "--" are the component's name and its device's node, or the network card's name.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

enum { STEP_S = 200 };			/* a step takes no longer: everything in it has an end */

static const struct load *load;
static volatile unsigned int at_work_on;	/* number of a fault */

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

static void lost(const struct fault *f, const char *where)
{
	printf("fault: %u lost=%s\n", f->number, where);
	end();
}

/* SIGALRM: whatever we wait for does not come. */
static void step_is_late(int signal)
{
	char text[48];
	int n = snprintf(text, sizeof(text), "fault: %u lost=stuck\n", at_work_on);

	if (write(STDOUT_FILENO, text, (size_t)n) == n)
		reboot(RB_POWER_OFF);
	pause();
}

static void step(const struct fault *f)
{
	at_work_on = f->number;
	alarm(STEP_S);
}

/* After a round, when a good driver runs. */
static struct result look_after(const struct fault *f, const char *where)
{
	struct result r = load->verify();

	if (r.errors)
		lost(f, where);
	return r;
}

static struct fault *first_left(struct fault *group, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!group[i].done)
			return &group[i];
	return NULL;
}

/* A driver that was not idle yet may run into one at once; its successor gets none. */
static void poke_breakpoints(const struct fault *group, size_t n)
{
	static const uint8_t breakpoint = 0xcc;
	bool runs = true;

	for (size_t i = 0; i < n && runs; i++)
		if (!group[i].done)
			runs = control_poke(group[i].address, &breakpoint, 1);
}

/* False: it has run into one just before. */
static bool poke_back(const struct fault *group, size_t n)
{
	bool runs = true;

	for (size_t i = 0; i < n && runs; i++)
		if (!group[i].done)
			runs = control_poke(group[i].address, group[i].old, 1);
	return runs;
}

/* Whose breakpoint it was. */
static struct fault *fault_at(struct fault *group, size_t n, uint64_t address)
{
	for (size_t i = 0; address && i < n; i++)
		if (!group[i].done && group[i].address == address)
			return &group[i];
	return NULL;
}

/* False: the round reaches none of those that are left.  Else it died at @hit's, if that is set. */
static bool probe(struct fault *group, size_t n, struct fault **hit)
{
	struct fault *first = first_left(group, n), *about;
	struct result r, after;
	struct fate fate;

	step(first);
	printf("fault: %u probes\n", first->number);
	control_settled();
	control_begin();
	poke_breakpoints(group, n);
	r = load->round(first->group);
	if (r.stuck)
		lost(first, "probe-stuck");
	control_idle();
	fate = control_settled();
	if (!fate.deaths && !poke_back(group, n))
		fate = control_settled();
	if (!fate.deaths && !r.errors && !r.wrong && !r.stopped)
		return false;
	*hit = fault_at(group, n, fate.trap);
	about = *hit ? *hit : first;
	after = look_after(about, "probe-lost");
	/* One of the last group's, at the last moment: they are over, and these were not there. */
	if (!*hit && fate.trap && !r.errors && !r.wrong && !r.stopped && !after.wrong)
		return true;
	printf("fault: %u probe deaths=%u errors=%u wrong=%u after=%u stopped=%d stall=%lu\n",
	       about->number, fate.deaths, r.errors, r.wrong, after.wrong, r.stopped,
	       (unsigned long)r.stall_ns / 1000);
	if (!*hit) {
		/* What was it then?  The host complains. */
		printf("fault: %u not-reached\n", about->number);
		about->done = true;
	}
	return true;
}

static void inject(const struct fault *f)
{
	struct result r, after;
	struct fate fate;

	if (memcmp(f->old, f->new, f->length) == 0) {
		printf("fault: %u none\n", f->number);
		return;
	}
	step(f);
	control_begin();
	if (!control_poke(f->address, f->new, f->length))
		give_up("init does not poke");
	r = load->round(f->group);
	if (r.stuck)
		lost(f, "stuck");
	fate = control_settled();
	if ((!fate.deaths || r.stopped) && !fate.dead) {
		control_restart();
		fate = control_settled();
		/* Who dies now dies of what was left behind. */
	}
	if (fate.dead)
		lost(f, "given-up");
	if (!fate.served)
		lost(f, "not-served");
	after = look_after(f, "lost");
	printf("fault: %u deaths=%u how=%s errors=%u wrong=%u after=%u stopped=%d stall=%lu\n",
	       f->number, fate.deaths, fate.deaths ? fate.how : "-", r.errors, r.wrong, after.wrong,
	       r.stopped, (unsigned long)r.stall_ns / 1000);
}

static void group_try(struct fault *group, size_t n)
{
	struct fault *hit = NULL;

	while (first_left(group, n) && probe(group, n, &hit))
		if (hit) {
			hit->done = true;
			inject(hit);
		}
	for (size_t i = 0; i < n; i++)
		if (!group[i].done)
			printf("fault: %u not-reached\n", group[i].number);
}

/* The load for the device at @path, which may take a while to appear, or of that name. */
static const struct load *load_for(const char *path)
{
	struct stat st;

	if (path[0] != '/')
		return &net_load;
	for (int i = 0; i < 500 && stat(path, &st); i++)
		usleep(20000);
	if (stat(path, &st))
		give_up("no %s", path);
	return S_ISBLK(st.st_mode) ? &disk_load : &echo_load;
}

int main(int argc, char **argv)
{
	struct fault *faults;
	size_t count, n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		give_up("expected a component and its device");
	faults = faults_read("/faults", &count);
	load = load_for(argv[2]);
	control_start(argv[1]);
	load->start(argv[2]);
	signal(SIGALRM, step_is_late);
	for (size_t i = 0; i < count; i += n) {
		for (n = 1; i + n < count && faults[i + n].group == faults[i].group;)
			n++;
		group_try(&faults[i], n);
	}
	printf("faults: all done, checksum %016lx\n", (unsigned long)load->checksum());
	end();
}
