/* SPDX-License-Identifier: MIT */
/*
 * Frames between the link and the rings.
 *
 * A card of QEMU sends within the store that shows it a frame; hardware takes a while.  So what was
 * sent is looked for after each showing, and only if something is left an interrupt is asked
 * for: under QEMU no interrupt tells of frames that were sent, and nobody waits for one in vain.
 */
#include "base/byteorder.h"
#include "base/util.h"
#include "card.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/process.h"

/* A frame that was spoiled is one without a whole header. */
enum { SPOILED = 1 };
enum { EXIT_RESET = 2 };

/* A device that lies has lost its claim to the rings: the successor resets it. */
static void device_broke(struct card *k, const char *why)
{
	k->d->record->phase = RECORD_SETUP;
	drv_log(k->d, RT_LOG_ERR, "the device broke the protocol: %s", why);
	k_process_exit(EXIT_RESET);
}

/* -- to the device ----------------------------------------------------------------------------- */

static void give_buffer(struct card *k, uint16_t head, uint64_t bus)
{
	struct ring *r = &k->ring[NIC_RX];

	*ring_free(r, 0) = (struct nic_desc){ .buffer = LE64(bus) };
	ring_add(r, head, 1);
}

static bool needs_context(const struct card *k, const struct frame *f)
{
	return f->has_checksum && !(k->has_context && k->sum_from == f->sum_from &&
				    k->sum_at == f->sum_at);
}

/* From sum_from to the frame's end, into sum_at; IP's own checksum is the client's. */
static void put_context(struct card *k, struct nic_desc *to, const struct frame *f)
{
	uint32_t sum = f->sum_from | (uint32_t)f->sum_at << 8;

	*to = (struct nic_desc){ .buffer = LE64((uint64_t)sum << 32), .low = LE32(TX_EXTENDED) };
	k->has_context = true;
	k->sum_from = f->sum_from;
	k->sum_at = f->sum_at;
}

/* False: there is no room for it. */
static bool send_frame(struct card *k, uint16_t head, const struct frame *f)
{
	const uint32_t last = TX_END | TX_REPORT;
	uint32_t n = needs_context(k, f);
	struct ring *r = &k->ring[NIC_TX];

	if (ring_room(r) < n + f->count)
		return false;
	if (n)
		put_context(k, ring_free(r, 0), f);
	for (unsigned int i = 0; i < f->count; i++, n++) {
		uint32_t command = TX_EXTENDED | TX_DATA | TX_FCS | f->piece[i].len |
				   (i + 1 == f->count ? last : 0);

		*ring_free(r, n) = (struct nic_desc){
			.buffer = LE64(f->piece[i].addr), .low = LE32(command),
			.high = LE32(f->has_checksum ? TX_CHECKSUM : 0),
		};
	}
	ring_add(r, head, n);
	return true;
}

/* What became of a chain that is to go to the device. */
enum { GIVEN, ANSWERED, NO_ROOM };

static int hand_over_frame(struct card *k, const struct vq_chain *c, const char **why)
{
	uint64_t at = CARD_EXTRA + c->head * sizeof(struct frame_extra);
	const uint64_t bus = k->d->dma_bus[CARD_ZEROES / K_PAGE_SIZE];
	struct frame_extra *extra = (struct frame_extra *)((uint8_t *)k->d->dma + at);
	struct frame f;

	switch (frame_to_send(k->d, c, k->d->features, extra, bus + at % K_PAGE_SIZE,
			      bus + CARD_ZEROES % K_PAGE_SIZE, &f, why)) {
	case FRAME_GOOD:
		*why = NULL;
		return send_frame(k, c->head, &f) ? GIVEN : NO_ROOM;
	case FRAME_DROPPED:
		*why = NULL;
		return ANSWERED;
	case FRAME_PROTOCOL:
		break;
	}
	return NO_ROOM;
}

static int hand_over_buffer(struct card *k, const struct vq_chain *c, const char **why)
{
	uint64_t bus;

	if (!frame_buffer(k->d, c, &bus, why))
		return NO_ROOM;
	*why = NULL;
	if (!ring_room(&k->ring[NIC_RX]))
		return NO_ROOM;
	give_buffer(k, c->head, bus);
	return GIVEN;
}

/* The client gets it back as it is: it was dropped, or fatal to drivers. */
static void give_back(struct card *k, uint32_t q, uint16_t head)
{
	vq_device_answer(&k->d->queue[q], head, 0);
	drv_publish(k->d, q);
}

/* Hand the waiting chain to the device; false: no room there yet, or the client is broken. */
static bool hand_over(struct card *k, uint32_t q)
{
	struct card_queue *queue = &k->queue[q];
	const struct vq_chain *c = &queue->chain;
	const char *why = NULL;
	int what = ANSWERED;

	if (drv_work_on(k->d, q, c->head) && !drv_is_overdue(k->d, q, c->head))
		what = q == NIC_TX ? hand_over_frame(k, c, &why) : hand_over_buffer(k, c, &why);
	if (CONFIG_CHECKS && drv_blames())
		why = "it was told to say so";
	if (why) {
		drv_break(k->d, why);
		return false;
	}
	drv_work_done(k->d);
	if (what == ANSWERED)
		give_back(k, q, c->head);
	queue->with_device[c->head] = what == GIVEN;
	queue->waiting = what == NO_ROOM;
	return !queue->waiting;
}

/* The next chain that the device does not have: a predecessor's first. */
static bool next_chain(struct card *k, uint32_t q)
{
	struct card_queue *queue = &k->queue[q];
	struct vq_device *link = &k->d->queue[q];

	while (queue->issuing && vq_device_adopted(link, &queue->issued, &queue->chain)) {
		if (queue->with_device[queue->chain.head])
			continue;
		k->d->record->issued++;
		return true;
	}
	queue->issuing = false;
	return vq_device_take(link, &queue->chain);
}

static void show(struct card *k, uint32_t q)
{
	uint32_t tail = ring_tail(&k->ring[q]);

	if (tail == k->shown[q] || drv_is_deaf() || drv_is_silent())
		return;
	k->shown[q] = tail;
	nic_show(&k->nic, q, tail);
}

static void take_all(struct card *k, uint32_t q)
{
	struct card_queue *queue = &k->queue[q];
	struct vq_device *link = &k->d->queue[q];

	do {
		vq_device_notifications(link, false);
		while (!k->d->broken && !link->broken) {
			if (!queue->waiting)
				queue->waiting = next_chain(k, q);
			if (!queue->waiting || !hand_over(k, q))
				break;
		}
	} while (!queue->waiting && !k->d->broken && vq_device_notifications(link, true));
}

/* Interrupts tell of frames that were sent while some are under way. */
static void listen_to_sent(struct card *k)
{
	bool wanted = !ring_is_empty(&k->ring[NIC_TX]);

	if (wanted == k->hears_of_sent)
		return;
	k->hears_of_sent = wanted;
	if (wanted)
		nic_listen(&k->nic, NIC_SENT);
	else
		nic_ignore(&k->nic, NIC_SENT);
}

void io_serve(struct card *k, uint32_t q)
{
	if (q >= NIC_RINGS)
		return;
	take_all(k, q);
	show(k, q);
	if (q != NIC_TX)
		return;
	/* By the bell: however much a client sends, this ends, and all else gets its turn. */
	if (io_reap(k, NIC_TX) && k->queue[NIC_TX].waiting)
		(void)!k_bell_ring(k->d->bell, CARD_GO_ON);
	listen_to_sent(k);
}

/* -- from the device --------------------------------------------------------------------------- */

/* What the client is told was written into its buffer. */
static uint32_t received(struct card *k, const struct ring_done *e)
{
	uint32_t length = e->low & 0xffff;

	if (length > FRAME_RECEIVED_MAX)
		device_broke(k, "a frame that is longer than it receives any");
	if (!(e->high & RX_END) || (e->high & RX_ERRORS) || e->is_tail)
		return SPOILED;
	return NET_HEADER + length;
}

static void answer(struct card *k, uint32_t q, const struct ring_done *e)
{
	struct vq_device *link = &k->d->queue[q];
	uint32_t written = 0;

	if (drv_work_on(k->d, q, e->head) && q == NIC_RX)
		written = received(k, e);
	drv_step();
	if (CONFIG_CHECKS && drv_talks_nonsense())
		vq_device_answer(link, (uint16_t)(link->ring.size - 1), written);
	vq_device_answer(link, e->head, written);
	k->queue[q].with_device[e->head] = false;
	drv_work_done(k->d);
}

uint32_t io_reap(struct card *k, uint32_t q)
{
	struct ring_done e;
	uint32_t n = 0;

	for (; ring_take(&k->ring[q], &e); n++)
		answer(k, q, &e);
	drv_publish(k->d, q);
	if (n)
		ring_settle(&k->ring[q]);
	return n;
}

void io_look(struct card *k)
{
	for (uint32_t q = 0; q < NIC_RINGS; q++)
		if (io_reap(k, q) && k->d->open &&
		    (k->queue[q].waiting || k->queue[q].issuing))
			io_serve(k, q);
	listen_to_sent(k);
}

void io_go_on(struct card *k)
{
	if (k->queue[NIC_TX].waiting)
		io_serve(k, NIC_TX);
}
