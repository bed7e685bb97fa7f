/* SPDX-License-Identifier: MIT */
/*
 * Calls on devices.
 */

#include "kernel/device.h"
#include "arch/io.h"
#include "kernel/bell.h"
#include "kernel/console.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/* -- configuration space ------------------------------------------------------------------------- */

static k_status_t function_of(const struct device *device, uint32_t asked, uint32_t *function)
{
	switch (device->desc.kind) {
	case K_DEVICE_ROOT:
		*function = asked;
		return K_OK;
	case K_DEVICE_PCI:
		*function = device->desc.function;
		return K_OK;
	default:
		return K_ERR_NOT_FOUND;
	}
}

k_status_t kcall_device_config_read(struct thread *self, struct device *device, uint32_t function,
				    uint32_t offset, uint32_t width, uint64_t *value)
{
	uint32_t word;
	k_status_t st = function_of(device, function, &function);

	if (st == K_OK)
		st = pci_config_read(function, offset, width, &word);
	if (st == K_OK)
		*value = word;
	return st;
}

k_status_t kcall_device_config_write(struct thread *self, struct device *device,
				     uint32_t function, uint32_t offset, uint32_t width,
				     uint64_t value)
{
	k_status_t st = function_of(device, function, &function);

	if (st == K_OK)
		st = pci_config_write_filtered(function, offset, width, (uint32_t)value);
	return st;
}

/* -- objects ---------------------------------------------------------------------------------------- */

k_status_t kcall_device_create(struct thread *self, struct device *root,
			       const struct k_device_desc *desc, struct new_handle *device)
{
	struct device *fresh;
	k_status_t st;

	if (root->desc.kind != K_DEVICE_ROOT)
		return K_ERR_BAD_ARGUMENT;
	st = device_create(self->process->object.group, desc, &fresh);
	if (st != K_OK)
		return st;
	device->object = &fresh->object;
	device->rights = K_RIGHT_DUPLICATE | K_RIGHT_TRANSFER | K_RIGHT_READ | K_RIGHT_MANAGE;
	return K_OK;
}

k_status_t kcall_device_info(struct thread *self, struct device *device,
			     struct k_device_info *info)
{
	device_read(device, info);
	return K_OK;
}

k_status_t kcall_device_mmio(struct thread *self, struct device *device, uint32_t index,
			     struct new_handle *memory)
{
	struct memory *fresh;
	k_status_t st = device_mmio(device, index, &fresh);

	if (st != K_OK)
		return st;
	memory->object = &fresh->object;
	memory->rights = K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_MAP | K_RIGHT_DUPLICATE |
			 K_RIGHT_TRANSFER;
	return K_OK;
}

/* -- ports and registers ------------------------------------------------------------------------------ */

/*
 * The window that @offset names in its highest byte; the rest of it
 * becomes *@at, where @width bytes lie within what a driver may reach.
 */
static k_status_t window_at(const struct device *device, uint32_t offset, uint32_t width,
			    bool is_port, const struct device_window **window, uint32_t *at)
{
	uint32_t index = offset >> K_DEVICE_WINDOW_SHIFT;
	const struct device_window *w;

	offset &= (1u << K_DEVICE_WINDOW_SHIFT) - 1;
	if (index >= DEVICE_WINDOWS)
		return K_ERR_NOT_FOUND;
	w = &device->window[index];
	if (!w->length || w->is_port != is_port)
		return K_ERR_NOT_FOUND;
	if ((width != 1 && width != 2 && width != 4) ||
	    !range_within(offset, width, is_port ? w->length : w->usable))
		return K_ERR_BAD_ARGUMENT;
	*window = w;
	*at = offset;
	return K_OK;
}

static k_status_t port_of(const struct device *device, uint32_t offset, uint32_t width,
			  uint16_t *port)
{
	const struct device_window *w;
	uint32_t at;
	k_status_t st = window_at(device, offset, width, true, &w, &at);

	if (st == K_OK)
		*port = (uint16_t)(w->base + at);
	return st;
}

/* A register of a window that cannot be mapped; aligned, as its width decides what the device sees. */
static k_status_t register_of(const struct device *device, uint32_t offset, uint32_t width,
			      volatile uint8_t **reg)
{
	const struct device_window *w;
	uint32_t at;
	k_status_t st = window_at(device, offset, width, false, &w, &at);

	if (st != K_OK)
		return st;
	if (!w->registers)
		return K_ERR_NOT_FOUND;
	if ((w->base + at) % width)
		return K_ERR_BAD_ARGUMENT;
	*reg = w->registers + at;
	return K_OK;
}

k_status_t kcall_device_register_read(struct thread *self, struct device *device, uint32_t offset,
				      uint32_t width, uint64_t *value)
{
	volatile uint8_t *reg;
	k_status_t st = register_of(device, offset, width, &reg);

	if (st != K_OK)
		return st;
	*value = width == 1 ? *reg : width == 2 ? *(volatile uint16_t *)reg
						: *(volatile uint32_t *)reg;
	return K_OK;
}

k_status_t kcall_device_register_write(struct thread *self, struct device *device, uint32_t offset,
				       uint32_t width, uint64_t value)
{
	volatile uint8_t *reg;
	k_status_t st = register_of(device, offset, width, &reg);

	if (st != K_OK)
		return st;
	if (width == 1)
		*reg = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)reg = (uint16_t)value;
	else
		*(volatile uint32_t *)reg = (uint32_t)value;
	return K_OK;
}

k_status_t kcall_device_port_read(struct thread *self, struct device *device, uint32_t offset,
				  uint32_t width, uint64_t *value)
{
	uint16_t port;
	k_status_t st = port_of(device, offset, width, &port);

	if (st != K_OK)
		return st;
	*value = width == 1 ? arch_port_read8(port) : width == 2 ? arch_port_read16(port)
								 : arch_port_read32(port);
	return K_OK;
}

k_status_t kcall_device_port_write(struct thread *self, struct device *device, uint32_t offset,
				   uint32_t width, uint64_t value)
{
	uint16_t port;
	k_status_t st = port_of(device, offset, width, &port);

	if (st != K_OK)
		return st;
	if (width == 1)
		arch_port_write8(port, (uint8_t)value);
	else if (width == 2)
		arch_port_write16(port, (uint16_t)value);
	else
		arch_port_write32(port, (uint32_t)value);
	return K_OK;
}

k_status_t kcall_device_port_write_bytes(struct thread *self, struct device *device,
					 uint32_t offset, const struct kbytes *data,
					 uint64_t *written)
{
	uint8_t chunk[64];
	uint16_t port;
	k_status_t st = port_of(device, offset, 1, &port);

	*written = 0;
	if (st != K_OK)
		return st;
	if (data->length > K_PAGE_SIZE)		/* a FIFO's worth, not an afternoon's */
		return K_ERR_BAD_ARGUMENT;
	while (*written < data->length) {
		size_t n = MIN(sizeof(chunk), data->length - *written);

		if (!kbytes_read(data, *written, chunk, n))
			return K_ERR_BAD_ADDRESS;
		for (size_t i = 0; i < n; i++)
			arch_port_write8(port, chunk[i]);
		*written += n;
	}
	return K_OK;
}

/* -- the console ---------------------------------------------------------------------------------------- */

k_status_t kcall_device_console_take(struct thread *self, struct device *device, struct bell *bell,
				     uint64_t bits)
{
	return console_take(device, self->process, bell, bits);
}

k_status_t kcall_device_console_read(struct thread *self, struct device *device,
				     const struct kbytes *text, uint64_t *length)
{
	char line[K_LOG_LINE_MAX];
	size_t n = 0;
	k_status_t st;

	*length = 0;
	st = console_next(self->process, line, MIN(text->length, sizeof(line)), &n);
	if (st == K_OK && !kbytes_write(text, 0, line, n))
		return K_ERR_BAD_ADDRESS;
	*length = n;
	return st;
}

/* -- interrupts and DMA ------------------------------------------------------------------------------- */

k_status_t kcall_device_irq_bind(struct thread *self, struct device *device, uint32_t index,
				 struct bell *bell, uint64_t bits)
{
	return device_irq_bind(device, index, bell, bits);
}

k_status_t kcall_device_irq_ack(struct thread *self, struct device *device, uint32_t index)
{
	return device_irq_ack(device, index);
}

k_status_t kcall_device_dma_map(struct thread *self, struct device *device, struct memory *memory,
				const struct k_dma_range *range, const struct kbytes *addresses,
				uint64_t *count)
{
	uint64_t size = (range->length >> K_PAGE_SHIFT) * sizeof(uint64_t);
	uint64_t *list;
	k_status_t st;

	*count = 0;
	if (range->length >> K_PAGE_SHIFT > DEVICE_DMA_PAGES_MAX)
		return K_ERR_LIMIT;
	if (addresses->length < size)
		return K_ERR_BAD_ARGUMENT;
	list = kmalloc(size);
	if (!list)
		return K_ERR_NO_MEMORY;
	st = device_dma_map(device, memory, range, list);
	if (st == K_OK && !kbytes_write(addresses, 0, list, size)) {
		device_dma_unmap(device, range->dma_id);
		st = K_ERR_BAD_ADDRESS;
	}
	if (st == K_OK)
		*count = range->length >> K_PAGE_SHIFT;
	kfree(list);
	return st;
}

k_status_t kcall_device_dma_unmap(struct thread *self, struct device *device, uint64_t dma_id)
{
	device_dma_unmap(device, dma_id);
	return K_OK;
}
