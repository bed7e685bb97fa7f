/* SPDX-License-Identifier: MIT */
/*
 * 16550A serial port, as a console without multiport: queue 0 to the client,
 * queue 1 from it.  Registers: National Semiconductor PC16550D, 8.
 *
 * Output: bytes of the current chain go out FIFO by FIFO while the transmitter is
 * empty; when it is not, its interrupt goes on.  On the port that is the kernel's
 * console, log lines go out between the client's lines (log.c).  Input: bytes go into the client's
 * buffers; while there are none, the receiver's interrupt is off and bytes stay in
 * the FIFO, which an emulated port's sender notices.
 *
 * A successor goes on at the very byte (cursor.h).  Log lines are the kernel's to remember: it
 * prints the one that the driver was at again, whole.
 */
#include "base/util.h"
#include "cursor.h"
#include "drv/drv.h"
#include "log.h"
#include "rt/log.h"

enum { RX, TX };			/* queues of the link */
enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { IER_RX = 1, IER_TX = 2 };
enum { IIR_NONE = 1 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_TRIGGER_8 = 0x80 };
enum { LCR_8N1 = 3 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT2 = 8 };	/* OUT2 gates the interrupt line */
enum { LSR_DATA = 1, LSR_TX_EMPTY = 0x20 };
enum { FIFO = 16 };

_Static_assert(2 * CURSOR_WORDS <= RECORD_WORDS, "two cursors");

static struct cursor rx, tx;
static uint8_t ier;
static struct log_lines log_lines;

static uint8_t port_in(struct drv *d, uint32_t reg)
{
	uint64_t v = 0xff;

	(void)!k_device_port_read(d->device, reg, 1, &v);
	return (uint8_t)v;
}

static void port_out(struct drv *d, uint32_t reg, uint8_t v)
{
	(void)!k_device_port_write(d->device, reg, 1, v);
}

static void set_ier(struct drv *d, uint8_t want)
{
	if (ier == want)
		return;
	ier = want;
	port_out(d, IER, want);
}

/* -- output ------------------------------------------------------------------------------------- */

/* The client's next bytes, *@n of them; chains that are used up are answered.  NULL: none. */
static const uint8_t *client_bytes(struct drv *d, uint32_t *n)
{
	while (d->open && !d->broken && cursor_take(&tx, d)) {
		const uint8_t *p = cursor_piece(&tx, d, n);

		if (p)
			return p;
		cursor_answer(&tx, d, 0);
	}
	return NULL;
}

/* At most a FIFO's worth; the bytes' note is whether they end within a line. */
static void send_client(struct drv *d, const uint8_t *p, uint32_t n)
{
	uint64_t *written;

	n = log_client_may_send(&log_lines, p, MIN(n, (uint32_t)FIFO));
	written = cursor_plan(&tx, n, log_lines.within_line);
	(void)!k_device_port_write_bytes(d->device, THR, p, n, written);
	cursor_passed(&tx);
}

static void send_log(struct drv *d, const uint8_t *line, uint32_t n)
{
	uint64_t written;

	n = MIN(n, (uint32_t)FIFO);
	(void)!k_device_port_write_bytes(d->device, THR, line, n, &written);
	log_sent(&log_lines, n);
}

static void send(struct drv *d)
{
	bool waiting = false;

	while (!waiting) {
		uint32_t log_n = 0, n = 0;
		const uint8_t *log = log_bytes(&log_lines, d, &log_n);
		const uint8_t *p = log ? NULL : client_bytes(d, &n);

		if (!log && !p)
			break;
		waiting = !(port_in(d, LSR) & LSR_TX_EMPTY);
		if (waiting)
			break;
		if (log)
			send_log(d, log, log_n);
		else
			send_client(d, p, n);
		drv_alive(d);		/* who writes all the time keeps us here */
	}
	set_ier(d, waiting ? ier | IER_TX : ier & (uint8_t)~IER_TX);
}

/* -- input --------------------------------------------------------------------------------------- */

/* The next byte of the port, or the one that the predecessor read and put nowhere. */
static void receive_byte(struct drv *d, uint8_t *p)
{
	if (!cursor_is_passing(&rx))
		(void)!k_device_port_read(d->device, RBR, 1, cursor_plan(&rx, 1, 0));
	*p = (uint8_t)cursor_result(&rx);
	cursor_passed(&rx);
}

static void receive(struct drv *d)
{
	bool room = true;

	if (rx.adopting)
		cursor_take(&rx, d);	/* it may hold bytes that nobody was told of */
	while (!d->broken && (cursor_is_passing(&rx) || (port_in(d, LSR) & LSR_DATA))) {
		uint8_t *p = NULL;
		uint32_t n;

		while (!p && cursor_take(&rx, d)) {
			p = cursor_piece(&rx, d, &n);
			if (!p)
				cursor_answer(&rx, d, rx.done);
			if (d->broken)
				return;
		}
		room = p != NULL;
		if (!room)
			break;
		receive_byte(d, p);
		drv_alive(d);
	}
	if (rx.busy && rx.done)
		cursor_answer(&rx, d, rx.done);
	set_ier(d, room ? ier | IER_RX : ier & (uint8_t)~IER_RX);
}

/* -- the runtime's callbacks ------------------------------------------------------------------------ */

static void on_queue(struct drv *d, uint32_t queue)
{
	if (queue == TX)
		send(d);
	else
		receive(d);
}

/* The line is edge-triggered: it has to be seen inactive once before the next edge. */
static void on_irq(struct drv *d, uint32_t index)
{
	for (int rounds = 0; rounds < 64 && !(port_in(d, IIR) & IIR_NONE); rounds++) {
		if (!d->open || d->broken)
			set_ier(d, ier & (uint8_t)~IER_RX);
		else
			receive(d);
		send(d);
	}
}

static void on_own(struct drv *d, uint64_t bits)
{
	log_rang(&log_lines, bits);
	send(d);
}

static k_status_t start(struct drv *d)
{
	static const uint8_t config[12] = { 0 };	/* size unknown, one port */
	k_status_t st = log_take(&log_lines, d);

	if (st != K_OK)
		return st;

	cursor_start(&rx, d, RX, true, &d->record->words[0]);
	cursor_start(&tx, d, TX, false, &d->record->words[CURSOR_WORDS]);
	log_lines.within_line = tx.note != 0;
	d->record->adoption = d->start.incarnation > 1 ? RECORD_ADOPTED : RECORD_STARTED;
	drv_offer(d, 0);
	drv_config(d, config, sizeof(config));
	port_out(d, IER, 0);
	port_out(d, LCR, LCR_8N1);
	port_out(d, FCR, FCR_ENABLE | FCR_TRIGGER_8);	/* clears nothing: early input stays */
	port_out(d, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	return drv_irq_bind(d, 0);
}

const struct driver driver = {
	.start = start, .queue = on_queue, .irq = on_irq, .own = on_own,
};
