/* SPDX-License-Identifier: MIT */
/*
 * The client of the isolation tests: a personality (placement process) that has no
 * Linux in it.  It uses every link that it is given, and says on the log what came
 * of it, one line "client: NAME: ..." each; when all have been used, "client: done",
 * and power-off.
 */
#include "client.h"

#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "link/blk.h"
#include "link/console.h"
#include "link/rng.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/time.h"

static uint64_t patience_s = 1;		/* client.seconds=N: how long a read may take */

static void use_blk(struct link *l)
{
	const char *name = link_geometry(l)->name;
	static uint8_t buf[256 * 1024];
	struct blk *b;
	char id[21] = "";
	k_status_t st = blk_open(l, rt_now_ns() + 5 * SECONDS, &b);

	if (st != K_OK) {
		say(name, "open %d", st);
		return;
	}
	(void)!blk_serial(b, id);
	say(name, "%lu sectors of %u%s, id \"%s\"", blk_sectors(b), blk_block_size(b),
	    blk_is_read_only(b) ? ", read-only" : "", id);
	st = blk_read(b, 0, buf, 512);
	say(name, "read %d: %02x %02x %02x %02x", st, buf[0], buf[1], buf[2], buf[3]);
	for (int round = 0; round < 3 && st == K_OK; round++) {
		uint64_t start = rt_now_ns(), n = MIN(sizeof(buf), blk_sectors(b) * 512);

		st = blk_read(b, 0, buf, n);
		say(name, "read of %lu bytes %d in %lu us", n, st, (rt_now_ns() - start) / 1000);
	}
	if (!blk_is_read_only(b) && st == K_OK) {
		memset(buf, 0x5a, 4096);
		st = blk_write(b, 8, buf, 4096);
		memset(buf, 0, 4096);
		if (st == K_OK)
			st = blk_flush(b);
		if (st == K_OK)
			st = blk_read(b, 8, buf, 4096);
		say(name, "write and read back %d: %02x", st, buf[4095]);
	}
	say(name, "beyond the end %d", blk_read(b, blk_sectors(b), buf, 512));
}

static void use_rng(struct link *l)
{
	const char *name = link_geometry(l)->name;
	uint8_t buf[16] = { 0 };
	struct rng *r;
	size_t done = 0;
	k_status_t st = rng_open(l, &r);

	for (int i = 0; i < 3 && st == K_OK; i++) {
		st = rng_read(r, buf, sizeof(buf), rt_now_ns() + patience_s * SECONDS, false, &done);
		say(name, "read %d: %zu bytes %02x%02x%02x%02x", st, done, buf[0], buf[1], buf[2],
		    buf[3]);
	}
}

static void port_added(struct console_port *p, void *user)
{
	const char text[] = "client: hello on this port\n";
	_Atomic(uint32_t) nobody = 0;
	size_t done;
	k_status_t st;

	/* The kernel's log goes to the same serial port: not into one of its lines. */
	(void)!rt_wait(&nobody, 0, rt_now_ns() + SECONDS / 4, false);
	console_port_set_open(p, true);
	st = console_write_all(p, text, sizeof(text) - 1, false, &done);
	say(console_name(p->console), "port %u \"%s\"%s%s, wrote %zu, status %d", p->id, p->name,
	    p->is_console ? " console" : "", p->host_open ? " open" : "", done, st);
}

static void port_event(struct console_port *p, uint32_t events)
{
	char buf[64];
	size_t n;

	if (events & ~CONSOLE_READABLE)
		say(console_name(p->console), "port %u events %x", p->id, events);
	while ((n = console_read(p, buf, sizeof(buf)))) {
		say(console_name(p->console), "port %u received %.*s", p->id, (int)n, buf);
		console_write(p, buf, n);
	}
}

static void use(struct link *l)
{
	static const struct console_ops ops = { .port_added = port_added, .event = port_event };
	struct console *c;

	switch (link_geometry(l)->class_id) {
	case LINK_CLASS_BLOCK:
		use_blk(l);
		break;
	case LINK_CLASS_ENTROPY:
		use_rng(l);
		break;
	case LINK_CLASS_CONSOLE:
		say(link_geometry(l)->name, "open %d", console_open(l, &ops, NULL, &c));
		break;
	default:
		break;
	}
}

static void start(const struct linux_start *m)
{
	static const char word[] = "client.seconds=";
	const char *at = strstr(m->command_line, word);

	if (at)
		(void)parse_u64(at + strlen(word), 2, 10, &patience_s);
	rt_log(RT_LOG_NOTICE, "client: started as %s", m->name);
}

static void opened(const struct linux_link *m, k_status_t st)
{
	say(m->geometry.name, "link %u of its class, status %d", m->index, st);
}

const struct client client = {
	.word = "client", .linger_ns = SECONDS /* a moment for the consoles */,
	.start = start, .opened = opened, .use = use,
};
