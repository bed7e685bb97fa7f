/* SPDX-License-Identifier: MIT */
/*
 * Block devices, see link/blk.h: opening them, and whole operations.  The
 * configuration: virtio 1.1, 5.2.4.
 */
#include "blk_priv.h"
#include "rt/memory.h"

enum {
	CONFIG_CAPACITY = 0, CONFIG_BLK_SIZE = 20, CONFIG_PHYSICAL_EXPONENT = 24,
	CONFIG_ALIGNMENT = 25, CONFIG_IO_MIN = 26, CONFIG_IO_OPT = 28, CONFIG_QUEUES = 34,
	CONFIG_MAX_DISCARD = 36,
	CONFIG_DISCARD_ALIGNMENT = 44,
};
enum { PHYSICAL_EXPONENT_MAX = 16 };

/* -- opening ------------------------------------------------------------------------------------- */

/* The configuration's topology (virtio 1.1, 5.2.4): what makes no sense is left out. */
static void read_limits(struct blk *b, const uint8_t *c)
{
	struct blk_limits *l = &b->limits;
	uint32_t exponent = c[CONFIG_PHYSICAL_EXPONENT], size = b->block_size;

	*l = (struct blk_limits){ .logical_block = size, .physical_block = size, .io_min = size,
				  .depth = b->request_count,
				  .volatile_cache = b->features & F_FLUSH };
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
	b->queue_count = 1;
	if (b->features & F_MQ)
		b->queue_count = CLAMP((uint32_t)get_le16(c + CONFIG_QUEUES), 1u,
				       link_geometry(b->link)->queue_count);
	b->request_count = link_geometry(b->link)->queue_size / DESCRIPTORS;
	read_limits(b, c);
}

static bool allocate_queue(struct blk *b, struct blk_queue *q)
{
	q->blk = b;
	q->index = (uint32_t)(q - b->queues);
	q->slots = rt_alloc(link_geometry(b->link)->queue_size * sizeof(*q->slots));
	q->requests = rt_zalloc(b->request_count * sizeof(*q->requests));
	if (!q->slots || !q->requests)
		return false;
	rt_mutex_init(&q->lock, b->link->rank);
	list_init(&q->followers);
	link_queue_init(b->link, q->index, &q->vq, q->slots);
	vq_driver_interrupts(&q->vq, false);
	for (uint32_t i = b->request_count; i-- > 0;) {
		q->requests[i].queue = q;
		q->requests[i].next = q->free;
		q->free = &q->requests[i];
	}
	return true;
}

static bool allocate(struct blk *b)
{
	const struct link_geometry *g = link_geometry(b->link);

	b->pages = (uint32_t)(g->data_length / K_PAGE_SIZE);
	b->page_map = rt_zalloc(BITMAP_WORDS(b->pages) * sizeof(uint64_t));
	b->queues = rt_zalloc(b->queue_count * sizeof(*b->queues));
	if (!b->queues || !b->page_map || !b->request_count || b->pages < BLK_REQUEST_MAX / K_PAGE_SIZE)
		return false;
	for (uint32_t i = 0; i < b->queue_count; i++)
		if (!allocate_queue(b, &b->queues[i]))
			return false;
	return true;
}

static void release(struct blk *b)
{
	for (uint32_t i = 0; b->queues && i < b->queue_count; i++) {
		rt_free(b->queues[i].slots);
		rt_free(b->queues[i].requests);
	}
	rt_free(b->queues);
	rt_free(b->page_map);
	rt_free(b);
}

k_status_t blk_open(struct link *l, uint64_t deadline_ns, struct blk **out)
{
	k_status_t st = link_negotiate(l, F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_MQ | F_DISCARD,
				       deadline_ns, false);
	struct blk *b;

	if (st != K_OK)
		return st;
	b = rt_zalloc(sizeof(*b));
	if (!b)
		return K_ERR_NO_MEMORY;
	b->link = l;
	b->features = link_features(l);
	read_config(b);
	rt_mutex_init(&b->room_lock, l->rank);
	if (!allocate(b)) {
		release(b);
		return K_ERR_NO_MEMORY;
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

/* -- whole operations ------------------------------------------------------------------------------------ */

enum { BATCH = 8 };

/*
 * Whether the driver is told of the requests so far when there are @count of a batch.  Each telling costs a switch
 * to it, and with some devices an exit to a hypervisor, so it is told of all together.  Only long writes are
 * told of by halves: the device works on the first while the second is copied, which takes as long.
 */
static bool is_time_to_tell(enum blk_op op, unsigned int count, size_t left)
{
	return !left || count == BATCH || (op == BLK_WRITE && count == BATCH / 2);
}

/* Up to BATCH requests at a time for the pieces of one transfer; the first failure ends it. */
k_status_t blk_transfer(struct blk *b, enum blk_op op, uint64_t sector, size_t n, blk_copy_fn *copy,
			void *arg)
{
	struct blk_queue *q = blk_queue_of_caller(b);
	struct blk_request *r[BATCH];
	k_status_t st = K_OK, ended;
	unsigned int count;

	while (n && st == K_OK) {
		for (count = 0; n && count < BATCH; count++) {
			uint32_t piece = (uint32_t)MIN(n, (size_t)BLK_REQUEST_MAX);

			/* Holding some while waiting for more could wait for ever. */
			st = blk_request_get_from(q, op, sector, piece, count == 0, &r[count]);
			if (st != K_OK)
				break;
			if (op == BLK_WRITE && !copy(arg, r[count]->data, piece)) {
				blk_request_put(b, r[count]);
				st = K_ERR_BAD_ADDRESS;
				break;
			}
			n -= piece;
			blk_submit_more(r[count], !is_time_to_tell(op, count + 1, n));
			sector += piece / BLK_SECTOR;
		}
		if (count < BATCH && n)
			blk_tell(q);	/* there were to be more */
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
	else if (n)
		memset(r->data, 0, n);	/* a device may write less, and there was another's data */
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
