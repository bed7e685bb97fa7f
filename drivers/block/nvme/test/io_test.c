/* SPDX-License-Identifier: MIT */
/*
 * Requests of a link against a controller that does what commands say, in memory of this
 * program: a bus address is an address of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "disk.h"
#include "rig.h"
#include "unit/unit.h"

enum { QUEUES = RIG_QUEUES, DATA = RIG_DATA, DISK_BYTES = 1 << 19 };

#define FEATURE_FLUSH BLK_F_FLUSH

static struct disk disk;

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

/* -- lives ------------------------------------------------------------------------------------- */

/* The first incarnation of a driver, or the next one; what driver.c does in start(). */
static k_status_t incarnate(bool first, uint64_t features)
{
	static struct drv_window window;
	k_status_t st;

	for (uint32_t q = 0; q < QUEUES; q++) {
		free(disk.server.queue[q].flights);
		free(disk.server.queue[q].chain.segments);
	}
	memset(&disk, 0, sizeof(disk));
	rig_incarnate(first, features);
	window = rig_window(reg_read, reg_write);
	disk.d = &rig.d;
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

/* A fresh disk and link; the first incarnation serves them. */
static bool begin(uint32_t block_shift, uint64_t features)
{
	memset(&nvme, 0, sizeof(nvme));
	nvme.block_shift = block_shift;
	nvme.io_queues = QUEUES;
	nvme.mdts = 1;
	nvme.vwc = 1;
	for (uint32_t i = 0; i < sizeof(medium); i++)
		medium[i] = (uint8_t)(i * 7 + (i >> 9));
	return rig_begin(QUEUES) && incarnate(true, features) == K_OK;
}

static void serve(void)
{
	for (int round = 0; round < 200; round++) {
		for (uint32_t q = 0; q < QUEUES; q++)
			blk_server_serve(&disk.server, q);
		io_reap(&disk);
	}
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t offset, uint32_t n)
{
	if (rig_submit_one(0, type, sector, offset, n) == UINT16_MAX)
		return 0xff;
	serve();
	return rig_take(0, NULL);
}

/* -- what requests do ------------------------------------------------------------------------------ */

TEST(reads_and_writes_reach_their_blocks)
{
	static uint8_t model[DISK_BYTES];

	for (uint32_t shift = 9; shift <= 12; shift++) {
		uint32_t block = 1u << shift;

		REQUIRE(begin(shift, FEATURE_FLUSH));
		CHECK(rig.d.offered & BIT(6));
		memcpy(model, medium, sizeof(model));
		for (int round = 0; round < 100; round++) {
			uint32_t n = block * (uint32_t)(1 + unit_random() % (131072 / block));
			uint32_t at = block * (uint32_t)(unit_random() % ((DISK_BYTES - n) / block + 1));
			uint32_t offset = 4 * (uint32_t)(unit_random() % ((DATA - n) / 4 + 1));
			bool write = unit_random() & 1;

			/* PRPs begin anywhere, but a block cannot lie across a gap: there is none. */
			for (uint32_t i = 0; i < n; i += 4)
				put_le32(rig.data + offset + i, (uint32_t)unit_random());
			if (write)
				memcpy(model + at, rig.data + offset, n);
			CHECK_EQ(request(write ? BLK_T_OUT : BLK_T_IN, at / 512, offset, n), BLK_S_OK);
			CHECK(memcmp(model + at, rig.data + offset, n) == 0);
		}
		CHECK(memcmp(model, medium, sizeof(model)) == 0);
		CHECK_EQ(nvme.largest, 8192);
		CHECK(!rig.broken);
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
	CHECK(rig_submit(0, BLK_T_IN, 8, s, 5) != UINT16_MAX);
	serve();
	CHECK_EQ(rig_take(0, &written), BLK_S_OK);
	CHECK_EQ(written, 3072 + 4096 + 512 + 1024 + 512 + 1);
	CHECK(memcmp(rig.data + 1024, medium + 4096, 3072) == 0);
	CHECK(memcmp(rig.data + 8192, medium + 4096 + 3072, 4096) == 0);
	CHECK(memcmp(rig.data + 16384, medium + 4096 + 7168, 512) == 0);
	CHECK(memcmp(rig.data + 20992, medium + 4096 + 7680, 1024) == 0);
	CHECK(memcmp(rig.data + 30000, medium + 4096 + 8704, 512) == 0);
	/* A block in two places that no page joins. */
	s[0] = (struct vq_segment){ LINK_DATA, 256, true };
	s[1] = (struct vq_segment){ LINK_DATA + 8192, 256, true };
	CHECK(rig_submit(0, BLK_T_IN, 8, s, 2) != UINT16_MAX);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_IOERR);
	CHECK(!rig.broken);
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
	CHECK(!rig.broken);
}

TEST(ranges_are_discarded_and_zeroed)
{
	REQUIRE(begin(12, FEATURE_FLUSH));
	rig_put_range(0, 8, 16, 0);
	rig_put_range(16, 80, 8, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 32), BLK_S_OK);
	CHECK(medium[4095] != 0xdd && medium[4096] == 0xdd && medium[12287] == 0xdd);
	CHECK(medium[40960] == 0xdd && medium[40960 + 4095] == 0xdd && medium[40960 + 4096] != 0xdd);
	CHECK_EQ(nvme.commands[NVME_DATASET], 1);
	rig_put_range(0, 8, 12, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	rig_put_range(0, 8, 8, 1);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_UNSUPP);
	rig_put_range(0, DISK_BYTES / 512 - 8, 16, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 17 * 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 24), BLK_S_IOERR);
	CHECK_EQ(nvme.commands[NVME_DATASET], 1);
	rig_put_range(0, 8, 16, 1);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_OK);
	CHECK(medium[4094] && !medium[4096] && !medium[12287]);
	rig_put_range(0, 8, 24, 0);			/* more than MDTS */
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_IOERR);
	rig_put_range(0, 8, 16, 2);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_UNSUPP);
	CHECK_EQ(nvme.commands[NVME_WRITE_ZEROES], 1);
}

TEST(the_identifier_is_the_serial_number)
{
	REQUIRE(begin(9, 0));
	CHECK_EQ(request(BLK_T_GET_ID, 0, 64, 20), BLK_S_OK);
	CHECK(memcmp(rig.data + 64, "number 7\0\0\0\0\0\0\0\0\0\0\0\0", 20) == 0);
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
	CHECK(rig.d.offered & BIT(5));
	CHECK_EQ(request(BLK_T_IN, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_IOERR);
	rig_put_range(0, 8, 16, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_IOERR);
	CHECK_EQ(nvme.commands[NVME_WRITE] + nvme.commands[NVME_DATASET], 0);
}

TEST(queues_go_side_by_side)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(rig.d.offered & BIT(12));
	nvme.reverse = true;
	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t q = 0; q < QUEUES; q++)
			CHECK(rig_submit_one(q, BLK_T_IN, 4 * (i * 2 + q), (i * 2 + q) * 2048, 2048) !=
			      UINT16_MAX);
	serve();
	for (uint32_t q = 0; q < QUEUES; q++)
		for (uint32_t i = 0; i < 20; i++)
			CHECK_EQ(rig_take(q, NULL), BLK_S_OK);
	CHECK(memcmp(rig.data, medium, 40 * 2048) == 0);
	/* A controller that gives fewer queues: the others are left alone. */
	nvme.io_queues = 1;
	REQUIRE(incarnate(true, 0) == K_OK);
	CHECK(!(rig.d.offered & BIT(12)));
	CHECK_EQ(disk.server.queue_count, 1);
}

/* -- what a device does wrong ------------------------------------------------------------------------ */

TEST(a_failed_command_is_tried_again_if_it_may)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.status = 0x281;		/* unrecovered read error */
	nvme.bad = 5;
	CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_OK);
	CHECK(memcmp(rig.data, medium + 3 * 512, 512) == 0);
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

TEST(a_lie_ends_the_driver_and_voids_its_rings)
{
	static const int lies[] = { 1, 0x100, 0x8000, 0x3f };

	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		REQUIRE(begin(9, FEATURE_FLUSH));
		nvme.lie = lies[i];
		CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
		CHECK_EQ(rig_end_of(serve), 2);
		CHECK_EQ(rig.record->phase, RECORD_SETUP);
		nvme.lie = 0;
		REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
		serve();
		CHECK_EQ(rig.record->finished, 0);
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		CHECK(memcmp(rig.data, medium + 3 * 512, 512) == 0);
	}
}

static void tick(void)
{
	for (int i = 0; i < 100; i++) {
		rig.now += 200000000;
		io_check(&disk);
	}
}

TEST(a_late_request_fails_after_three_resets_and_the_others_do_not)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	nvme.silent = true;
	CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
	CHECK(rig_submit_one(0, BLK_T_IN, 4, 512, 512) != UINT16_MAX);
	serve();
	for (int i = 0; i < 3; i++) {
		CHECK(rig.timer_set);
		rig.timer_set = false;
		CHECK_EQ(rig_take(0, NULL), 0xff);
		CHECK_EQ(rig_end_of(tick), 2);
		CHECK_EQ(rig.record->phase, RECORD_LIVE);
		if (i == 2)
			nvme.silent = false;
		REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	}
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_IOERR);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK(memcmp(rig.data + 512, medium + 4 * 512, 512) == 0);
	CHECK_EQ(rig_end_of(tick), 0);
}

TEST(a_failed_controller_ends_the_driver)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK_EQ(rig_end_of(tick), 0);
	nvme.failed = true;
	CHECK_EQ(rig_end_of(tick), 2);
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
		memset(rig.data + i * 16384, (int)i + 1, 16384);
		CHECK(rig_submit_one(i & 1, BLK_T_OUT, 0, i * 16384, 16384) != UINT16_MAX);
		CHECK(rig_submit_one(i & 1, BLK_T_OUT, 64 + i * 32, i * 16384, 16384) != UINT16_MAX);
	}
	rig.steps_left = first;
	status = rig_end_of(serve);
	while (status) {
		REQUIRE(status == RIG_DEATH && ++deaths < 1000);
		/* Shorter lives than a start takes would never get anywhere. */
		rig.steps_left = then ? then + 3 * deaths : 0;
		status = rig_end_of(next_life);
	}
	rig.steps_left = 0;
	serve();
	for (uint32_t q = 0; q < QUEUES; q++)
		while (rig_take(q, NULL) == BLK_S_OK)
			done++;
	CHECK_EQ(done, 12);
	for (uint32_t i = 0; i < 6; i++)
		for (uint32_t k = 0; k < 16384; k += 512)
			CHECK_EQ(medium[32768 + i * 16384 + k], i + 1);
	CHECK(!rig.broken);
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
		memset(rig.data + i * 512, (int)i + 1, 512);
		CHECK(rig_submit_one(0, BLK_T_OUT, 9, i * 512, 512) != UINT16_MAX);
		if (i < 5)
			serve();	/* the last one is not taken */
	}
	nvme.silent = false;
	nvme.reverse = true;		/* what it gets at once it does the other way round */
	REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	serve();
	for (uint32_t i = 0; i < 6; i++)
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(medium[9 * 512], 6);
	CHECK_EQ(nvme.commands[NVME_WRITE], 6);
}

TEST(what_was_done_is_not_done_again)
{
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(rig_submit_one(0, BLK_T_OUT, 0, 0, 4096) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);		/* the device is done, and nobody has looked */
	CHECK_EQ(nvme.commands[NVME_WRITE], 1);
	REQUIRE(incarnate(false, FEATURE_FLUSH) == K_OK);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(nvme.commands[NVME_WRITE], 1);
	CHECK_EQ(rig.record->finished, 1);
}

/* -- clients -------------------------------------------------------------------------------------------- */

TEST(a_client_that_breaks_the_protocol_is_left)
{
	struct vq_segment out = { LINK_DATA, 512, false }, beyond = { LINK_DATA + DATA - 256, 512, true };
	uint16_t head;

	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(rig_submit(0, BLK_T_IN, 0, &out, 1) != UINT16_MAX);
	serve();
	CHECK(rig.broken);
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(rig_submit(0, BLK_T_IN, 0, &beyond, 1) != UINT16_MAX);
	serve();
	CHECK(rig.broken);
	REQUIRE(begin(9, FEATURE_FLUSH));
	CHECK(vq_driver_add(&rig.client[0], &out, 1, NULL, &head));
	vq_driver_publish(&rig.client[0]);
	serve();
	CHECK(rig.broken);
}

TEST(noise_from_a_client_harms_nobody)
{
	for (int round = 0; round < 500; round++) {
		REQUIRE(begin(9, FEATURE_FLUSH));
		for (int i = 0; i < 8; i++)
			(void)rig_submit_one(0, unit_random() % 15, unit_random() % 4096,
					 (uint32_t)(unit_random() % DATA), (uint32_t)(unit_random() % 40000));
		rig_make_noise();
		CHECK_EQ(rig_end_of(serve), 0);
	}
}
