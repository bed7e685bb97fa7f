/* SPDX-License-Identifier: MIT */
/*
 * Disks of NVMe controllers (NVM Express base specification 1.4) as block devices of the
 * virtio protocol.
 *
 * A successor resets the controller, so that it writes no memory any more, answers what its
 * queues say was done until then, makes everything anew, and issues what is left in its
 * order (docs/decisions/0006-adoption.md).  The same happens when the controller fails.
 */
#include "base/util.h"
#include "disk.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/process.h"

static struct disk disk;
static struct drv_window window;

/* -- the runtime's callbacks ----------------------------------------------------------------- */

static k_status_t open(struct drv *d)
{
	k_status_t st;

	drv_pci_enable(d, DRV_PCI_MEMORY);
	st = drv_window_map(d, 0, K_PAGE_SIZE, &window);
	if (st == K_OK)
		st = nvme_open(&disk.controller, &window);
	if (st == K_ERR_NOT_SUPPORTED)
		drv_log(d, RT_LOG_ERR, "the controller has %s", disk.controller.why);
	if (st == K_OK)
		st = drv_window_map(d, 0, nvme_window_length(&disk.controller,
							     d->layout.queue_count), &window);
	if (st == K_OK)
		st = drv_dma_map(d);
	if (st == K_OK)
		st = disk_allocate(&disk);
	return st == K_OK ? drv_irq_bind(d, 0) : st;
}

static k_status_t start(struct drv *d)
{
	bool succeeds = d->start.incarnation > 1;
	k_status_t st;

	disk.d = d;
	if (succeeds && (drv_adopt_flags(d) & COMPONENT_ADOPT_LIVE)) {
		drv_log(d, RT_LOG_ERR, "a controller cannot be taken over without a reset");
		return K_ERR_NOT_SUPPORTED;
	}
	st = open(d);
	if (st == K_OK)
		st = nvme_disable(&disk.controller);
	if (st != K_OK)
		return st;
	/* Only now: whoever used it before us may have had queues in memory that is not ours. */
	drv_pci_enable(d, DRV_PCI_MASTER);
	if (succeeds)
		io_take_over(&disk);
	st = disk_set_up(&disk);
	if (st != K_OK)
		return st;
	disk_describe(&disk);
	if (succeeds)
		drv_was_reset(d);
	d->record->adoption = succeeds ? RECORD_RESET : RECORD_STARTED;
	return K_OK;
}

static void on_queue(struct drv *d, uint32_t queue)
{
	blk_server_serve(&disk.server, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	io_reap(&disk);
}

static void on_own(struct drv *d, uint64_t bits)
{
	if (bits & BLK_TICK)
		io_check(&disk);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq, .own = on_own };
