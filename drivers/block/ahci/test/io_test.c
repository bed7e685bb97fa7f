/* SPDX-License-Identifier: MIT */
/* Requests of a link against an adapter in memory (pretend.h), and deaths of the driver. */
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "disk.h"
#include "pretend.h"
#include "rig.h"
#include "unit/unit.h"

static struct disk disk;

/* -- lives ----------------------------------------------------------------------------------- */

/* The first incarnation of a driver, or the next one; what driver.c does in start(). */
static k_status_t incarnate(bool first, uint64_t features)
{
	static struct drv_window window;
	k_status_t st;

	free(disk.server.queue[0].flights);
	free(disk.server.queue[0].chain.segments);
	memset(&disk, 0, sizeof(disk));
	rig_incarnate(first, features);
	window = rig_window(pretend_read, pretend_write);
	disk.d = &rig.d;
	st = hba_open(&disk.hba, &window);
	if (st == K_OK)
		st = hba_take_from_firmware(&disk.hba);
	if (st == K_OK && !disk_is_there(&disk))
		st = K_ERR_NOT_FOUND;
	if (st == K_OK)
		st = disk_allocate(&disk);
	if (st == K_OK)
		st = disk_start(&disk);
	if (st != K_OK)
		return st;
	disk_describe(&disk);
	blk_server_serve(&disk.server, 0);
	return K_OK;
}

static bool begin_with(uint32_t block_shift, uint32_t depth, uint64_t features)
{
	pretend_begin(block_shift, depth);
	return rig_begin(1) && incarnate(true, features) == K_OK;
}

static bool begin(void)
{
	return begin_with(9, 32, BLK_F_FLUSH);
}

static void serve(void)
{
	for (int round = 0; round < 60; round++) {
		blk_server_serve(&disk.server, 0);
		pretend_work();
		(void)io_reap(&disk);
	}
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t offset, uint32_t n)
{
	if (rig_submit_one(0, type, sector, offset, n) == UINT16_MAX)
		return 0xff;
	serve();
	return rig_take(0, NULL);
}

/* No driver may do what the adapter counts as that. */
static bool is_clean(void)
{
	return !pretend.violations && !rig.broken;
}

/* -- what requests do ------------------------------------------------------------------------ */

static void read_and_write(uint32_t shift, uint32_t depth)
{
	static uint8_t model[PRETEND_BYTES];
	uint32_t block = 1u << shift;

	REQUIRE(begin_with(shift, depth, BLK_F_FLUSH));
	memcpy(model, pretend.medium, sizeof(model));
	for (int round = 0; round < 60; round++) {
		uint32_t n = block * (uint32_t)(1 + unit_random() % (200000 / block));
		uint32_t at = block * (uint32_t)(unit_random() % ((PRETEND_BYTES - n) / block + 1));
		uint32_t offset = 2 * (uint32_t)(unit_random() % ((RIG_DATA - n) / 2 + 1));
		bool write = unit_random() & 1;

		for (uint32_t i = 0; i < n; i += 2)
			put_le16(rig.data + offset + i, (uint16_t)unit_random());
		if (write)
			memcpy(model + at, rig.data + offset, n);
		CHECK_EQ(request(write ? BLK_T_OUT : BLK_T_IN, at / 512, offset, n), BLK_S_OK);
		CHECK(memcmp(model + at, rig.data + offset, n) == 0);
	}
	CHECK(memcmp(model, pretend.medium, sizeof(model)) == 0);
	CHECK(is_clean());
}

TEST(reads_and_writes_reach_their_blocks)
{
	for (uint32_t shift = 9; shift <= 12; shift++) {
		read_and_write(shift, 32);
		read_and_write(shift, 0);
	}
	CHECK_EQ(pretend.commands[ATA_READ_QUEUED], 0);
	CHECK(pretend.commands[ATA_READ_DMA_EXT] > 0);
}

TEST(payload_may_lie_in_pieces)
{
	struct vq_segment s[] = {
		{ LINK_DATA + 1024, 3072, true }, { LINK_DATA + 8192, 4096, true },
		{ LINK_DATA + 16384, 256, true }, { LINK_DATA + 20482, 1280, true },
	};
	uint32_t written;

	REQUIRE(begin());
	CHECK(rig_submit(0, BLK_T_IN, 8, s, 4) != UINT16_MAX);
	serve();
	CHECK_EQ(rig_take(0, &written), BLK_S_OK);
	CHECK_EQ(written, 3072 + 4096 + 256 + 1280 + 1);
	CHECK(memcmp(rig.data + 1024, pretend.medium + 4096, 3072) == 0);
	CHECK(memcmp(rig.data + 16384, pretend.medium + 4096 + 7168, 256) == 0);
	CHECK(memcmp(rig.data + 20482, pretend.medium + 4096 + 7424, 1280) == 0);
	s[0] = (struct vq_segment){ LINK_DATA + 1, 512, true };
	CHECK(rig_submit(0, BLK_T_IN, 8, s, 1) != UINT16_MAX);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_IOERR);
	CHECK(is_clean());
}

TEST(requests_outside_of_the_disk_fail)
{
	uint64_t end = PRETEND_BYTES / 512;

	REQUIRE(begin_with(12, 32, BLK_F_FLUSH));
	CHECK_EQ(request(BLK_T_IN, end - 8, 0, 4096), BLK_S_OK);
	CHECK_EQ(request(BLK_T_IN, end - 8, 0, 8192), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_IN, end, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, UINT64_MAX - 7, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, 1, 0, 4096), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_IN, 0, 0, 0), BLK_S_IOERR);
	CHECK_EQ(request(77, 0, 0, 512), BLK_S_UNSUPP);
	CHECK_EQ(request(BLK_T_WRITE_ZEROES, 0, 0, 16), BLK_S_UNSUPP);
	CHECK_EQ(pretend.commands[ATA_WRITE_QUEUED], 0);
	CHECK(is_clean());
}

TEST(ranges_are_discarded)
{
	REQUIRE(begin_with(12, 32, BLK_F_FLUSH));
	CHECK(rig.d.offered & BLK_F_DISCARD);
	rig_put_range(0, 8, 16, 0);
	rig_put_range(16, 80, 8, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 32), BLK_S_OK);
	CHECK(pretend.medium[4095] != 0xdd && pretend.medium[4096] == 0xdd);
	CHECK(pretend.medium[12287] == 0xdd && pretend.medium[12288] != 0xdd);
	CHECK(pretend.medium[40960] == 0xdd && pretend.medium[45056] != 0xdd);
	rig_put_range(0, 8, 12, 0);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_IOERR);
	rig_put_range(0, 8, 8, 1);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_UNSUPP);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 24), BLK_S_IOERR);
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 17 * 16), BLK_S_IOERR);
	CHECK_EQ(pretend.commands[ATA_DATA_SET_MANAGEMENT], 1);
	CHECK(is_clean());
	pretend.has_trim = false;
	REQUIRE(rig_begin(1) && incarnate(true, 0) == K_OK);
	CHECK(!(rig.d.offered & BLK_F_DISCARD));
	CHECK_EQ(request(BLK_T_DISCARD, 0, 0, 16), BLK_S_UNSUPP);
}

TEST(the_identifier_is_the_serial_number)
{
	REQUIRE(begin());
	CHECK_EQ(request(BLK_T_GET_ID, 0, 64, 20), BLK_S_OK);
	CHECK(memcmp(rig.data + 64, "number 7\0\0\0\0\0\0\0\0\0\0\0\0", 20) == 0);
	CHECK_EQ(request(BLK_T_GET_ID, 0, 64, 19), BLK_S_UNSUPP);
}

TEST(writes_are_durable_for_who_does_not_flush)
{
	REQUIRE(begin());
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(request(BLK_T_FLUSH, 0, 0, 0), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_FLUSH_CACHE_EXT], 1);
	CHECK_EQ(pretend.unsafe_writes, 1);
	REQUIRE(begin_with(9, 32, 0));
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(pretend.unsafe_writes + pretend.commands[ATA_FLUSH_CACHE_EXT], 0);
	REQUIRE(begin_with(9, 0, 0));
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_WRITE_DMA_FUA_EXT], 1);
	pretend.has_fua = false;
	REQUIRE(rig_begin(1) && incarnate(true, 0) == K_OK);
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 200000 / 512 * 512), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_FLUSH_CACHE_EXT], 1);
	CHECK_EQ(pretend.commands[ATA_WRITE_DMA_EXT], 2);
	pretend.has_cache = false;
	REQUIRE(rig_begin(1) && incarnate(true, 0) == K_OK);
	CHECK(!(rig.d.offered & BLK_F_FLUSH));
	CHECK_EQ(request(BLK_T_OUT, 0, 0, 512), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_FLUSH_CACHE_EXT], 1);
	CHECK(is_clean());
}

TEST(queued_commands_go_side_by_side_up_to_the_depth)
{
	for (uint32_t depth = 1; depth <= 32; depth += 5) {
		REQUIRE(begin_with(9, depth, BLK_F_FLUSH));
		pretend.reverse = true;
		for (uint32_t i = 0; i < 20; i++)
			CHECK(rig_submit_one(0, BLK_T_IN, 4 * i, i * 2048, 2048) != UINT16_MAX);
		serve();
		for (uint32_t i = 0; i < 20; i++)
			CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		CHECK(memcmp(rig.data, pretend.medium, 20 * 2048) == 0);
		CHECK_EQ(pretend.most_at_once, depth == 1 ? 0 : MIN(depth, 20u));
		CHECK(is_clean());
	}
}

TEST(a_flush_waits_for_queued_commands_and_holds_later_ones)
{
	REQUIRE(begin());
	pretend.silent = true;
	CHECK(rig_submit_one(0, BLK_T_OUT, 0, 0, 512) != UINT16_MAX);
	CHECK(rig_submit_one(0, BLK_T_OUT, 8, 512, 512) != UINT16_MAX);
	CHECK(rig_submit_one(0, BLK_T_FLUSH, 0, 0, 0) != UINT16_MAX);
	CHECK(rig_submit_one(0, BLK_T_IN, 16, 1024, 512) != UINT16_MAX);
	serve();
	CHECK_EQ(pretend.commands[ATA_WRITE_QUEUED], 2);
	CHECK_EQ(pretend.commands[ATA_FLUSH_CACHE_EXT] + pretend.commands[ATA_READ_QUEUED], 0);
	pretend.silent = false;
	pretend_work();
	pretend.silent = true;
	serve();
	CHECK_EQ(pretend.commands[ATA_FLUSH_CACHE_EXT], 1);
	CHECK_EQ(pretend.commands[ATA_READ_QUEUED], 0);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(rig_take(0, NULL), 0xff);
	pretend.silent = false;
	pretend.ci = 0;			/* the flush is done */
	pretend.pis |= PORT_IS_DHRS;
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK(memcmp(rig.data + 1024, pretend.medium + 16 * 512, 512) == 0);
	CHECK(is_clean());
}

/* -- errors ---------------------------------------------------------------------------------- */

/* Twelve reads at once, of which the fourth has a bad block. */
static void read_beside_a_bad_block(uint32_t times, uint8_t expected)
{
	pretend.bad_block = 3 * 4 + 1;
	pretend.bad_times = times;
	memset(rig.data, 0, RIG_DATA);
	for (uint32_t i = 0; i < 12; i++)
		CHECK(rig_submit_one(0, BLK_T_IN, 4 * i, i * 2048, 2048) != UINT16_MAX);
	serve();
	for (uint32_t i = 0; i < 12; i++) {
		uint16_t head;
		void *status;
		uint32_t n;

		REQUIRE(vq_driver_take(&rig.client[0], &status, &head, &n));
		CHECK_EQ(rig.control[(uintptr_t)status], head / 3 == 3 ? expected : BLK_S_OK);
		CHECK(head / 3 == 3 || memcmp(rig.data + head / 3 * 2048,
					      pretend.medium + head / 3 * 2048, 2048) == 0);
	}
	CHECK_EQ(disk.busy, 0);
	CHECK_EQ(rig.record->phase, RECORD_LIVE);
	CHECK(is_clean());
}

TEST(the_request_with_the_bad_block_fails_and_no_other)
{
	for (int kind = 0; kind < 16; kind++) {
		REQUIRE(begin_with(9, kind & 8 ? 0 : 32, BLK_F_FLUSH));
		pretend.has_log = kind & 1;
		pretend.keeps_bits = kind & 2;
		pretend.clears_failed = kind & 4;
		read_beside_a_bad_block(UINT32_MAX, BLK_S_IOERR);
		pretend.bad_block = UINT64_MAX;
		CHECK_EQ(request(BLK_T_IN, 13, 0, 512), BLK_S_OK);
	}
}

TEST(a_log_that_lies_is_not_believed)
{
	for (int lie = LOG_BAD_SUM; lie <= LOG_NOT_OF_QUEUE; lie++) {
		REQUIRE(begin());
		pretend.log_lie = lie;
		read_beside_a_bad_block(UINT32_MAX, BLK_S_IOERR);
		CHECK_EQ(pretend.resets, 1);
	}
}

TEST(an_adapter_without_64_bit_addresses_is_refused_where_memory_is_above)
{
	pretend_begin(9, 32);
	pretend.no_64bit = true;
	REQUIRE(rig_begin(1));
	CHECK_EQ(incarnate(true, 0), K_ERR_NOT_SUPPORTED);
}

TEST(a_queued_error_without_a_log_goes_away_when_the_block_is_good_again)
{
	REQUIRE(begin());
	pretend.has_log = false;
	read_beside_a_bad_block(1, BLK_S_OK);
	CHECK_EQ(pretend.resets, 1);
	CHECK_EQ(pretend.commands[ATA_READ_DMA_EXT], 9);	/* three were done before */
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
	REQUIRE(begin());
	pretend.silent = true;
	CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
	CHECK(rig_submit_one(0, BLK_T_IN, 4, 512, 512) != UINT16_MAX);
	serve();
	for (int i = 0; i < 3; i++) {
		CHECK(rig.timer_set);
		rig.timer_set = false;
		CHECK_EQ(rig_take(0, NULL), 0xff);
		CHECK_EQ(rig_end_of(tick), 2);
		pretend.silent = i < 2;
		rig.adopt_flags = COMPONENT_ADOPT_RESET;
		REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	}
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_IOERR);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK(memcmp(rig.data + 512, pretend.medium + 4 * 512, 512) == 0);
	CHECK_EQ(rig_end_of(tick), 0);
	CHECK(is_clean());
}

TEST(what_only_a_reset_helps_against_ends_the_driver)
{
	static const uint32_t interrupts[] = {
		PORT_IS_IFS, PORT_IS_HBDS, PORT_IS_HBFS, PORT_IS_OFS, PORT_IS_PCS, PORT_IS_PRCS,
		PORT_IS_TFES,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(interrupts) + 2; i++) {
		REQUIRE(begin());
		pretend.silent = true;
		if (i < ARRAY_SIZE(interrupts) - 1 || i > ARRAY_SIZE(interrupts))
			CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
		serve();
		pretend.silent = false;
		if (i < ARRAY_SIZE(interrupts))
			pretend.pis |= interrupts[i];
		pretend.stray = i == ARRAY_SIZE(interrupts) ? 1u << 9 : 0;
		pretend.gone = i > ARRAY_SIZE(interrupts);
		CHECK_EQ(rig_end_of(serve), 2);
		CHECK_EQ(rig.record->phase, RECORD_SETUP);
		pretend.gone = false;
		pretend.stray = 0;
		REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
		serve();
		CHECK_EQ(pretend.resets, 1);
		if (i < ARRAY_SIZE(interrupts) - 1 || i > ARRAY_SIZE(interrupts))
			CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		CHECK_EQ(request(BLK_T_IN, 3, 0, 512), BLK_S_OK);
		CHECK(is_clean());
	}
}

/* -- deaths ---------------------------------------------------------------------------------- */

static void next_life(void)
{
	if (incarnate(false, BLK_F_FLUSH) != K_OK)
		abort();
	serve();
}

/* Requests, a death at each step in turn and then every few steps: all are done, in order. */
static void die_at(uint32_t first, uint32_t then, uint32_t depth, uint32_t flags)
{
	uint32_t deaths = 0, done = 0;
	int status;

	REQUIRE(begin_with(9, depth, BLK_F_FLUSH));
	rig.adopt_flags = flags;
	for (uint32_t i = 0; i < 6; i++) {
		memset(rig.data + i * 16384, (int)i + 1, 16384);
		CHECK(rig_submit_one(0, BLK_T_OUT, 64 + i * 32, i * 16384, 16384) != UINT16_MAX);
		if (i & 1)
			CHECK(rig_submit_one(0, BLK_T_FLUSH, 0, 0, 0) != UINT16_MAX);
	}
	rig.steps_left = first;
	status = rig_end_of(serve);
	while (status) {
		REQUIRE(status == RIG_DEATH && ++deaths < 1000);
		/* Shorter lives than a start takes would never get anywhere. */
		rig.steps_left = then ? then + 4 * deaths : 0;
		status = rig_end_of(next_life);
	}
	rig.steps_left = 0;
	serve();
	while (rig_take(0, NULL) == BLK_S_OK)
		done++;
	CHECK_EQ(done, 9);
	for (uint32_t i = 0; i < 6; i++)
		for (uint32_t n = 0; n < 16384; n += 512)
			CHECK_EQ(pretend.medium[32768 + i * 16384 + n], i + 1);
	CHECK(is_clean());
}

TEST(a_driver_may_die_at_any_step)
{
	for (uint32_t step = 1; step < 160; step++) {
		die_at(step, 0, 32, 0);
		die_at(step, 0, 3, 0);
		die_at(step, 0, 0, 0);
		die_at(step, 0, 32, COMPONENT_ADOPT_RESET);
	}
}

TEST(and_its_successors_too)
{
	for (uint32_t step = 1; step < 150; step += 7) {
		for (uint32_t then = 1; then < 80; then += 5) {
			die_at(step, then, 32, 0);
			die_at(step, then, 0, 0);
			die_at(step, then, 32, COMPONENT_ADOPT_RESET);
		}
	}
}

/* A write, and a death at each step; how many of them need a reset.  @works: the device goes on. */
static uint32_t resets_of_deaths(bool works)
{
	uint32_t resets = 0, step = 1;
	int status;

	do {
		if (!begin())
			return UINT32_MAX;
		CHECK(rig_submit_one(0, BLK_T_OUT, 0, 0, 512) != UINT16_MAX);
		rig.steps_left = step++;
		status = rig_end_of(serve);
		rig.steps_left = 0;
		if (!status)
			break;
		if (works)
			pretend_work();
		next_life();
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		resets += pretend.resets;
		/* Nothing is done twice unless it had to be. */
		CHECK(pretend.resets || pretend.commands[ATA_WRITE_QUEUED] == 1);
		CHECK(is_clean());
	} while (step < 1000);
	CHECK(step > 10);
	return resets;
}

/* With queued commands there is one store after which a live device cannot be taken over. */
TEST(a_death_needs_a_reset_at_one_step_only)
{
	/* Before the write of PxCI; and after it, if the device has the command and is not done. */
	CHECK_EQ(resets_of_deaths(true), 1);
	CHECK_EQ(resets_of_deaths(false), 2);
}

/* The reads beside a bad block, with a death at a step: no other data, and no other errors. */
static void die_in_recovery(uint32_t step, bool has_log)
{
	uint32_t deaths = 0, failed = 0;

	REQUIRE(begin());
	pretend.has_log = has_log;
	pretend.bad_block = 3;
	for (uint32_t i = 0; i < 6; i++)
		CHECK(rig_submit_one(0, BLK_T_IN, i, i * 512, 512) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);
	pretend_work();
	rig.steps_left = step;
	for (int status = rig_end_of(serve); status; status = rig_end_of(next_life)) {
		REQUIRE(status == RIG_DEATH && ++deaths < 3);
		rig.steps_left = 0;
	}
	rig.steps_left = 0;
	for (uint32_t i = 0; i < 6; i++) {
		uint8_t status = rig_take(0, NULL);

		CHECK(status == BLK_S_OK || status == BLK_S_IOERR);
		failed += status == BLK_S_IOERR;
	}
	CHECK_EQ(failed, 1);
	for (uint32_t i = 0; i < 6; i++)
		CHECK(i == 3 || memcmp(rig.data + i * 512, pretend.medium + i * 512, 512) == 0);
	CHECK(is_clean());
}

TEST(a_driver_may_die_while_it_recovers_from_an_error)
{
	for (uint32_t step = 1; step < 120; step++) {
		die_in_recovery(step, true);
		die_in_recovery(step, false);
	}
}

TEST(a_reset_does_not_make_parts_and_failures_successes)
{
	/* The first of two commands is done. */
	REQUIRE(begin());
	CHECK(rig_submit_one(0, BLK_T_IN, 0, 0, 200192) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);
	pretend_work();
	rig.adopt_flags = COMPONENT_ADOPT_RESET;
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	CHECK_EQ(rig_take(0, NULL), 0xff);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK(memcmp(rig.data, pretend.medium, 200192) == 0);
	/* A command that is alone has failed, and its bit is clear. */
	REQUIRE(begin_with(9, 0, BLK_F_FLUSH));
	pretend.clears_failed = true;
	pretend.bad_block = 3;
	CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);
	rig.adopt_flags = COMPONENT_ADOPT_RESET;
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_IOERR);
	CHECK(is_clean());
}

TEST(a_successor_goes_on_with_what_the_device_has)
{
	uint32_t was;

	REQUIRE(begin());
	pretend.silent = true;
	for (uint32_t i = 0; i < 8; i++) {
		memset(rig.data + i * 512, (int)i + 1, 512);
		CHECK(rig_submit_one(0, BLK_T_OUT, i, i * 512, 512) != UINT16_MAX);
	}
	blk_server_serve(&disk.server, 0);
	pretend.silent = false;
	was = pretend.commands[ATA_WRITE_QUEUED];
	CHECK_EQ(was, 8);
	pretend.waiting &= ~7u;		/* three are with the device for ever */
	pretend_work();
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	CHECK_EQ(rig.record->adoption, RECORD_ADOPTED);
	CHECK_EQ(rig.record->finished, 5);
	CHECK_EQ(disk.busy, 7);
	for (uint32_t i = 0; i < 5; i++)
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	pretend.waiting = 7;
	serve();
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_WRITE_QUEUED], was);
	CHECK_EQ(pretend.resets, 0);
	for (uint32_t i = 0; i < 8; i++)
		CHECK_EQ(pretend.medium[i * 512], i + 1);
	CHECK(is_clean());
}

TEST(what_was_done_is_not_done_again_after_a_reset)
{
	REQUIRE(begin());
	CHECK(rig_submit_one(0, BLK_T_OUT, 0, 0, 4096) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);
	pretend_work();			/* the device is done, and nobody has looked */
	rig.adopt_flags = COMPONENT_ADOPT_RESET;
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	serve();
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK_EQ(pretend.commands[ATA_WRITE_QUEUED], 1);
	CHECK_EQ(rig.record->finished, 1);
	CHECK_EQ(pretend.resets, 1);
}

TEST(a_successor_finds_the_error_that_killed_its_predecessor)
{
	REQUIRE(begin());
	pretend.bad_block = 4;
	for (uint32_t i = 0; i < 8; i++)
		CHECK(rig_submit_one(0, BLK_T_IN, i, i * 512, 512) != UINT16_MAX);
	blk_server_serve(&disk.server, 0);
	pretend_work();
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	CHECK_EQ(rig.record->adoption, RECORD_ADOPTED);
	serve();
	for (uint32_t i = 0, failed = 0; i < 8; i++) {
		failed += rig_take(0, NULL) == BLK_S_IOERR;
		CHECK(i < 7 || failed == 1);
	}
	CHECK(is_clean());
}

TEST(a_record_that_does_not_fit_the_registers_leads_to_a_reset)
{
	for (int wrong = 0; wrong < 7; wrong++) {
		struct record_chain *c;

		REQUIRE(begin());
		pretend.silent = true;
		CHECK(rig_submit_one(0, BLK_T_OUT, 0, 0, 512) != UINT16_MAX);
		CHECK(rig_submit_one(0, BLK_T_OUT, 1, 512, 512) != UINT16_MAX);
		blk_server_serve(&disk.server, 0);
		pretend.silent = false;
		c = disk_chain(&disk, 0);
		switch (wrong) {
		case 0: c->counter += 5; break;
		case 1: c->position = 1ull << 40; break;
		case 2: c->head = 9999; break;
		case 3: c->count = 0; break;
		case 4: rig.record->words[WORD_PENDING] = 7ull << 32; break;
		case 5: rig.record->words[WORD_PORT] = 77; break;
		case 6: pretend.clb += 1024; break;
		}
		REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
		CHECK_EQ(rig.record->adoption, RECORD_RESET);
		serve();
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
		CHECK_EQ(pretend.resets, 1);
		CHECK(is_clean());
	}
}

TEST(an_adapter_that_is_stuck_is_reset_as_a_whole)
{
	REQUIRE(begin());
	pretend.silent = true;
	CHECK(rig_submit_one(0, BLK_T_IN, 3, 0, 512) != UINT16_MAX);
	serve();
	pretend.silent = false;
	pretend.stuck = true;
	rig.adopt_flags = COMPONENT_ADOPT_RESET;
	REQUIRE(incarnate(false, BLK_F_FLUSH) == K_OK);
	serve();
	CHECK_EQ(pretend.whole_resets, 1);
	CHECK_EQ(rig_take(0, NULL), BLK_S_OK);
	CHECK(is_clean());
}

TEST(a_disk_that_is_pulled_is_not_found_again)
{
	REQUIRE(begin());
	pretend.no_disk = true;
	pretend.pis |= PORT_IS_PRCS;
	CHECK_EQ(rig_end_of(serve), 2);
	CHECK_EQ(incarnate(false, BLK_F_FLUSH), K_ERR_NOT_FOUND);
	pretend.optical = true;
	pretend.no_disk = false;
	CHECK_EQ(incarnate(false, BLK_F_FLUSH), K_ERR_NOT_FOUND);
}

TEST(a_live_device_or_none)
{
	REQUIRE(begin());
	rig.record->phase = RECORD_SETUP;
	rig.adopt_flags = COMPONENT_ADOPT_LIVE;
	CHECK_EQ(incarnate(false, BLK_F_FLUSH), K_ERR_BAD_STATE);
	CHECK_EQ(pretend.resets, 0);
}

/* -- clients --------------------------------------------------------------------------------- */

TEST(a_client_that_breaks_the_protocol_is_left)
{
	struct vq_segment out = { LINK_DATA, 512, false };
	struct vq_segment beyond = { LINK_DATA + RIG_DATA - 256, 512, true };

	REQUIRE(begin());
	CHECK(rig_submit(0, BLK_T_IN, 0, &out, 1) != UINT16_MAX);
	serve();
	CHECK(rig.broken);
	REQUIRE(begin());
	CHECK(rig_submit(0, BLK_T_IN, 0, &beyond, 1) != UINT16_MAX);
	serve();
	CHECK(rig.broken);
}

TEST(noise_from_a_client_harms_nobody)
{
	for (int round = 0; round < 300; round++) {
		REQUIRE(begin());
		for (int i = 0; i < 8; i++)
			(void)rig_submit_one(0, unit_random() % 15, unit_random() % 4096,
					     (uint32_t)(unit_random() % RIG_DATA),
					     (uint32_t)(unit_random() % 40000));
		rig_make_noise();
		CHECK_EQ(rig_end_of(serve), 0);
		CHECK_EQ(pretend.violations, 0);
	}
}
