/* SPDX-License-Identifier: MIT */
/*
 * Requests of a link against a controller that does what commands say, in memory of this
 * program: a bus address is an address of it.  The runtime of drivers is replaced by the few
 * functions below; an end of the driver is a jump back into the test, which then begins the next
 * incarnation over the same link, record and DMA memory.
 */
#include <setjmp.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/time.h"
#include "unit/unit.h"
#include "virtio/link_layout.h"

enum { QUEUES = 2, DEPTH = 64, DATA = 256 * 1024, DMA_PAGES = 24, DISK_BYTES = 1 << 19 };
enum { SLOT_STATUS = 16 };

#define FEATURE_FLUSH BIT(9)

/* -- what outlives an incarnation ------------------------------------------------------------ */

static uint8_t control[1 << 20] __attribute__((aligned(4096)));
static uint8_t data[DATA] __attribute__((aligned(4096)));
static uint8_t dma[DMA_PAGES * 4096] __attribute__((aligned(4096)));
static uint8_t record[1 << 20] __attribute__((aligned(4096)));
static struct link_geometry geometry;
static struct vq_driver client[QUEUES];
static struct vq_driver_slot slots[QUEUES][DEPTH];

/* -- an incarnation --------------------------------------------------------------------------- */

static struct drv d;
static struct disk disk;
static uint8_t taken[QUEUES][DEPTH];
static uint64_t bus_of_dma[DMA_PAGES];
static uint64_t now;
static jmp_buf end;
static const char *broken;
static uint32_t steps_left;		/* 0: no death */
static bool timer_set;

void drv_step(void)
{
	if (steps_left && !--steps_left)
		longjmp(end, 77);
}

uint64_t drv_die_sector(void)
{
	return UINT64_MAX;
}

void *drv_pointer(struct drv *unused, uint64_t addr, uint64_t n)
{
	if (addr >= d.layout.slots && range_within(addr, n, d.layout.length))
		return control + addr;
	if (addr >= LINK_DATA && range_within(addr - LINK_DATA, n, DATA))
		return data + (addr - LINK_DATA);
	return NULL;
}

/* Every page by itself, as if none followed the one before. */
unsigned int drv_bus_segments(struct drv *unused, const struct vq_segment *s,
			      struct vq_segment *out, unsigned int max)
{
	uint8_t *at = drv_pointer(NULL, s->addr, s->len);
	uint32_t left = s->len;
	unsigned int n = 0;

	for (; at && left && n < max; n++) {
		uint32_t piece = MIN(left, 4096 - (uint32_t)((uintptr_t)at % 4096));

		out[n] = (struct vq_segment){ (uintptr_t)at, piece, s->device_writes };
		at += piece;
		left -= piece;
	}
	return left ? 0 : n;
}

bool drv_work_on(struct drv *unused, uint32_t queue, uint16_t head)
{
	return true;
}

void drv_work_done(struct drv *unused)
{
}

void drv_publish(struct drv *unused, uint32_t queue)
{
	(void)vq_device_publish(&d.queue[queue]);
}

void drv_break(struct drv *unused, const char *why)
{
	d.broken = true;
	broken = why;
}

void drv_log(struct drv *unused, int level, const char *fmt, ...)
{
}

void drv_config(struct drv *unused, const void *config, size_t n)
{
}

void drv_offer(struct drv *unused, uint64_t features)
{
	d.offered = features;
}

void rt_panic(const char *fmt, ...)
{
	abort();
}

void *rt_alloc(size_t n)
{
	return malloc(n);
}

void *rt_zalloc(size_t n)
{
	return calloc(1, n);
}

void rt_free(void *p)
{
	free(p);
}

uint64_t rt_now_ns(void)
{
	return now;
}

k_status_t k_timer_create(k_handle_t bell, uint64_t bits, k_handle_t *out)
{
	return K_OK;
}

k_status_t k_timer_set(k_handle_t timer, uint64_t deadline, uint64_t slack)
{
	timer_set = true;
	return K_OK;
}

void k_process_exit(uint32_t status)
{
	longjmp(end, (int)status);
}

/* -- a controller ------------------------------------------------------------------------------ */

static struct {
	uint32_t cc;
	uint8_t *sq[QUEUES + 1], *cq[QUEUES + 1];
	uint32_t size[QUEUES + 1], sq_head[QUEUES + 1], cq_tail[QUEUES + 1];
	uint64_t admin_sq, admin_cq;
	bool failed;

	/* What it is like. */
	uint32_t block_shift, io_queues;
	uint8_t mdts, vwc;
	bool read_only, reverse;	/* completes what it got at once in the opposite order */
	bool silent;			/* takes commands and does not complete them */
	uint16_t status;		/* what the next bad commands end with */
	uint32_t bad;			/* how many */
	int lie;			/* added to the identifier of completions */

	/* What it did. */
	uint32_t commands[16], largest, unsafe_writes;
} nvme;

static uint8_t medium[DISK_BYTES];

static void identify(const struct nvme_command *c)
{
	uint8_t *at = (uint8_t *)(uintptr_t)c->prp1;

	memset(at, 0, 4096);
	if (c->dw10 == NVME_CNS_CONTROLLER) {
		at[77] = nvme.mdts;
		at[512] = 0x66;
		at[513] = 0x44;
		at[520] = 1 << 2 | 1 << 3;
		at[525] = nvme.vwc;
		memcpy(at + 4, "number 7            ", 20);
	} else if (c->dw10 == NVME_CNS_NAMESPACES) {
		put_le32(at, 5);
	} else {
		put_le64(at, DISK_BYTES >> nvme.block_shift);
		at[99] = nvme.read_only;
		put_le32(at + 128, nvme.block_shift << 16);
	}
}

static uint32_t admin(const struct nvme_command *c)
{
	uint32_t id = c->dw10 & 0xffff;

	switch (c->opcode_cid & 0xff) {
	case NVME_IDENTIFY:
		identify(c);
		break;
	case NVME_SET_FEATURES:
		return (nvme.io_queues - 1) << 16 | (nvme.io_queues - 1);
	case NVME_CREATE_CQ:
		nvme.cq[id] = (uint8_t *)(uintptr_t)c->prp1;
		nvme.cq_tail[id] = 0;
		break;
	case NVME_CREATE_SQ:
		nvme.sq[id] = (uint8_t *)(uintptr_t)c->prp1;
		nvme.size[id] = (c->dw10 >> 16) + 1;
		nvme.sq_head[id] = 0;
		break;
	}
	return 0;
}

/* The @i-th page of a command that moves @n bytes. */
static uint8_t *prp_page(const struct nvme_command *c, uint32_t n, uint32_t i)
{
	uint32_t first = 4096 - c->prp1 % 4096;

	if (i == 0)
		return (uint8_t *)(uintptr_t)c->prp1;
	if (n <= first + 4096)
		return (uint8_t *)(uintptr_t)c->prp2;
	return (uint8_t *)(uintptr_t)((uint64_t *)(uintptr_t)c->prp2)[i - 1];
}

static void transfer(const struct nvme_command *c, bool write)
{
	uint8_t *at = medium + ((c->dw10 | (uint64_t)c->dw11 << 32) << nvme.block_shift);
	uint32_t n = ((c->dw12 & 0xffff) + 1) << nvme.block_shift, done = 0;

	nvme.largest = MAX(nvme.largest, n);
	nvme.unsafe_writes += write && !(c->dw12 & NVME_FUA);
	for (uint32_t i = 0; done < n; i++) {
		uint8_t *page = prp_page(c, n, i);
		uint32_t piece = MIN(n - done, 4096 - (uint32_t)((uintptr_t)page % 4096));

		memcpy(write ? at + done : page, write ? page : at + done, piece);
		done += piece;
	}
}

static void deallocate(const struct nvme_command *c)
{
	const uint8_t *r = (const uint8_t *)(uintptr_t)c->prp1;

	for (uint32_t i = 0; i <= (c->dw10 & 0xff); i++, r += 16)
		memset(medium + (get_le64(r + 8) << nvme.block_shift), 0xdd,
		       (size_t)get_le32(r + 4) << nvme.block_shift);
}

static void execute(const struct nvme_command *c)
{
	switch (c->opcode_cid & 0xff) {
	case NVME_READ:
		transfer(c, false);
		break;
	case NVME_WRITE:
		transfer(c, true);
		break;
	case NVME_DATASET:
		deallocate(c);
		break;
	case NVME_WRITE_ZEROES:
		memset(medium + ((uint64_t)c->dw10 << nvme.block_shift), 0,
		       (size_t)((c->dw12 & 0xffff) + 1) << nvme.block_shift);
		break;
	}
	nvme.commands[c->opcode_cid & 0xf]++;
}

static void complete(uint32_t q, const struct nvme_command *c, uint32_t result, uint16_t status)
{
	uint32_t size = nvme.size[q], phase = !(nvme.cq_tail[q] / size & 1);
	struct nvme_cqe *e = (struct nvme_cqe *)nvme.cq[q] + nvme.cq_tail[q]++ % size;
	uint32_t cid = (c->opcode_cid >> 16) + (q ? (uint32_t)nvme.lie : 0);

	*e = (struct nvme_cqe){ .result = result, .sq = q << 16 | nvme.sq_head[q],
				.status = (cid & 0xffff) | phase << 16 | (uint32_t)status << 17 };
}

static void do_one(uint32_t q, const struct nvme_command *c)
{
	uint16_t status = 0;

	if (!q) {
		complete(0, c, admin(c), 0);
		return;
	}
	if (nvme.bad) {
		nvme.bad--;
		status = nvme.status;
	} else {
		execute(c);
	}
	complete(q, c, 0, status);
}

static void doorbell(uint32_t q, uint32_t tail)
{
	struct nvme_command fetched[DISK_RING];
	uint32_t n = 0;

	for (; nvme.sq_head[q] != tail; nvme.sq_head[q] = (nvme.sq_head[q] + 1) % nvme.size[q])
		fetched[n++] = ((struct nvme_command *)nvme.sq[q])[nvme.sq_head[q]];
	for (uint32_t i = 0; i < n && !(q && nvme.silent); i++)
		do_one(q, &fetched[nvme.reverse ? n - 1 - i : i]);
}

static uint32_t reg_read(void *user, uint32_t offset)
{
	switch (offset) {
	case 0x00:
		return 0x0f000000u | 1023;
	case 0x04:
		return 1u << 5;
	case 0x08:
		return 0x00010400;
	case 0x14:
		return nvme.cc;
	case 0x1c:
		return (nvme.cc & 1) | (nvme.failed ? 2 : 0);
	}
	return 0;
}

static void reg_write(void *user, uint32_t offset, uint32_t v)
{
	if (offset >= 0x1000 && !((offset - 0x1000) / 4 & 1)) {
		doorbell((offset - 0x1000) / 8, v);
	} else if (offset == 0x28 || offset == 0x30) {
		*(offset == 0x28 ? &nvme.admin_sq : &nvme.admin_cq) = v;
	} else if (offset == 0x2c || offset == 0x34) {
		*(offset == 0x2c ? &nvme.admin_sq : &nvme.admin_cq) |= (uint64_t)v << 32;
	} else if (offset == 0x14) {
		if ((v & 1) && !(nvme.cc & 1)) {
			nvme.sq[0] = (uint8_t *)(uintptr_t)nvme.admin_sq;
			nvme.cq[0] = (uint8_t *)(uintptr_t)nvme.admin_cq;
			nvme.size[0] = NVME_ADMIN_SIZE;
			nvme.sq_head[0] = nvme.cq_tail[0] = 0;
		}
		nvme.cc = v;
		nvme.failed = false;
	}
}

static uint64_t window_now(void *user)
{
	return now;
}

static void window_pause(void *user, uint32_t n)
{
	now += 1000000;
}

static const struct drv_window window = {
	.read = reg_read, .write = reg_write, .now_ns = window_now, .pause = window_pause,
	.step = drv_step,
};

/* -- lives ------------------------------------------------------------------------------------- */

/* The first incarnation of a driver, or the next one; what driver.c does in start(). */
static k_status_t incarnate(bool first, uint64_t features)
{
	k_status_t st;

	for (uint32_t q = 0; q < QUEUES; q++) {
		free(disk.server.queue[q].flights);
		free(disk.server.queue[q].chain.segments);
	}
	memset(&d, 0, sizeof(d));
	memset(&disk, 0, sizeof(disk));
	d.start.link = geometry;
	d.start.dma_length = sizeof(dma);
	d.start.incarnation = first ? 1 : 2;
	if (!link_layout_make(&geometry, &d.layout))
		abort();
	d.record = (struct record *)record;
	d.control = control;
	d.dma = dma;
	for (uint32_t i = 0; i < DMA_PAGES; i++)
		bus_of_dma[i] = (uintptr_t)(dma + i * 4096);
	d.dma_bus = bus_of_dma;
	d.open = true;
	d.features = features;
	for (uint32_t q = 0; q < QUEUES; q++) {
		struct vring ring = link_layout_ring(&d.layout, control, q);

		vq_device_init(&d.queue[q], &ring, record_inflight(&geometry, record, q), taken[q],
			       !first);
		d.queue[q].step = drv_step;
	}
	disk.d = &d;
	st = nvme_open(&disk.controller, &window);
	if (st == K_OK)
		st = disk_allocate(&disk);
	if (st == K_OK)
		st = nvme_disable(&disk.controller);
	if (st == K_OK && !first)
		io_take_over(&disk);
	if (st == K_OK)
		st = disk_set_up(&disk);
	if (st != K_OK)
		return st;
	disk_describe(&disk);
	for (uint32_t q = 0; q < QUEUES; q++)
		blk_server_serve(&disk.server, q);
	return K_OK;
}

/* -- the client ---------------------------------------------------------------------------------- */

static struct link_layout layout;

/* A fresh disk and link; the first incarnation serves them. */
static bool begin(uint32_t block_shift, uint64_t features)
{
	memset(dma, 0x55, sizeof(dma));
	memset(data, 0, sizeof(data));
	memset(&nvme, 0, sizeof(nvme));
	nvme.block_shift = block_shift;
	nvme.io_queues = QUEUES;
	nvme.mdts = 1;
	nvme.vwc = 1;
	for (uint32_t i = 0; i < sizeof(medium); i++)
		medium[i] = (uint8_t)(i * 7 + (i >> 9));
	geometry = (struct link_geometry){ .version = LINK_VERSION, .class_id = LINK_CLASS_BLOCK,
					   .queue_count = QUEUES, .queue_size = DEPTH,
					   .data_length = DATA };
	if (!link_layout_make(&geometry, &layout))
		return false;
	memset(control, 0, layout.length);
	memset(record, 0, record_length(&geometry));
	((struct record *)record)->version = RECORD_VERSION;
	for (uint32_t q = 0; q < QUEUES; q++) {
		struct vring ring = link_layout_ring(&layout, control, q);

		vq_driver_init(&client[q], &ring, slots[q]);
	}
	broken = NULL;
	steps_left = 0;
	return incarnate(true, features) == K_OK;
}

/* A request with its payload in pieces; the head, or UINT16_MAX. */
static uint16_t submit(uint32_t q, uint32_t type, uint64_t sector, const struct vq_segment *payload,
		       unsigned int n)
{
	uint64_t slot = link_layout_slot(&layout, q, client[q].free_head);
	struct vq_segment s[20] = { { slot, 16, false } };
	uint16_t head;

	put_le32(control + slot, type);
	put_le32(control + slot + 4, 0);
	put_le64(control + slot + 8, sector);
	control[slot + SLOT_STATUS] = 0xee;
	for (unsigned int i = 0; i < n; i++)
		s[1 + i] = payload[i];
	s[1 + n] = (struct vq_segment){ slot + SLOT_STATUS, 1, true };
	if (!vq_driver_add(&client[q], s, n + 2, (void *)(slot + SLOT_STATUS), &head))
		return UINT16_MAX;
	vq_driver_publish(&client[q]);
	return head;
}

/* One payload at @offset of the link's data. */
static uint16_t submit_one(uint32_t q, uint32_t type, uint64_t sector, uint32_t offset, uint32_t n)
{
	struct vq_segment s = { LINK_DATA + offset, n, type == BLK_T_IN || type == BLK_T_GET_ID };

	return submit(q, type, sector, &s, n ? 1 : 0);
}

static void serve(void)
{
	for (int round = 0; round < 200; round++) {
		for (uint32_t q = 0; q < QUEUES; q++)
			blk_server_serve(&disk.server, q);
		io_reap(&disk);
	}
}

/* Take the one answer that there is; its status, 0xff: none.  *@written: bytes, its own included. */
static uint8_t take(uint32_t q, uint32_t *written)
{
	uint16_t head;
	void *status;
	uint32_t n = 0;

	if (!vq_driver_take(&client[q], &status, &head, &n))
		return 0xff;
	if (written)
		*written = n;
	return control[(uintptr_t)status];
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t offset, uint32_t n)
{
	if (submit_one(0, type, sector, offset, n) == UINT16_MAX)
		return 0xff;
	serve();
	return take(0, NULL);
}

static void put_range(uint32_t offset, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	put_le64(data + offset, sector);
	put_le32(data + offset + 8, sectors);
	put_le32(data + offset + 12, flags);
}

/* -- what requests do ------------------------------------------------------------------------------ */

TEST(reads_and_writes_reach_their_blocks)
{
	static uint8_t model[DISK_BYTES];

	for (uint32_t shift = 9; shift <= 12; shift++) {
		uint32_t block = 1u << shift;

		REQUIRE(begin(shift, FEATURE_FLUSH));
		CHECK(d.offered & BIT(6));
		memcpy(model, medium, sizeof(model));
		for (int round = 0; round < 100; round++) {
			uint32_t n = block * (uint32_t)(1 + unit_random() % (131072 / block));
			uint32_t at = block * (uint32_t)(unit_random() % ((DISK_BYTES - n) / block + 1));
			uint32_t offset = 4 * (uint32_t)(unit_random() % ((DATA - n) / 4 + 1));
			bool write = unit_random() & 1;

			/* PRPs begin anywhere, but a block cannot lie across a gap: there is none. */
			for (uint32_t i = 0; i < n; i += 4)
				put_le32(data + offset + i, (uint32_t)unit_random());
			if (write)
				memcpy(model + at, data + offset, n);
			CHECK_EQ(request(write ? BLK_T_OUT : BLK_T_IN, at / 512, offset, n), BLK_S_OK);
			CHECK(memcmp(model + at, data + offset, n) == 0);
		}
		CHECK(memcmp(model, medium, sizeof(model)) == 0);
		CHECK_EQ(nvme.largest, 8192);
		CHECK(!broken);
	}
}

TEST(payload_may_lie_in_pieces)
{
	struct vq_segment s[] = {
		{ LINK_DATA + 1024, 3072, true }, { LINK_DATA + 8192, 4096, true },
		{ LINK_DATA + 16384, 512, true }, { LINK_DATA + 20480 + 512, 1024, true },
		{ LINK_DATA + 30000 / 4 * 4, 512, true },
	};
	uint32_t written;

	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(submit(0, BLK_T_IN, 8, s, 5) != UINT16_MAX);
	serve();
	CHECK_EQ(take(0, &written), BLK_S_OK);
	CHECK_EQ(written, 3072 + 4096 + 512 + 1024 + 512 + 1);
	CHECK(memcmp(data + 1024, medium + 4096, 3072) == 0);
	CHECK(memcmp(data + 8192, medium + 4096 + 3072, 4096) == 0);
	CHECK(memcmp(data + 16384, medium + 4096 + 7168, 512) == 0);
	CHECK(memcmp(data + 20992, medium + 4096 + 7680, 1024) == 0);
	CHECK(memcmp(data + 30000, medium + 4096 + 8704, 512) == 0);
	/* A block in two places that no page joins. */
	s[0] = (struct vq_segment){ LINK_DATA, 256, true };
	s[1] = (struct vq_segment){ LINK_DATA + 8192, 256, true };
	CHECK(submit(0, BLK_T_IN, 8, s, 2) != UINT16_MAX);
	serve();
	CHECK_EQ(take(0, NULL), BLK_S_IOERR);
	CHECK(!broken);
}

TEST(requests_outside_of_the_disk_fail)
{
	uint64_t end_sector = DISK_BYTES / 512;

	REQUIRE(begin(12, FEATURE_FLUSH));
	CHECK_EQ(request(BLK_T_IN, end_sector - 8, 0, 4096), BLK_S_OK);
	CHECK_EQ(request(BLK_T_IN, end_sector - 8, 0, 8192), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_IN, end_sector, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, UINT64_MAX - 7, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, 1, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, 0, 2, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_IN, 0, 0, 0), BLK_S_IOERR);
	CHECK_EQ(request(77, 0, 0, 512), BLK_S_UNSUPP);
	CHECK_EQ(nvme.commands[NVME_WRITE], 0);
	CHECK(!broken);
}

TEST(ranges_are_discarded_and_zeroed)
{
	REQUIRE(begin(12, FEATURE_FLUSH));
	put_range(0, 8, 16, 0);
	put_range(16, 80, 8, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 32), BLK_S_OK);
	CHECK(medium[4095] != 0xdd && medium[4096] == 0xdd && medium[12287] == 0xdd);
	CHECK(medium[40960] == 0xdd && medium[40960 + 4095] == 0xdd && medium[40960 + 4096] != 0xdd);
	CHECK_EQ(nvme.commands[NVME_DATASET], 1);
	put_range(0, 8, 12, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	put_range(0, 8, 8, 1);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_UNSUPP);
	put_range(0, DISK_BYTES / 512 - 8, 16, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 17 * 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 24), BLK_S_IOERR);
	CHECK_EQ(nvme.commands[NVME_DATASET], 1);
	put_range(0, 8, 16, 1);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_OK);
	CHECK(medium[4094] && !medium[4096] && !medium[12287]);
	put_range(0, 8, 24, 0);			/* more than MDTS */
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_IOERR);
	put_range(0, 8, 16, 2);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_UNSUPP);
	CHECK_EQ(nvme.commands[NVME_WRITE_ZEROES], 1);
}

TEST(the_identifier_is_the_serial_number)
{
	REQUIRE(begin(9, 0));
	CHECK_EQ(request(BLK_T_GET_ID, 0, 64, 20), BLK_S_OK);
	CHECK(memcmp(data + 64, "number 7\0\0\0\0\0\0\0\0\0\0\0\0", 20) == 0);
	CHECK_EQ(request(BLK_T_GET_ID, 0, 64, 19), BLK_S_UNSUPP);
}

TEST(writes_are_durable_for_who_does_not_flush)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(request(BLK_T_FLUSH, 0, 0, 0), BLK_S_OK);
	CHECK_EQ(nvme.commands[NVME_FLUSH], 1);
	CHECK_EQ(nvme.unsafe_writes, 1);
	REQUIRE(begin(9, 0));
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(nvme.commands[NVME_WRITE], 1);
	CHECK_EQ(nvme.unsafe_writes, 0);
}

TEST(nothing_is_written_to_a_disk_that_is_read_only)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.read_only = true;
	REQUIRE(incarnate(true, 0) == K_OK);
	CHECK(d.offered & BIT(5));
	CHECK_EQ(request(BLK_T_IN, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_IOERR);
	put_range(0, 8, 16, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(nvme.commands[NVME_WRITE] + nvme.commands[NVME_DATASET], 0);
}

TEST(queues_go_side_by_side)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(d.offered & BIT(12));
	nvme.reverse = true;
	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t q = 0; q < QUEUES; q++)
			CHECK(submit_one(q, BLK_T_IN, 4 * (i * 2 + q), (i * 2 + q) * 2048, 2048) !=
			      UINT16_MAX);
	serve();
	for (uint32_t q = 0; q < QUEUES; q++)
		for (uint32_t i = 0; i < 20; i++)
			CHECK_EQ(take(q, NULL), BLK_S_OK);
	CHECK(memcmp(data, medium, 40 * 2048) == 0);
	/* A controller that gives fewer queues: the others are left alone. */
	nvme.io_queues = 1;
	REQUIRE(incarnate(true, 0) == K_OK);
	CHECK(!(d.offered & BIT(12)));
	CHECK_EQ(disk.server.queue_count, 1);
}

/* -- what a device does wrong ------------------------------------------------------------------------ */

TEST(a_failed_command_is_tried_again_if_it_may)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.status = 0x281;		/* unrecovered read error */
	nvme.bad = 5;
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_OK);
	CHECK(memcmp(data, medium + 3 * 512, 512) == 0);
	nvme.bad = 6;
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_IOERR);
	CHECK_EQ(nvme.bad, 0);
	nvme.status = 0x4002;		/* invalid field, do not retry */
	nvme.bad = 2;
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_IOERR);
	CHECK_EQ(nvme.bad, 1);
	nvme.bad = 0;
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_OK);
}

/* How the incarnation ended while it served; 0: it did not. */
static int end_of(void (*what)(void))
{
	int status = setjmp(end);

	if (!status)
		what();
	return status;
}

TEST(a_lie_ends_the_driver_and_voids_its_rings)
{
	static const int lies[] = { 1, 0x100, 0x8000, 0x3f };

	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		REQUIRE(begin(9, FEATURE_FLUSH));
		nvme.lie = lies[i];
		CHECK(submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
		CHECK_EQ(end_of(serve), 2);
		CHECK_EQ(((struct record *)record)->phase, RECORD_SETUP);
		nvme.lie = 0;
		REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
		serve();
		CHECK_EQ(((struct record *)record)->finished, 0);
		CHECK_EQ(take(0, NULL), BLK_S_OK);
		CHECK(memcmp(data, medium + 3 * 512, 512) == 0);
	}
}

static void tick(void)
{
	for (int i = 0; i < 100; i++) {
		now += 200000000;
		io_check(&disk);
	}
}

TEST(a_late_request_fails_after_three_resets_and_the_others_do_not)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.silent = true;
	CHECK(submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
	CHECK(submit_one(0, BLK_T_IN, 4, 512, 512) != UINT16_MAX);
	serve();
	for (int i = 0; i < 3; i++) {
		CHECK(timer_set);
		timer_set = false;
		CHECK_EQ(take(0, NULL), 0xff);
		CHECK_EQ(end_of(tick), 2);
		CHECK_EQ(((struct record *)record)->phase, RECORD_LIVE);
		if (i == 2)
			nvme.silent = false;
		REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	}
	serve();
	CHECK_EQ(take(0, NULL), BLK_S_IOERR);
	CHECK_EQ(take(0, NULL), BLK_S_OK);
	CHECK(memcmp(data + 512, medium + 4 * 512, 512) == 0);
	CHECK_EQ(end_of(tick), 0);
}

TEST(a_failed_controller_ends_the_driver)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK_EQ(end_of(tick), 0);
	nvme.failed = true;
	CHECK_EQ(end_of(tick), 2);
	REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_OK);
}

/* -- deaths -------------------------------------------------------------------------------------------- */

static void next_life(void)
{
	if (incarnate(false, FEATURE_FLUSH) != K_OK)
		abort();
	serve();
}

/* Requests, a death at each step in turn and then every few steps: all are done, in order, once. */
static void die_at(uint32_t first, uint32_t then)
{
	uint32_t deaths = 0, done = 0;
	int status;

	REQUIRE(begin(9, FEATURE_FLUSH));
	for (uint32_t i = 0; i < 6; i++) {
		memset(data + i * 16384, (int)i + 1, 16384);
		CHECK(submit_one(i & 1, BLK_T_OUT, 0, i * 16384, 16384) != UINT16_MAX);
		CHECK(submit_one(i & 1, BLK_T_OUT, 64 + i * 32, i * 16384, 16384) != UINT16_MAX);
	}
	steps_left = first;
	status = end_of(serve);
	while (status) {
		REQUIRE(status == 77 && ++deaths < 1000);
		/* Shorter lives than a start takes would never get anywhere. */
		steps_left = then ? then + 3 * deaths : 0;
		status = end_of(next_life);
	}
	steps_left = 0;
	serve();
	for (uint32_t q = 0; q < QUEUES; q++)
		while (take(q, NULL) == BLK_S_OK)
			done++;
	CHECK_EQ(done, 12);
	for (uint32_t i = 0; i < 6; i++)
		for (uint32_t k = 0; k < 16384; k += 512)
			CHECK_EQ(medium[32768 + i * 16384 + k], i + 1);
	CHECK(!broken);
}

TEST(a_driver_may_die_at_any_step)
{
	for (uint32_t step = 1; step < 300; step++)
		die_at(step, 0);
}

TEST(and_its_successors_too)
{
	for (uint32_t step = 1; step < 200; step += 11)
		for (uint32_t then = 1; then < 60; then += 7)
			die_at(step, then);
}

TEST(requests_are_issued_again_one_by_one_and_before_new_ones)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.silent = true;
	for (uint32_t i = 0; i < 6; i++) {
		memset(data + i * 512, (int)i + 1, 512);
		CHECK(submit_one(0, BLK_T_OUT, 9, i * 512, 512) != UINT16_MAX);
		if (i < 5)
			serve();	/* the last one is not taken */
	}
	nvme.silent = false;
	nvme.reverse = true;		/* what it gets at once it does the other way round */
	REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	serve();
	for (uint32_t i = 0; i < 6; i++)
		CHECK_EQ(take(0, NULL), BLK_S_OK);
	CHECK_EQ(medium[9 * 512], 6);
	CHECK_EQ(nvme.commands[NVME_WRITE], 6);
}

TEST(what_was_done_is_not_done_again)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(submit_one(0, BLK_T_OUT, 0, 0, 4096) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);		/* the device is done, and nobody has looked */
	CHECK_EQ(nvme.commands[NVME_WRITE], 1);
	REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	serve();
	CHECK_EQ(take(0, NULL), BLK_S_OK);
	CHECK_EQ(nvme.commands[NVME_WRITE], 1);
	CHECK_EQ(((struct record *)record)->finished, 1);
}

/* -- clients -------------------------------------------------------------------------------------------- */

TEST(a_client_that_breaks_the_protocol_is_left)
{
	struct vq_segment out = { LINK_DATA, 512, false }, beyond = { LINK_DATA + DATA - 256, 512, true };
	uint16_t head;

	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(submit(0, BLK_T_IN, 0, &out, 1) != UINT16_MAX);
	serve();
	CHECK(broken);
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(submit(0, BLK_T_IN, 0, &beyond, 1) != UINT16_MAX);
	serve();
	CHECK(broken);
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(vq_driver_add(&client[0], &out, 1, NULL, &head));
	vq_driver_publish(&client[0]);
	serve();
	CHECK(broken);
}

TEST(noise_from_a_client_harms_nobody)
{
	for (int round = 0; round < 500; round++) {
		REQUIRE(begin(9, FEATURE_FLUSH));
		for (int i = 0; i < 8; i++)
			(void)submit_one(0, unit_random() % 15, unit_random() % 4096,
					 (uint32_t)(unit_random() % DATA), (uint32_t)(unit_random() % 40000));
		for (int i = 0; i < 12; i++)
			control[LINK_RINGS + unit_random() % 1024] = (uint8_t)unit_random();
		for (int i = 0; i < 4; i++)
			control[layout.slots + unit_random() % 4096] = (uint8_t)unit_random();
		CHECK_EQ(end_of(serve), 0);
	}
}
