/* SPDX-License-Identifier: MIT */
/*
 * What the driver makes of what a controller says: a register window that answers as the
 * test wants, and queues and data in plain memory.
 */
#include "base/byteorder.h"
#include "controller.h"
#include "unit/unit.h"

/* -- a controller that is a table ------------------------------------------------------------ */

enum { CAP = 0x00, VS = 0x08, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30 };

#define GOOD_CAP_LOW	(0x0f000000u | 63)	/* TO 7.5 s, queues of 64 */
#define GOOD_CAP_HIGH	(1u << 5)		/* NVM command set; doorbells 4 bytes apart, pages of 4096 */

static struct fake {
	uint32_t regs[0x1000 / 4];
	uint32_t doorbells[64];
	uint64_t now;
	uint32_t looks_until_change;	/* of CSTS, after CC was written */
	uint32_t looks;
	bool stuck, fails, gone;
	/* The admin queue's memory; what the fake answers to each command. */
	struct nvme_command *sq;
	struct nvme_cqe *cq;
	uint32_t admin_done;
	uint32_t result, status;
	int cid_offset;
	bool silent;
} fake;

static uint8_t pages[4][4096] __attribute__((aligned(4096)));

static uint32_t status_register(void)
{
	uint32_t wanted = fake.regs[CC / 4] & 1;

	if (fake.fails)
		return fake.regs[CSTS / 4] | 2;
	if (!fake.stuck && fake.looks++ >= fake.looks_until_change)
		fake.regs[CSTS / 4] = wanted;
	return fake.regs[CSTS / 4];
}

static uint32_t fake_read(void *user, uint32_t offset)
{
	if (fake.gone)
		return ~0u;
	return offset == CSTS ? status_register() : fake.regs[offset / 4];
}

/* Do what lies in the admin queue. */
static void admin_doorbell(uint32_t tail)
{
	while (!fake.silent && fake.admin_done % NVME_ADMIN_SIZE != tail) {
		uint32_t i = fake.admin_done % NVME_ADMIN_SIZE;
		uint32_t phase = !(fake.admin_done / NVME_ADMIN_SIZE & 1);
		uint32_t cid = (fake.sq[i].opcode_cid >> 16) + (uint32_t)fake.cid_offset;

		fake.cq[i].result = fake.result;
		fake.cq[i].sq = (i + 1) % NVME_ADMIN_SIZE;
		fake.cq[i].status = (cid & 0xffff) | phase << 16 | fake.status << 17;
		fake.admin_done++;
	}
}

static void fake_write(void *user, uint32_t offset, uint32_t value)
{
	if (offset >= 0x1000) {
		fake.doorbells[(offset - 0x1000) / 4] = value;
		if (offset == 0x1000)
			admin_doorbell(value);
		return;
	}
	fake.regs[offset / 4] = value;
	fake.looks = 0;
}

static uint64_t fake_now(void *user)
{
	return fake.now;
}

static void fake_pause(void *user, uint32_t n)
{
	fake.now += 1000000;
}

static void no_step(void)
{
}

static const struct drv_window window = {
	.read = fake_read, .write = fake_write, .now_ns = fake_now, .pause = fake_pause,
	.step = no_step,
};

static void fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(pages, 0, sizeof(pages));
	fake.regs[CAP / 4] = GOOD_CAP_LOW;
	fake.regs[CAP / 4 + 1] = GOOD_CAP_HIGH;
	fake.regs[VS / 4] = 0x00010400;
	fake.sq = (struct nvme_command *)pages[0];
	fake.cq = (struct nvme_cqe *)pages[1];
}

static k_status_t fake_enable(struct nvme_controller *c)
{
	k_status_t st = nvme_open(c, &window);

	return st == K_OK ? nvme_enable(c, pages[0], 0x1000, pages[1], 0x2000) : st;
}

/* -- registers ------------------------------------------------------------------------------- */

TEST(a_controller_is_opened_or_refused_by_its_capabilities)
{
	static const struct { uint32_t low, high; k_status_t st; } cases[] = {
		{ GOOD_CAP_LOW, GOOD_CAP_HIGH, K_OK },
		{ GOOD_CAP_LOW, 0, K_ERR_NOT_SUPPORTED },		/* no NVM commands */
		{ GOOD_CAP_LOW, GOOD_CAP_HIGH | 1 << 16, K_ERR_NOT_SUPPORTED },	/* 8 KiB pages */
		{ 0x0f000000, GOOD_CAP_HIGH, K_ERR_NOT_SUPPORTED },	/* one entry */
		{ 0x0000ffff, GOOD_CAP_HIGH, K_OK },			/* no time at all; 65536 entries */
	};
	struct nvme_controller c;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_start();
		fake.regs[CAP / 4] = cases[i].low;
		fake.regs[CAP / 4 + 1] = cases[i].high;
		CHECK_EQ(nvme_open(&c, &window), cases[i].st);
		CHECK(c.ready_ns > 0);
	}
	fake.gone = true;
	CHECK_EQ(nvme_open(&c, &window), K_ERR_IO);
}

TEST(doorbells_lie_where_the_stride_says)
{
	struct nvme_controller c;

	fake_start();
	fake.regs[CAP / 4 + 1] = GOOD_CAP_HIGH | 2;
	REQUIRE(nvme_open(&c, &window) == K_OK);
	CHECK_EQ(c.stride, 16);
	CHECK_EQ(nvme_window_length(&c, 1), 0x1000 + 4 * 16);
	fake.regs[CAP / 4 + 1] = GOOD_CAP_HIGH | 15;
	REQUIRE(nvme_open(&c, &window) == K_OK);
	CHECK_EQ(nvme_window_length(&c, 18), 0x1000 + 38ull * 131072);
}

TEST(it_is_enabled_with_our_sizes)
{
	struct nvme_controller c;

	fake_start();
	fake.looks_until_change = 5;
	REQUIRE(fake_enable(&c) == K_OK);
	CHECK_EQ(fake.regs[AQA / 4], 15 << 16 | 15);
	CHECK_EQ(fake.regs[ASQ / 4], 0x1000);
	CHECK_EQ(fake.regs[ACQ / 4], 0x2000);
	CHECK_EQ(fake.regs[CC / 4], 6 << 16 | 4 << 20 | 1);
	CHECK(nvme_is_well(&c));
	fake.fails = true;
	CHECK(!nvme_is_well(&c));
}

TEST(waiting_ends_when_the_capabilities_say)
{
	struct nvme_controller c;

	fake_start();
	fake.stuck = true;
	CHECK_EQ(fake_enable(&c), K_ERR_TIMED_OUT);
	CHECK(fake.now >= 7500000000ull && fake.now < 8000000000ull);
	fake_start();
	fake.regs[CC / 4] = 1;
	fake.regs[CSTS / 4] = 1;
	fake.stuck = true;
	REQUIRE(nvme_open(&c, &window) == K_OK);
	CHECK_EQ(nvme_disable(&c), K_ERR_TIMED_OUT);
	fake_start();
	fake.fails = true;
	CHECK_EQ(fake_enable(&c), K_ERR_IO);
	fake_start();
	REQUIRE(nvme_open(&c, &window) == K_OK);
	fake.gone = true;
	CHECK_EQ(nvme_disable(&c), K_ERR_IO);
}

TEST(enabling_is_over_before_it_is_disabled)
{
	struct nvme_controller c;

	fake_start();
	REQUIRE(nvme_open(&c, &window) == K_OK);
	fake.regs[CC / 4] = 1;		/* a predecessor died right after this */
	fake.looks_until_change = 3;
	CHECK_EQ(nvme_disable(&c), K_OK);
	CHECK_EQ(fake.regs[CC / 4] & 1, 0);
	CHECK_EQ(fake.regs[CSTS / 4] & 1, 0);
}

TEST(a_failed_controller_can_be_disabled)
{
	struct nvme_controller c;

	fake_start();
	REQUIRE(fake_enable(&c) == K_OK);
	fake.fails = true;
	fake.regs[CSTS / 4] = 0;
	CHECK_EQ(nvme_disable(&c), K_OK);
	CHECK_EQ(fake.regs[CC / 4] & 1, 0);
}

/* -- admin commands -------------------------------------------------------------------------- */

TEST(admin_commands_go_round_the_queue)
{
	struct nvme_controller c;
	uint32_t result;

	fake_start();
	REQUIRE(fake_enable(&c) == K_OK);
	for (uint32_t i = 0; i < 100; i++) {
		fake.result = i * 7;
		REQUIRE(nvme_admin(&c, nvme_identify(0, 1, 0, 0x3000), &result) == K_OK);
		CHECK_EQ(result, i * 7);
		CHECK_EQ(fake.doorbells[1], (i + 1) % NVME_ADMIN_SIZE);
	}
}

TEST(admin_commands_fail_as_the_device_does)
{
	struct nvme_controller c;

	fake_start();
	REQUIRE(fake_enable(&c) == K_OK);
	fake.status = 0x2002;
	CHECK_EQ(nvme_admin(&c, nvme_identify(0, 1, 0, 0), NULL), K_ERR_IO);
	CHECK_EQ(c.status, 0x2002);
	fake.status = 0;
	fake.cid_offset = 1;		/* an answer to something else */
	CHECK_EQ(nvme_admin(&c, nvme_identify(0, 1, 0, 0), NULL), K_ERR_IO);
	fake.cid_offset = 0;
	fake.silent = true;
	CHECK_EQ(nvme_admin(&c, nvme_identify(0, 1, 0, 0), NULL), K_ERR_TIMED_OUT);
	fake.gone = true;
	CHECK_EQ(nvme_admin(&c, nvme_identify(0, 1, 0, 0), NULL), K_ERR_IO);
}

TEST(queues_are_as_many_as_both_sides_want)
{
	static const struct { uint32_t wanted, answer, granted; } cases[] = {
		{ 4, 63 << 16 | 63, 4 }, { 4, 0, 1 }, { 4, 1 << 16 | 63, 2 }, { 4, 63 << 16 | 2, 3 },
		{ 1, 0xffffffff, 1 },
	};
	struct nvme_controller c;
	uint32_t granted;

	fake_start();
	REQUIRE(fake_enable(&c) == K_OK);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.result = cases[i].answer;
		REQUIRE(nvme_queues(&c, cases[i].wanted, &granted) == K_OK);
		CHECK_EQ(granted, cases[i].granted);
	}
}

/* -- completions ----------------------------------------------------------------------------- */

enum { SIZE = 8 };

static void queue_start(struct nvme_queue *q)
{
	memset(pages, 0, sizeof(pages));
	nvme_queue_init(q, 3, SIZE, pages[0], pages[1], 0);
}

static void post(uint32_t n, uint16_t cid, uint32_t sq, uint32_t status)
{
	struct nvme_cqe *cq = (struct nvme_cqe *)pages[1];
	uint32_t phase = !(n / SIZE & 1);

	cq[n % SIZE] = (struct nvme_cqe){ .sq = sq, .status = cid | phase << 16 | status << 17 };
}

TEST(a_queue_goes_round_with_its_phase)
{
	struct nvme_command c = nvme_command(NVME_READ, 0, 1);
	struct nvme_completion done;
	struct nvme_queue q;
	uint32_t n = 0;

	queue_start(&q);
	for (uint32_t round = 0; round < 30000; round++) {
		uint32_t k = 1 + round % (SIZE - 1);

		for (uint32_t i = 0; i < k; i++)
			REQUIRE(nvme_queue_add(&q, &c));
		CHECK_EQ(nvme_queue_add(&q, &c), k < SIZE - 1);
		if (k < SIZE - 1)
			q.in_flight--, q.tail = (uint16_t)((q.tail - 1) & (SIZE - 1));
		CHECK(!nvme_queue_take(&q, &done));
		for (uint32_t i = 0; i < k; i++) {
			post(n, (uint16_t)i, 3 << 16 | (n & (SIZE - 1)), i);
			n++;
			REQUIRE(nvme_queue_take(&q, &done));
			CHECK_EQ(done.cid, i);
			CHECK_EQ(done.status, i);
		}
		CHECK(!nvme_queue_take(&q, &done));
		CHECK_EQ(nvme_queue_head(&q), n % SIZE);
	}
}

TEST(a_completion_that_cannot_be_breaks_the_queue)
{
	static const uint32_t bad[] = { 4 << 16, 3 << 16 | SIZE, 3 << 16 | 0xffff, 0xffff0000 };
	struct nvme_command c = nvme_command(NVME_READ, 0, 1);
	struct nvme_completion done;
	struct nvme_queue q;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		queue_start(&q);
		REQUIRE(nvme_queue_add(&q, &c));
		post(0, 0, bad[i], 0);
		CHECK(!nvme_queue_take(&q, &done));
		CHECK(q.broken);
		CHECK(!nvme_queue_add(&q, &c));
	}
	queue_start(&q);
	post(0, 0, 3 << 16, 0);		/* nobody asked for anything */
	CHECK(!nvme_queue_take(&q, &done));
	CHECK(q.broken);
}

TEST(noise_in_a_queue_is_taken_or_breaks_it)
{
	struct nvme_command c = nvme_command(NVME_READ, 0, 1);
	struct nvme_completion done;
	struct nvme_queue q;

	for (int round = 0; round < 20000; round++) {
		queue_start(&q);
		while (nvme_queue_add(&q, &c))
			;
		for (uint32_t i = 0; i < SIZE * sizeof(struct nvme_cqe) / 8; i++)
			put_u64(pages[1] + 8 * i, unit_random() & unit_random());
		for (int i = 0; nvme_queue_take(&q, &done); i++)
			REQUIRE(i < SIZE);
		CHECK(q.in_flight < SIZE);
	}
}

/* -- memory of a transfer -------------------------------------------------------------------- */

static uint64_t entries[32];
static const struct nvme_prp_list list = { .entries = entries, .bus = 0x900000, .count = 32 };

static uint32_t prp(struct nvme_command *c, const struct vq_segment *s, unsigned int n, uint32_t max,
		    uint32_t block)
{
	*c = nvme_command(NVME_READ, 0, 1);
	memset(entries, 0, sizeof(entries));
	return nvme_prp(c, s, n, max, block, &list);
}

TEST(one_or_two_pages_need_no_list)
{
	struct vq_segment one = { 0x10000, 4096, true }, two = { 0x10200, 4096, true };
	struct nvme_command c;

	CHECK_EQ(prp(&c, &one, 1, 131072, 512), 4096);
	CHECK_EQ(c.prp1, 0x10000);
	CHECK_EQ(c.prp2, 0);
	CHECK_EQ(prp(&c, &two, 1, 131072, 512), 4096);
	CHECK_EQ(c.prp1, 0x10200);
	CHECK_EQ(c.prp2, 0x11000);
}

TEST(more_pages_have_a_list_that_stays_in_its_room)
{
	struct vq_segment s[] = { { 0x10200, 1 << 20, true } };
	struct nvme_command c;

	CHECK_EQ(prp(&c, s, 1, 131072, 512), 131072);
	CHECK_EQ(c.prp1, 0x10200);
	CHECK_EQ(c.prp2, 0x900000);
	CHECK_EQ(entries[0], 0x11000);
	CHECK_EQ(entries[31], 0x30000);
	/* Without the limit of bytes, the room for the list is the limit: 1 + 32 pages. */
	CHECK_EQ(prp(&c, s, 1, 1 << 20, 512), 32 * 4096 + 4096 - 0x200);
	CHECK_EQ(prp(&c, s, 1, 1 << 20, 4096), 32 * 4096);
}

TEST(scattered_pages_are_joined_by_the_list)
{
	struct vq_segment s[] = { { 0x10c00, 1024, true }, { 0x55000, 8192, true }, { 0x20000, 512, true } };
	struct nvme_command c;

	CHECK_EQ(prp(&c, s, 3, 131072, 512), 1024 + 8192 + 512);
	CHECK_EQ(c.prp1, 0x10c00);
	CHECK_EQ(c.prp2, 0x900000);
	CHECK_EQ(entries[0], 0x55000);
	CHECK_EQ(entries[1], 0x56000);
	CHECK_EQ(entries[2], 0x20000);
}

TEST(a_gap_ends_a_command)
{
	struct vq_segment short_page[] = { { 0x10000, 2048, true }, { 0x20000, 4096, true } };
	struct vq_segment middle[] = { { 0x10000, 4096, true }, { 0x20200, 4096, true } };
	struct vq_segment odd[] = { { 0x10002, 4096, true } };
	struct vq_segment half_block[] = { { 0x10f00, 256, true }, { 0x20000, 3840, true } };
	struct nvme_command c;

	CHECK_EQ(prp(&c, short_page, 2, 131072, 512), 2048);
	CHECK_EQ(c.prp2, 0);
	CHECK_EQ(prp(&c, middle, 2, 131072, 512), 4096);
	CHECK_EQ(c.prp2, 0);
	CHECK_EQ(prp(&c, odd, 1, 131072, 512), 0);
	CHECK_EQ(prp(&c, short_page, 2, 131072, 4096), 0);
	/* A block may lie in two places, if the first is the end of a page. */
	CHECK_EQ(prp(&c, half_block, 2, 131072, 512), 4096);
	CHECK_EQ(c.prp2, 0x20000);
}

TEST(a_small_limit_is_kept)
{
	struct vq_segment s[] = { { 0x10800, 65536, true } };
	struct nvme_command c;

	CHECK_EQ(prp(&c, s, 1, 8192, 512), 8192);
	CHECK_EQ(c.prp2, 0x900000);
	CHECK_EQ(prp(&c, s, 1, 4096, 512), 4096);
	CHECK_EQ(c.prp2, 0x11000);
}

/* -- what it says of itself ------------------------------------------------------------------ */

static uint8_t data[NVME_IDENTIFY_LENGTH];

static void good_controller(void)
{
	memset(data, 0, sizeof(data));
	memcpy(data + 4, "serial \x1b[31m         ", 20);
	memset(data + 24, ' ', 40);
	memcpy(data + 24, "A model of a disk", 17);
	data[77] = 5;
	data[512] = 0x66;
	data[513] = 0x44;
	put_le16(data + 520, 1 << 2 | 1 << 3);
	data[525] = 7;
}

TEST(a_controllers_identity_is_read)
{
	struct nvme_identity id;
	const char *why;

	good_controller();
	REQUIRE(nvme_identity_read(data, &id, &why) == K_OK);
	CHECK_STR(id.serial, "serial ?[31m");
	CHECK_STR(id.model, "A model of a disk");
	CHECK_STR(id.firmware, "");
	CHECK_EQ(id.max_transfer, 131072);
	CHECK(id.has_cache && id.has_deallocate && id.has_write_zeroes);
	for (int mdts = 0; mdts < 256; mdts++) {
		data[77] = (uint8_t)mdts;
		REQUIRE(nvme_identity_read(data, &id, &why) == K_OK);
		CHECK(id.max_transfer >= 8192);
	}
	data[513] = 0x55;
	CHECK_EQ(nvme_identity_read(data, &id, &why), K_ERR_NOT_SUPPORTED);
	data[513] = 0x44;
	data[512] = 0x55;
	CHECK_EQ(nvme_identity_read(data, &id, &why), K_ERR_NOT_SUPPORTED);
}

static void good_namespace(void)
{
	memset(data, 0, sizeof(data));
	put_le64(data, 1000);
	data[25] = 1;
	put_le32(data + 128, 9 << 16);
	put_le32(data + 132, 12 << 16);
}

TEST(a_namespace_is_read_in_its_format)
{
	struct nvme_namespace ns = { .id = 7 };
	const char *why;

	good_namespace();
	REQUIRE(nvme_namespace_read(data, &ns, &why) == K_OK);
	CHECK(ns.id == 7 && ns.blocks == 1000 && ns.block_shift == 9 && !ns.read_only);
	data[26] = 1;
	data[99] = 1;
	REQUIRE(nvme_namespace_read(data, &ns, &why) == K_OK);
	CHECK(ns.block_shift == 12 && ns.read_only);
}

TEST(namespaces_that_are_not_plain_blocks_are_refused)
{
	struct nvme_namespace ns = { .id = 1 };
	static const struct { uint32_t at; uint8_t value; } bad[] = {
		{ 26, 2 },		/* a format beyond those there are */
		{ 128, 8 },		/* metadata */
		{ 29, 1 },		/* protection information */
		{ 130, 8 }, { 130, 13 }, { 130, 255 }, { 130, 0 },	/* sizes of blocks */
		{ 7, 0x80 },		/* bytes that cannot be counted */
	};
	const char *why;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		good_namespace();
		data[bad[i].at] = bad[i].value;
		why = NULL;
		CHECK_EQ(nvme_namespace_read(data, &ns, &why), K_ERR_NOT_SUPPORTED);
		CHECK(why);
	}
	good_namespace();
	put_le64(data, 0);
	CHECK_EQ(nvme_namespace_read(data, &ns, &why), K_ERR_NOT_SUPPORTED);
}

TEST(any_identity_is_read_or_refused)
{
	struct nvme_namespace ns = { .id = 1 };
	struct nvme_identity id;
	const char *why;

	for (int round = 0; round < 2000; round++) {
		for (uint32_t i = 0; i < sizeof(data); i += 8)
			put_u64(data + i, unit_random());
		(void)!nvme_identity_read(data, &id, &why);
		if (nvme_namespace_read(data, &ns, &why) == K_OK)
			CHECK(ns.blocks <= UINT64_MAX >> ns.block_shift);
	}
}
