/* SPDX-License-Identifier: MIT */
/*
 * Commands that failed (Serial ATA AHCI 1.3.1, 6.2.2).
 *
 * The adapter has stopped at the error.  A command that was alone is the one that failed.  Of
 * queued ones, those whose bits are clear were done before; the device has given all others up, and
 * a log of it says which one failed (ACS-3, page 10h).  If it has no such log, it is reset, and each
 * of them is done again alone, so that the right one fails.
 *
 * While the port is stopped its registers say nothing of commands: the record says SETUP, and a
 * successor issues all of them again.
 */
#include "base/string.h"
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"

enum { LOG_LENGTH = 512, LOG_STATUS = 2, LOG_ERROR = 3 };
#define LOG_NOT_QUEUED	0x80
#define LOG_TAG		0x1f

/* Errors of the medium: the disk has tried long enough. */
#define ERROR_UNCORRECTABLE	0x40
#define ERROR_NOT_FOUND		0x10

static void restart(struct disk *k, bool reset)
{
	k_status_t st = port_restart(&k->hba, k->port, reset);

	/* QEMU's, before 8.1, goes on with what it has until it is reset. */
	if (st == K_OK && !reset && (port_read(&k->hba, k->port, PORT_SACT) |
				     port_read(&k->hba, k->port, PORT_CI)))
		st = port_restart(&k->hba, k->port, true);
	if (st == K_ERR_NOT_FOUND)
		blk_server_reset(&k->server, "the disk is gone", false);
	if (st != K_OK)
		blk_server_reset(&k->server, "a port that does not recover from an error", false);
}

/* Which of the slots in @lost failed, and what the device says of it; false: it does not tell. */
static bool read_log(struct disk *k, uint32_t lost, uint32_t *slot, uint32_t *code)
{
	struct ata_command c = ata_read_log(ATA_LOG_NCQ_ERROR, 0);
	uint8_t log[LOG_LENGTH], sum = 0;
	uint64_t bus;
	void *buffer = disk_memory(k, DISK_BUFFERS, BUFFER_LOG, &bus);

	memset(buffer, 0xff, LOG_LENGTH);
	if (disk_ask(k, &c, bus, LOG_LENGTH) != K_OK)
		return false;
	memcpy(log, buffer, LOG_LENGTH);
	for (uint32_t i = 0; i < LOG_LENGTH; i++)
		sum = (uint8_t)(sum + log[i]);
	*slot = log[0] & LOG_TAG;
	*code = (uint32_t)log[LOG_ERROR] << 8 | log[LOG_STATUS];
	return !sum && !(log[0] & LOG_NOT_QUEUED) && (lost >> *slot & 1);
}

static void fail(struct disk *k, uint32_t slot, uint32_t code)
{
	uint16_t head = k->head[slot];

	/* If it is tried again, then without others. */
	k->server.queue[0].flights[head].alone = true;
	blk_server_failed(&k->server, 0, head, code & 0xffff,
			  !(TFD_ERROR(code) & (ERROR_UNCORRECTABLE | ERROR_NOT_FOUND)));
}

/* Nothing is with the device any more. */
static void give_back(struct disk *k, uint32_t slots, bool alone)
{
	for (uint32_t i = 0; i < HBA_SLOTS; i++) {
		if (!(slots >> i & 1))
			continue;
		k->server.queue[0].flights[k->head[i]].alone |= alone;
		blk_server_returned(&k->server, 0, k->head[i]);
	}
}

static void recover_queued(struct disk *k, uint32_t lost)
{
	uint32_t slot, code;

	restart(k, false);
	if (read_log(k, lost, &slot, &code)) {
		hba_acknowledge(&k->hba, k->port, port_read(&k->hba, k->port, PORT_IS));
		fail(k, slot, code);
		give_back(k, lost & ~(1u << slot), false);
		return;
	}
	restart(k, true);
	give_back(k, lost, true);
}

static void recover_single(struct disk *k, uint32_t lost, uint32_t tfd)
{
	restart(k, false);
	fail(k, (uint32_t)__builtin_ctz(lost), tfd);
}

/* The slots whose commands are not done: of queued ones, those that the device still has. */
static uint32_t lost_slots(struct disk *k)
{
	uint32_t active = port_read(&k->hba, k->port, PORT_SACT) |
			  port_read(&k->hba, k->port, PORT_CI);

	return k->busy & k->queued ? k->busy & active : k->busy;
}

void error_recover(struct disk *k)
{
	uint32_t tfd = port_read(&k->hba, k->port, PORT_TFD), lost = lost_slots(k);
	bool queued = k->busy & k->queued;

	if (!lost)
		blk_server_reset(&k->server, "an error without a command", false);
	io_finish(k, k->busy & ~lost);
	k->d->record->phase = RECORD_SETUP;
	atomic_signal_fence(memory_order_release);
	drv_step();
	if (queued)
		recover_queued(k, lost);
	else
		recover_single(k, lost, tfd);
	k->busy = 0;
	drv_publish(k->d, 0);
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		disk_chain(k, i)->counter = 0;
	atomic_signal_fence(memory_order_release);
	drv_step();
	k->d->record->phase = RECORD_LIVE;
	drv_step();
	hba_acknowledge(&k->hba, k->port, 0);
}
