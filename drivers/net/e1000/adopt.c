/* SPDX-License-Identifier: MIT */
/*
 * How an incarnation begins (docs/decisions/0006-adoption.md).
 *
 * A successor takes the running card over: base and length registers say that it works on the rings
 * that are on record, tail registers what it was shown of them, and descriptors what is done.
 * Nothing else in the card depends on who drives it, but for the context of checksums, which is
 * given anew.  Only the mask of interrupts is written, as the card goes on meanwhile.
 *
 * If that cannot be, or is not wanted, the card is given a moment to send what it has, and made
 * quiet: then descriptors are all that counts, whether they were shown or not.  What they say was
 * done is answered, and the rest issued again, in its order, to the card that was reset.  Until
 * then the record is as it was, so that a successor that dies over it has changed nothing.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "card.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"

/* The configuration: virtio 1.1, 5.1.4. */
enum { CONFIG_ADDRESS = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10,
       CONFIG_LENGTH = 12 };
enum { MTU = 1500 };
enum { DRAIN_MS = 200 };
#define MS 1000000ull

static struct record_ring *ring_record(struct card *k, uint32_t q)
{
	return record_ring(&k->d->start.link, k->d->record, q);
}

k_status_t card_allocate(struct card *k)
{
	struct drv *d = k->d;

	if (d->layout.queue_count != NIC_RINGS || d->start.dma_length < CARD_DMA || !d->dma ||
	    !d->data)
		return K_ERR_NOT_SUPPORTED;
	for (uint32_t q = 0; q < NIC_RINGS; q++) {
		k->rings_bus[q] = d->dma_bus[q];
		ring_open(&k->ring[q], (uint8_t *)d->dma + q * K_PAGE_SIZE, ring_record(k, q),
			  &d->queue[q], drv_step);
		k->queue[q].chain.segments =
			rt_alloc(d->layout.queue_size * sizeof(struct vq_segment));
		if (!k->queue[q].chain.segments)
			return K_ERR_NO_MEMORY;
	}
	return K_OK;
}

void card_describe(struct card *k)
{
	uint8_t c[CONFIG_LENGTH] = { 0 };

	memcpy(c + CONFIG_ADDRESS, k->nic.address, NIC_ADDRESS);
	put_le16(c + CONFIG_STATUS, nic_is_linked(&k->nic));
	put_le16(c + CONFIG_PAIRS, 1);
	put_le16(c + CONFIG_MTU, MTU);
	drv_config(k->d, c, sizeof(c));
}

/* -- live -------------------------------------------------------------------------------------- */

static bool has_past(const struct card *k)
{
	const struct record *r = k->d->record;

	return r->phase == RECORD_LIVE && r->words[WORD_LAYOUT] == CARD_LAYOUT;
}

/* Requests of the entries that are left stay with the device. */
static bool adopt_ring(struct card *k, uint32_t q, uint32_t tail)
{
	struct ring *r = &k->ring[q];
	uint64_t at;
	uint16_t head;

	memset(k->queue[q].with_device, 0, sizeof(k->queue[q].with_device));
	if (!ring_adopt(r, tail))
		return false;
	for (at = r->next; ring_entry(r, &at, &head);) {
		/* Its request is in flight, so it is a number of the link's; each has one entry. */
		if (k->queue[q].with_device[head])
			return false;
		k->queue[q].with_device[head] = true;
	}
	k->shown[q] = ring_tail(r);
	return true;
}

static void issue_again(struct card *k)
{
	for (uint32_t q = 0; q < NIC_RINGS; q++)
		k->queue[q].issuing = true;
}

/* Go on with the running device; false: that cannot be done, and it was left as it is. */
static bool adopt_live(struct card *k)
{
	struct record *r = k->d->record;

	if (!has_past(k) || !nic_runs_on(&k->nic, k->rings_bus))
		return false;
	for (uint32_t q = 0; q < NIC_RINGS; q++) {
		uint32_t tail = nic_tail(&k->nic, q);

		if (tail >= NIC_RING_SIZE || !adopt_ring(k, q, tail))
			return false;
	}
	for (uint32_t q = 0; q < NIC_RINGS; q++) {
		for (uint32_t i = 0; i < k->d->layout.queue_size; i++)
			r->adopted += k->queue[q].with_device[i];
		r->finished += io_reap(k, q);
	}
	issue_again(k);
	k->hears_of_sent = true;	/* io_look() says whether it has to */
	nic_listen(&k->nic, NIC_CAUSES | NIC_SENT);
	return true;
}

/* -- after a reset ----------------------------------------------------------------------------- */

/* What was sent cannot be taken back: what the card still sends, it need not send twice. */
static void drain(struct card *k)
{
	const struct drv_window *w = k->nic.window;
	uint64_t deadline = w->now_ns(w->user) + DRAIN_MS * MS;

	for (uint32_t n = 0; !nic_has_drained(&k->nic) && w->now_ns(w->user) < deadline; n++)
		w->pause(w->user, n);
}

/* Both rings of the quiet device: what they say was done is answered. */
static void harvest(struct card *k)
{
	for (uint32_t q = 0; q < NIC_RINGS; q++) {
		if (adopt_ring(k, q, NIC_RING_SIZE))
			k->d->record->finished += io_reap(k, q);
		memset(k->queue[q].with_device, 0, sizeof(k->queue[q].with_device));
	}
}

static k_status_t set_up(struct card *k)
{
	struct record *r = k->d->record;
	k_status_t st;

	r->phase = RECORD_SETUP;
	/* What the record says of rings holds only while it says LIVE. */
	atomic_signal_fence(memory_order_release);
	drv_step();
	for (uint32_t q = 0; q < NIC_RINGS; q++) {
		ring_make(&k->ring[q]);
		k->shown[q] = 0;
	}
	memset((uint8_t *)k->d->dma + CARD_ZEROES, 0, CARD_EXTRA - CARD_ZEROES);
	st = nic_run(&k->nic, k->rings_bus);
	if (st != K_OK)
		return st;
	r->words[WORD_LAYOUT] = CARD_LAYOUT;
	r->queue_count = NIC_RINGS;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->phase = RECORD_LIVE;
	drv_step();
	k->hears_of_sent = false;
	nic_listen(&k->nic, NIC_CAUSES);
	return K_OK;
}

static k_status_t start_over(struct card *k)
{
	bool succeeds = k->d->start.incarnation > 1;
	k_status_t st;

	if (has_past(k) && nic_runs_on(&k->nic, k->rings_bus))
		drain(k);
	st = nic_reset(&k->nic);
	if (st != K_OK)
		return st;
	/* Only now: whoever used it before us may have had rings in memory that is not ours. */
	drv_pci_enable(k->d, DRV_PCI_MASTER);
	if (!nic_find_address(&k->nic))
		drv_log(k->d, RT_LOG_WARNING, "the card has no address");
	if (has_past(k))
		harvest(k);
	st = set_up(k);
	if (st != K_OK || !succeeds)
		return st;
	drv_was_reset(k->d);
	issue_again(k);
	return K_OK;
}

k_status_t card_start(struct card *k)
{
	struct record *r = k->d->record;
	uint32_t how = drv_adopt_flags(k->d);
	bool succeeds = k->d->start.incarnation > 1;
	k_status_t st;

	r->adopted = r->issued = r->finished = 0;
	if (succeeds && !(how & COMPONENT_ADOPT_RESET) && adopt_live(k)) {
		(void)nic_find_address(&k->nic);
		r->adoption = RECORD_ADOPTED;
		return K_OK;
	}
	if (succeeds && (how & COMPONENT_ADOPT_LIVE)) {
		drv_log(k->d, RT_LOG_ERR, "the card cannot be taken over as it is");
		return K_ERR_BAD_STATE;
	}
	st = start_over(k);
	if (st == K_OK)
		r->adoption = succeeds ? RECORD_RESET : RECORD_STARTED;
	return st;
}
