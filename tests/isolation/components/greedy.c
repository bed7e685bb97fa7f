/* SPDX-License-Identifier: MIT */
/*
 * A driver of QEMU's edu device, whose DMA engine copies between a buffer in the device and any
 * address.  It has the device reach for its own memory, which must work, and for what is not its own:
 * pages before and behind its own, which are the kernel's, its client's or other drivers', memory that is
 * always the kernel's, and the addresses that interrupts are written to.  Then it serves zeros.
 *
 * It says what came of it, and dies if anything could be read.  What was written shows in the others.
 */
#include "base/string.h"
#include "base/util.h"
#include "drv/drv.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/time.h"

enum { PCI_COMMAND = 0x04, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };
enum { SOURCE = 0x80, DESTINATION = 0x88, COUNT = 0x90, COMMAND = 0x98 };
enum { RUN = 1, TO_MEMORY = 2 };

#define BUFFER		0x40000ull	/* as the device sees it */
#define PIECE		2048ull
#define NEIGHBOURS	2u		/* pages tried on each side */
#define LOW_MEMORY	0x8000ull	/* from the first MiB: the kernel's */
#define INTERRUPTS	0xfee00010ull	/* entry 0, which nobody has */

static volatile uint8_t *registers;
static k_handle_t pause_bell;

static void reg_write(uint32_t offset, uint64_t value)
{
	*(volatile uint32_t *)(registers + offset) = (uint32_t)value;
	*(volatile uint32_t *)(registers + offset + 4) = (uint32_t)(value >> 32);
}

/* Copy @n bytes between the device's buffer and @address; it takes its time. */
static void transfer(struct drv *d, uint64_t address, uint64_t n, uint32_t direction)
{
	volatile uint32_t *command = (volatile uint32_t *)(registers + COMMAND);
	uint64_t bits;

	reg_write(SOURCE, direction == TO_MEMORY ? BUFFER : address);
	reg_write(DESTINATION, direction == TO_MEMORY ? address : BUFFER);
	reg_write(COUNT, n);
	*command = RUN | direction;
	while (*command & RUN) {
		drv_alive(d);
		(void)!k_bell_wait(pause_bell, 1, rt_now_ns() + 1000000, 0, &bits);
	}
}

static bool is_all(const uint8_t *p, uint8_t value)
{
	for (uint32_t i = 0; i < PIECE; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void use_own(struct drv *d)
{
	uint8_t *from = d->dma, *to = from + K_PAGE_SIZE;

	memset(from, 0x3c, PIECE);
	memset(to, 0, PIECE);
	transfer(d, d->dma_bus[0], PIECE, 0);
	transfer(d, d->dma_bus[1], PIECE, TO_MEMORY);
	if (!is_all(to, 0x3c))
		rt_panic("greedy: the device does not reach its own memory");
}

static void steal(struct drv *d, uint64_t address)
{
	uint8_t *loot = d->dma;

	memset(loot, 0, PIECE);
	transfer(d, d->dma_bus[0], PIECE, 0);		/* the buffer is empty */
	transfer(d, address, PIECE, TO_MEMORY);
	transfer(d, address, PIECE, 0);
	transfer(d, d->dma_bus[0], PIECE, TO_MEMORY);
	if (!is_all(loot, 0) && !is_all(loot, 0xff))
		rt_panic("greedy: memory at %lx was read", address);
}

static bool is_in(const uint64_t *bus, uint64_t length, uint64_t address)
{
	for (uint64_t i = 0; i < length / K_PAGE_SIZE; i++)
		if (bus[i] == address)
			return true;
	return false;
}

static void try(struct drv *d, uint64_t address)
{
	if (!is_in(d->dma_bus, d->start.dma_length, address) &&
	    !is_in(d->control_bus, d->layout.length, address) &&
	    !is_in(d->data_bus, d->start.link.data_length, address))
		steal(d, address);
}

static void reach(struct drv *d)
{
	uint64_t pages = d->start.dma_length / K_PAGE_SIZE;

	for (uint64_t i = 1; i <= NEIGHBOURS; i++) {
		try(d, d->dma_bus[0] - i * K_PAGE_SIZE);
		try(d, d->dma_bus[pages - 1] + i * K_PAGE_SIZE);
	}
	try(d, LOW_MEMORY);
	transfer(d, INTERRUPTS, 4, TO_MEMORY);
	drv_log(d, RT_LOG_NOTICE, "nothing was reached");
}

static k_status_t start(struct drv *d)
{
	k_handle_t memory;
	void *base;
	k_status_t st = k_device_mmio(d->device, 0, &memory);

	if (st == K_OK)
		st = rt_map(memory, 0, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE, &base);
	if (st == K_OK)
		st = drv_dma_map(d);
	if (st == K_OK)
		st = k_bell_create(&pause_bell);
	if (st == K_OK)
		st = k_device_config_write(d->device, 0, PCI_COMMAND, 2,
					   COMMAND_MEMORY | COMMAND_MASTER);
	if (st != K_OK)
		return st;
	registers = base;
	use_own(d);
	reach(d);
	drv_offer(d, 0);
	return K_OK;
}

static void on_queue(struct drv *d, uint32_t queue)
{
	struct vq_segment segments[LINK_QUEUE_SIZE_MAX];
	struct vq_chain c = { .segments = segments };

	while (!d->broken && vq_device_take(&d->queue[queue], &c))
		vq_device_answer(&d->queue[queue], c.head, c.writable);
	drv_publish(d, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq };
