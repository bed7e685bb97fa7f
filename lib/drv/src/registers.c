/* SPDX-License-Identifier: MIT */
#include "drv/registers.h"

#include "base/util.h"
#include "drv/die.h"
#include "rt/lock.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/time.h"

enum { PCI_COMMAND = 0x04 };
enum { YIELDS = 64 };			/* looks at a register before the first sleep */

static struct drv *driver_of_window;
static volatile uint8_t *registers;

void drv_pci_enable(struct drv *d, uint32_t bits)
{
	uint64_t command = 0;

	if (k_device_config_read(d->device, 0, PCI_COMMAND, 2, &command) == K_OK)
		(void)!k_device_config_write(d->device, 0, PCI_COMMAND, 2, command | bits);
}

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
	_Atomic(uint32_t) nobody = 0;

	drv_alive(driver_of_window);
	if (n < YIELDS)
		(void)!k_thread_yield();
	else
		(void)!rt_wait(&nobody, 0, rt_now_ns() + MIN(n, 1000u) * 1000ull, false);
}

k_status_t drv_window_map(struct drv *d, uint32_t bar, uint64_t length, struct drv_window *w)
{
	k_handle_t memory;
	void *base = NULL;
	k_status_t st = k_device_mmio(d->device, bar, &memory);

	if (st != K_OK)
		return st;
	st = rt_map(memory, 0, ALIGN_UP(length, (uint64_t)K_PAGE_SIZE),
		    K_PROT_READ | K_PROT_WRITE, &base);
	rt_close(memory);
	if (st != K_OK)
		return st;
	driver_of_window = d;
	registers = base;
	*w = (struct drv_window){ .read = read_register, .write = write_register,
				  .now_ns = now_ns, .pause = pause, .step = drv_step };
	return K_OK;
}
