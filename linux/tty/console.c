/* SPDX-License-Identifier: MIT */
/*
 * Consoles: terminals on links, and which of them /dev/console is.
 *
 * A link of the console class brings ports.  Port 0 of a 16550 is ttyS<n>, a
 * console port of a virtio console is hvc<n>; ports that are no consoles are
 * vport<N>p<M> (vport.c).
 *
 * /dev/console is the last console= of the command line that exists; without any,
 * the first serial line, else the first hvc.
 *
 * Input is pulled: console_port keeps what the terminal has no room for, so that
 * flow control reaches the other end.  The event thread and a reader that made
 * room may both pull; `pulls` counts requests, and whoever makes it 1 works until
 * it is 0, so that bytes stay in order without a lock held over sending signals.
 */

#include <asm/fcntl.h>

#include "tty_priv.h"
#include "base/format.h"
#include "base/parse.h"
#include "link/console.h"
#include "rt/time.h"

#define SERIAL_MAJOR	4u
#define SERIAL_MINOR	64u
#define HVC_MAJOR	229u
#define CONSOLE_MAX	8u

struct console_tty {
	struct lx_tty *tty;		/* constant: the driver's reference */
	struct console_port *port;	/* constant */
	_Atomic(uint32_t) pulls;
};

static struct rt_mutex consoles_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct console_tty *consoles[CONSOLE_MAX];	/* consoles_lock; in order of arrival */
static unsigned int nr_consoles, nr_serial, nr_hvc;	/* consoles_lock */

/* console= words, in their order; constant after lx_console_setup(). */
static char wanted[CONSOLE_MAX][16];
static unsigned int nr_wanted;

/* -- the driver --------------------------------------------------------------------------- */

static struct console_port *port_of(struct lx_tty *tty)
{
	return ((struct console_tty *)tty->private)->port;
}

static size_t link_write(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	return console_write(port_of(tty), buf, n);
}

static size_t link_write_room(struct lx_tty *tty)
{
	return console_write_room(port_of(tty));
}

static size_t link_pending(struct lx_tty *tty)
{
	return console_write_pending(port_of(tty));
}

static size_t link_drain(struct lx_tty *tty)
{
	return console_write_drain(port_of(tty));
}

static void pull(struct console_tty *ct)
{
	uint32_t seen = 1;

	if (atomic_fetch_add(&ct->pulls, 1) != 0)
		return;
	do {
		uint8_t buf[256];
		size_t n, room;

		seen = atomic_load(&ct->pulls);
		while ((room = tty_receive_room(ct->tty)) != 0 &&
		       (n = console_read(ct->port, buf, MIN(room, sizeof(buf)))) != 0)
			tty_receive(ct->tty, buf, n);
	} while (atomic_fetch_sub(&ct->pulls, seen) != seen);
}

static void link_unthrottle(struct lx_tty *tty)
{
	pull(tty->private);
}

/* Never: the driver's reference stays, as the device does. */
static void link_destroy(struct lx_tty *tty)
{
	rt_free(tty->private);
	rt_free(tty);
}

static const struct lx_tty_ops link_ops = {
	.write = link_write,
	.write_room = link_write_room,
	.pending = link_pending,
	.drain = link_drain,
	.unthrottle = link_unthrottle,
	.destroy = link_destroy,
};

/* -- arrival and events --------------------------------------------------------------------- */

static void update_winsize(struct console_tty *ct)
{
	struct winsize ws = { .ws_row = READ_ONCE(ct->port->rows),
			      .ws_col = READ_ONCE(ct->port->columns) };

	if (ws.ws_row && ws.ws_col)
		tty_set_winsize(ct->tty, &ws);
}

/* The next free name of a console of this kind. */
static bool console_name_next(bool serial, char name[16], lx_dev_t *dev)
{
	unsigned int n;
	bool ok;

	rt_mutex_lock(&consoles_lock);
	ok = nr_consoles < CONSOLE_MAX;
	n = !ok ? 0 : serial ? nr_serial++ : nr_hvc++;
	rt_mutex_unlock(&consoles_lock);
	scnprintf(name, 16, serial ? "ttyS%u" : "hvc%u", n);
	*dev = serial ? LX_MKDEV(SERIAL_MAJOR, SERIAL_MINOR + n) : LX_MKDEV(HVC_MAJOR, n);
	return ok;
}

static void console_added(struct console_port *p)
{
	struct console_tty *ct = rt_zalloc(sizeof(*ct));
	bool serial = str_has_prefix(console_name(p->console), "uart");
	char name[16];
	lx_dev_t dev;

	if (!ct || !console_name_next(serial, name, &dev))
		goto fail;
	ct->port = p;
	ct->tty = tty_create(&link_ops, name, dev);
	if (!ct->tty)
		goto fail;
	ct->tty->private = ct;
	p->user = ct;
	rt_mutex_lock(&consoles_lock);
	consoles[nr_consoles++] = ct;
	rt_mutex_unlock(&consoles_lock);
	tty_node_create(ct->tty, 0600);
	update_winsize(ct);
	rt_log(RT_LOG_INFO, "%s: console on %s", name, console_name(p->console));
	pull(ct);
	return;
fail:
	rt_free(ct);
	rt_log(RT_LOG_ERR, "console: no room for %s", console_name(p->console));
}

static void port_added(struct console_port *p, void *user)
{
	if (p->is_console)
		console_added(p);
	else
		vport_added(p);
}

static void port_event(struct console_port *p, uint32_t events)
{
	struct console_tty *ct = p->user;

	if (!ct)
		return;
	if (!p->is_console) {
		vport_event(p, events);
		return;
	}
	if (events & CONSOLE_READABLE)
		pull(ct);
	if (events & CONSOLE_WRITABLE)
		tty_wake_writers(ct->tty);
	if (events & CONSOLE_RESIZED)
		update_winsize(ct);
	if (events & (CONSOLE_DEAD | CONSOLE_REMOVED))
		tty_hangup(ct->tty);
}

static const struct console_ops console_link_ops = {
	.port_added = port_added,
	.event = port_event,
};

void lx_console_link(const struct linux_link *message, const k_handle_t *handles)
{
	struct console *console;
	struct link *link;
	k_status_t st;

	st = link_open(&message->geometry, handles, LX_LOCK_LINK, &link);
	if (st == K_OK)
		st = console_open(link, &console_link_ops, NULL, &console);
	if (st != K_OK)
		rt_log(RT_LOG_ERR, "console %s: cannot be used: status %d", message->geometry.name,
		       (int)st);
}

/* -- /dev/console ----------------------------------------------------------------------------- */

void lx_console_setup(const char *command_line)
{
	const char *s = command_line;

	while (*s) {
		size_t n;

		while (char_is_space(*s))
			s++;
		n = strcspn(s, " \t\n");
		if (str_has_prefix(s, "console=") && nr_wanted < CONSOLE_MAX) {
			const char *name = s + strlen("console=");
			size_t len = strcspn(name, " \t\n,");	/* options follow the comma */

			len = MIN(len, sizeof(wanted[0]) - 1);
			memcpy(wanted[nr_wanted], name, len);
			wanted[nr_wanted++][len] = '\0';
		}
		s += n;
	}
}

static struct lx_tty *console_by_name(const char *name)
{
	for (unsigned int i = 0; i < nr_consoles; i++)
		if (str_equal(consoles[i]->tty->name, name))
			return consoles[i]->tty;
	return NULL;
}

struct lx_tty *console_current(void)
{
	struct lx_tty *tty = NULL;

	rt_mutex_lock(&consoles_lock);
	for (unsigned int i = nr_wanted; i && !tty; i--)
		tty = console_by_name(wanted[i - 1]);
	if (!tty)
		tty = console_by_name("ttyS0");
	if (!tty && nr_consoles)
		tty = consoles[0]->tty;
	if (tty)
		tty_get(tty);
	rt_mutex_unlock(&consoles_lock);
	return tty;
}

bool lx_console_ready(void)
{
	bool ready = false;

	rt_mutex_lock(&consoles_lock);
	/* The console that was asked for last, not one that stands in for it. */
	if (nr_wanted)
		ready = console_by_name(wanted[nr_wanted - 1]) != NULL;
	else
		ready = nr_consoles > 0;
	rt_mutex_unlock(&consoles_lock);
	return ready;
}

/* Output that its device did not take in this time is lost. */
#define DRAIN_NS	500000000ull
#define DRAIN_STEP_NS	2000000ull

void lx_console_drain(void)
{
	uint64_t end = rt_now_ns() + DRAIN_NS;
	_Atomic(uint32_t) never = 0;

	for (;;) {
		size_t pending = 0;
		unsigned int n;

		rt_mutex_lock(&consoles_lock);
		n = nr_consoles;
		rt_mutex_unlock(&consoles_lock);
		for (unsigned int i = 0; i < n; i++)	/* they stay */
			pending += console_write_pending(consoles[i]->port);
		if (!pending || rt_now_ns() >= end)
			return;
		(void)rt_wait(&never, 0, rt_now_ns() + DRAIN_STEP_NS, false);
	}
}
