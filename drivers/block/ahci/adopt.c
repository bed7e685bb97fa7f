/* SPDX-License-Identifier: MIT */
/*
 * How an incarnation begins, and what a successor makes of its predecessor's commands
 * (docs/decisions/0006-adoption.md): it takes the running port over.  If that cannot be, or is not
 * wanted, it answers what the registers say was done, resets the disk, and issues what is left in
 * its order.
 *
 * A slot's command is with the device while its bit is set in PxCI or PxSACT, and done when both
 * are clear: that holds for slots that were shown.  WORD_PENDING names those of which it is not
 * sure:
 *
 *	PREPARING	none was shown: they are issued again, whatever lies in their slots
 *	ACTIVE		PxCI was not written: it is now, as PxSACT may be again
 *	ISSUE		PxCI was written if one of its bits is set, or one of PxSACT's is clear.
 *			Otherwise a command that is not queued is issued again, as nothing is beside
 *			it; queued ones, which the device may have, need a reset.
 *
 * So it is one store in the life of a queued command after which its successor has to reset the
 * device.
 */
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"

/* The record means something, and the port is as it says. */
static bool is_live(struct disk *k)
{
	const struct record *r = k->d->record;
	uint64_t lists, fises;

	if (r->phase != RECORD_LIVE || r->words[BLK_WORD_LAYOUT] != DISK_LAYOUT ||
	    r->words[WORD_PORT] >= HBA_PORTS || !(k->hba.ports >> r->words[WORD_PORT] & 1))
		return false;
	k->port = (uint32_t)r->words[WORD_PORT];
	(void)disk_memory(k, DISK_LISTS, 0, &lists);
	(void)disk_memory(k, DISK_LISTS, LISTS_FISES, &fises);
	return port_is_running(&k->hba, k->port) && port_is_linked(&k->hba, k->port) &&
	       port_is_at(&k->hba, k->port, lists, fises);
}

static uint32_t active_slots(const struct disk *k)
{
	return port_read(&k->hba, k->port, PORT_SACT) | port_read(&k->hba, k->port, PORT_CI);
}

static uint64_t pending(const struct disk *k, uint32_t *slots)
{
	*slots = (uint32_t)k->d->record->words[WORD_PENDING];
	return k->d->record->words[WORD_PENDING] >> 32;
}

/* The slots that are of a request in flight. */
static uint32_t recorded_slots(struct disk *k)
{
	uint32_t slots = 0;

	for (uint32_t i = 0; i < HBA_SLOTS; i++) {
		const struct record_chain *c = disk_chain(k, i);

		if (c->counter && vq_device_counter(&k->d->queue[0], c->head) == c->counter)
			slots |= 1u << i;
	}
	return slots;
}

static uint32_t queued_slots(struct disk *k)
{
	uint32_t slots = 0;

	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		slots |= disk_chain(k, i)->count & CHAIN_QUEUED ? 1u << i : 0;
	return slots;
}

static void forget(struct disk *k, uint32_t slots)
{
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		if (slots >> i & 1)
			disk_chain(k, i)->counter = 0;
	atomic_signal_fence(memory_order_release);
	drv_step();
}

/* -- live ------------------------------------------------------------------------------------ */

/*
 * What becomes of the pending slots: @unshown are issued again, @late are to be shown.  False: it
 * cannot be known.
 */
static bool judge_pending(struct disk *k, uint32_t *unshown, uint32_t *late)
{
	uint32_t slots, issued, sent;
	uint64_t phase = pending(k, &slots);

	*unshown = *late = 0;
	if (phase == PENDING_PREPARING)
		*unshown = slots;
	if (phase == PENDING_ACTIVE)
		*late = slots;
	if (phase != PENDING_ISSUE)
		return phase <= PENDING_ISSUE;
	/* In this order: a bit that leaves PxCI between the two is seen in the first. */
	issued = port_read(&k->hba, k->port, PORT_CI);
	sent = port_read(&k->hba, k->port, PORT_SACT);
	if (!(slots & queued_slots(k))) {
		*unshown = slots & ~issued;
		return true;
	}
	return (issued & slots) || (slots & ~sent);
}

/* Bytes that commands move for it. */
static uint32_t total_of(const struct blk_request *r)
{
	return r->type == BLK_T_IN || r->type == BLK_T_OUT ? r->length : 0;
}

/* A slot's progress is one that its request can have made, and no other slot is of the same. */
static bool is_plausible(struct disk *k, uint32_t slot, uint32_t slots)
{
	const struct record_chain *c = disk_chain(k, slot);
	uint64_t done = c->position >> 32, now = (uint32_t)c->position;
	struct blk_request r;

	for (uint32_t i = 0; i < slot; i++)
		if ((slots >> i & 1) && disk_chain(k, i)->head == c->head)
			return false;
	return !((done | now) & (BIT(k->identity.block_shift) - 1)) &&
	       blk_server_find(&k->server, 0, c->head, c->counter, &r) &&
	       done + now <= total_of(&r);
}

static bool adopt_slot(struct disk *k, uint32_t slot)
{
	const struct record_chain *c = disk_chain(k, slot);
	struct blk_flight *f = blk_server_adopt(&k->server, 0, c->head, c->counter);
	struct blk_request r;

	if (!f || !blk_server_find(&k->server, 0, c->head, c->counter, &r))
		return false;
	f->done = (uint32_t)(c->position >> 32);
	f->now = (uint32_t)c->position;
	f->total = total_of(&r);
	f->durable = c->count & CHAIN_DURABLE;
	f->command = (uint16_t)slot;
	k->busy |= 1u << slot;
	k->queued |= c->count & CHAIN_QUEUED ? 1u << slot : 0;
	k->head[slot] = c->head;
	return true;
}

/* What registers say is with the device is what the record says, and can be. */
static bool fits(struct disk *k, uint32_t shown)
{
	uint32_t queued = queued_slots(k) & shown;

	if (active_slots(k) & ~shown)
		return false;
	if (popcount_u64(shown) > k->depth)
		return false;
	return queued == shown || (!queued && popcount_u64(shown) <= 1);
}

/* Go on with the live device; false: that cannot be done, and nothing was touched. */
static bool adopt_live(struct disk *k)
{
	uint32_t unshown, late, slots;
	const char *why;

	if (!is_live(k) || disk_read_identity(k, &why) != K_OK ||
	    !judge_pending(k, &unshown, &late))
		return false;
	slots = recorded_slots(k) & ~unshown;
	/* PxSACT may have the bits of those that are late. */
	if ((late & ~slots) || !fits(k, slots))
		return false;
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		if ((slots >> i & 1) && !is_plausible(k, i, slots))
			return false;
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		if ((slots >> i & 1) && !adopt_slot(k, i))
			blk_server_reset(&k->server, "a record that changes", false);
	forget(k, ~slots);
	if (late)
		io_show(k, late, late & k->queued);
	k->d->record->words[WORD_PENDING] = 0;
	drv_step();
	disk_listen(k);
	/* Before the first look, which goes on with what waited. */
	blk_server_issue_again(&k->server, false);
	k->d->record->finished = io_reap(k);
	return true;
}

/* -- after a reset --------------------------------------------------------------------------- */

static void finish_slot(struct disk *k, uint32_t slot)
{
	const struct record_chain *c = disk_chain(k, slot);
	struct blk_request r;

	if ((c->count & CHAIN_LAST) && blk_server_find(&k->server, 0, c->head, c->counter, &r))
		blk_server_finish(&k->server, 0, &r);
}

/* The device is about to be reset: answer what its registers say was done. */
static void answer_finished(struct disk *k)
{
	uint32_t slots, done;

	if (!is_live(k))
		return;
	(void)pending(k, &slots);
	done = recorded_slots(k) & ~slots & ~active_slots(k);
	/* The bit of the one that failed may be clear, if it was alone. */
	if (port_read(&k->hba, k->port, PORT_TFD) & TFD_ERR)
		done &= queued_slots(k);
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		if (done >> i & 1)
			finish_slot(k, i);
	drv_publish(k->d, 0);
	drv_step();
}

/* -- both -------------------------------------------------------------------------------------- */

static k_status_t start_over(struct disk *k)
{
	bool succeeds = k->d->start.incarnation > 1;
	k_status_t st;

	if (succeeds)
		answer_finished(k);
	st = disk_set_up(k, succeeds);
	if (st != K_OK)
		return st;
	disk_listen(k);
	if (succeeds) {
		drv_was_reset(k->d);
		blk_server_issue_again(&k->server, true);
	}
	k->d->record->adoption = succeeds ? RECORD_RESET : RECORD_STARTED;
	return K_OK;
}

k_status_t disk_start(struct disk *k)
{
	uint32_t how = drv_adopt_flags(k->d);

	if (k->d->start.incarnation == 1)
		return start_over(k);
	blk_server_take_over(&k->server);
	if (!(how & COMPONENT_ADOPT_RESET) && adopt_live(k)) {
		k->d->record->adoption = RECORD_ADOPTED;
		return K_OK;
	}
	if (how & COMPONENT_ADOPT_LIVE) {
		drv_log(k->d, RT_LOG_ERR, "the adapter cannot be taken over as it is");
		return K_ERR_BAD_STATE;
	}
	return start_over(k);
}
