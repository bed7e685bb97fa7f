/* SPDX-License-Identifier: MIT */
/* Talks to init through /dev/concord (abi/control.h), and reads its log of ends and beginnings. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/control.h"
#include "abi/status.h"
#include "faults.h"

#define SECOND 1000000000ull
enum { SETTLE_S = 60, BREAKPOINT = 3, IDLE_LOOKS = 3 };
#define IDLE_NS (SECOND / 5)

static int device;
static struct control_request self = { .version = CONTROL_VERSION };
static uint64_t log_at;			/* byte of init's log */
static uint32_t serving;		/* the last incarnation that the log says serves */
static uint32_t incarnation;		/* that runs, or ran last */
static uint64_t cpu_ns;			/* that all incarnations have used, at the last look */
static struct fate fate;

static int ask(uint32_t op, uint64_t index, uint64_t token, const void *bytes, size_t n,
	       struct control_reply *r)
{
	struct {
		struct control_request q;
		uint8_t bytes[CONTROL_POKE_MAX];
	} m = { .q = self };

	m.q.op = op;
	m.q.index = index;
	m.q.token = token;
	if (n)
		memcpy(m.bytes, bytes, n);
	if (write(device, &m, sizeof(m.q) + n) != (ssize_t)(sizeof(m.q) + n) ||
	    read(device, r, sizeof(*r)) != sizeof(*r))
		give_up("init does not answer");
	return r->status;
}

/* What init said: "[time] NAME ...". */
static void note_line(const char *line)
{
	const char *text = strchr(line, ']');
	size_t n = strlen(self.name);
	unsigned long vector = 0, at = 0;
	char how[HOW_MAX] = "";

	if (!text || strncmp(text + 1, " ", 1) != 0 || strncmp(text + 2, self.name, n) != 0)
		return;
	text += 2 + n;
	if (sscanf(text, ": incarnation %u serves", &serving) == 1)
		return;
	if (strstr(text, "again and again"))
		fate.dead = true;
	if (strstr(text, "conctl restart"))
		return;
	if (sscanf(text, " died: exception %lu, error %*x, at %lx", &vector, &at) >= 1)
		snprintf(how, sizeof(how), "exception-%lu", vector);
	else if (strncmp(text, " was killed: no heartbeat", 25) == 0)
		strcpy(how, "no-heartbeat");
	else if (strncmp(text, " was killed: a stalled queue", 28) == 0)
		strcpy(how, "stalled-queue");
	else if (strncmp(text, " was killed: ", 13) == 0)
		strcpy(how, "accused");
	else if (strstr(text, "its client broke the protocol"))
		strcpy(how, "blames-client");
	else if (strncmp(text, " ended,", 7) == 0)
		strcpy(how, "exit");
	else
		return;
	if (vector == BREAKPOINT)
		fate.trap = at - 1;	/* it is reported behind the instruction of one byte */
	if (!fate.deaths++)
		strcpy(fate.how, how);
}

static void read_log(void)
{
	struct control_reply r;

	while (ask(CONTROL_LOG, log_at, 0, NULL, 0, &r) == K_OK && r.count &&
	       r.count <= sizeof(r.text)) {
		char *rest = r.text, *line;

		r.text[r.count - 1] = '\0';
		while ((line = strsep(&rest, "\n")))
			note_line(line);
		log_at = r.next;
	}
}

/* Its state, and which incarnation it is; 0: there is no such component. */
static uint32_t look(void)
{
	struct control_reply r;

	for (uint64_t i = 0; ask(CONTROL_LIST, i, 0, NULL, 0, &r) == K_OK; i++)
		if (strcmp(r.instance.name, self.name) == 0) {
			incarnation = r.instance.incarnation;
			cpu_ns = r.instance.cpu_ns;
			return r.instance.state;
		}
	return 0;
}

void control_start(const char *name)
{
	device = open("/dev/concord", O_RDWR | O_CLOEXEC);
	if (device < 0)
		give_up("no /dev/concord");
	snprintf(self.name, sizeof(self.name), "%s", name);
	if (!look())
		give_up("no component %s", name);
	serving = incarnation;		/* its disk is there */
	read_log();
}

void control_begin(void)
{
	read_log();
	fate = (struct fate){ 0 };
}

void control_idle(void)
{
	uint64_t end = now_ns() + SECOND, before;

	for (int same = 0; same < IDLE_LOOKS && now_ns() < end;) {
		before = cpu_ns;
		usleep(1000);
		(void)!look();
		same = cpu_ns == before ? same + 1 : 0;
	}
}

struct fate control_settled(void)
{
	uint64_t begin = now_ns();

	for (uint64_t end = begin + SETTLE_S * SECOND; now_ns() < end; usleep(1000)) {
		uint32_t state;

		/* In this order: who is seen to run has no death in the log that we do not know of. */
		read_log();
		state = look();
		fate.dead |= state == CONTROL_DEAD;
		fate.served = state == CONTROL_RUNNING && serving >= incarnation;
		/* It waits for somebody to want something (services/init/src/renew.c). */
		fate.served |= state == CONTROL_PAUSING && now_ns() - begin > IDLE_NS;
		if (fate.dead || fate.served)
			break;
	}
	return fate;
}

bool control_poke(uint64_t address, const void *bytes, size_t n)
{
	struct control_reply r;

	return ask(CONTROL_POKE, address, incarnation, bytes, n, &r) == K_OK;
}

void control_restart(void)
{
	struct control_reply r;
	uint32_t before = incarnation;

	if (ask(CONTROL_RESTART, 0, 0, NULL, 0, &r) != K_OK)
		return;
	for (uint64_t end = now_ns() + SETTLE_S * SECOND; now_ns() < end; usleep(500))
		if (look() != CONTROL_RUNNING || incarnation != before)
			return;
}
