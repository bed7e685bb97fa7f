/* SPDX-License-Identifier: MIT */
/*
 * Requests as commands, and their ends.
 *
 * Everything that makes a command lies in memory before its slot is on record, and the slot is on
 * record before a register is written (disk.h).
 */
#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"

static struct disk *disk_of(struct blk_server *s)
{
	return container_of(s, struct disk, server);
}

/* -- from a request to a command ------------------------------------------------------------- */

static enum blk_verdict answer_now(struct blk_plan *p, uint8_t status, uint32_t written)
{
	p->status = status;
	p->written = written;
	return BLK_ANSWERED;
}

/* Whole blocks that the disk has. */
static bool blocks_are_good(const struct disk *k, uint64_t sector, uint64_t sectors)
{
	uint32_t shift = k->identity.block_shift - 9;
	uint64_t mask = BIT(shift) - 1;

	return sectors && !((sector | sectors) & mask) &&
	       range_within(sector, sectors, k->identity.blocks << shift);
}

/* Without a flush that the client knows of, each write has to be durable when it is done. */
static bool is_durable(const struct disk *k)
{
	return k->identity.has_cache && !(k->d->features & BLK_F_FLUSH);
}

/* Queued commands go beside each other, all others alone. */
static bool may_go(const struct disk *k, bool queued)
{
	return queued ? !(k->busy & ~k->queued) : !k->busy;
}

/* The slot that is planned for; there is one (has_room()). */
static bool take_slot(struct disk *k, bool queued)
{
	k->slot = (uint32_t)__builtin_ctz(~k->busy);
	k->flags = queued ? CHAIN_QUEUED : 0;
	k->prds = 0;
	return may_go(k, queued);
}

static enum blk_verdict plan_transfer(struct disk *k, const struct blk_request *r,
				      const struct blk_flight *f, struct blk_plan *p)
{
	uint32_t shift = k->identity.block_shift, block = 1u << shift, blocks;
	bool write = r->type == BLK_T_OUT, queued = k->depth > 1 && !f->alone;
	bool fua = write && is_durable(k) && (queued || k->identity.has_fua);
	uint64_t table_bus, lba = (r->sector + f->done / BLK_SECTOR) >> (shift - 9);
	struct vq_segment pieces[AHCI_PRDS];
	unsigned int n;

	if (r->length % block || f->done >= r->length ||
	    !blocks_are_good(k, r->sector, r->length / BLK_SECTOR))
		return answer_now(p, BLK_S_IOERR, 0);
	if (!take_slot(k, queued))
		return BLK_LATER;
	n = blk_request_pieces(k->d, r, f->done, MIN(r->length - f->done, DISK_TRANSFER), pieces,
			       AHCI_PRDS);
	if (!n) {
		p->why = "address outside of the link";
		return BLK_PROTOCOL;
	}
	p->now = ahci_prdt(disk_table(k, k->slot, &table_bus), pieces, n, DISK_TRANSFER, block,
			   &k->prds);
	if (!p->now)
		return answer_now(p, BLK_S_IOERR, 0);
	p->total = r->length;
	blocks = p->now >> shift;
	k->command = queued ? ata_queued(write, lba, blocks, fua, k->slot)
			    : ata_transfer(write, lba, blocks, fua);
	if (write && is_durable(k) && !fua)
		k->flags |= CHAIN_THEN_FLUSH;
	return BLK_COMMAND;
}

static enum blk_verdict plan_flush(struct disk *k, struct blk_plan *p, uint32_t total)
{
	if (!take_slot(k, false))
		return BLK_LATER;
	p->total = total;
	k->command = ata_command(ATA_FLUSH_CACHE_EXT, 0, 0);
	return BLK_COMMAND;
}

/* How many entries of @data the ranges are; 0, with an answer: they cannot be discarded. */
static uint32_t put_ranges(struct disk *k, const struct blk_request *r, uint8_t *data,
			   struct blk_plan *p)
{
	uint32_t shift = k->identity.block_shift - 9, entries = 0;
	struct blk_range ranges[BLK_RANGES];
	uint32_t n = blk_request_ranges(k->d, r, ranges);

	(void)answer_now(p, BLK_S_IOERR, 0);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t some;

		if (ranges[i].flags)
			(void)answer_now(p, BLK_S_UNSUPP, 0);
		if (ranges[i].flags || !blocks_are_good(k, ranges[i].sector, ranges[i].sectors))
			return 0;
		some = ata_trim_range(data, entries, ranges[i].sector >> shift,
				      ranges[i].sectors >> shift);
		if (!some)
			return 0;
		entries += some;
	}
	return entries;
}

static enum blk_verdict plan_discard(struct disk *k, const struct blk_request *r,
				     struct blk_plan *p)
{
	struct vq_segment piece = { .len = ATA_TRIM_LENGTH };
	uint64_t table_bus;
	uint8_t *data = disk_memory(k, DISK_BUFFERS, BUFFER_TRIM, &piece.addr);

	/* There is one buffer; commands that use it are alone. */
	if (!take_slot(k, false))
		return BLK_LATER;
	memset(data, 0, ATA_TRIM_LENGTH);
	if (!put_ranges(k, r, data, p))
		return BLK_ANSWERED;
	(void)ahci_prdt(disk_table(k, k->slot, &table_bus), &piece, 1, ATA_TRIM_LENGTH,
			ATA_TRIM_LENGTH, &k->prds);
	k->command = ata_command(ATA_DATA_SET_MANAGEMENT, 0, 1);
	k->command.features = 1;	/* TRIM */
	k->command.writes = true;
	return BLK_COMMAND;
}

static enum blk_verdict plan_id(struct disk *k, const struct blk_request *r, struct blk_plan *p)
{
	char id[BLK_ID_LENGTH] = { 0 };

	memcpy(id, k->identity.serial, MIN(strlen(k->identity.serial), sizeof(id)));
	if (!blk_request_write(k->d, r, id, sizeof(id)))
		return answer_now(p, BLK_S_UNSUPP, 0);
	return answer_now(p, BLK_S_OK, sizeof(id));
}

static enum blk_verdict plan(struct blk_server *s, uint32_t q, const struct blk_request *r,
			     struct blk_flight *f, struct blk_plan *p)
{
	struct disk *k = disk_of(s);

	switch (r->type) {
	case BLK_T_IN:
		return plan_transfer(k, r, f, p);
	case BLK_T_OUT:
		return f->durable ? plan_flush(k, p, f->total) : plan_transfer(k, r, f, p);
	case BLK_T_FLUSH:
		return plan_flush(k, p, 0);
	case BLK_T_GET_ID:
		return plan_id(k, r, p);
	case BLK_T_DISCARD:
		if (k->identity.has_trim)
			return plan_discard(k, r, p);
		break;
	}
	return answer_now(p, BLK_S_UNSUPP, 0);
}

/* -- to the device --------------------------------------------------------------------------- */

static bool has_room(struct blk_server *s, uint32_t q)
{
	const struct disk *k = disk_of(s);

	return popcount_u64(k->busy) < k->depth;
}

static void set_pending(struct disk *k, enum pending phase, uint32_t slots)
{
	atomic_signal_fence(memory_order_release);
	k->d->record->words[WORD_PENDING] = (uint64_t)phase << 32 | slots;
	atomic_signal_fence(memory_order_release);
	drv_step();
}

static void launch(struct blk_server *s, uint32_t q, uint16_t head, struct blk_flight *f)
{
	struct disk *k = disk_of(s);
	struct record_chain *c = disk_chain(k, k->slot);
	uint64_t table_bus;
	struct ahci_table *table = disk_table(k, k->slot, &table_bus);

	if (f->done + f->now >= f->total && !(k->flags & CHAIN_THEN_FLUSH))
		k->flags |= CHAIN_LAST;
	if (f->durable)
		k->flags |= CHAIN_DURABLE;
	ahci_put(disk_header(k, k->slot), table, table_bus, &k->command, k->prds);
	k->busy |= 1u << k->slot;
	k->prepared |= 1u << k->slot;
	k->queued = (k->queued & ~(1u << k->slot)) |
		    (k->flags & CHAIN_QUEUED ? 1u << k->slot : 0);
	k->head[k->slot] = head;
	f->command = (uint16_t)k->slot;
	set_pending(k, PENDING_PREPARING, k->prepared);
	c->head = head;
	c->count = k->flags;
	c->position = (uint64_t)f->done << 32 | f->now;
	atomic_signal_fence(memory_order_release);
	c->counter = f->counter;
	drv_step();
}

void io_show(struct disk *k, uint32_t slots, bool queued)
{
	/* release: what lies in memory comes before the registers */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (queued) {
		set_pending(k, PENDING_ACTIVE, slots);
		port_write(&k->hba, k->port, PORT_SACT, slots);
	}
	set_pending(k, PENDING_ISSUE, slots);
	port_write(&k->hba, k->port, PORT_CI, slots);
	k->d->record->words[WORD_PENDING] = 0;
	drv_step();
}

static void submit(struct blk_server *s, uint32_t q)
{
	struct disk *k = disk_of(s);
	uint32_t slots = k->prepared;

	if (!slots)
		return;
	k->prepared = 0;
	io_show(k, slots, slots & k->queued);
}

const struct blk_server_ops disk_ops = {
	.has_room = has_room, .plan = plan, .launch = launch, .submit = submit,
	.device = "the adapter",
};

/* -- from the device ------------------------------------------------------------------------- */

static void finish_one(struct disk *k, uint32_t slot)
{
	uint16_t head = k->head[slot];
	struct blk_flight *f = &k->server.queue[0].flights[head];

	if (f->done + f->now >= f->total && (disk_chain(k, slot)->count & CHAIN_THEN_FLUSH)) {
		f->done += f->now;
		f->durable = true;	/* all is written, and a flush is next */
		blk_server_returned(&k->server, 0, head);
	} else {
		blk_server_ended(&k->server, 0, head);
	}
}

void io_finish(struct disk *k, uint32_t slots)
{
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		if (slots >> i & 1)
			finish_one(k, i);
	/* Only what the client was shown makes room on record. */
	drv_publish(k->d, 0);
	drv_step();
	for (uint32_t i = 0; i < HBA_SLOTS; i++) {
		if (!(slots >> i & 1))
			continue;
		disk_chain(k, i)->counter = 0;
		drv_step();
	}
	k->busy &= ~slots;
}

/* Registers say what only a reset helps against. */
static void check_status(struct disk *k, uint32_t status)
{
	if (status == ~0u)
		blk_server_reset(&k->server, "its registers are gone", false);
	if (status & PORT_IS_FATAL)
		blk_server_reset(&k->server, "a fatal error of the interface", false);
	if (status & PORT_IS_LINK)
		blk_server_reset(&k->server, "the link to the disk broke", false);
}

/* A queued command leaves PxCI when the device has it, and PxSACT when it is done. */
static uint32_t look(const struct disk *k)
{
	uint32_t active = 0;

	if (!k->busy || (k->busy & k->queued))
		active |= port_read(&k->hba, k->port, PORT_SACT);
	if (!k->busy || (k->busy & ~k->queued))
		active |= port_read(&k->hba, k->port, PORT_CI);
	return active;
}

uint32_t io_reap(struct disk *k)
{
	uint32_t status = port_read(&k->hba, k->port, PORT_IS), active, done;

	check_status(k, status);
	if (status & PORT_IS_TFES) {
		done = popcount_u64(k->busy);
		error_recover(k);
		done -= popcount_u64(k->busy);
		blk_server_go_on(&k->server, 0);
		return done;
	}
	/* What ends after this look interrupts again. */
	if (status)
		hba_acknowledge(&k->hba, k->port, status);
	active = look(k);
	if (active & ~k->busy)
		blk_server_reset(&k->server, "commands that it was not given", false);
	done = k->busy & ~active;
	if (!done)
		return 0;
	io_finish(k, done);
	blk_server_go_on(&k->server, 0);
	return popcount_u64(done);
}

void io_check(struct disk *k)
{
	(void)io_reap(k);		/* an interrupt may have been lost */
	blk_server_tick(&k->server);
}
