/* SPDX-License-Identifier: MIT */
/* Disks of AHCI adapters (Serial ATA AHCI 1.3.1) as block devices of the virtio protocol. */
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
		st = disk_start(&disk);
	if (st == K_ERR_NOT_FOUND)
		end_without_disk(d);
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
