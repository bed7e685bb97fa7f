/* SPDX-License-Identifier: MIT */
#include "boot.h"
#include "protocol.h"

#include "unit/unit.h"

#define GIB (1ull << 30)

static uint8_t memory[65536];
static struct boot_memory m = { memory };
static struct boot_info b;

static void place(uint64_t addr, const void *data, size_t length)
{
	memcpy(memory + addr, data, length);
}

/* A PVH loader's data: start info at 0x1000, map at 0x2000, command line at 0x3000. */
static const char *pvh(const struct hvm_memmap_entry *map, uint32_t entries, const char *line)
{
	struct hvm_start_info info = { .magic = HVM_START_MAGIC, .version = 1,
				       .memmap_paddr = 0x2000, .memmap_entries = entries,
				       .cmdline_paddr = 0x3000, .rsdp_paddr = 0xf0000 };

	memset(memory, 0, sizeof(memory));
	memset(&b, 0, sizeof(b));
	place(0x1000, &info, sizeof(info));
	place(0x2000, map, entries * sizeof(*map));
	place(0x3000, line, strlen(line) + 1);
	return boot_info_read(&b, &m, BOOT_PROTOCOL_PVH, 0x1000);
}

TEST(pvh_is_read)
{
	const struct hvm_memmap_entry map[] = {
		{ .addr = 0x100000, .size = GIB, .type = 1 }, { .addr = 0, .size = 0x9f000, .type = 1 },
	};

	CHECK(!pvh(map, 2, "console=ttyS0 -- a b"));
	CHECK(!strcmp(b.command_line, "console=ttyS0 -- a b") && !b.command_line_cut);
	CHECK(b.range_count == 2 && b.ranges[0].base == 0 && b.ranges[1].base == 0x100000);
	CHECK(b.rsdp == 0xf0000 && b.initrd_length == 0 && !strcmp(b.protocol, "pvh"));
}

TEST(what_is_not_ram_wins)
{
	const struct hvm_memmap_entry map[] = {
		{ .addr = 0, .size = 0x10000, .type = 1 },
		{ .addr = 0x4000, .size = 0x1000, .type = 2 },
		{ .addr = 0x8000, .size = 0x10000, .type = 1 },
		{ .addr = 0x17000, .size = 0x2000, .type = 3 },
	};
	uint64_t end = 0;

	CHECK(!pvh(map, 4, ""));
	for (uint32_t i = 0; i < b.range_count; i++) {
		CHECK(b.ranges[i].base >= end && b.ranges[i].length);
		end = b.ranges[i].base + b.ranges[i].length;
	}
	CHECK(b.ranges[1].type == 2 && b.ranges[1].base == 0x4000 && b.ranges[1].length == 0x1000);
	CHECK(b.ranges[0].length == 0x4000);
	CHECK(end == 0x19000 && b.ranges[b.range_count - 1].type == 3);
}

TEST(hostile_maps_are_survived)
{
	struct hvm_memmap_entry map[200];

	for (int round = 0; round < 300; round++) {
		uint32_t n = (uint32_t)(unit_random() % 200);
		uint64_t end = 0;

		for (uint32_t i = 0; i < n; i++)
			map[i] = (struct hvm_memmap_entry){
				.addr = round & 1 ? unit_random() : unit_random() % 0x10000,
				.size = round & 2 ? unit_random() : unit_random() % 0x8000,
				.type = (uint32_t)(unit_random() % 4),
			};
		(void)pvh(map, n, "");
		CHECK(b.range_count <= BOOT_RANGES_MAX);
		for (uint32_t i = 0; i < b.range_count; i++) {
			CHECK(b.ranges[i].base >= end && b.ranges[i].length);
			end = b.ranges[i].base + b.ranges[i].length;
			CHECK(end > b.ranges[i].base || !end);
		}
	}
}

TEST(bad_data_is_refused)
{
	const struct hvm_memmap_entry map[] = { { .addr = 0, .size = 4096, .type = 1 } };

	CHECK(!pvh(map, 1, ""));
	memset(&b, 0, sizeof(b));
	memory[0x1000] ^= 1;
	CHECK(boot_info_read(&b, &m, BOOT_PROTOCOL_PVH, 0x1000) != NULL);
	CHECK(boot_info_read(&b, &m, BOOT_PROTOCOL_PVH, GIB) != NULL);
	CHECK(boot_info_read(&b, &m, BOOT_PROTOCOL_PVH, UINT64_MAX) != NULL);
	CHECK(boot_info_read(&b, &m, BOOT_PROTOCOL_LINUX, 0x1000) != NULL);
	CHECK(pvh(map, 0, "") != NULL);
}

TEST(a_long_command_line_is_cut)
{
	const struct hvm_memmap_entry map[] = { { .addr = 0, .size = 4096, .type = 1 } };
	static char line[BOOT_COMMAND_LINE_MAX + 100];

	memset(line, 'x', sizeof(line) - 1);
	CHECK(!pvh(map, 1, line));
	CHECK(strlen(b.command_line) == BOOT_COMMAND_LINE_MAX - 1 && b.command_line_cut);
	line[BOOT_COMMAND_LINE_MAX - 1] = '\0';
	CHECK(!pvh(map, 1, line));
	CHECK(!b.command_line_cut);
}

TEST(linux_is_read)
{
	const struct linux_e820_entry e820[] = { { 0, 0x9f000, 1 }, { 0x100000, GIB, 1 } };
	uint32_t words[] = { LINUX_HEADER_MAGIC };
	uint32_t ramdisk[] = { 0x4000000, 1234 }, cmdline = 0x3000;
	uint64_t rsdp = 0xe1230;

	memset(memory, 0, sizeof(memory));
	memset(&b, 0, sizeof(b));
	place(0x1000 + LINUX_MAGIC, words, 4);
	place(0x1000 + LINUX_E820_TABLE, e820, sizeof(e820));
	memory[0x1000 + LINUX_E820_ENTRIES] = 2;
	place(0x1000 + LINUX_RAMDISK_IMAGE, ramdisk, sizeof(ramdisk));
	place(0x1000 + LINUX_CMDLINE, &cmdline, 4);
	place(0x1000 + LINUX_RSDP, &rsdp, 8);
	place(0x3000, "quiet", 6);
	CHECK(!boot_info_read(&b, &m, BOOT_PROTOCOL_LINUX, 0x1000));
	CHECK(b.range_count == 2 && b.ranges[1].length == GIB);
	CHECK(b.initrd_base == 0x4000000 && b.initrd_length == 1234 && b.rsdp == rsdp);
	CHECK(!strcmp(b.command_line, "quiet") && !strcmp(b.protocol, "linux64"));
}

/* Memory that ends at 0x8000000 - 0x29000 and then is reserved, and an initrd. */
static const char *initrd_at(uint64_t base, uint64_t length)
{
	const struct linux_e820_entry e820[] = {
		{ 0x100000, 0x7fd7000 - 0x100000, 1 }, { 0x7fd7000, 0x29000, 2 }, { 0xb0000000, 0x10000000, 2 },
	};
	const uint32_t magic = LINUX_HEADER_MAGIC, where = (uint32_t)base, size = (uint32_t)length;

	memset(memory, 0, sizeof(memory));
	memset(&b, 0, sizeof(b));
	place(0x1000 + LINUX_MAGIC, &magic, 4);
	place(0x1000 + LINUX_E820_TABLE, e820, sizeof(e820));
	memory[0x1000 + LINUX_E820_ENTRIES] = 3;
	place(0x1000 + LINUX_RAMDISK_IMAGE, &where, 4);
	place(0x1000 + LINUX_RAMDISK_SIZE, &size, 4);
	return boot_info_read(&b, &m, BOOT_PROTOCOL_LINUX, 0x1000);
}

TEST(an_initrd_may_end_in_what_firmware_reserved)
{
	CHECK(!initrd_at(0x7f00000, 0xd7ff0));
	CHECK(b.ranges[0].type == BOOT_RAM && b.ranges[0].base == 0x100000);
	CHECK(b.ranges[0].base + b.ranges[0].length == 0x7fd8000);
	CHECK(b.ranges[1].type == BOOT_RESERVED && b.ranges[1].base == 0x7fd8000);
	CHECK(b.ranges[1].length == 0x28000);
	CHECK(!initrd_at(0x7f00000, 0x1000));
	CHECK(b.ranges[1].base == 0x7fd7000);
	CHECK(initrd_at(0x7fd8000, 0x1000) != NULL);	/* all of it */
	CHECK(initrd_at(0xb0000000, 0x1000) != NULL);
	CHECK(initrd_at(0x7f00000, 0x200000) != NULL);	/* beyond all memory */
	CHECK(initrd_at(0xfff00000, 0xfff00000) != NULL);
}

/* -- does the image fit? -------------------------------------------------------------- */

#define IMAGE		0x100000ull
#define IMAGE_END	0x300000ull

/* PVH data with an initrd, as pvh() makes it, and what is said about an image in it. */
static const char *fits(uint64_t memory_end, uint64_t initrd, uint64_t initrd_length, uint64_t line)
{
	const struct hvm_memmap_entry map[] = {
		{ .addr = 0, .size = 0x9f000, .type = 1 },
		{ .addr = 0x100000, .size = 0x80000, .type = 1 },
		{ .addr = 0x180000, .size = memory_end - 0x180000, .type = 1 },
	};
	const struct hvm_modlist_entry module = { .paddr = initrd, .size = initrd_length };
	struct hvm_start_info info = { .magic = HVM_START_MAGIC, .version = 1, .nr_modules = 1,
				       .memmap_paddr = 0x2000, .memmap_entries = 3,
				       .cmdline_paddr = line, .modlist_paddr = 0x4000 };
	uint64_t found = 0;
	const char *problem;

	memset(memory, 0, sizeof(memory));
	place(0x1000, &info, sizeof(info));
	place(0x2000, map, sizeof(map));
	place(0x4000, &module, sizeof(module));
	problem = boot_image_fits(&m, BOOT_PROTOCOL_PVH, 0x1000, IMAGE, IMAGE_END, &found);
	CHECK(found == line);
	return problem;
}

TEST(image_that_fits_is_let_be)
{
	CHECK(!fits(0x400000, 0x300000, 0x100000, 0x3000));
	CHECK(!fits(0x300000, 0, 0, 0x3000));
	CHECK(!fits(0x400000, 0x50000, 0xb0000, IMAGE_END));	/* ends where the image begins */
}

TEST(image_outside_memory_is_said)
{
	CHECK(fits(0x2ff000, 0, 0, 0));
	CHECK(fits(0x200000, 0, 0, 0));
}

TEST(image_under_other_things_is_said)
{
	CHECK(fits(0x400000, 0x2ff000, 0x1000, 0));
	CHECK(fits(0x400000, 0x50000, 0xb0001, 0));
	CHECK(fits(0x400000, 0x50000, UINT64_MAX, 0));
	CHECK(fits(0x400000, 0x180000, 1, 0));
	CHECK(fits(0x400000, 0, 0, IMAGE_END - 1));
}

TEST(linux_data_are_looked_at_as_well)
{
	const struct linux_e820_entry e820[] = { { 0, 0x9f000, 1 }, { 0x100000, GIB, 1 } };
	const uint32_t magic = LINUX_HEADER_MAGIC;
	uint32_t ramdisk[] = { 0x4000000, 1234 };
	uint64_t line;

	memset(memory, 0, sizeof(memory));
	place(0x1000 + LINUX_MAGIC, &magic, 4);
	place(0x1000 + LINUX_E820_TABLE, e820, sizeof(e820));
	memory[0x1000 + LINUX_E820_ENTRIES] = 2;
	place(0x1000 + LINUX_RAMDISK_IMAGE, ramdisk, sizeof(ramdisk));
	CHECK(!boot_image_fits(&m, BOOT_PROTOCOL_LINUX, 0x1000, IMAGE, IMAGE_END, &line));
	ramdisk[0] = 0x200000;
	place(0x1000 + LINUX_RAMDISK_IMAGE, ramdisk, sizeof(ramdisk));
	CHECK(boot_image_fits(&m, BOOT_PROTOCOL_LINUX, 0x1000, IMAGE, IMAGE_END, &line));
}

TEST(what_lies_outside_memory_is_refused)
{
	const struct hvm_memmap_entry map[] = { { .addr = 0x100000, .size = 0x300000, .type = 1 },
						{ .addr = 0x200000, .size = 0x1000, .type = 2 } };
	struct { uint64_t line, initrd, length; bool good; } tries[] = {
		{ 0x3000, 0, 0, true },			/* below 1 MiB much is on no map */
		{ 0, 0x300000, 0x100000, true },
		{ 0x400000, 0, 0, false },
		{ 4 * GIB, 0, 0, false },
		{ UINT64_MAX, 0, 0, false },
		{ 0, 0x300000, 0x100001, false },
		{ 0, 0x1ff000, 0x1001, true },		/* into what is reserved: loaded there, so it is memory */
		{ 0, 0x100000, UINT64_MAX, false },
		{ 0, UINT64_MAX, 1, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
		struct hvm_modlist_entry module = { .paddr = tries[i].initrd,
						    .size = tries[i].length };
		struct hvm_start_info info = {
			.magic = HVM_START_MAGIC, .version = 1, .memmap_paddr = 0x2000,
			.memmap_entries = 2, .cmdline_paddr = tries[i].line,
			.nr_modules = 1, .modlist_paddr = 0x4000,
		};

		memset(memory, 0, sizeof(memory));
		memset(&b, 0, sizeof(b));
		place(0x1000, &info, sizeof(info));
		place(0x2000, map, sizeof(map));
		place(0x4000, &module, sizeof(module));
		CHECK(!boot_info_read(&b, &m, BOOT_PROTOCOL_PVH, 0x1000) == tries[i].good);
	}
}
