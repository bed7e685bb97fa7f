/* SPDX-License-Identifier: MIT */
#include "command.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

enum { FIS_H2D = 0x27, FIS_IS_COMMAND = 0x80, FIS_DWORDS = 5 };
#define DEVICE_LBA	0x40
#define DEVICE_FUA	0x80
#define HEADER_WRITE	(1u << 6)

struct ata_command ata_command(uint8_t opcode, uint64_t lba, uint16_t count)
{
	return (struct ata_command){ .opcode = opcode, .device = DEVICE_LBA, .lba = lba,
				     .count = count };
}

struct ata_command ata_transfer(bool write, uint64_t lba, uint32_t blocks, bool fua)
{
	uint8_t opcode = !write ? ATA_READ_DMA_EXT : fua ? ATA_WRITE_DMA_FUA_EXT
							 : ATA_WRITE_DMA_EXT;
	/* 0 is 65536 */
	struct ata_command c = ata_command(opcode, lba, (uint16_t)blocks);

	c.writes = write;
	return c;
}

struct ata_command ata_queued(bool write, uint64_t lba, uint32_t blocks, bool fua, uint32_t slot)
{
	struct ata_command c = ata_command(write ? ATA_WRITE_QUEUED : ATA_READ_QUEUED, lba,
					   (uint16_t)(slot << 3));

	c.features = (uint16_t)blocks;
	c.writes = write;
	if (fua)
		c.device |= DEVICE_FUA;
	return c;
}

struct ata_command ata_read_log(uint8_t log, uint8_t page)
{
	return ata_command(ATA_READ_LOG_EXT, log | (uint64_t)page << 8, 1);
}

uint32_t ata_trim_range(uint8_t *data, uint32_t entry, uint64_t lba, uint64_t blocks)
{
	uint32_t n = 0;

	for (; blocks; n++) {
		uint64_t some = MIN(blocks, (uint64_t)ATA_TRIM_BLOCKS);

		if (entry + n >= ATA_TRIM_ENTRIES)
			return 0;
		put_le64(data + 8 * (entry + n), lba | some << 48);
		lba += some;
		blocks -= some;
	}
	return n;
}

/* -- in memory ------------------------------------------------------------------------------- */

static void put_fis(uint8_t *fis, const struct ata_command *c)
{
	memset(fis, 0, 4 * FIS_DWORDS);
	fis[0] = FIS_H2D;
	fis[1] = FIS_IS_COMMAND;
	fis[2] = c->opcode;
	fis[3] = (uint8_t)c->features;
	fis[7] = c->device;
	for (unsigned int i = 0; i < 3; i++) {
		fis[4 + i] = (uint8_t)(c->lba >> 8 * i);
		fis[8 + i] = (uint8_t)(c->lba >> (24 + 8 * i));
	}
	fis[11] = (uint8_t)(c->features >> 8);
	put_le16(fis + 12, c->count);
}

/* Take the last bytes away again, so that a multiple of @block is left. */
static uint32_t cut(struct ahci_table *t, uint32_t bytes, uint32_t block, uint32_t *prds)
{
	uint32_t excess = bytes % block;

	bytes -= excess;
	while (excess) {
		struct ahci_prd *last = &t->prd[*prds - 1];
		uint32_t length = LE32(last->length) + 1;

		if (excess < length) {
			last->length = LE32(length - excess - 1);
			break;
		}
		excess -= length;
		--*prds;
	}
	return bytes;
}

uint32_t ahci_prdt(struct ahci_table *t, const struct vq_segment *pieces, unsigned int n,
		   uint32_t max, uint32_t block, uint32_t *prds)
{
	uint32_t bytes = 0;

	*prds = 0;
	for (unsigned int i = 0; i < n && bytes < max && *prds < AHCI_PRDS; i++) {
		uint32_t length = MIN(pieces[i].len, max - bytes);

		/* Words: neither addresses nor lengths may be odd (4.2.3.3). */
		if ((pieces[i].addr | length) & 1)
			break;
		t->prd[(*prds)++] = (struct ahci_prd){
			.address = LE32((uint32_t)pieces[i].addr),
			.address_high = LE32((uint32_t)(pieces[i].addr >> 32)),
			.length = LE32(length - 1),
		};
		bytes += length;
	}
	return cut(t, bytes, block, prds);
}

void ahci_put(struct ahci_header *h, struct ahci_table *t, uint64_t table_bus,
	      const struct ata_command *c, uint32_t prds)
{
	put_fis(t->fis, c);
	*h = (struct ahci_header){
		.flags = LE32(FIS_DWORDS | (c->writes ? HEADER_WRITE : 0) | prds << 16),
		.table = LE32((uint32_t)table_bus), .table_high = LE32((uint32_t)(table_bus >> 32)),
	};
}
