/* SPDX-License-Identifier: MIT */
/*
 * Requests as commands of the controller, and what a successor makes of its predecessor's.
 *
 * Where a death leaves a request (docs/decisions/0006-adoption.md): in the in-flight table of
 * the link until it is answered, and done if the completion queue has an entry for its last
 * command behind the position on record.  That position is written after the answers are
 * published, and before any request is taken: so an entry behind it is of a request that is in flight,
 * or of one whose head was not used again.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"

/* Pages of the largest transfer, and some for memory that comes in smaller pieces. */
enum { PIECES = 64 };
enum { RANGE_UNMAP = 1 };

static struct disk *disk_of(struct blk_server *s)
{
	return container_of(s, struct disk, server);
}

/* -- from a request to a command ------------------------------------------------------------- */

static uint8_t *slot_of(struct disk *k, uint32_t q, uint16_t head, uint64_t *bus)
{
	uint64_t at = (q * k->d->layout.queue_size + head) * (uint64_t)DISK_SLOT;
	uint8_t *page = disk_page(k, k->slots + (uint32_t)(at / K_PAGE_SIZE), bus);

	*bus += at % K_PAGE_SIZE;
	return page + at % K_PAGE_SIZE;
}

/* Whole blocks that the disk has. */
static bool blocks_are_good(const struct disk *k, uint64_t sector, uint64_t sectors)
{
	uint32_t shift = k->ns.block_shift - 9;
	uint64_t mask = BIT(shift) - 1;

	return sectors && !((sector | sectors) & mask) &&
	       range_within(sector, sectors, k->ns.blocks << shift);
}

/* Without a flush that the client knows of, each write has to be durable when it is done. */
static uint32_t write_flags(const struct disk *k)
{
	return k->identity.has_cache && !(k->d->features & BLK_F_FLUSH) ? NVME_FUA : 0;
}

static enum blk_verdict answer_now(struct blk_plan *p, uint8_t status, uint32_t written)
{
	p->status = status;
	p->written = written;
	return BLK_ANSWERED;
}

static enum blk_verdict plan_transfer(struct disk *k, uint32_t q, const struct blk_request *r,
				  uint32_t done, struct blk_plan *p)
{
	uint32_t block = 1u << k->ns.block_shift;
	struct vq_segment pieces[PIECES];
	struct nvme_prp_list list = { .count = DISK_SLOT / sizeof(uint64_t) };
	unsigned int n;

	if (r->length % block || done >= r->length ||
	    !blocks_are_good(k, r->sector, r->length / BLK_SECTOR))
		return answer_now(p, BLK_S_IOERR, 0);
	n = blk_request_pieces(k->d, r, done, MIN(r->length - done, k->max_transfer), pieces, PIECES);
	if (!n) {
		p->why = "address outside of the link";
		return BLK_PROTOCOL;
	}
	list.entries = (uint64_t *)(void *)slot_of(k, q, r->head, &list.bus);
	p->now = nvme_prp(&k->command, pieces, n, k->max_transfer, block, &list);
	if (!p->now)
		return answer_now(p, BLK_S_IOERR, 0);
	p->total = r->length;
	nvme_command_blocks(&k->command,
			    (r->sector + done / BLK_SECTOR) >> (k->ns.block_shift - 9),
			    p->now >> k->ns.block_shift);
	return BLK_COMMAND;
}

static enum blk_verdict plan_discard(struct disk *k, uint32_t q, const struct blk_request *r,
				 struct blk_plan *p)
{
	uint32_t shift = k->ns.block_shift - 9;
	struct blk_range ranges[BLK_RANGES];
	uint32_t n = blk_request_ranges(k->d, r, ranges);
	uint64_t bus;
	uint8_t *slot = slot_of(k, q, r->head, &bus);

	for (uint32_t i = 0; i < n; i++) {
		if (ranges[i].flags)
			return answer_now(p, BLK_S_UNSUPP, 0);
		if (!blocks_are_good(k, ranges[i].sector, ranges[i].sectors))
			return answer_now(p, BLK_S_IOERR, 0);
		nvme_range(slot + i * NVME_RANGE, ranges[i].sector >> shift,
			   ranges[i].sectors >> shift);
	}
	if (!n)
		return answer_now(p, BLK_S_IOERR, 0);
	nvme_command_deallocate(&k->command, n, bus);
	return BLK_COMMAND;
}

static enum blk_verdict plan_zeroes(struct disk *k, const struct blk_request *r, struct blk_plan *p)
{
	uint32_t shift = k->ns.block_shift - 9;
	struct blk_range ranges[BLK_RANGES], *one = &ranges[0];

	if (blk_request_ranges(k->d, r, ranges) != 1)
		return answer_now(p, BLK_S_IOERR, 0);
	if (one->flags & ~(uint32_t)RANGE_UNMAP)
		return answer_now(p, BLK_S_UNSUPP, 0);
	if (!blocks_are_good(k, one->sector, one->sectors) || one->sectors >> shift > 0x10000 ||
	    one->sectors > k->identity.max_transfer / BLK_SECTOR)
		return answer_now(p, BLK_S_IOERR, 0);
	nvme_command_blocks(&k->command, one->sector >> shift, one->sectors >> shift);
	if (one->flags & RANGE_UNMAP)
		k->command.dw12 |= LE32(NVME_DEALLOCATE);
	k->command.dw12 |= LE32(write_flags(k));
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

static bool is_supported(const struct disk *k, uint32_t type)
{
	switch (type) {
	case BLK_T_IN:
	case BLK_T_OUT:
	case BLK_T_FLUSH:
	case BLK_T_GET_ID:
		return true;
	case BLK_T_DISCARD:
		return k->identity.has_deallocate;
	case BLK_T_WRITE_ZEROES:
		return k->identity.has_write_zeroes;
	default:
		return false;
	}
}

static enum blk_verdict plan(struct blk_server *s, uint32_t q, const struct blk_request *r,
			     struct blk_flight *f, struct blk_plan *p)
{
	static const uint8_t opcodes[] = {
		[BLK_T_IN] = NVME_READ, [BLK_T_OUT] = NVME_WRITE, [BLK_T_FLUSH] = NVME_FLUSH,
		[BLK_T_DISCARD] = NVME_DATASET, [BLK_T_WRITE_ZEROES] = NVME_WRITE_ZEROES,
	};
	struct disk *k = disk_of(s);
	enum blk_verdict v;

	if (!is_supported(k, r->type))
		return answer_now(p, BLK_S_UNSUPP, 0);
	if (r->type == BLK_T_GET_ID)
		return plan_id(k, r, p);
	if (k->ns.read_only && r->type != BLK_T_IN && r->type != BLK_T_FLUSH)
		return answer_now(p, BLK_S_IOERR, 0);
	k->command = nvme_command(opcodes[r->type], 0, k->ns.id);
	switch (r->type) {
	case BLK_T_IN:
		return plan_transfer(k, q, r, f->done, p);
	case BLK_T_OUT:
		v = plan_transfer(k, q, r, f->done, p);
		k->command.dw12 |= LE32(write_flags(k));
		return v;
	case BLK_T_DISCARD:
		return plan_discard(k, q, r, p);
	case BLK_T_WRITE_ZEROES:
		return plan_zeroes(k, r, p);
	default:
		return BLK_COMMAND;	/* a flush has nothing but its opcode */
	}
}

/* -- to the device --------------------------------------------------------------------------- */

static bool has_room(struct blk_server *s, uint32_t q)
{
	const struct nvme_queue *ring = &disk_of(s)->ring[q];

	return ring->in_flight < ring->size - 1;
}

static void launch(struct blk_server *s, uint32_t q, uint16_t head, struct blk_flight *f)
{
	struct disk *k = disk_of(s);
	uint16_t last = f->done + f->now == f->total ? CID_LAST : 0;

	f->command = (uint16_t)(last | (f->counter & 0x7f) << 8 | head);
	k->command.opcode_cid |= LE32((uint32_t)f->command << 16);
	drv_step();
	if (!nvme_queue_add(&k->ring[q], &k->command))
		blk_server_reset(s, "more commands than the ring holds", false);
}

static void submit(struct blk_server *s, uint32_t q)
{
	struct disk *k = disk_of(s);

	nvme_submit(&k->controller, &k->ring[q]);
}

const struct blk_server_ops disk_ops = {
	.has_room = has_room, .plan = plan, .launch = launch, .submit = submit,
	.device = "the controller",
};

/* -- from the device ------------------------------------------------------------------------- */

static void ended(struct disk *k, uint32_t q, const struct nvme_completion *c)
{
	struct blk_server *s = &k->server;
	uint16_t head = CID_HEAD(c->cid);
	const struct blk_flight *f = &s->queue[q].flights[head];

	if (head >= k->d->layout.queue_size || !f->with_device || f->command != c->cid)
		blk_server_reset(s, "completion of a command that it does not have", false);
	if (c->status)
		blk_server_failed(s, q, head, c->status, !(c->status & NVME_STATUS_DNR));
	else
		blk_server_ended(s, q, head);
}

/* Publish what was answered, and only then say how far the queue was read. */
static void settle(struct disk *k, uint32_t q, struct nvme_queue *ring)
{
	drv_publish(k->d, q);
	drv_step();
	record_ring(&k->d->start.link, k->d->record, q)->used_idx = ring->position;
	atomic_signal_fence(memory_order_release);
	drv_step();
}

static bool reap(struct disk *k, uint32_t q)
{
	struct nvme_queue *ring = &k->ring[q];
	struct nvme_completion c;
	bool any = false;

	for (; nvme_queue_take(ring, &c); any = true)
		ended(k, q, &c);
	if (ring->broken)
		blk_server_reset(&k->server, ring->broken, false);
	if (!any)
		return false;
	settle(k, q, ring);
	nvme_settle(&k->controller, ring);
	return true;
}

void io_reap(struct disk *k)
{
	for (uint32_t q = 0; q < k->server.queue_count; q++)
		if (reap(k, q))
			blk_server_go_on(&k->server, q);
}

void io_check(struct disk *k)
{
	io_reap(k);			/* an interrupt may have been lost */
	if (!nvme_is_well(&k->controller))
		blk_server_reset(&k->server, "the controller failed", true);
	blk_server_tick(&k->server);
}

/* -- succession ------------------------------------------------------------------------------ */

/* A completion that a predecessor did not see: the request is done, if it is still in flight. */
static void harvest_one(struct disk *k, uint32_t q, const struct nvme_completion *c)
{
	uint16_t head = CID_HEAD(c->cid);
	uint64_t counter = vq_device_counter(&k->d->queue[q], head);
	struct blk_request r;

	if (counter && CID_IS_OF(c->cid, counter) && (c->cid & CID_LAST) && !c->status &&
	    blk_server_find(&k->server, q, head, counter, &r))
		blk_server_finish(&k->server, q, &r);
}

static void harvest(struct disk *k, uint32_t q)
{
	const struct record_ring *r = record_ring(&k->d->start.link, k->d->record, q);
	struct nvme_queue old;
	struct nvme_completion c;
	uint64_t bus;

	if (!IS_POWER_OF_2(r->size) || r->size > DISK_RING)
		return;
	nvme_queue_init(&old, (uint16_t)(q + 1), r->size,
			disk_page(k, DISK_QUEUES + 2 * q, &bus),
			disk_page(k, DISK_QUEUES + 2 * q + 1, &bus), r->used_idx);
	old.in_flight = r->size - 1;	/* as many as there can have been */
	while (nvme_queue_take(&old, &c))
		harvest_one(k, q, &c);
	settle(k, q, &old);
}

static void harvest_all(struct disk *k)
{
	const struct record *r = k->d->record;

	if (r->phase != RECORD_LIVE || r->words[BLK_WORD_LAYOUT] != DISK_LAYOUT)
		return;
	for (uint32_t q = 0; q < MIN(r->queue_count, k->d->layout.queue_count); q++)
		harvest(k, q);
}

void io_take_over(struct disk *k)
{
	blk_server_take_over(&k->server);
	harvest_all(k);
	blk_server_issue_again(&k->server, true);
}
