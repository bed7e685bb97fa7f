/* SPDX-License-Identifier: MIT */
/*
 * Consoles and ports, see link/console.h.  Device protocol: virtio 1.1, 5.3.
 *
 * Each queue has depth buffers of equal size in its part of data memory.  Receiving:
 * all buffers that hold nothing unread are with the device, one that comes back empty at
 * once; filled ones wait on the queue's FIFO of fills until they are read.  Sending: a write takes a free
 * buffer; buffers come back lazily, when the next write or a waiter looks.
 *
 * One thread per console (console_main) negotiates, handles the control queues,
 * and turns used buffers into events.  lock guards queues and ports; callbacks
 * are made without it.  Nobody else calls link_wait_change() on this link, so the
 * thread is its poller; who waits for room sleeps on the link's seq.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "link/console.h"
#include "link_priv.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/thread.h"

#define F_SIZE		BIT(0)
#define F_MULTIPORT	BIT(1)

enum { CONTROL_RX = 2, CONTROL_TX = 3 };
enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN,
       PORT_NAME };
enum { CONTROL_LENGTH = 8, DEPTH_MAX = 32 };

struct console_queue {
	/* Constant. */
	uint32_t index;			/* of the link's queue */
	uint32_t buffers, size;		/* how many, bytes of each */
	uint32_t offset;		/* of the first, in data memory */

	/* The console's lock. */
	struct vq_driver queue;
	struct vq_driver_slot slots[LINK_QUEUE_SIZE_MAX];
	uint32_t free;			/* sending: bit per free buffer */
	struct {
		uint16_t buffer, length, read;
	} fill[DEPTH_MAX];		/* receiving: FIFO of filled buffers */
	uint32_t fill_first, fill_count;
	bool short_write;		/* somebody waits for room, or for all to be sent */
	bool reclaimed;			/* ... and buffers came back since: an event is due */
	uint32_t pending;		/* sending: bytes with the device */
	uint16_t sent[DEPTH_MAX];	/* of a buffer */
};

struct console {
	/* Constant. */
	struct link *link;
	const struct console_ops *ops;
	void *user;
	_Atomic(k_handle_t) thread;

	struct rt_mutex lock;
	bool multiport;			/* thread */
	uint32_t resets;		/* thread: how many of the device it has seen */
	bool dead;			/* lock */
	struct console_port ports[CONSOLE_PORTS_MAX];
	struct console_queue *queues[LINK_QUEUES_MAX];	/* lock; made when needed */
};

/* -- queues ------------------------------------------------------------------------------------ */

static struct console_queue *queue_make(struct console *c, uint32_t index, bool receives)
{
	const struct link_geometry *g = link_geometry(c->link);
	uint32_t share = (uint32_t)ALIGN_DOWN(g->data_length / g->queue_count, 64ull);
	struct console_queue *q = rt_zalloc(sizeof(*q));

	if (!q)
		return NULL;
	q->index = index;
	q->buffers = MIN(g->queue_size, (uint32_t)DEPTH_MAX);
	q->size = MIN(ALIGN_DOWN(share / q->buffers, 16u), 4096u);
	q->offset = index * share;
	q->free = (uint32_t)(BIT(q->buffers) - 1);
	link_queue_init(c->link, index, &q->queue, q->slots);
	if (!receives)
		vq_driver_interrupts(&q->queue, false);
	c->queues[index] = q;
	return q;
}

static uint8_t *buffer_at(const struct console *c, const struct console_queue *q, uint32_t buffer)
{
	return c->link->data + q->offset + buffer * q->size;
}

static void buffer_add(struct console_queue *q, uint32_t buffer, uint32_t length, bool receives)
{
	struct vq_segment s = { LINK_DATA + q->offset + buffer * q->size, length, receives };
	uint16_t head;

	(void)vq_driver_add(&q->queue, &s, 1, (void *)(uintptr_t)buffer, &head);
}

/* Give the device all buffers to fill. */
static void queue_fill(struct console *c, struct console_queue *q)
{
	for (uint32_t i = 0; i < q->buffers; i++)
		buffer_add(q, i, q->size, true);
	link_publish(c->link, q->index, &q->queue);
}

/* Filled buffers onto the FIFO.  True: there are new ones. */
static bool queue_receive(struct console *c, struct console_queue *q)
{
	bool any = false, empty = false;
	uint32_t written;
	uint16_t head;
	void *cookie;

	while (vq_driver_take(&q->queue, &cookie, &head, &written)) {
		uint32_t at;

		if (!written) {
			buffer_add(q, (uint32_t)(uintptr_t)cookie, q->size, true);
			empty = true;
			continue;
		}
		at = (q->fill_first + q->fill_count++) % DEPTH_MAX;
		q->fill[at].buffer = (uint16_t)(uintptr_t)cookie;
		q->fill[at].length = (uint16_t)written;
		q->fill[at].read = 0;
		any = true;
	}
	if (empty)
		link_publish(c->link, q->index, &q->queue);
	if (q->queue.broken)
		link_kill(c->link, q->queue.broken);
	return any;
}

/* Buffers that were sent become free.  True: there are some. */
static bool queue_reclaim(struct console *c, struct console_queue *q)
{
	bool any = false;
	uint32_t written;
	uint16_t head;
	void *cookie;

	while (vq_driver_take(&q->queue, &cookie, &head, &written)) {
		uint32_t buffer = (uint32_t)(uintptr_t)cookie;

		q->free |= 1u << buffer;
		q->pending -= q->sent[buffer];
		any = true;
	}
	if (q->queue.broken)
		link_kill(c->link, q->queue.broken);
	q->reclaimed |= any && q->short_write;
	return any;
}

static size_t queue_read(struct console *c, struct console_queue *q, uint8_t *dst, size_t n)
{
	size_t done = 0;

	while (done < n && q->fill_count) {
		uint32_t at = q->fill_first;
		uint16_t left = (uint16_t)(q->fill[at].length - q->fill[at].read);
		size_t piece = MIN((size_t)left, n - done);

		memcpy(dst + done, buffer_at(c, q, q->fill[at].buffer) + q->fill[at].read, piece);
		done += piece;
		q->fill[at].read = (uint16_t)(q->fill[at].read + piece);
		if (q->fill[at].read < q->fill[at].length)
			break;
		q->fill_first = (at + 1) % DEPTH_MAX;
		q->fill_count--;
		buffer_add(q, q->fill[at].buffer, q->size, true);
	}
	link_publish(c->link, q->index, &q->queue);
	return done;
}

static size_t queue_write(struct console *c, struct console_queue *q, const uint8_t *src, size_t n)
{
	size_t done = 0;

	queue_reclaim(c, q);
	while (done < n && q->free) {
		uint32_t buffer = (uint32_t)__builtin_ctz(q->free);
		uint32_t piece = (uint32_t)MIN((size_t)q->size, n - done);

		memcpy(buffer_at(c, q, buffer), src + done, piece);
		q->free &= ~(1u << buffer);
		q->sent[buffer] = (uint16_t)piece;
		q->pending += piece;
		buffer_add(q, buffer, piece, false);
		done += piece;
	}
	link_publish(c->link, q->index, &q->queue);
	return done;
}

/* Ask to be told when buffers were sent.  True: there is room already. */
static bool queue_want_room(struct console *c, struct console_queue *q)
{
	q->short_write = true;
	vq_driver_interrupts(&q->queue, true);
	queue_reclaim(c, q);
	return q->free != 0;
}

/* -- ports --------------------------------------------------------------------------------------------- */

static uint32_t port_queue(uint32_t id)
{
	return id == 0 ? 0 : 2 + 2 * id;
}

static uint32_t ports_max(const struct console *c)
{
	uint32_t queues = link_geometry(c->link)->queue_count;

	if (queues < 4)
		return 1;
	return MIN(queues / 2 - 1, (uint32_t)CONSOLE_PORTS_MAX);
}

/* Queues of a port; false: no memory.  The lock is held. */
static bool port_start(struct console *c, struct console_port *p, bool fill)
{
	uint32_t index = port_queue(p->id);

	if (!p->rx)
		p->rx = queue_make(c, index, true);
	if (!p->tx)
		p->tx = queue_make(c, index + 1, false);
	if (!p->rx || !p->tx)
		return false;
	if (fill && !p->started) {
		p->started = true;
		queue_fill(c, p->rx);
	}
	WRITE_ONCE(p->present, true);
	return true;
}

static void announce(struct console *c, struct console_port *p)
{
	if (p->announced || !p->present)
		return;
	p->announced = true;
	c->ops->port_added(p, c->user);
}

/* -- control messages --------------------------------------------------------------------------------------- */

static void control_send(struct console *c, uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t m[CONTROL_LENGTH];

	put_le32(m, id);
	put_le16(m + 4, event);
	put_le16(m + 6, value);
	rt_mutex_lock(&c->lock);
	if (!c->queues[CONTROL_TX] || queue_write(c, c->queues[CONTROL_TX], m, sizeof(m)) != sizeof(m))
		rt_log(RT_LOG_WARNING, "%s: control message %u lost", console_name(c), event);
	rt_mutex_unlock(&c->lock);
}

static void port_add(struct console *c, struct console_port *p)
{
	bool ok;

	rt_mutex_lock(&c->lock);
	ok = port_start(c, p, true);
	rt_mutex_unlock(&c->lock);
	control_send(c, p->id, PORT_READY, ok);
	if (p->guest_open)		/* the device was reset, and does not know it any more */
		control_send(c, p->id, PORT_OPEN, 1);
}

static void port_named(struct console *c, struct console_port *p, const uint8_t *text, size_t n)
{
	n = MIN(n, sizeof(p->name) - 1);
	memcpy(p->name, text, n);
	p->name[n] = '\0';
	if (p->announced)
		c->ops->event(p, CONSOLE_NAMED);
	announce(c, p);
}

static void port_resized(struct console *c, struct console_port *p, const uint8_t *m, size_t n)
{
	if (n < 4)
		return;
	WRITE_ONCE(p->columns, get_le16(m));
	WRITE_ONCE(p->rows, get_le16(m + 2));
	if (p->announced)
		c->ops->event(p, CONSOLE_RESIZED);
}

static void control_message(struct console *c, const uint8_t *m, size_t n)
{
	uint32_t id;
	uint16_t event, value;
	struct console_port *p;

	if (n < CONTROL_LENGTH)
		return;
	id = get_le32(m);
	event = get_le16(m + 4);
	value = get_le16(m + 6);
	if (id >= ports_max(c)) {
		if (event == DEVICE_ADD)
			control_send(c, id, PORT_READY, 0);
		return;
	}
	p = &c->ports[id];
	if (event == DEVICE_ADD) {
		port_add(c, p);
		return;
	}
	if (!p->present)
		return;
	switch (event) {
	case DEVICE_REMOVE:
		WRITE_ONCE(p->present, false);
		link_changed(c->link);	/* a writer that waits for room looks again */
		if (p->announced)
			c->ops->event(p, CONSOLE_REMOVED);
		break;
	case CONSOLE_PORT:
		p->is_console = true;
		p->guest_open = true;
		control_send(c, id, PORT_OPEN, 1);
		announce(c, p);
		break;
	case RESIZE:
		port_resized(c, p, m + CONTROL_LENGTH, n - CONTROL_LENGTH);
		break;
	case PORT_OPEN:
		WRITE_ONCE(p->host_open, value != 0);
		if (p->announced)
			c->ops->event(p, value ? CONSOLE_HOST_OPEN : CONSOLE_HOST_CLOSED);
		announce(c, p);
		break;
	case PORT_NAME:
		port_named(c, p, m + CONTROL_LENGTH, n - CONTROL_LENGTH);
		break;
	default:
		break;
	}
}

/* One message per buffer: copied first, as the device may change it meanwhile. */
static void control_receive(struct console *c)
{
	struct console_queue *q = c->queues[CONTROL_RX];
	uint8_t m[CONTROL_LENGTH + CONSOLE_NAME_MAX];

	for (;;) {
		size_t n = 0;

		rt_mutex_lock(&c->lock);
		queue_receive(c, q);
		if (q->fill_count) {
			uint32_t at = q->fill_first;

			n = MIN((size_t)q->fill[at].length, sizeof(m));
			memcpy(m, buffer_at(c, q, q->fill[at].buffer), n);
			q->fill_first = (at + 1) % DEPTH_MAX;
			q->fill_count--;
			buffer_add(q, q->fill[at].buffer, q->size, true);
			link_publish(c->link, q->index, &q->queue);
		}
		rt_mutex_unlock(&c->lock);
		if (!n)
			return;
		control_message(c, m, n);
	}
}

/* -- the thread ----------------------------------------------------------------------------------------------- */

static void size_from_config(struct console *c)
{
	struct console_port *p = &c->ports[0];
	uint8_t config[4];
	uint16_t columns, rows;

	if (!(link_features(c->link) & F_SIZE))
		return;
	link_config_read(c->link, 0, config, sizeof(config));
	columns = get_le16(config);
	rows = get_le16(config + 2);
	if (columns == p->columns && rows == p->rows)
		return;
	WRITE_ONCE(p->columns, columns);
	WRITE_ONCE(p->rows, rows);
	if (p->announced)
		c->ops->event(p, CONSOLE_RESIZED);
}

/* Port 0 of a device without multiport is a console whose other end is always there. */
static bool plain_start(struct console *c)
{
	struct console_port *p = &c->ports[0];
	bool ok;

	rt_mutex_lock(&c->lock);
	if (!p->present) {		/* else it was written before its driver ran, and is in use */
		p->is_console = true;
		WRITE_ONCE(p->host_open, true);
		p->guest_open = true;
	}
	ok = port_start(c, p, true);
	rt_mutex_unlock(&c->lock);
	if (ok)
		announce(c, p);
	return ok;
}

static bool multiport_start(struct console *c)
{
	struct console_queue *rx, *tx;

	rt_mutex_lock(&c->lock);
	rx = queue_make(c, CONTROL_RX, true);
	tx = queue_make(c, CONTROL_TX, false);
	if (rx)
		queue_fill(c, rx);
	rt_mutex_unlock(&c->lock);
	if (!rx || !tx)
		return false;
	c->multiport = true;
	c->resets = link_resets(c->link);
	control_send(c, 0, DEVICE_READY, 1);
	return true;
}

/* A device that its driver had to reset has forgotten its ports: they are introduced again. */
static void after_reset(struct console *c)
{
	uint32_t resets = link_resets(c->link);

	if (resets == c->resets)
		return;
	c->resets = resets;
	control_send(c, 0, DEVICE_READY, 1);
}

static void port_look(struct console *c, struct console_port *p)
{
	uint32_t events = 0;

	rt_mutex_lock(&c->lock);
	if (p->rx && queue_receive(c, p->rx))
		events |= CONSOLE_READABLE;
	/* Whoever else looked at the queue may have taken the buffers back that a sleeper waits for. */
	if (p->tx && p->tx->short_write && (queue_reclaim(c, p->tx) || p->tx->reclaimed)) {
		events |= CONSOLE_WRITABLE;
		p->tx->short_write = p->tx->reclaimed = false;
		vq_driver_interrupts(&p->tx->queue, false);
	}
	rt_mutex_unlock(&c->lock);
	if (events && p->announced)
		c->ops->event(p, events);
}

static void died(struct console *c)
{
	rt_mutex_lock(&c->lock);
	c->dead = true;
	for (uint32_t i = 0; i < CONSOLE_PORTS_MAX; i++) {
		WRITE_ONCE(c->ports[i].dead, true);
		WRITE_ONCE(c->ports[i].host_open, false);
	}
	rt_mutex_unlock(&c->lock);
	link_changed(c->link);
	for (uint32_t i = 0; i < ports_max(c); i++) {
		if (c->ports[i].announced)
			c->ops->event(&c->ports[i], CONSOLE_DEAD);
	}
}

static void serve(struct console *c)
{
	while (!link_is_dead(c->link)) {
		uint32_t seq = link_seq(c->link);

		if (c->multiport) {
			after_reset(c);
			control_receive(c);
		}
		size_from_config(c);
		for (uint32_t i = 0; i < ports_max(c); i++)
			port_look(c, &c->ports[i]);
		if (!link_is_dead(c->link))
			(void)!link_wait_change(c->link, seq, K_DEADLINE_NEVER, false);
	}
}

static void console_main(void *arg)
{
	struct console *c = arg;
	bool ok = link_negotiate(c->link, F_SIZE | (ports_max(c) > 1 ? F_MULTIPORT : 0),
				 K_DEADLINE_NEVER, false) == K_OK;

	if (ok)
		ok = link_features(c->link) & F_MULTIPORT ? multiport_start(c) : plain_start(c);
	if (ok)
		serve(c);
	died(c);
}

k_status_t console_open(struct link *l, const struct console_ops *ops, void *user,
			struct console **out)
{
	struct console *c = rt_zalloc(sizeof(*c));
	k_status_t st;

	if (!c)
		return K_ERR_NO_MEMORY;
	c->link = l;
	c->ops = ops;
	c->user = user;
	rt_mutex_init(&c->lock, l->rank);
	for (uint32_t i = 0; i < CONSOLE_PORTS_MAX; i++) {
		c->ports[i].console = c;
		c->ports[i].id = i;
	}
	*out = c;
	/* A plain console can be written before its driver runs. */
	if (l->geometry.queue_count < 4 && !plain_start(c))
		return K_ERR_NO_MEMORY;
	st = rt_thread_create(console_main, c, NULL, 0, 0, l->geometry.name, &c->thread);
	return st;
}

void console_close(struct console *c)
{
	link_kill(c->link, "closed");
	/* The thread uses the console until it ends; consoles live as long as the personality. */
}

uint32_t console_index(const struct console *c)
{
	return link_geometry(c->link)->instance;
}

const char *console_name(const struct console *c)
{
	return link_geometry(c->link)->name;
}

/* -- reading and writing ----------------------------------------------------------------------------------------- */

size_t console_read(struct console_port *p, void *buf, size_t n)
{
	struct console *c = p->console;
	size_t done = 0;

	rt_mutex_lock(&c->lock);
	if (p->rx) {
		queue_receive(c, p->rx);
		done = queue_read(c, p->rx, buf, n);
	}
	rt_mutex_unlock(&c->lock);
	return done;
}

size_t console_readable(struct console_port *p)
{
	struct console *c = p->console;
	size_t n = 0;

	rt_mutex_lock(&c->lock);
	for (uint32_t i = 0; p->rx && i < p->rx->fill_count; i++) {
		uint32_t at = (p->rx->fill_first + i) % DEPTH_MAX;

		n += (size_t)(p->rx->fill[at].length - p->rx->fill[at].read);
	}
	rt_mutex_unlock(&c->lock);
	return n;
}

static bool can_write(const struct console_port *p)
{
	return p->tx && p->present && !p->console->dead;
}

size_t console_write(struct console_port *p, const void *buf, size_t n)
{
	struct console *c = p->console;
	size_t done = 0;

	rt_mutex_lock(&c->lock);
	if (can_write(p)) {
		done = queue_write(c, p->tx, buf, n);
		if (done < n && queue_want_room(c, p->tx))
			done += queue_write(c, p->tx, (const uint8_t *)buf + done, n - done);
	}
	rt_mutex_unlock(&c->lock);
	return done;
}

size_t console_write_room(struct console_port *p)
{
	struct console *c = p->console;
	size_t room = 0;

	rt_mutex_lock(&c->lock);
	if (can_write(p)) {
		queue_reclaim(c, p->tx);
		if (!p->tx->free)
			queue_want_room(c, p->tx);
		room = (size_t)popcount_u64(p->tx->free) * p->tx->size;
	}
	rt_mutex_unlock(&c->lock);
	return room;
}

size_t console_write_pending(struct console_port *p)
{
	struct console *c = p->console;
	size_t n = 0;

	rt_mutex_lock(&c->lock);
	if (p->tx) {
		queue_reclaim(c, p->tx);
		n = c->dead ? 0 : p->tx->pending;
	}
	rt_mutex_unlock(&c->lock);
	return n;
}

size_t console_write_drain(struct console_port *p)
{
	struct console *c = p->console;
	size_t n = 0;

	rt_mutex_lock(&c->lock);
	if (p->tx && !c->dead) {
		queue_want_room(c, p->tx);
		n = p->tx->pending;
	}
	rt_mutex_unlock(&c->lock);
	return n;
}

static bool is_gone(const struct console_port *p)
{
	return READ_ONCE(p->dead) || !READ_ONCE(p->present);
}

/* Sleep until buffers come back. */
static k_status_t wait_for_room(struct console_port *p, bool interruptible)
{
	struct console *c = p->console;
	uint32_t seq = link_seq(c->link);
	bool room = true;

	rt_mutex_lock(&c->lock);
	if (can_write(p))
		room = queue_want_room(c, p->tx);
	rt_mutex_unlock(&c->lock);
	return room ? K_OK : link_sleep(c->link, seq, K_DEADLINE_NEVER, interruptible);
}

k_status_t console_write_all(struct console_port *p, const void *buf, size_t n,
			     bool interruptible, size_t *done)
{
	k_status_t st = K_OK;

	for (*done = 0; *done < n && st == K_OK;) {
		*done += console_write(p, (const uint8_t *)buf + *done, n - *done);
		if (*done == n)
			break;
		if (is_gone(p))
			return K_ERR_CLOSED;
		st = wait_for_room(p, interruptible);
	}
	return st;
}

k_status_t console_drain(struct console_port *p, bool interruptible)
{
	k_status_t st = K_OK;

	while (st == K_OK) {
		uint32_t seq = link_seq(p->console->link);

		if (is_gone(p))
			return K_ERR_CLOSED;
		if (!console_write_drain(p))
			break;
		st = link_sleep(p->console->link, seq, K_DEADLINE_NEVER, interruptible);
	}
	return st;
}

void console_port_set_open(struct console_port *p, bool open)
{
	if (!p->console->multiport || !READ_ONCE(p->present) || p->guest_open == open)
		return;
	p->guest_open = open;
	control_send(p->console, p->id, PORT_OPEN, open);
}
