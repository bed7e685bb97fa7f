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
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/time.h"

enum { PCI_COMMAND = 0x04, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };
enum { YIELDS = 64 };			/* looks at a register before the first sleep */

static struct disk disk;
static volatile uint8_t *registers;	/* those of the first page until start() knows how many */

/* -- the window ------------------------------------------------------------------------------ */

static uint32_t read_register(void *user, uint32_t offset)
{
	return *(volatile uint32_t *)(registers + offset);
}

static void write_register(void *user, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(registers + offset) = value;
}

static uint64_t now_ns(void *user)
{
	return rt_now_ns();
}

static void pause(void *user, uint32_t n)
{
	struct disk *k = user;
	_Atomic(uint32_t) nobody = 0;

	drv_alive(k->d);
	if (n < YIELDS)
		(void)!k_thread_yield();
	else
		(void)!rt_wait(&nobody, 0, rt_now_ns() + MIN(n, 1000u) * 1000ull, false);
}

static const struct nvme_window window = {
	.read = read_register, .write = write_register, .now_ns = now_ns, .pause = pause,
	.step = drv_step, .user = &disk,
};

static k_status_t map_registers(struct drv *d, uint64_t length)
{
	k_handle_t memory;
	void *base = NULL;
	k_status_t st = k_device_mmio(d->device, 0, &memory);

	if (st != K_OK)
		return st;
	st = rt_map(memory, 0, ALIGN_UP(length, (uint64_t)K_PAGE_SIZE),
		    K_PROT_READ | K_PROT_WRITE, &base);
	rt_close(memory);
	if (st == K_OK)
		registers = base;
	return st;
}

static void enable_pci(struct drv *d, uint64_t bits)
{
	uint64_t command = 0;

	if (k_device_config_read(d->device, 0, PCI_COMMAND, 2, &command) == K_OK)
		(void)!k_device_config_write(d->device, 0, PCI_COMMAND, 2, command | bits);
}

/* -- the runtime's callbacks ----------------------------------------------------------------- */

static k_status_t open(struct drv *d)
{
	k_status_t st;

	enable_pci(d, COMMAND_MEMORY);
	st = map_registers(d, K_PAGE_SIZE);
	if (st == K_OK)
		st = nvme_open(&disk.controller, &window);
	if (st == K_ERR_NOT_SUPPORTED)
		drv_log(d, RT_LOG_ERR, "the controller has %s", disk.controller.why);
	if (st == K_OK)
		st = map_registers(d, nvme_window_length(&disk.controller, d->layout.queue_count));
	if (st == K_OK)
		st = drv_dma_map(d);
	if (st == K_OK)
		st = disk_allocate(&disk);
	if (st == K_OK)
		st = k_timer_create(d->bell, DISK_TICK, &disk.timer);
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
	enable_pci(d, COMMAND_MASTER);
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
	io_serve(&disk, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	io_reap(&disk);
}

static void on_own(struct drv *d, uint64_t bits)
{
	if (bits & DISK_TICK)
		io_check(&disk);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq, .own = on_own };
