/* SPDX-License-Identifier: MIT */
/*
 * A disk: the first one at a port of an adapter.
 *
 *	disk.c		finding it, setting it up
 *	io.c		requests as commands, and their ends
 *	error.c		commands that failed
 *	adopt.c		what a successor makes of its predecessor's
 *	driver.c	the runtime's callbacks
 *
 * One thread does all of it, so that nothing is locked.
 *
 * DMA memory, in pages: the command list and what the device sends (DISK_LISTS), buffers, and
 * then a command table of AHCI_TABLE bytes for each slot of the list.
 *
 * Commands are queued (NCQ) where both sides can, and then up to `depth` of them are with the
 * device.  The others (flushes, discards, and what is tried again alone) do not go beside queued
 * ones: they wait until nothing is with the device, and all that is new waits for them. A device
 * that does not queue gets one command at a time.
 *
 * A slot, with the store that makes it so; all of them lie in the record:
 *
 *	free		chains[slot].counter is 0, or of a request that is not in flight
 *	prepared	WORD_PENDING has its bit, then the counter is written
 *	shown		PxSACT (if queued) and PxCI are written, and then WORD_PENDING is 0
 *	done		the device has cleared its bits
 *	free		again: the counter is cleared after the answer is published
 *
 * WORD_PENDING has a phase besides: a successor knows from it whether registers were written
 * (adopt.c).
 */
#pragma once

#include "command.h"
#include "drv/blk_server.h"
#include "hba.h"
#include "identify.h"

/* Pages of DMA memory, and where things are in the first two. */
enum { DISK_LISTS, DISK_BUFFERS, DISK_TABLES };
enum { LISTS_FISES = 1024 };
enum { BUFFER_IDENTITY = 0, BUFFER_LOG = 1024, BUFFER_TRIM = 2048 };
enum { DISK_PAGES = DISK_TABLES + HBA_SLOTS * AHCI_TABLE / 4096 };

/* What one command moves at the most: its list of pages fits into a table. */
#define DISK_TRANSFER	(128u * 1024)

/* Words of the record, after those of drv/blk_server.h. */
enum { WORD_PORT = BLK_WORD_OWN, WORD_PENDING };
enum { DISK_LAYOUT = 1 };

/* The phases of WORD_PENDING, above the mask of its slots; 0: there are none. */
enum pending {
	PENDING_PREPARING = 1,		/* no register was written for them */
	PENDING_ACTIVE,			/* all are prepared; PxSACT may be written, PxCI is not */
	PENDING_ISSUE,			/* PxSACT is written if they are queued; PxCI may be */
};

/* record_chain.count of a slot. */
enum { CHAIN_LAST = 1, CHAIN_QUEUED = 2, CHAIN_DURABLE = 4, CHAIN_THEN_FLUSH = 8 };

struct disk {
	struct drv *d;
	struct blk_server server;
	struct hba hba;
	uint32_t port;
	struct ata_identity identity;
	uint32_t depth;			/* commands with the device; 1: not queued */

	/* Slots. */
	uint32_t busy;			/* prepared, or with the device */
	uint32_t prepared;		/* ... not yet shown to it */
	uint32_t queued;		/* of busy ones: NCQ */
	uint16_t head[HBA_SLOTS];	/* of the request of a busy one */

	/* What plan() has planned, in the table of this slot. */
	struct ata_command command;
	uint32_t slot, prds;
	uint16_t flags;			/* CHAIN_* */
};

/* -- disk.c -- */
/* A piece of DMA memory. */
void *disk_memory(struct disk *k, uint32_t page, uint32_t offset, uint64_t *bus);
struct ahci_table *disk_table(struct disk *k, uint32_t slot, uint64_t *bus);
struct ahci_header *disk_header(struct disk *k, uint32_t slot);
/* Check what was granted; logs what is missing. */
k_status_t disk_allocate(struct disk *k) __attribute__((warn_unused_result));
/* Whether anything is attached to a port; they have power then. */
bool disk_is_there(struct disk *k);
/*
 * Bring the adapter, in whatever state it is, to where the first disk serves requests; @reset: its
 * link is reset, which ends what it may still be at.  NOT_FOUND: there is no disk.  Logs what is
 * wrong.
 */
k_status_t disk_set_up(struct disk *k, bool reset) __attribute__((warn_unused_result));
/* What it said of itself when it was set up, which lies in DMA memory. */
k_status_t disk_read_identity(struct disk *k, const char **why)
	__attribute__((warn_unused_result));
/* Interrupts from now on. */
void disk_listen(struct disk *k);
/* Say on the link what it is. */
void disk_describe(struct disk *k);
/*
 * Do a command that reads @length bytes to @bus, and wait for its end.  Nothing else is with the
 * device.  IO: it failed, and the port has to be restarted.
 */
k_status_t disk_ask(struct disk *k, const struct ata_command *c, uint64_t bus, uint32_t length)
	__attribute__((warn_unused_result));
/* Slot @slot in the record. */
struct record_chain *disk_chain(struct disk *k, uint32_t slot);

/* -- io.c -- */
/* How requests become commands. */
extern const struct blk_server_ops disk_ops;
/* Answer what the device has done, and go on with what waited for that; how many commands. */
uint32_t io_reap(struct disk *k);
/* The commands of @slots are done: answer them, and free the slots. */
void io_finish(struct disk *k, uint32_t slots);
/* Show the device the prepared slots; those of @pending: from there on. */
void io_show(struct disk *k, uint32_t slots, bool queued);
/* A second has passed: does the device do what it should? */
void io_check(struct disk *k);

/* -- error.c -- */
/* The device said that a command failed: recover, and plan the others again. */
void error_recover(struct disk *k);

/* -- adopt.c -- */
/*
 * Begin to serve: the first incarnation sets the disk up, a successor takes it over, and resets it
 * if it has to.  NOT_FOUND: there is no disk.  BAD_STATE: a reset is not wanted.  Logs what is wrong.
 */
k_status_t disk_start(struct disk *k) __attribute__((warn_unused_result));
