/* SPDX-License-Identifier: MIT */
/*
 * The client of tests that kill drivers: it works in rounds, and every byte of a round
 * is compared.  In the n-th round the driver dies at its n-th ring operation
 * (NAME.die=sweep, drv/die.h); when nobody has died for a few rounds, the operations are used up.
 *
 *	a disk		writes in parallel, overwrites, flush, read back; in the end the whole disk
 *	a port		lines of all lengths, which the other end sends back; of serial ports
 *			the second and those behind it, and few bytes, as each has kill points
 *	a network card	frames, which the other end sends back (heal_net.c)
 *
 * It says on the log "heal: NAME: N rounds, N deaths: same data" or what was wrong.
 */
#include "heal.h"

#include "base/string.h"
#include "base/util.h"
#include "link/blk.h"
#include "link/console.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/time.h"

enum { SHADOW = 1 << 20, PARALLEL = 7 };

uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* -- a disk ---------------------------------------------------------------------------------- */

static uint8_t shadow[SHADOW];		/* what the disk should hold */

struct piece {
	uint64_t sector;
	uint32_t length;
	struct blk_request *r;
};

/* Pieces of the disk that do not overlap: one in each of PARALLEL parts. */
static void choose_pieces(struct piece *p, uint64_t sectors)
{
	uint64_t part = sectors / PARALLEL;

	for (unsigned int i = 0; i < PARALLEL; i++) {
		uint64_t n = 8 * (1 + next_random() % 6);

		p[i].sector = i * part + next_random() % (part - n);
		p[i].length = (uint32_t)n * BLK_SECTOR;
	}
}

void fill(uint8_t *to, uint32_t n, uint32_t round)
{
	for (uint32_t i = 0; i < n; i += 8) {
		uint64_t v = next_random() ^ round;

		memcpy(to + i, &v, 8);
	}
}

static k_status_t submit(struct blk *b, struct piece *p, enum blk_op op, uint32_t round)
{
	uint8_t *model = shadow + p->sector * BLK_SECTOR;
	k_status_t st = blk_request_get(b, op, p->sector, p->length, true, &p->r);

	if (st != K_OK)
		return st;
	if (op == BLK_WRITE) {
		fill(model, p->length, round);
		memcpy(p->r->data, model, p->length);
	} else {
		memset(p->r->data, 0xee, p->length);
	}
	blk_submit(b, p->r);
	return K_OK;
}

/* Wait for all; BAD_STATE: other data than there should be. */
static k_status_t settle(struct blk *b, struct piece *p, unsigned int n)
{
	k_status_t st = K_OK;

	for (unsigned int i = 0; i < n; i++) {
		k_status_t ended = blk_wait(b, p[i].r);

		if (ended == K_OK && p[i].r->op == BLK_READ &&
		    memcmp(p[i].r->data, shadow + p[i].sector * BLK_SECTOR, p[i].length) != 0)
			ended = K_ERR_BAD_STATE;
		if (st == K_OK)
			st = ended;
		blk_request_put(b, p[i].r);
	}
	return st;
}

static k_status_t all_at_once(struct blk *b, struct piece *p, unsigned int n, enum blk_op op,
			      uint32_t round)
{
	k_status_t st = K_OK;
	unsigned int i;

	for (i = 0; i < n && st == K_OK; i++)
		st = submit(b, &p[i], op, round);
	if (st != K_OK)
		return st;
	return settle(b, p, n);
}

/* What was acknowledged is overwritten: no older write may come after. */
static k_status_t overwrite(struct blk *b, struct piece *p, uint32_t round)
{
	k_status_t st = K_OK;

	for (int i = 0; i < 3 && st == K_OK; i++)
		st = all_at_once(b, p, 1, BLK_WRITE, round);
	return st == K_OK ? all_at_once(b, p, 1, BLK_READ, round) : st;
}

static k_status_t disk_round(struct blk *b, uint64_t sectors, uint32_t round)
{
	struct piece p[PARALLEL];
	k_status_t st;

	choose_pieces(p, sectors);
	st = all_at_once(b, p, PARALLEL, BLK_WRITE, round);
	if (st == K_OK)
		st = overwrite(b, &p[round % PARALLEL], round);
	if (st == K_OK)
		st = blk_flush(b);
	return st == K_OK ? all_at_once(b, p, PARALLEL, BLK_READ, round) : st;
}

static void use_disk(struct link *l, const char *name)
{
	static uint8_t read_back[SHADOW];
	uint32_t round = 0, before, first, quiet = 0;
	uint64_t sectors;
	struct blk *b;
	k_status_t st = blk_open(l, rt_now_ns() + 10 * SECONDS, &b);

	if (st != K_OK) {
		say(name, "open %d", st);
		return;
	}
	sectors = MIN(blk_sectors(b), (uint64_t)SHADOW / BLK_SECTOR);
	first = link_incarnation(l);
	st = blk_read(b, 0, shadow, sectors * BLK_SECTOR);
	do {
		before = link_incarnation(l);
		link_round(l, ++round);
		if (st == K_OK)
			st = disk_round(b, sectors, round);
		quiet = link_incarnation(l) == before ? quiet + 1 : 0;
	} while (st == K_OK && round < ROUNDS_MAX && quiet < QUIET);
	link_round(l, 0);
	if (st == K_OK)
		st = blk_read(b, 0, read_back, sectors * BLK_SECTOR);
	if (st == K_OK && memcmp(read_back, shadow, sectors * BLK_SECTOR) != 0)
		st = K_ERR_BAD_STATE;
	if (st == K_OK)
		say(name, "%u rounds, %u deaths: same data", round, link_incarnation(l) - first);
	else
		say(name, "round %u, incarnation %u: status %d", round, link_incarnation(l), st);
}

/* -- a port ------------------------------------------------------------------------------------- */

enum { LINE_MAX = 3000, LINES = 6, SERIAL_LINE = 24, SERIAL_LINES = 2 };

static struct console_port *port;
static uint32_t lines = LINES;
static _Atomic(uint32_t) port_news;

static void port_added(struct console_port *p, void *user)
{
	const struct link_geometry *g = link_geometry(user);

	/* The first serial line is the kernel's, too. */
	if (p->is_console && (g->queue_count != 2 || !g->instance))
		return;
	if (p->is_console)
		lines = SERIAL_LINES;
	port = p;
	console_port_set_open(p, true);
	atomic_fetch_add(&port_news, 1);
	rt_wake(&port_news, UINT32_MAX);
}

static void port_event(struct console_port *p, uint32_t events)
{
	atomic_fetch_add(&port_news, 1);
	rt_wake(&port_news, UINT32_MAX);
}

/* Receive exactly @n bytes; short: nothing came for some seconds, or the port died. */
static size_t receive(struct console_port *p, uint8_t *buf, size_t n)
{
	uint64_t deadline = rt_now_ns() + 20 * SECONDS;
	size_t done = 0;

	while (done < n && !p->dead && rt_now_ns() < deadline) {
		uint32_t news = atomic_load(&port_news);
		size_t got = console_read(p, buf + done, n - done);

		done += got;
		if (!got)
			(void)!rt_wait(&port_news, news, deadline, false);
	}
	return done;
}

static uint32_t line_length(void)
{
	if (lines == SERIAL_LINES)
		return SERIAL_LINE;
	return (uint32_t)(8 + next_random() % (LINE_MAX - 16)) & ~7u;
}

static bool port_round(struct console_port *p, uint32_t round)
{
	static uint8_t sent[LINES][LINE_MAX], back[LINE_MAX];
	uint32_t length[LINES];
	size_t done;

	for (uint32_t i = 0; i < lines; i++) {
		length[i] = line_length();
		fill(sent[i], length[i], round);
		if (console_write_all(p, sent[i], length[i], false, &done) != K_OK)
			return false;
	}
	for (uint32_t i = 0; i < lines; i++)
		if (receive(p, back, length[i]) != length[i] || memcmp(back, sent[i], length[i]) != 0)
			return false;
	return true;
}

static void use_port(struct link *l, const char *name)
{
	uint32_t round = 0, before, first, quiet = 0;
	bool ok;

	while (!port || !port->host_open) {
		uint32_t news = atomic_load(&port_news);

		if (!port || !port->host_open)
			(void)!rt_wait(&port_news, news, rt_now_ns() + SECONDS, false);
	}
	first = link_incarnation(l);
	do {
		before = link_incarnation(l);
		link_round(l, ++round);
		ok = port_round(port, round);
		quiet = link_incarnation(l) == before ? quiet + 1 : 0;
	} while (ok && round < ROUNDS_MAX && quiet < QUIET);
	link_round(l, 0);
	/* Nothing may come that was not sent. */
	(void)!rt_wait(&port_news, atomic_load(&port_news), rt_now_ns() + SECONDS / 5, false);
	if (ok && console_readable(port))
		ok = false;
	if (ok)
		say(name, "%u rounds, %u deaths: same data", round, link_incarnation(l) - first);
	else
		say(name, "round %u, incarnation %u: other bytes than were sent", round,
		    link_incarnation(l));
}

/* -- all links --------------------------------------------------------------------------------------- */

static void use(struct link *l)
{
	static const struct console_ops ops = { .port_added = port_added, .event = port_event };
	char name[32];
	struct console *c;

	strlcpy(name, link_geometry(l)->name, sizeof(name));
	if (link_geometry(l)->class_id == LINK_CLASS_BLOCK) {
		use_disk(l, name);
	} else if (link_geometry(l)->class_id == LINK_CLASS_NET) {
		use_net(l, name);
	} else if (link_geometry(l)->class_id == LINK_CLASS_CONSOLE) {
		k_status_t st = console_open(l, &ops, l, &c);

		if (st != K_OK)
			say(name, "open %d", st);
		else if (link_geometry(l)->queue_count > 2 || link_geometry(l)->instance)
			use_port(l, name);
	}
}

const struct client client = { .word = "heal", .use = use };
