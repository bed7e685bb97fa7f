/* SPDX-License-Identifier: MIT */
/*
 * What the driver makes of what an adapter and a disk say, and how commands lie in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "command.h"
#include "hba.h"
#include "identify.h"
#include "pretend.h"
#include "rig.h"
#include "unit/unit.h"

static struct drv_window window;
static struct hba hba;

static k_status_t open(void)
{
	window = rig_window(pretend_read, pretend_write);
	return hba_open(&hba, &window);
}

static void begin(void)
{
	pretend_begin(9, 32);
	REQUIRE(open() == K_OK);
}

static uint8_t lists[4096] __attribute__((aligned(4096)));

static k_status_t receive(void)
{
	return port_receive(&hba, 2, (uintptr_t)lists, (uintptr_t)(lists + 1024));
}

/* -- the adapter ----------------------------------------------------------------------------- */

TEST(an_adapter_says_what_it_can)
{
	begin();
	CHECK_EQ(hba.ports, 0x3f);
	CHECK_EQ(hba.slots, 32);
	CHECK(hba.has_ncq && hba.has_64bit);
	CHECK_EQ(hba_window_length(&hba), 0x100 + 6 * 0x80);
	CHECK(pretend.ghc >> 31);
	pretend.ports = 1u << 31;
	REQUIRE(open() == K_OK);
	CHECK_EQ(hba_window_length(&hba), HBA_WINDOW);
	pretend.ports = 0;
	REQUIRE(open() == K_OK);
	CHECK_EQ(hba_window_length(&hba), 0x100);
	pretend.gone = true;
	CHECK_EQ(open(), K_ERR_IO);
}

TEST(firmware_is_asked_and_then_not_waited_for)
{
	uint64_t before;

	begin();
	pretend.firmware_owns = true;
	pretend.bohc = 1;
	CHECK_EQ(hba_take_from_firmware(&hba), K_OK);
	CHECK_EQ(pretend.bohc, 2);
	pretend.bohc = 1;
	pretend.firmware_keeps = true;
	before = rig.now;
	CHECK_EQ(hba_take_from_firmware(&hba), K_OK);
	CHECK(rig.now - before < 3000000000ull);
}

/* -- a port ---------------------------------------------------------------------------------- */

TEST(a_port_is_stopped_and_started)
{
	begin();
	CHECK(port_is_linked(&hba, 2));
	CHECK(!port_is_linked(&hba, 3));
	CHECK_EQ(port_stop(&hba, 2), K_OK);
	CHECK_EQ(receive(), K_OK);
	CHECK_EQ(port_wait_ready(&hba, 2), K_OK);
	CHECK_EQ(port_run(&hba, 2), K_OK);
	CHECK(port_is_running(&hba, 2));
	CHECK(port_is_at(&hba, 2, (uintptr_t)lists, (uintptr_t)(lists + 1024)));
	CHECK(!port_is_at(&hba, 2, (uintptr_t)lists, (uintptr_t)lists));
	CHECK_EQ(port_restart(&hba, 2, false), K_OK);
	CHECK_EQ(pretend.resets, 0);
	CHECK_EQ(port_restart(&hba, 2, true), K_OK);
	CHECK_EQ(pretend.resets, 1);
	CHECK_EQ(pretend.violations, 0);
}

TEST(a_port_that_does_not_stop_is_reset)
{
	begin();
	CHECK_EQ(receive(), K_OK);
	CHECK_EQ(port_run(&hba, 2), K_OK);
	pretend.never_stops = true;
	CHECK_EQ(port_stop(&hba, 2), K_OK);
	CHECK_EQ(pretend.resets, 1);
}

TEST(nothing_is_waited_for_without_a_bound)
{
	begin();
	pretend.never_ready = true;
	CHECK_EQ(receive(), K_OK);
	CHECK_EQ(port_wait_ready(&hba, 2), K_ERR_TIMED_OUT);
	CHECK_EQ(port_reset(&hba, 2), K_ERR_TIMED_OUT);
	pretend.no_disk = true;
	CHECK_EQ(port_wait_ready(&hba, 2), K_ERR_NOT_FOUND);
	CHECK_EQ(port_reset(&hba, 2), K_ERR_NOT_FOUND);
	pretend.gone = true;
	CHECK_EQ(port_wait_ready(&hba, 2), K_ERR_IO);
	CHECK_EQ(port_reset(&hba, 2), K_ERR_IO);
	CHECK_EQ(port_stop(&hba, 2), K_ERR_IO);
	CHECK_EQ(port_run(&hba, 2), K_ERR_IO);
	CHECK(!port_is_linked(&hba, 2));
	CHECK(!port_is_running(&hba, 2));
}

/* -- commands -------------------------------------------------------------------------------- */

TEST(a_queued_command_has_its_count_and_tag_in_their_places)
{
	static const uint8_t expected[20] = {
		0x27, 0x80, 0x61, 0x02, 0x56, 0x34, 0x12, 0xc0, 0xbc, 0x9a, 0x78, 0x01,
		0x88, 0x00, 0x00, 0x00,
	};
	struct ata_command c = ata_queued(true, 0x789abc123456, 0x102, true, 17);
	static struct ahci_table t;
	struct ahci_header h;

	memset(&t, 0x55, sizeof(t));
	ahci_put(&h, &t, 0x123456780, &c, 3);
	CHECK(memcmp(t.fis, expected, sizeof(expected)) == 0);
	CHECK_EQ(h.flags, 5 | 1 << 6 | 3 << 16);
	CHECK_EQ(h.moved, 0);
	CHECK_EQ(h.table, 0x23456780);
	CHECK_EQ(h.table_high, 1);
	CHECK(ata_is_queued(&c));
}

TEST(other_commands_have_their_count_where_that_is)
{
	static const uint8_t expected[20] = {
		0x27, 0x80, 0x25, 0x00, 0x05, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x01, 0x00, 0x00,
	};
	struct ata_command c = ata_transfer(false, 5, 256, false);
	static struct ahci_table t;
	struct ahci_header h;

	ahci_put(&h, &t, 0x1000, &c, 1);
	CHECK(memcmp(t.fis, expected, sizeof(expected)) == 0);
	CHECK_EQ(h.flags, 5 | 1 << 16);
	CHECK_EQ(ata_transfer(true, 5, 1, false).opcode, ATA_WRITE_DMA_EXT);
	CHECK_EQ(ata_transfer(true, 5, 1, true).opcode, ATA_WRITE_DMA_FUA_EXT);
	CHECK_EQ(ata_transfer(true, 5, 65536, true).count, 0);
	c = ata_read_log(ATA_LOG_NCQ_ERROR, 0);
	CHECK(c.opcode == ATA_READ_LOG_EXT && c.lba == 0x10 && c.count == 1);
	CHECK(!ata_is_queued(&c));
}

TEST(memory_is_described_up_to_a_whole_block)
{
	struct vq_segment pieces[AHCI_PRDS + 4] = {
		{ 0x10000, 300, true }, { 0x20000, 300, true }, { 0x30000, 6, true },
		{ 0x40000, 600, true },
	};
	static struct ahci_table t;
	uint32_t prds;

	CHECK_EQ(ahci_prdt(&t, pieces, 4, 4096, 512, &prds), 1024);
	CHECK_EQ(prds, 4);
	CHECK_EQ(t.prd[3].length, 1024 - 606 - 1);
	CHECK_EQ(ahci_prdt(&t, pieces, 4, 512, 512, &prds), 512);
	CHECK_EQ(prds, 2);
	CHECK_EQ(t.prd[1].length, 211);
	CHECK_EQ(ahci_prdt(&t, pieces, 3, 4096, 512, &prds), 512);
	CHECK_EQ(prds, 2);
	CHECK_EQ(ahci_prdt(&t, pieces, 1, 4096, 512, &prds), 0);
	CHECK_EQ(prds, 0);
	pieces[1].addr++;
	CHECK_EQ(ahci_prdt(&t, pieces, 4, 4096, 512, &prds), 0);
	pieces[1].addr--;
	pieces[0].len--;
	CHECK_EQ(ahci_prdt(&t, pieces, 4, 4096, 512, &prds), 0);
	/* No more entries than the table has. */
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++)
		pieces[i] = (struct vq_segment){ 0x10000 + i * 8192, 256, true };
	CHECK_EQ(ahci_prdt(&t, pieces, ARRAY_SIZE(pieces), 1 << 20, 512, &prds), AHCI_PRDS * 256);
	CHECK_EQ(prds, AHCI_PRDS);
}

TEST(a_range_takes_as_many_entries_as_it_needs)
{
	uint8_t data[ATA_TRIM_LENGTH] = { 0 };

	CHECK_EQ(ata_trim_range(data, 0, 7, 65535), 1);
	CHECK_EQ(get_le64(data), 7 | 65535ull << 48);
	CHECK_EQ(ata_trim_range(data, 1, 100, 65537), 2);
	CHECK_EQ(get_le64(data + 8), 100 | 65535ull << 48);
	CHECK_EQ(get_le64(data + 16), 65635 | 2ull << 48);
	CHECK_EQ(ata_trim_range(data, 0, 0, 64 * 65535ull), 64);
	CHECK_EQ(ata_trim_range(data, 0, 0, 64 * 65535ull + 1), 0);
	CHECK_EQ(ata_trim_range(data, 64, 0, 1), 0);
	CHECK_EQ(ata_trim_range(data, 63, 0, UINT64_MAX), 0);
}

/* -- what a disk says of itself -------------------------------------------------------------- */

TEST(a_disk_is_understood)
{
	struct ata_identity id;
	uint8_t data[ATA_IDENTIFY_LENGTH];
	const char *why = NULL;

	pretend_begin(12, 32);
	pretend_identify(data);
	REQUIRE(ata_identity_read(data, &id, &why) == K_OK);
	CHECK_STR(id.serial, "number 7");
	CHECK_STR(id.model, "A DISK");
	CHECK_STR(id.firmware, "1.0");
	CHECK_EQ(id.blocks, PRETEND_BYTES / 4096);
	CHECK_EQ(id.block_shift, 12);
	CHECK_EQ(id.depth, 32);
	CHECK(id.has_cache && id.has_fua && id.has_trim);
	/* Blocks of 512 in physical ones of 4096, of which the first begins at the second block. */
	pretend_begin(9, 0);
	pretend_identify(data);
	put_le16(data + 212, 1 << 14 | 1 << 13 | 3);
	put_le16(data + 418, 1 << 14 | 1);
	REQUIRE(ata_identity_read(data, &id, &why) == K_OK);
	CHECK_EQ(id.depth, 1);
	CHECK_EQ(id.block_shift, 9);
	CHECK_EQ(id.physical_exponent, 3);
	CHECK_EQ(id.alignment, 7);
	/* Words that are not valid say nothing. */
	put_le16(data + 212, 0xffff);
	put_le16(data + 168, 0xffff);
	put_le16(data + 152, 0xffff);
	REQUIRE(ata_identity_read(data, &id, &why) == K_OK);
	CHECK(!id.physical_exponent && !id.has_fua && id.depth == 1);
}

TEST(what_cannot_be_driven_is_refused)
{
	static const struct {
		unsigned int word;
		uint16_t value;
	} wrong[] = {
		{ 0, 0x8000 }, { 49, 0 }, { 83, 0 }, { 83, 0xffff }, { 100, 0 }, { 103, 0xffff },
		{ 117, 0 }, { 117, 3000 }, { 118, 1 },
	};
	struct ata_identity id;
	uint8_t data[ATA_IDENTIFY_LENGTH];

	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		const char *why = NULL;

		pretend_begin(12, 32);
		pretend_identify(data);
		put_le16(data + 2 * wrong[i].word, wrong[i].value);
		CHECK_EQ(ata_identity_read(data, &id, &why), K_ERR_NOT_SUPPORTED);
		CHECK(why != NULL);
	}
}

TEST(noise_is_refused_or_within_bounds)
{
	struct ata_identity id;
	uint8_t good[4][ATA_IDENTIFY_LENGTH], data[ATA_IDENTIFY_LENGTH];
	const char *why;

	for (uint32_t i = 0; i < ARRAY_SIZE(good); i++) {
		pretend_begin(9 + i, 32);
		pretend_identify(good[i]);
	}
	for (int round = 0; round < 20000; round++) {
		memcpy(data, good[round % ARRAY_SIZE(good)], sizeof(data));
		for (int i = 0; i < 20; i++)
			data[unit_random() % sizeof(data)] = (uint8_t)unit_random();
		if (ata_identity_read(data, &id, &why) != K_OK)
			continue;
		CHECK(id.block_shift >= 9 && id.block_shift <= 12 && id.blocks <= BIT(48));
		CHECK(id.depth >= 1 && id.depth <= 32 && id.physical_exponent < 16);
		for (const char *c = id.model; *c; c++)
			CHECK(*c >= ' ' && *c <= '~');
	}
}
