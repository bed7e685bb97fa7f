/* SPDX-License-Identifier: MIT */
/*
 * Consoles and named ports over a link (virtio console device protocol, with
 * multiport where the driver offers it).
 *
 * A console has ports: a uart exactly one, port 0, which is a console; a
 * virtio-serial device any number, each a console (hvcN) or a plain port with a
 * name (/dev/vportNpM).  One thread of the library serves the device: it calls
 * the functions of struct console_ops, one at a time, and they may use all
 * functions here.  Reading and writing go through ring buffers and never sleep,
 * but for console_write_all().
 */
#pragma once

#include "link/link.h"

struct console;

#define CONSOLE_PORTS_MAX	8u
#define CONSOLE_NAME_MAX	64u

/* Events. */
#define CONSOLE_READABLE	(1u << 0)	/* console_read() has more than before */
#define CONSOLE_WRITABLE	(1u << 1)	/* room again after console_write() came short */
#define CONSOLE_HOST_OPEN	(1u << 2)	/* the other end was opened */
#define CONSOLE_HOST_CLOSED	(1u << 3)
#define CONSOLE_RESIZED		(1u << 4)	/* rows and columns changed */
#define CONSOLE_NAMED		(1u << 5)	/* name is known now (may come after port_added) */
#define CONSOLE_REMOVED		(1u << 6)	/* unplugged; the structure stays until console_close */
#define CONSOLE_DEAD		(1u << 7)	/* the driver died: reads give what is left, writes 0 */

struct console_port {
	/* Constant. */
	struct console *console;
	uint32_t id;			/* M of vportNpM */

	/* Written by the library's thread before it reports the event. */
	bool is_console;
	char name[CONSOLE_NAME_MAX];	/* may be empty */
	/* The same; read by anybody at any time (READ_ONCE). */
	bool present, host_open, dead;
	uint16_t rows, columns;		/* 0: unknown */

	/* The user's own. */
	void *user;

	/* The library's. */
	struct console_queue *rx, *tx;
	bool announced, started, guest_open;
};

struct console_ops {
	/* A port is there.  For ports of multiport devices: name and kind are known. */
	void (*port_added)(struct console_port *p, void *user);
	void (*event)(struct console_port *p, uint32_t events);
};

/*
 * Take the console on @l and start its thread.  Does not wait for the driver: a
 * port that can be written appears at once if the description says that the
 * device is a plain console (queue count 2), so that early output is kept in the
 * ring.  The link belongs to it.
 */
k_status_t console_open(struct link *l, const struct console_ops *ops, void *user,
			struct console **out);
void console_close(struct console *c);
uint32_t console_index(const struct console *c);	/* number of its driver's instance: N of vportNpM */
const char *console_name(const struct console *c);	/* "uart.0" */

/* Take at most @n received bytes; 0: none there. */
size_t console_read(struct console_port *p, void *buf, size_t n);
size_t console_readable(struct console_port *p);
/* Queue at most @n bytes for sending; short when the ring is full: CONSOLE_WRITABLE follows. */
size_t console_write(struct console_port *p, const void *buf, size_t n);
size_t console_write_room(struct console_port *p);
/* Bytes queued and not yet taken by the device. */
size_t console_write_pending(struct console_port *p);
/* The same for who is going to wait for 0 (tcdrain(3)): CONSOLE_WRITABLE follows if it is not. */
size_t console_write_drain(struct console_port *p);

/*
 * Sleep until all @n bytes are queued; *@done says how many.  KICKED
 * (interruptible only), CLOSED (dead or removed).
 */
k_status_t console_write_all(struct console_port *p, const void *buf, size_t n,
			     bool interruptible, size_t *done);
/* Sleep until the device has taken everything. */
k_status_t console_drain(struct console_port *p, bool interruptible);

/* Tell the host that the guest opened or closed its end (plain ports). */
void console_port_set_open(struct console_port *p, bool open);
