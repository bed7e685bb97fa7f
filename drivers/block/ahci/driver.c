/* SPDX-License-Identifier: MIT */
/*
 * Disks of AHCI adapters (Serial ATA AHCI 1.3.1) as block devices of the virtio protocol.
 *
 * A successor takes the running port over (adopt.c). If that cannot be, or is not wanted, it answers what
 * the registers say was done, resets the disk, and issues what is left in its order.
 */
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/process.h"

enum { BAR = 5 };

static struct disk disk;
static struct drv_window window;

static k_status_t open(struct drv *d)
{
	k_status_t st;

	drv_pci_enable(d, DRV_PCI_MEMORY);
	st = drv_window_map(d, BAR, K_PAGE_SIZE, &window);
	if (st == K_OK)
		st = hba_open(&disk.hba, &window);
	if (st == K_ERR_NOT_SUPPORTED)
		drv_log(d, RT_LOG_ERR, "the adapter has %s", disk.hba.why);
	if (st == K_OK && hba_window_length(&disk.hba) > K_PAGE_SIZE)
		st = drv_window_map(d, BAR, hba_window_length(&disk.hba), &window);
	return st == K_OK ? hba_take_from_firmware(&disk.hba) : st;
}

/* An adapter without a disk is none of ours: nobody has to wait for it. */
static void end_without_disk(struct drv *d)
{
	drv_log(d, d->start.incarnation > 1 ? RT_LOG_ERR : RT_LOG_INFO, "there is no disk");
	k_process_exit(COMPONENT_EXIT_ABSENT);
}

static k_status_t start_over(struct drv *d)
{
	bool succeeds = d->start.incarnation > 1;
	k_status_t st;

	if (succeeds)
		adopt_finished(&disk);
	st = disk_set_up(&disk, succeeds);
	if (st == K_ERR_NOT_FOUND)
		end_without_disk(d);
	if (st != K_OK)
		return st;
	disk_listen(&disk);
	if (succeeds) {
		drv_was_reset(d);
		blk_server_issue_again(&disk.server, true);
	}
	d->record->adoption = succeeds ? RECORD_RESET : RECORD_STARTED;
	return K_OK;
}

static k_status_t take_over(struct drv *d)
{
	uint32_t how = drv_adopt_flags(d);

	blk_server_take_over(&disk.server);
	if (!(how & COMPONENT_ADOPT_RESET) && adopt_live(&disk)) {
		blk_server_issue_again(&disk.server, false);
		d->record->adoption = RECORD_ADOPTED;
		return K_OK;
	}
	if (how & COMPONENT_ADOPT_LIVE) {
		drv_log(d, RT_LOG_ERR, "the adapter cannot be taken over as it is");
		return K_ERR_BAD_STATE;
	}
	return start_over(d);
}

static k_status_t start(struct drv *d)
{
	k_status_t st;

	disk.d = d;
	st = open(d);
	if (st != K_OK)
		return st;
	if (!disk_is_there(&disk))
		end_without_disk(d);
	st = drv_dma_map(d);
	if (st == K_OK)
		st = disk_allocate(&disk);
	if (st == K_OK)
		st = drv_irq_bind(d, 0);
	if (st == K_OK)
		st = d->start.incarnation > 1 ? take_over(d) : start_over(d);
	if (st == K_OK)
		disk_describe(&disk);
	return st;
}

static void on_queue(struct drv *d, uint32_t queue)
{
	blk_server_serve(&disk.server, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	(void)io_reap(&disk);
}

static void on_own(struct drv *d, uint64_t bits)
{
	if (bits & BLK_TICK)
		io_check(&disk);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq, .own = on_own };
