/* SPDX-License-Identifier: MIT */
#include "dmar.h"

#include <stdlib.h>

#include "base/byteorder.h"
#include "base/string.h"
#include "kernel/boot_info.h"
#include "unit/unit.h"

static struct boot_info boot;
static uint8_t table[512];
static size_t length;

static void begin(void)
{
	memset(table, 0, sizeof(table));
	memcpy(table, "DMAR", 4);
	table[37] = 1;
	length = 48;
}

static uint8_t *add(uint16_t type, uint16_t n)
{
	uint8_t *at = table + length;

	put_le16(at, type);
	put_le16(at + 2, n);
	length += n;
	return at;
}

/* A unit with the scope of I/O APIC @id at ff:00.0. */
static uint8_t *add_unit(uint64_t base, uint8_t id)
{
	uint8_t *at = add(0, 24);

	at[4] = 1;
	put_le64(at + 8, base);
	at[16] = 3;
	at[17] = 8;
	at[20] = id;
	at[21] = 0xff;
	return at;
}

/* The bytes alone in memory of their own: what is read behind them is found. */
static const char *read_table(void)
{
	uint8_t *copy = malloc(length);
	const char *why;

	memcpy(copy, table, length);
	memset(&boot, 0, sizeof(boot));
	boot.ioapic_count = 1;
	why = x86_dmar_read(copy, length, &boot);
	free(copy);
	CHECK(!why || boot.iommu_count == 0);
	return why;
}

TEST(what_qemu_says_is_read)
{
	uint8_t *at;

	begin();
	add_unit(0xfed90000, 0);
	at = add(1, 24);		/* reserved memory */
	put_le64(at + 8, 0x1000);
	add(2, 8);			/* of which nothing is needed */
	CHECK(!read_table());
	CHECK_EQ(boot.iommu_count, 1);
	CHECK_EQ(boot.iommus[0], 0xfed90000);
	CHECK_EQ(boot.ioapics[0].requester, BOOT_REQUESTER_KNOWN | 0xff00);
	CHECK_EQ(boot.iommu_reserved, 1);
	CHECK(boot.iommu_interrupts);
}

TEST(interrupts_need_every_ioapic)
{
	begin();
	add_unit(0xfed90000, 1);	/* another one */
	CHECK(!read_table());
	CHECK(!boot.iommu_interrupts);

	begin();
	add_unit(0xfed90000, 0);
	table[37] = 0;			/* the firmware says no */
	CHECK(!read_table());
	CHECK(!boot.iommu_interrupts);

	begin();
	add_unit(0xfed90000, 0)[17] = 8;
	length -= 2;			/* a path of nothing */
	table[48 + 2] = 22;
	table[48 + 17] = 6;
	CHECK(!read_table());
	CHECK(!boot.iommu_interrupts);
}

TEST(units_of_other_segments_are_left_out)
{
	begin();
	add_unit(0xfed90000, 0);
	add_unit(0xfed91000, 0)[6] = 1;
	CHECK(!read_table());
	CHECK_EQ(boot.iommu_count, 1);

	begin();
	add_unit(0xfed90000, 0)[6] = 1;
	CHECK(read_table());
}

TEST(addresses_that_cannot_be_are_refused)
{
	static const uint64_t bases[] = { 0, 1, 0xfed90800, 1ull << 60, ~0ull << 12 };

	for (unsigned int i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		begin();
		add_unit(bases[i], 0);
		CHECK(read_table());
	}
	begin();
	for (unsigned int i = 0; i <= BOOT_IOMMUS_MAX; i++)
		add_unit(0xfed90000 + 0x1000 * i, 0);
	CHECK(read_table());
}

TEST(a_table_can_be_cut_off_anywhere)
{
	size_t whole;

	begin();
	add_unit(0xfed90000, 0);
	add(1, 24);
	whole = length;
	for (length = 1; length < whole; length++)
		if (length != 48 + 24)
			CHECK(read_table());
}

TEST(any_byte_can_be_anything)
{
	size_t whole;

	begin();
	add_unit(0xfed90000, 0);
	add(1, 24);
	add_unit(0xfed91000, 0);
	whole = length;
	for (size_t i = 0; i < whole; i++) {
		uint8_t was = table[i];

		for (unsigned int value = 0; value < 256; value++) {
			table[i] = (uint8_t)value;
			(void)read_table();
		}
		table[i] = was;
	}
}
