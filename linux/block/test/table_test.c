/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/hash.h"
#include "block/table.h"
#include "unit/unit.h"

enum { SECTORS = 4096 };

static uint8_t disk[SECTORS * 512];
static struct lx_table table;
static struct lx_table_entry entries[LX_TABLE_NUMBER_MAX];
static unsigned int block_size, reads;
static bool force_gpt;
static uint64_t broken = UINT64_MAX;

static int read_block(void *arg, uint64_t lba, void *buf)
{
	reads++;
	if (lba == broken || (lba + 1) * block_size > sizeof(disk))
		return -5;
	memcpy(buf, disk + lba * block_size, block_size);
	return 0;
}

static void clear(unsigned int size)
{
	memset(disk, 0, sizeof(disk));
	block_size = size;
	reads = 0;
	force_gpt = false;
	broken = UINT64_MAX;
}

static int parse(void)
{
	struct lx_table_source s = { read_block, NULL, SECTORS, block_size, force_gpt };

	table.entries = entries;
	return lx_table_read(&s, &table);
}

static void mbr_entry(uint64_t lba, unsigned int i, uint8_t type, uint32_t start, uint32_t n)
{
	uint8_t *block = disk + lba * block_size, *e = block + MBR_ENTRIES + i * MBR_ENTRY_SIZE;

	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, n);
	put_le16(block + MBR_SIGNATURE, 0xaa55);
}

static void check(unsigned int i, uint32_t number, uint64_t start, uint64_t sectors)
{
	CHECK(i < table.count);
	CHECK_EQ(entries[i].number, number);
	CHECK_EQ(entries[i].start, start);
	CHECK_EQ(entries[i].sectors, sectors);
}

TEST(disks_without_a_table_have_no_partitions)
{
	clear(512);
	CHECK_EQ(parse(), 0);
	CHECK(!table.kind && !table.count);
	/* a boot sector, and no table */
	mbr_entry(0, 0, 0x83, 10, 10);
	disk[MBR_ENTRIES] = 0x33;
	CHECK_EQ(parse(), 0);
	CHECK(!table.kind && !table.count);
	broken = 0;
	CHECK_EQ(parse(), -5);
}

TEST(primary_partitions_end_with_the_disk)
{
	clear(512);
	put_le32(disk + MBR_DISK_ID, 0xcafe1234);
	mbr_entry(0, 0, 0x83, 100, 200);
	mbr_entry(0, 1, 0x82, 150, 10);		/* overlaps: so be it */
	mbr_entry(0, 2, 0x83, 4000, 1000);	/* beyond the end: cut off */
	mbr_entry(0, 3, 0x83, 4096, 1);		/* outside: not there */
	CHECK_EQ(parse(), 0);
	CHECK_STR(table.kind, "dos");
	CHECK_EQ(table.count, 3);
	check(0, 1, 100, 200);
	check(1, 2, 150, 10);
	check(2, 3, 4000, 96);
	CHECK_STR(entries[0].uuid, "cafe1234-01");
}

TEST(logical_partitions_are_numbered_from_five)
{
	clear(512);
	mbr_entry(0, 0, 0x83, 10, 10);
	mbr_entry(0, 1, 0x05, 1000, 2000);
	mbr_entry(1000, 0, 0x83, 10, 100);
	mbr_entry(1000, 1, 0x05, 500, 300);
	mbr_entry(1500, 0, 0x82, 1, 50);
	mbr_entry(1500, 2, 0x83, 1000, 5000);	/* garbage in the third entry */
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 4);
	check(0, 1, 10, 10);
	check(1, 2, 1000, 2);
	check(2, 5, 1010, 100);
	check(3, 6, 1501, 50);
}

TEST(chains_that_loop_end)
{
	clear(512);
	mbr_entry(0, 0, 0x0f, 1000, 2000);
	mbr_entry(1000, 0, 0x83, 10, 10);
	mbr_entry(1000, 1, 0x05, 100, 100);
	mbr_entry(1100, 0, 0x83, 10, 10);
	mbr_entry(1100, 1, 0x05, 0, 100);	/* back to the first */
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 3);
	CHECK(reads < 5);
	/* to itself, without anything in it */
	clear(512);
	mbr_entry(0, 0, 0x0f, 1000, 2000);
	mbr_entry(1000, 0, 0x05, 0, 100);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 1);
	/* around the end of the numbers */
	clear(512);
	mbr_entry(0, 0, 0x0f, 1000, 2000);
	mbr_entry(1000, 0, 0x05, UINT32_MAX, UINT32_MAX);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 1);
}

TEST(there_are_no_more_partitions_than_numbers)
{
	clear(512);
	mbr_entry(0, 0, 0x05, 1, 4000);
	for (unsigned int i = 0; i < 1000; i++) {
		mbr_entry(1 + i, 0, 0x83, 1, 1);
		mbr_entry(1 + i, 1, 0x05, i + 1, 1);
	}
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 252);
	CHECK_EQ(entries[251].number, 255);
}

TEST(blocks_of_4096_bytes_count_in_blocks)
{
	clear(4096);
	mbr_entry(0, 0, 0x83, 10, 20);
	mbr_entry(0, 1, 0x05, 100, 50);
	mbr_entry(100, 0, 0x83, 10, 10);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 3);
	check(0, 1, 80, 160);
	check(1, 2, 800, 8);
	check(2, 5, 880, 80);
}

/* -- GPT */

static void gpt_entry(uint64_t table_lba, unsigned int i, uint64_t start, uint64_t end,
		      const char *name)
{
	uint8_t *e = disk + table_lba * block_size + i * 128;

	for (unsigned int k = 0; k < 16; k++) {
		e[k] = (uint8_t)(k + 1);
		e[16 + k] = (uint8_t)(0xa0 + k);
	}
	put_le64(e + 32, start);
	put_le64(e + 40, end);
	for (unsigned int k = 0; name[k]; k++)
		put_le16(e + 56 + 2 * k, (uint16_t)name[k]);
}

static void gpt_seal(uint64_t lba, uint64_t other, uint64_t table_lba, uint32_t count)
{
	uint8_t *h = disk + lba * block_size;

	memcpy(h, "EFI PART\0\0\1\0", 12);
	put_le32(h + 12, 92);
	put_le64(h + 24, lba);
	put_le64(h + 32, other);
	put_le64(h + 40, 34);
	put_le64(h + 48, SECTORS / (block_size / 512) - 34);
	put_le64(h + 72, table_lba);
	put_le32(h + 80, count);
	put_le32(h + 84, 128);
	put_le32(h + 88, crc32(0, disk + table_lba * block_size, count * 128));
	put_le32(h + 16, 0);
	put_le32(h + 16, crc32(0, h, 92));
}

static void make_gpt(unsigned int size)
{
	clear(size);
	mbr_entry(0, 0, 0xee, 1, UINT32_MAX);
	for (unsigned int copy = 0; copy < 2; copy++) {
		uint64_t at = copy ? SECTORS / (size / 512) - 33 : 2;

		gpt_entry(at, 0, 100, 199, "boot");
		gpt_entry(at, 6, 200, 299, "a\x7f\xe9");
		gpt_entry(at, 7, 300, 299, "backwards");
		gpt_entry(at, 8, 300, SECTORS, "beyond");
	}
	gpt_seal(1, SECTORS / (size / 512) - 1, 2, 128);
	gpt_seal(SECTORS / (size / 512) - 1, 1, SECTORS / (size / 512) - 33, 128);
}

TEST(gpt_partitions_keep_their_numbers)
{
	make_gpt(512);
	CHECK_EQ(parse(), 0);
	CHECK_STR(table.kind, "gpt");
	CHECK(!table.damaged);
	CHECK_EQ(table.count, 2);
	check(0, 1, 100, 100);
	check(1, 7, 200, 100);
	CHECK_STR(entries[0].name, "boot");
	CHECK_STR(entries[1].name, "a!!");
	CHECK_STR(entries[0].uuid, "a3a2a1a0-a5a4-a7a6-a8a9-aaabacadaeaf");
	make_gpt(4096);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(table.count, 2);
	check(0, 1, 800, 800);
}

TEST(gpt_without_its_protection_is_none)
{
	make_gpt(512);
	mbr_entry(0, 0, 0x83, 1, 100);
	CHECK_EQ(parse(), 0);
	CHECK_STR(table.kind, "dos");
	mbr_entry(0, 0, 0xee, 2, 100);
	CHECK_EQ(parse(), 0);
	CHECK(!table.kind && !table.count);
}

TEST(broken_gpt_is_noticed)
{
	/* the second header: used as before */
	make_gpt(512);
	disk[(SECTORS - 1) * 512 + 50] ^= 1;
	CHECK_EQ(parse(), 0);
	CHECK(table.damaged);
	CHECK_EQ(table.count, 2);
	/* the first header, its table: nothing, unless the second one is asked for */
	for (unsigned int i = 0; i < 3; i++) {
		make_gpt(512);
		if (i == 2)
			broken = 3;
		else
			disk[i ? 2 * 512 + 5 : 512 + 50] ^= 1;
		CHECK_EQ(parse(), 0);
		CHECK(!table.kind && table.damaged && !table.count);
		force_gpt = true;
		CHECK_EQ(parse(), 0);
		CHECK_EQ(table.count, 2);
		CHECK_STR(table.kind, "gpt");
	}
}

TEST(gpt_headers_that_lie_are_refused)
{
	static const struct { unsigned int at, bytes; uint64_t value; } lies[] = {
		{ 12, 4, 91 }, { 12, 4, 513 }, { 12, 4, UINT32_MAX }, { 24, 8, 2 },
		{ 40, 8, SECTORS }, { 48, 8, SECTORS }, { 48, 8, 10 }, { 72, 8, SECTORS },
		{ 72, 8, UINT64_MAX }, { 80, 4, UINT32_MAX }, { 80, 4, 1u << 20 }, { 84, 4, 256 },
		{ 84, 4, 0 }, { 80, 4, 32768 },
	};

	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t *h = disk + 512;
		uint32_t size;

		make_gpt(512);
		if (lies[i].bytes == 4)
			put_le32(h + lies[i].at, (uint32_t)lies[i].value);
		else
			put_le64(h + lies[i].at, lies[i].value);
		size = get_le32(h + 12);
		put_le32(h + 16, 0);
		put_le32(h + 16, crc32(0, h, size <= 512 ? size : 92));
		CHECK_EQ(parse(), 0);
		CHECK(!table.count);
	}
}
