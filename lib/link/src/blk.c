/* SPDX-License-Identifier: MIT */
/*
 * Block devices, see link/blk.h.  Request format: virtio 1.1, 5.2.6.
 *
 * A request is three descriptors: header and status in the slot of its first
 * descriptor, payload in pages of data memory.  There are as many requests as the
 * ring has room for, so that submitting always succeeds.
 *
 * A driver that breaks the protocol is accused, and the queue waits; when init has ended it, the
 * ring is made anew and all requests in flight are put into it again (renew()), in their order.  An
 * answer that makes no sense is against the protocol, too: the request stays in flight; the third such
 * answer to it is its failure.  Who waits looks from time to time without being told; answers that are
 * found so, again and again, mean that the driver does not tell.
 *
 * States of a request: FREE (on the free list), GOT (the user's), FLYING, DONE (the
 * user's again).  lock guards lists, ring and the page map; state and status are
 * written under it, and read by whoever waits without it.
 */
#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "link/blk.h"
#include "link_priv.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/time.h"

enum { FREE, GOT, FLYING, DONE };
enum { DESCRIPTORS = 3, STATUS_OFFSET = 16 };

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPPORTED = 2 };
enum { REFUSED_MAX = 2, UNTOLD_MAX = 3 };
#define LOOK_NS 1000000000ull		/* who waits looks that often, told or not */

#define F_RO		BIT(5)
#define F_BLK_SIZE	BIT(6)
#define F_FLUSH		BIT(9)
#define F_TOPOLOGY	BIT(10)
#define F_DISCARD	BIT(13)

enum {
	CONFIG_CAPACITY = 0, CONFIG_BLK_SIZE = 20, CONFIG_PHYSICAL_EXPONENT = 24,
	CONFIG_ALIGNMENT = 25, CONFIG_IO_MIN = 26, CONFIG_IO_OPT = 28, CONFIG_MAX_DISCARD = 36,
	CONFIG_DISCARD_ALIGNMENT = 44,
};
enum { PHYSICAL_EXPONENT_MAX = 16 };
enum { ID_LENGTH = 20, DISCARD_LENGTH = 16 };

struct blk {
	/* Constant. */
	struct link *link;
	uint64_t features;
	uint32_t block_size;
	uint32_t max_discard;		/* sectors */
	struct blk_limits limits;
	uint32_t pages;			/* of data memory */
	uint32_t request_count;

	struct rt_mutex lock;
	struct vq_driver queue;		/* lock */
	struct vq_driver_slot *slots;
	struct blk_request *requests, *free;	/* lock */
	uint64_t *page_map;		/* lock: set: in use */
	uint64_t submitted;		/* lock: requests, ever */
	bool accused;			/* lock: since the ring was made */
	uint32_t untold;		/* lock: looks that found answers, since then */
	_Atomic(uint64_t) sectors;	/* capacity; the device may change it */
};

/* -- opening ------------------------------------------------------------------------------------- */

/* The configuration's topology (virtio 1.1, 5.2.4): what makes no sense is left out. */
static void read_limits(struct blk *b, const uint8_t *c)
{
	struct blk_limits *l = &b->limits;
	uint32_t exponent = c[CONFIG_PHYSICAL_EXPONENT], size = b->block_size;

	*l = (struct blk_limits){ .logical_block = size, .physical_block = size, .io_min = size,
				  .depth = b->request_count, .volatile_cache = b->features & F_FLUSH };
	if ((b->features & F_TOPOLOGY) && exponent <= PHYSICAL_EXPONENT_MAX) {
		l->physical_block = size << exponent;
		l->alignment = (c[CONFIG_ALIGNMENT] * size) % l->physical_block;
		l->io_min = MAX(get_le16(c + CONFIG_IO_MIN) * size, l->physical_block);
		if (get_le32(c + CONFIG_IO_OPT) <= UINT32_MAX / size)
			l->io_opt = get_le32(c + CONFIG_IO_OPT) * size;
	}
	if (b->max_discard) {
		uint32_t sectors = get_le32(c + CONFIG_DISCARD_ALIGNMENT);

		l->discard_max = (uint64_t)b->max_discard * BLK_SECTOR;
		l->discard_granularity = sectors && sectors <= UINT32_MAX / BLK_SECTOR ?
						 sectors * BLK_SECTOR : size;
	}
}

static void read_config(struct blk *b)
{
	uint8_t c[64];
	uint32_t size = 512;

	link_config_read(b->link, 0, c, sizeof(c));
	atomic_store_explicit(&b->sectors, get_le64(c + CONFIG_CAPACITY), memory_order_relaxed);
	if (b->features & F_BLK_SIZE)
		size = get_le32(c + CONFIG_BLK_SIZE);
	b->block_size = IS_POWER_OF_2(size) && size >= BLK_SECTOR && size <= K_PAGE_SIZE ? size
											   : BLK_SECTOR;
	b->max_discard = b->features & F_DISCARD ? get_le32(c + CONFIG_MAX_DISCARD) : 0;
	read_limits(b, c);
}

static bool allocate(struct blk *b)
{
	const struct link_geometry *g = link_geometry(b->link);

	b->pages = (uint32_t)(g->data_length / K_PAGE_SIZE);
	b->request_count = g->queue_size / DESCRIPTORS;
	b->slots = rt_alloc(g->queue_size * sizeof(*b->slots));
	b->requests = rt_zalloc(b->request_count * sizeof(*b->requests));
	b->page_map = rt_zalloc(BITMAP_WORDS(b->pages) * sizeof(uint64_t));
	return b->slots && b->requests && b->page_map && b->request_count &&
	       b->pages >= BLK_REQUEST_MAX / K_PAGE_SIZE;
}

static void release(struct blk *b)
{
	rt_free(b->slots);
	rt_free(b->requests);
	rt_free(b->page_map);
	rt_free(b);
}

k_status_t blk_open(struct link *l, uint64_t deadline_ns, struct blk **out)
{
	k_status_t st = link_negotiate(l, F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_DISCARD,
				       deadline_ns, false);
	struct blk *b;

	if (st != K_OK)
		return st;
	b = rt_zalloc(sizeof(*b));
	if (!b)
		return K_ERR_NO_MEMORY;
	b->link = l;
	b->features = link_features(l);
	if (!allocate(b)) {
		release(b);
		return K_ERR_NO_MEMORY;
	}
	read_config(b);
	rt_mutex_init(&b->lock, l->rank);
	link_queue_init(l, 0, &b->queue, b->slots);
	vq_driver_interrupts(&b->queue, false);
	for (uint32_t i = b->request_count; i-- > 0;) {
		b->requests[i].next = b->free;
		b->free = &b->requests[i];
	}
	*out = b;
	return K_OK;
}

void blk_close(struct blk *b)
{
	link_close(b->link);
	release(b);
}

uint64_t blk_sectors(const struct blk *b)
{
	return atomic_load_explicit(&b->sectors, memory_order_relaxed);
}

uint32_t blk_block_size(const struct blk *b)
{
	return b->block_size;
}

bool blk_is_read_only(const struct blk *b)
{
	return b->features & F_RO;
}

void blk_limits(const struct blk *b, struct blk_limits *l)
{
	*l = b->limits;
}

bool blk_is_dead(const struct blk *b)
{
	return link_is_dead(b->link);
}

const char *blk_name(const struct blk *b)
{
	return link_geometry(b->link)->name;
}

uint32_t blk_index(const struct blk *b)
{
	return link_geometry(b->link)->index;
}

/* -- requests -------------------------------------------------------------------------------------- */

static k_status_t check(const struct blk *b, enum blk_op op, uint64_t sector, uint32_t length)
{
	switch (op) {
	case BLK_READ:
	case BLK_WRITE:
		if (!length || length > BLK_REQUEST_MAX || length % b->block_size ||
		    (sector * BLK_SECTOR) % b->block_size)
			return K_ERR_BAD_ARGUMENT;
		if (!range_within(sector, length / BLK_SECTOR, blk_sectors(b)))
			return K_ERR_BEYOND_END;
		return op == BLK_WRITE && blk_is_read_only(b) ? K_ERR_ACCESS : K_OK;
	case BLK_FLUSH:
		return length ? K_ERR_BAD_ARGUMENT : K_OK;
	case BLK_GET_ID:
		return length != ID_LENGTH ? K_ERR_BAD_ARGUMENT : K_OK;
	case BLK_DISCARD:
		if (length != DISCARD_LENGTH)
			return K_ERR_BAD_ARGUMENT;
		return b->max_discard ? K_OK : K_ERR_NOT_SUPPORTED;
	default:
		return K_ERR_BAD_ARGUMENT;
	}
}

/* A free request with pages for it, or NULL.  The lock is held. */
static struct blk_request *take_free(struct blk *b, uint32_t length)
{
	uint32_t pages = DIV_ROUND_UP(length, K_PAGE_SIZE);
	struct blk_request *r = b->free;
	size_t first = 0;

	if (!r)
		return NULL;
	if (pages) {
		first = bitmap_find_clear_run(b->page_map, b->pages, 0, pages);
		if (first == b->pages)
			return NULL;
		bitmap_set_range(b->page_map, first, pages);
	}
	b->free = r->next;
	r->data_offset = (uint32_t)first * K_PAGE_SIZE;
	r->data_pages = pages;
	r->data = pages ? b->link->data + r->data_offset : NULL;
	return r;
}

static void give_back(struct blk *b, struct blk_request *r)
{
	if (r->data_pages)
		bitmap_clear_range(b->page_map, r->data_offset / K_PAGE_SIZE, r->data_pages);
	atomic_store_explicit(&r->state, FREE, memory_order_relaxed);
	r->next = b->free;
	b->free = r;
}

k_status_t blk_request_get(struct blk *b, enum blk_op op, uint64_t sector, uint32_t length,
			   bool wait, struct blk_request **out)
{
	struct blk_request *r;
	k_status_t st = check(b, op, sector, length);

	if (st != K_OK)
		return st;
	for (;;) {
		uint32_t seq = link_seq(b->link);

		rt_mutex_lock(&b->lock);
		r = take_free(b, length);
		rt_mutex_unlock(&b->lock);
		if (r)
			break;
		if (!wait)
			return K_ERR_SHOULD_WAIT;
		/* Room comes when a request is put back, which changes seq. */
		(void)!link_sleep(b->link, seq, K_DEADLINE_NEVER, false);
	}
	r->op = op;
	r->sector = sector;
	r->length = length;
	r->user = NULL;
	r->refused = 0;
	r->status = K_OK;
	atomic_store_explicit(&r->state, GOT, memory_order_relaxed);
	*out = r;
	return K_OK;
}

void blk_request_put(struct blk *b, struct blk_request *r)
{
	rt_mutex_lock(&b->lock);
	give_back(b, r);
	rt_mutex_unlock(&b->lock);
	link_changed(b->link);
}

static uint32_t type_of(enum blk_op op)
{
	static const uint8_t types[] = { [BLK_READ] = T_IN, [BLK_WRITE] = T_OUT,
					 [BLK_FLUSH] = T_FLUSH, [BLK_DISCARD] = T_DISCARD,
					 [BLK_GET_ID] = T_GET_ID };

	return types[op];
}

/* Put the request into the ring, for the next publish().  The lock is held; there is room by construction. */
static void enqueue(struct blk *b, struct blk_request *r)
{
	struct vq_segment s[DESCRIPTORS];
	uint16_t head = b->queue.free_head;
	uint64_t slot = link_slot(b->link, 0, head);
	uint8_t *header = link_slot_pointer(b->link, 0, head);
	unsigned int n = 0;

	put_le32(header, type_of(r->op));
	put_le32(header + 4, 0);
	put_le64(header + 8, r->op == BLK_READ || r->op == BLK_WRITE ? r->sector : 0);
	header[STATUS_OFFSET] = 0xff;
	s[n++] = (struct vq_segment){ slot, STATUS_OFFSET, false };
	if (r->data)
		s[n++] = (struct vq_segment){ LINK_DATA + r->data_offset, r->length,
					      r->op == BLK_READ || r->op == BLK_GET_ID };
	s[n++] = (struct vq_segment){ slot + STATUS_OFFSET, 1, true };
	(void)!vq_driver_add(&b->queue, s, n, r, &r->head);
}

/* Show the driver what was put there.  The lock is held. */
static void publish(struct blk *b)
{
	if (!b->queue.broken)
		link_publish(b->link, 0, &b->queue);
}

static void accuse(struct blk *b, const char *why)
{
	if (!b->accused)
		link_accuse(b->link, why);
	b->accused = true;
	b->queue.broken = why;		/* nothing of this ring is looked at any more */
}

/* The request in flight that follows @order, or NULL.  The lock is held. */
static struct blk_request *next_in_flight(struct blk *b, uint64_t order)
{
	struct blk_request *found = NULL;

	for (uint32_t i = 0; i < b->request_count; i++) {
		struct blk_request *r = &b->requests[i];

		if (atomic_load_explicit(&r->state, memory_order_relaxed) == FLYING &&
		    r->order > order && (!found || r->order < found->order))
			found = r;
	}
	return found;
}

/* Init asks for a new ring, and no driver runs: all that is in flight goes into it.  The lock is held. */
static void renew(struct blk *b)
{
	struct blk_request *r = NULL;
	uint32_t epoch;

	if (!link_is_renewed(b->link, &epoch))
		return;
	link_queue_init(b->link, 0, &b->queue, b->slots);
	b->accused = false;
	b->untold = 0;
	while ((r = next_in_flight(b, r ? r->order : 0)))
		enqueue(b, r);
	publish(b);
	link_renewed(b->link, epoch);
}

static void finish(struct blk_request *r, k_status_t status)
{
	r->status = status;
	/* release: pairs with the acquire of whoever waits; status and payload come first */
	atomic_store_explicit(&r->state, DONE, memory_order_release);
}

/* With @more to come, the driver is not told yet. */
static void submit(struct blk *b, struct blk_request *r, bool more)
{
	bool ok;

	rt_mutex_lock(&b->lock);
	renew(b);
	ok = !link_is_dead(b->link);
	if (ok) {
		atomic_store_explicit(&r->state, FLYING, memory_order_relaxed);
		r->order = ++b->submitted;
		if (!b->queue.broken)	/* else the next one takes it */
			enqueue(b, r);
	}
	if (ok && !more)
		publish(b);
	rt_mutex_unlock(&b->lock);
	if (!ok)
		finish(r, K_ERR_IO);
}

void blk_submit(struct blk *b, struct blk_request *r)
{
	submit(b, r, false);
}

/* What came of it; or *@nonsense, which is why this cannot be an answer. */
static k_status_t status_of(const struct blk *b, const struct blk_request *r, uint32_t written,
			    const char **nonsense)
{
	const volatile uint8_t *slot = link_slot_pointer(b->link, 0, r->head);
	uint8_t status = slot[STATUS_OFFSET];

	*nonsense = NULL;
	if (status == S_UNSUPPORTED)
		return K_ERR_NOT_SUPPORTED;
	if (status == S_IOERR)
		return K_ERR_IO;
	/* A device that wrote less than was asked for leaves old contents in the buffer. */
	if (status != S_OK)
		*nonsense = "an answer without a status";
	else if (r->op == BLK_READ && written < r->length + 1)
		*nonsense = "less was read than was asked for";
	return *nonsense ? K_ERR_IO : K_OK;
}

/* The device used the request.  False: it stays in flight, as that was no answer. */
static bool answered(struct blk *b, struct blk_request *r, uint32_t written)
{
	const char *nonsense;
	k_status_t st = status_of(b, r, written, &nonsense);

	if (nonsense && r->refused++ < REFUSED_MAX) {
		accuse(b, nonsense);
		return false;
	}
	finish(r, st);
	return true;
}

/* Complete what the device has used; all of it, if the device is gone.  The lock is held. */
static bool reap(struct blk *b)
{
	bool any = false;
	uint32_t written;
	uint16_t head;
	void *cookie;

	renew(b);
	while (vq_driver_take(&b->queue, &cookie, &head, &written))
		any |= answered(b, cookie, written);
	if (b->queue.broken)
		accuse(b, b->queue.broken);
	if (!link_is_dead(b->link))
		return any;
	for (struct blk_request *r = NULL; (r = next_in_flight(b, 0)); any = true)
		finish(r, K_ERR_IO);
	return any;
}

static bool is_done(struct blk_request *r)
{
	return atomic_load_explicit(&r->state, memory_order_acquire) == DONE;
}

bool blk_poll(struct blk *b, struct blk_request *r)
{
	bool any;

	if (is_done(r))
		return true;
	rt_mutex_lock(&b->lock);
	any = reap(b);
	rt_mutex_unlock(&b->lock);
	if (any)
		link_changed(b->link);
	return is_done(r);
}

/* Nobody said anything for a while. */
static void look_unasked(struct blk *b)
{
	bool any = false;

	rt_mutex_lock(&b->lock);
	if (vq_driver_ready(&b->queue)) {
		any = reap(b);
		/* Once in a while it was just about to. */
		if (++b->untold == UNTOLD_MAX)
			accuse(b, "it does not tell of its answers");
	}
	rt_mutex_unlock(&b->lock);
	if (any)
		link_changed(b->link);
}

k_status_t blk_wait(struct blk *b, struct blk_request *r)
{
	while (!blk_poll(b, r)) {
		uint32_t seq = link_seq(b->link), epoch;
		bool more;

		/* From here on the device tells us, and what came just before is seen now. */
		rt_mutex_lock(&b->lock);
		vq_driver_interrupts(&b->queue, true);
		more = vq_driver_ready(&b->queue) || link_is_dead(b->link) ||
		       link_is_renewed(b->link, &epoch);
		rt_mutex_unlock(&b->lock);
		if (!more && !is_done(r) &&
		    link_wait_change(b->link, seq, rt_now_ns() + LOOK_NS, false) == K_ERR_TIMED_OUT)
			look_unasked(b);
	}
	return r->status;
}

/* -- whole operations ------------------------------------------------------------------------------------ */

/*
 * Requests in flight of one transfer, and how many the driver is told of at once: each telling costs a
 * switch to it and an exit to the hypervisor, but the device is to work while others are copied.
 */
enum { BATCH = 8, TELL = 8 };

static void tell(struct blk *b)
{
	rt_mutex_lock(&b->lock);
	publish(b);
	rt_mutex_unlock(&b->lock);
}

/* Up to BATCH requests at a time for the pieces of one transfer; the first failure ends it. */
k_status_t blk_transfer(struct blk *b, enum blk_op op, uint64_t sector, size_t n, blk_copy_fn *copy,
			void *arg)
{
	struct blk_request *r[BATCH];
	k_status_t st = K_OK, ended;
	unsigned int count;

	while (n && st == K_OK) {
		for (count = 0; n && count < BATCH; count++) {
			uint32_t piece = (uint32_t)MIN(n, (size_t)BLK_REQUEST_MAX);

			/* Holding some while waiting for more could wait for ever. */
			st = blk_request_get(b, op, sector, piece, count == 0, &r[count]);
			if (st != K_OK)
				break;
			if (op == BLK_WRITE && !copy(arg, r[count]->data, piece)) {
				blk_request_put(b, r[count]);
				st = K_ERR_BAD_ADDRESS;
				break;
			}
			n -= piece;
			submit(b, r[count], n && (count + 1) % TELL);
			sector += piece / BLK_SECTOR;
		}
		if (count % TELL && n)
			tell(b);	/* it was to be more */
		if (count && st == K_ERR_SHOULD_WAIT)
			st = K_OK;
		for (unsigned int i = 0; i < count; i++) {
			ended = blk_wait(b, r[i]);
			if (st == K_OK)
				st = ended;
			if (st == K_OK && op == BLK_READ && !copy(arg, r[i]->data, r[i]->length))
				st = K_ERR_BAD_ADDRESS;
			blk_request_put(b, r[i]);
		}
	}
	return st;
}

static bool copy_out(void *arg, void *data, size_t n)
{
	uint8_t **to = arg;

	memcpy(*to, data, n);
	*to += n;
	return true;
}

static bool copy_in(void *arg, void *data, size_t n)
{
	const uint8_t **from = arg;

	memcpy(data, *from, n);
	*from += n;
	return true;
}

k_status_t blk_read(struct blk *b, uint64_t sector, void *buf, size_t n)
{
	return blk_transfer(b, BLK_READ, sector, n, copy_out, &buf);
}

k_status_t blk_write(struct blk *b, uint64_t sector, const void *buf, size_t n)
{
	return blk_transfer(b, BLK_WRITE, sector, n, copy_in, &buf);
}

/* One request with an optional payload of a few bytes either way. */
static k_status_t small(struct blk *b, enum blk_op op, const void *out, void *in, uint32_t n)
{
	struct blk_request *r;
	k_status_t st = blk_request_get(b, op, 0, n, true, &r);

	if (st != K_OK)
		return st;
	if (out)
		memcpy(r->data, out, n);
	blk_submit(b, r);
	st = blk_wait(b, r);
	if (st == K_OK && in)
		memcpy(in, r->data, n);
	blk_request_put(b, r);
	return st;
}

k_status_t blk_flush(struct blk *b)
{
	return b->features & F_FLUSH ? small(b, BLK_FLUSH, NULL, NULL, 0) : K_OK;
}

k_status_t blk_discard(struct blk *b, uint64_t sector, uint64_t sectors)
{
	k_status_t st = K_OK;

	if (!b->max_discard)
		return K_ERR_NOT_SUPPORTED;
	if (!range_within(sector, sectors, blk_sectors(b)))
		return K_ERR_BEYOND_END;
	while (sectors && st == K_OK) {
		uint64_t n = MIN(sectors, (uint64_t)b->max_discard);
		uint8_t range[DISCARD_LENGTH] = { 0 };

		put_le64(range, sector);
		put_le32(range + 8, (uint32_t)n);
		st = small(b, BLK_DISCARD, range, NULL, sizeof(range));
		sector += n;
		sectors -= n;
	}
	return st;
}

k_status_t blk_serial(struct blk *b, char id[21])
{
	id[ID_LENGTH] = '\0';
	return small(b, BLK_GET_ID, NULL, id, ID_LENGTH);
}
