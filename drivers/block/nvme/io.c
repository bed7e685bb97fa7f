/* SPDX-License-Identifier: MIT */
/*
 * Requests on their way.
 *
 * A request that one command cannot do (more than a command moves, or memory with gaps) is
 * done by several, one after the other; each is made from the link's chain anew.  A command that
 * the device failed, and may do if asked again, is given to it some more times.
 *
 * Where a death leaves a request (docs/decisions/0006-adoption.md): in the in-flight table of
 * the link until it is answered, and done if the completion queue has an entry for its last
 * command behind the position on record.  That position is written after the answers are
 * published, and before any request is taken: so an entry behind it is of a request that is in flight,
 * or of one whose head was not used again.
 *
 * A device that breaks the protocol, fails, or does not answer ends this incarnation: the next
 * one begins with a reset, which is the only thing to do in all three cases.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/process.h"
#include "rt/time.h"

#define SECOND		1000000000ull
#define TIMEOUT_NS	(15 * SECOND)	/* init waits for 20 before it ends a driver that is stuck */
enum { HUNG_MAX = 3, RETRIES = 5, ERRORS_LOGGED = 10, EXIT_RESET = 2 };
/* Pages of the largest transfer, and some for memory that comes in smaller pieces. */
enum { PIECES = 64 };
enum { RANGE_UNMAP = 1 };

enum verdict { COMMAND, ANSWERED, PROTOCOL };

/* The device is of no use without a reset: the successor begins with one. */
static NORETURN void end_for_reset(struct disk *k, const char *why, bool rings_are_good)
{
	if (!rings_are_good)
		k->d->record->phase = RECORD_SETUP;
	drv_log(k->d, RT_LOG_ERR, "%s: the controller is to be reset", why);
	k_process_exit(EXIT_RESET);
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
	return k->identity.has_cache && !(k->d->features & BIT(9)) ? NVME_FUA : 0;
}

/* What a request turned into: a command, or an answer. */
struct plan {
	struct nvme_command command;
	uint32_t now, total;		/* bytes that the command moves; that the request does */
	uint8_t status;			/* ANSWERED: enum blk_status */
	uint32_t written;
	const char *why;		/* PROTOCOL */
};

static enum verdict answer_now(struct plan *p, uint8_t status, uint32_t written)
{
	p->status = status;
	p->written = written;
	return ANSWERED;
}

static enum verdict plan_transfer(struct disk *k, uint32_t q, const struct request *r,
				  uint32_t done, struct plan *p)
{
	uint32_t block = 1u << k->ns.block_shift;
	struct vq_segment pieces[PIECES];
	struct nvme_prp_list list = { .count = DISK_SLOT / sizeof(uint64_t) };
	unsigned int n;

	if (r->length % block || done >= r->length ||
	    !blocks_are_good(k, r->sector, r->length / BLK_SECTOR))
		return answer_now(p, BLK_S_IOERR, 0);
	n = request_pieces(k->d, r, done, MIN(r->length - done, k->max_transfer), pieces, PIECES);
	if (!n) {
		p->why = "address outside of the link";
		return PROTOCOL;
	}
	list.entries = (uint64_t *)(void *)slot_of(k, q, r->head, &list.bus);
	p->now = nvme_prp(&p->command, pieces, n, k->max_transfer, block, &list);
	if (!p->now)
		return answer_now(p, BLK_S_IOERR, 0);
	p->total = r->length;
	nvme_command_blocks(&p->command,
			    (r->sector + done / BLK_SECTOR) >> (k->ns.block_shift - 9),
			    p->now >> k->ns.block_shift);
	return COMMAND;
}

static enum verdict plan_discard(struct disk *k, uint32_t q, const struct request *r,
				 struct plan *p)
{
	uint32_t shift = k->ns.block_shift - 9;
	struct blk_range ranges[BLK_RANGES];
	uint32_t n = request_ranges(k->d, r, ranges);
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
	nvme_command_deallocate(&p->command, n, bus);
	return COMMAND;
}

static enum verdict plan_zeroes(struct disk *k, const struct request *r, struct plan *p)
{
	uint32_t shift = k->ns.block_shift - 9;
	struct blk_range ranges[BLK_RANGES], *one = &ranges[0];

	if (request_ranges(k->d, r, ranges) != 1)
		return answer_now(p, BLK_S_IOERR, 0);
	if (one->flags & ~(uint32_t)RANGE_UNMAP)
		return answer_now(p, BLK_S_UNSUPP, 0);
	if (!blocks_are_good(k, one->sector, one->sectors) || one->sectors >> shift > 0x10000 ||
	    one->sectors > k->identity.max_transfer / BLK_SECTOR)
		return answer_now(p, BLK_S_IOERR, 0);
	nvme_command_blocks(&p->command, one->sector >> shift, one->sectors >> shift);
	if (one->flags & RANGE_UNMAP)
		p->command.dw12 |= LE32(NVME_DEALLOCATE);
	p->command.dw12 |= LE32(write_flags(k));
	return COMMAND;
}

static enum verdict plan_id(struct disk *k, const struct request *r, struct plan *p)
{
	char id[BLK_ID_LENGTH] = { 0 };

	memcpy(id, k->identity.serial, MIN(strlen(k->identity.serial), sizeof(id)));
	if (!request_write(k->d, r, id, sizeof(id)))
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

/* What is to be done for @r after its first @done bytes. */
static enum verdict plan(struct disk *k, uint32_t q, const struct request *r, uint32_t done,
			 struct plan *p)
{
	static const uint8_t opcodes[] = {
		[BLK_T_IN] = NVME_READ, [BLK_T_OUT] = NVME_WRITE, [BLK_T_FLUSH] = NVME_FLUSH,
		[BLK_T_DISCARD] = NVME_DATASET, [BLK_T_WRITE_ZEROES] = NVME_WRITE_ZEROES,
	};
	enum verdict v;

	*p = (struct plan){ 0 };
	if (!is_supported(k, r->type))
		return answer_now(p, BLK_S_UNSUPP, 0);
	if (r->type == BLK_T_GET_ID)
		return plan_id(k, r, p);
	if (k->ns.read_only && r->type != BLK_T_IN && r->type != BLK_T_FLUSH)
		return answer_now(p, BLK_S_IOERR, 0);
	p->command = nvme_command(opcodes[r->type], 0, k->ns.id);
	switch (r->type) {
	case BLK_T_IN:
		return plan_transfer(k, q, r, done, p);
	case BLK_T_OUT:
		v = plan_transfer(k, q, r, done, p);
		p->command.dw12 |= LE32(write_flags(k));
		return v;
	case BLK_T_DISCARD:
		return plan_discard(k, q, r, p);
	case BLK_T_WRITE_ZEROES:
		return plan_zeroes(k, r, p);
	default:
		return COMMAND;		/* a flush has nothing but its opcode */
	}
}

/* -- to the device --------------------------------------------------------------------------- */

static void answer(struct disk *k, uint32_t q, uint16_t head, uint8_t *status_at, uint8_t status,
		   uint32_t written)
{
	*status_at = status;
	/* The status is one of the bytes that were written. */
	vq_device_answer(&k->d->queue[q], head, written + 1);
}

static void run_timer(struct disk *k)
{
	if (!k->timer_runs && k_timer_set(k->timer, rt_now_ns() + SECOND, SECOND / 4) == K_OK)
		k->timer_runs = true;
}

static void launch(struct disk *k, uint32_t q, const struct request *r, struct plan *p,
		   struct flight *f)
{
	uint16_t last = f->done + p->now == p->total ? CID_LAST : 0;

	f->now = p->now;
	f->total = p->total;
	f->cid = (uint16_t)(last | (f->counter & 0x7f) << 8 | r->head);
	f->since_ns = rt_now_ns();
	f->with_device = true;
	p->command.opcode_cid |= LE32((uint32_t)f->cid << 16);
	drv_step();
	/* There is room: never more requests are active than the ring has. */
	if (!nvme_queue_add(&k->queue[q].ring, &p->command))
		end_for_reset(k, "more commands than the ring holds", false);
	run_timer(k);
}

/* It ran into its deadline under several incarnations. */
static bool hangs(const struct disk *k, uint32_t q, uint64_t counter)
{
	const uint64_t *words = k->d->record->words;

	return words[WORD_HUNG_TIMES] >= HUNG_MAX && words[WORD_HUNG_QUEUE] == q &&
	       words[WORD_HUNG] == counter;
}

static void land(struct disk *k, uint32_t q, struct flight *f, uint16_t head, uint8_t status,
		 uint32_t written)
{
	answer(k, q, head, f->status, status, written);
	*f = (struct flight){ 0 };
	k->queue[q].active--;
}

/* The next command of the request whose chain is @c, or its answer. */
static void issue(struct disk *k, uint32_t q, const struct vq_chain *c, struct flight *f)
{
	struct request r;
	struct plan p;
	enum verdict v;

	if (!request_read(k->d, c, &r, &p.why)) {
		drv_break(k->d, p.why);
		return;
	}
	if (CONFIG_CHECKS && r.sector == drv_die_sector() && r.type < BLK_T_FLUSH)
		rt_panic("%s: told to die of this sector", k->d->start.name);
	f->status = r.status;
	f->type = (uint8_t)r.type;
	v = plan(k, q, &r, f->done, &p);
	if (v == COMMAND)
		launch(k, q, &r, &p, f);
	else if (v == ANSWERED)
		land(k, q, f, c->head, p.status, p.written);
	else
		drv_break(k->d, p.why);
}

/* It was fatal to drivers, or to the device. */
static void refuse(struct disk *k, uint32_t q, const struct vq_chain *c)
{
	struct request r;
	const char *why;

	if (request_read(k->d, c, &r, &why))
		answer(k, q, c->head, r.status, BLK_S_IOERR, 0);
	else
		drv_break(k->d, why);
}

/* A request that the device knows nothing of. */
static void begin(struct disk *k, uint32_t q, const struct vq_chain *c)
{
	struct flight *f = &k->queue[q].flights[c->head];
	uint64_t counter = vq_device_counter(&k->d->queue[q], c->head);

	if (!drv_work_on(k->d, q, c->head)) {
		refuse(k, q, c);
	} else if (hangs(k, q, counter)) {
		drv_log(k->d, RT_LOG_ERR, "request %lu of queue %u was not done in %u times %llu s: it fails",
			counter, q, HUNG_MAX, TIMEOUT_NS / SECOND);
		refuse(k, q, c);
	} else {
		*f = (struct flight){ .counter = counter };
		k->queue[q].active++;
		issue(k, q, c, f);
	}
	drv_work_done(k->d);
}

/* The next command of a request that has waited for the end of one. */
static void go_on(struct disk *k, uint32_t q)
{
	struct io_queue *io = &k->queue[q];
	uint16_t head = 0;
	uint64_t counter;

	while (!io->flights[head].counter || io->flights[head].with_device)
		head++;
	io->again--;
	counter = io->flights[head].counter - 1;
	/* The first one after the one before it: the request itself. */
	if (!vq_device_adopted(&k->d->queue[q], &counter, &io->chain))
		return;			/* the client broke its queue */
	(void)drv_work_on(k->d, q, head);
	issue(k, q, &io->chain, &io->flights[head]);
	drv_work_done(k->d);
}

/* The next chain that the device does not have: a predecessor's first. */
static bool next_chain(struct disk *k, uint32_t q)
{
	struct io_queue *io = &k->queue[q];
	struct vq_device *link = &k->d->queue[q];

	if (io->issuing && vq_device_adopted(link, &io->issued, &io->chain)) {
		k->d->record->issued++;
		return true;
	}
	io->issuing = false;
	return vq_device_take(link, &io->chain);
}

/* A predecessor's requests are done one by one, and before all others. */
static bool is_held_back(struct io_queue *io)
{
	if (!io->in_order || io->active)
		return io->in_order;
	io->in_order = io->issuing;
	return false;
}

/* True: the link has no more; false: something has to end first. */
static bool take_all(struct disk *k, uint32_t q)
{
	struct io_queue *io = &k->queue[q];

	while (!k->d->broken && !k->d->queue[q].broken) {
		if (io->again) {
			go_on(k, q);
			continue;
		}
		if (is_held_back(io) || io->active == io->ring.size - 1)
			return false;
		if (!next_chain(k, q))
			return true;
		begin(k, q, &io->chain);
	}
	return false;
}

void io_serve(struct disk *k, uint32_t q)
{
	struct vq_device *link = &k->d->queue[q];
	struct io_queue *io = &k->queue[q];

	if (q >= k->queue_count)
		return;
	do {
		vq_device_notifications(link, false);
		io->stopped = !take_all(k, q);
	} while (!io->stopped && vq_device_notifications(link, true));
	if (link->broken)
		drv_break(k->d, link->broken);
	drv_publish(k->d, q);
	nvme_submit(&k->controller, &io->ring);
}

/* -- from the device ------------------------------------------------------------------------- */

static void failed(struct disk *k, uint32_t q, uint16_t head, struct flight *f, uint16_t status)
{
	if (k->errors++ < ERRORS_LOGGED)
		drv_log(k->d, RT_LOG_ERR, "request %lu, %s: status %x%s", f->counter,
			f->type == BLK_T_IN ? "read" : f->type == BLK_T_OUT ? "write" : "other",
			status, k->errors == ERRORS_LOGGED ? " (the last that is logged)" : "");
	if (!(status & NVME_STATUS_DNR) && f->tries++ < RETRIES)
		k->queue[q].again++;
	else
		land(k, q, f, head, BLK_S_IOERR, 0);
}

static void ended(struct disk *k, uint32_t q, const struct nvme_completion *c)
{
	uint16_t head = CID_HEAD(c->cid);
	struct flight *f = &k->queue[q].flights[head];

	if (head >= k->d->layout.queue_size || !f->with_device || f->cid != c->cid)
		end_for_reset(k, "completion of a command that it does not have", false);
	f->with_device = false;
	(void)drv_work_on(k->d, q, head);
	if (c->status) {
		failed(k, q, head, f, c->status);
	} else if (f->done + f->now < f->total) {
		f->done += f->now;
		k->queue[q].again++;
	} else {
		land(k, q, f, head, BLK_S_OK, f->type == BLK_T_IN ? f->total : 0);
	}
	drv_work_done(k->d);
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
	struct nvme_queue *ring = &k->queue[q].ring;
	struct nvme_completion c;
	bool any = false;

	for (; nvme_queue_take(ring, &c); any = true)
		ended(k, q, &c);
	if (ring->broken)
		end_for_reset(k, ring->broken, false);
	if (!any)
		return false;
	settle(k, q, ring);
	nvme_settle(&k->controller, ring);
	return true;
}

void io_reap(struct disk *k)
{
	for (uint32_t q = 0; q < k->queue_count; q++)
		if (reap(k, q) && (k->queue[q].stopped || k->queue[q].again))
			io_serve(k, q);
}

/* The oldest of the commands that are late; false: none is. */
static bool find_late(struct disk *k, uint32_t *queue, uint64_t *counter)
{
	uint64_t now = rt_now_ns();
	bool found = false;

	for (uint32_t q = 0; q < k->queue_count; q++) {
		for (uint32_t i = 0; i < k->d->layout.queue_size; i++) {
			const struct flight *f = &k->queue[q].flights[i];

			if (!f->with_device || now - f->since_ns < TIMEOUT_NS ||
			    (found && f->counter > *counter))
				continue;
			*queue = q;
			*counter = f->counter;
			found = true;
		}
	}
	return found;
}

static void note_hung(struct disk *k, uint32_t q, uint64_t counter)
{
	uint64_t *words = k->d->record->words;

	if (words[WORD_HUNG_QUEUE] != q || words[WORD_HUNG] != counter)
		words[WORD_HUNG_TIMES] = 0;
	words[WORD_HUNG_QUEUE] = q;
	words[WORD_HUNG] = counter;
	words[WORD_HUNG_TIMES]++;
}

void io_check(struct disk *k)
{
	uint64_t counter = 0;
	uint32_t q = 0, active = 0;

	k->timer_runs = false;
	io_reap(k);			/* an interrupt may have been lost */
	if (!nvme_is_well(&k->controller))
		end_for_reset(k, "the controller failed", true);
	if (find_late(k, &q, &counter)) {
		note_hung(k, q, counter);
		end_for_reset(k, "a command was not done in time", true);
	}
	for (q = 0; q < k->queue_count; q++)
		active += k->queue[q].active;
	if (active)
		run_timer(k);
}

/* -- succession ------------------------------------------------------------------------------ */

/* A completion that a predecessor did not see: the request is done, if it is still in flight. */
static void harvest_one(struct disk *k, uint32_t q, const struct nvme_completion *c)
{
	struct vq_chain *chain = &k->queue[q].chain;
	uint16_t head = CID_HEAD(c->cid);
	uint64_t counter = vq_device_counter(&k->d->queue[q], head), before = counter - 1;
	struct request r;
	const char *why;

	if (!counter || !CID_IS_OF(c->cid, counter) || !(c->cid & CID_LAST) || c->status)
		return;
	if (!vq_device_adopted(&k->d->queue[q], &before, chain) ||
	    !request_read(k->d, chain, &r, &why))
		return;			/* whoever issues it again says what is wrong */
	(void)drv_work_on(k->d, q, head);
	answer(k, q, head, r.status, BLK_S_OK, r.type == BLK_T_IN ? r.length : 0);
	drv_work_done(k->d);
	k->d->record->finished++;
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

	if (r->phase != RECORD_LIVE || r->words[WORD_LAYOUT] != DISK_LAYOUT)
		return;
	for (uint32_t q = 0; q < MIN(r->queue_count, k->d->layout.queue_count); q++)
		harvest(k, q);
}

void io_take_over(struct disk *k)
{
	struct record *r = k->d->record;
	uint64_t counter;

	r->adopted = r->issued = r->finished = 0;
	for (uint32_t q = 0; q < k->d->layout.queue_count; q++)
		for (counter = 0; vq_device_adopted(&k->d->queue[q], &counter, &k->queue[q].chain);)
			r->adopted++;
	harvest_all(k);
	for (uint32_t q = 0; q < k->d->layout.queue_count; q++)
		k->queue[q].issuing = k->queue[q].in_order = true;
}
