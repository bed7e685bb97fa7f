/* SPDX-License-Identifier: MIT */
/*
 * ATA commands as an adapter fetches them: Serial ATA AHCI 1.3.1, 4.2 (command list and tables),
 * Serial ATA 3.0, 10.3.4 (the FIS), ATA8-ACS and ACS-3 (the commands).
 *
 * No function here reads what a device or a client can write.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "virtio/queue.h"

enum ata_opcode {
	ATA_DATA_SET_MANAGEMENT = 0x06, ATA_READ_DMA_EXT = 0x25, ATA_READ_LOG_EXT = 0x2f,
	ATA_WRITE_DMA_EXT = 0x35, ATA_WRITE_DMA_FUA_EXT = 0x3d, ATA_READ_QUEUED = 0x60,
	ATA_WRITE_QUEUED = 0x61, ATA_FLUSH_CACHE_EXT = 0xea, ATA_IDENTIFY = 0xec,
};
enum { ATA_LOG_NCQ_ERROR = 0x10 };

/* What a command is, apart from where its payload lies. */
struct ata_command {
	uint8_t opcode;
	uint8_t device;			/* 6: addresses are blocks; 7: FUA, of queued writes */
	uint16_t features, count;
	uint64_t lba;
	bool writes;			/* payload goes to the device */
};

/* Addresses that have 48 bits. */
struct ata_command ata_command(uint8_t opcode, uint64_t lba, uint16_t count);
/* Moves @blocks (1 to 65536) from @lba. */
struct ata_command ata_transfer(bool write, uint64_t lba, uint32_t blocks, bool fua);
/* The same, as a queued command of slot @slot, which is its tag. */
struct ata_command ata_queued(bool write, uint64_t lba, uint32_t blocks, bool fua, uint32_t slot);
/* Page @page of the log @log. */
struct ata_command ata_read_log(uint8_t log, uint8_t page);
static inline bool ata_is_queued(const struct ata_command *c)
{
	return c->opcode == ATA_READ_QUEUED || c->opcode == ATA_WRITE_QUEUED;
}

/*
 * DATA SET MANAGEMENT: entries of up to 65535 blocks each, from @entry on, of at most
 * @max; how many, 0: there is no room.
 */
enum { ATA_TRIM_ENTRIES = 64, ATA_TRIM_LENGTH = 512 };
#define ATA_TRIM_BLOCKS	65535u
uint32_t ata_trim_range(uint8_t *data, uint32_t entry, uint64_t lba, uint64_t blocks);

/* -- in memory ------------------------------------------------------------------------------- */

/* An entry of the command list. */
struct ahci_header {
	uint32_t flags;			/* 4:0 dwords of the FIS, 6 write, 31:16 PRDs */
	uint32_t moved;			/* bytes, as the adapter counts them */
	uint32_t table, table_high;
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct ahci_header) == 32, "size of a command header");

struct ahci_prd {
	uint32_t address, address_high;
	uint32_t reserved;
	uint32_t length;		/* 21:0 bytes - 1, odd */
};
_Static_assert(sizeof(struct ahci_prd) == 16, "size of an entry of a PRDT");

/* A command table of the size that is used here. */
enum { AHCI_TABLE = 1024, AHCI_PRDS = (AHCI_TABLE - 0x80) / 16 };
struct ahci_table {
	uint8_t fis[64], packet[16], reserved[48];
	struct ahci_prd prd[AHCI_PRDS];
};
_Static_assert(sizeof(struct ahci_table) == AHCI_TABLE, "size of a command table");

/*
 * Fill the table's list with the beginning of the memory that @pieces (bus addresses) name, at
 * most @max bytes, and a multiple of @block.  Returns how much, and *@prds entries; 0: not even one
 * block, because memory does not begin at even addresses.
 */
uint32_t ahci_prdt(struct ahci_table *t, const struct vq_segment *pieces, unsigned int n,
		   uint32_t max, uint32_t block, uint32_t *prds);
/* Put the command into the table, and both into the list. */
void ahci_put(struct ahci_header *h, struct ahci_table *t, uint64_t table_bus,
	      const struct ata_command *c, uint32_t prds);
