/* SPDX-License-Identifier: MIT */
/*
 * Devices: what the boundary of a driver is made of.  What there is to test depends on
 * the machine; functions that are not there are passed over.
 */
#include "kernel/selftest.h"

#include "abi/status.h"
#include "base/util.h"
#include "kernel/bell.h"
#include "kernel/boot_info.h"
#include "kernel/device.h"
#include "kernel/log.h"
#include "kernel/memory.h"

static k_status_t make(const struct k_device_desc *desc, struct device **device)
{
	*device = NULL;
	return device_create(NULL, desc, device);
}

/* As if the last handle went. */
static void drop(struct device *device)
{
	device_close(&device->object);
	object_put(&device->object);
}

SELFTEST(devices_of_the_kernel_cannot_be_described)
{
	struct k_device_desc desc = { .kind = K_DEVICE_PORTS, .irq = UINT32_MAX, .name = "x" };
	static const uint16_t taken[] = { 0x20, 0xa1, 0x40, 0xcf8, 0xcff, 0xf4, 0x4d0 };
	struct device *device;

	for (unsigned int i = 0; i < ARRAY_SIZE(taken); i++) {
		desc.base = taken[i];
		desc.length = 1;
		check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	}
	desc.base = 0xcf0;
	desc.length = 9;		/* reaches into 0xcf8 */
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.base = 0xffff;
	desc.length = 2;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.length = 0;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);

	desc.kind = K_DEVICE_MMIO;
	for (uint32_t i = 0; i < boot_info.range_count; i++) {
		if (boot_info.ranges[i].type != BOOT_RAM)
			continue;
		desc.base = boot_info.ranges[i].base + boot_info.ranges[i].length - 8;
		desc.length = 16;
		check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	}
	desc.base = boot_info.lapic_base ? boot_info.lapic_base : 0xfee00000;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.base = UINT64_MAX - 4;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.base = 1ull << 60;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.kind = K_DEVICE_ROOT;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
	desc.kind = 99;
	check(make(&desc, &device) == K_ERR_BAD_ARGUMENT);
}

SELFTEST(a_resource_has_one_device_at_a_time)
{
	const struct k_device_desc desc = { .kind = K_DEVICE_MMIO, .base = 0xfe000200,
					    .length = 0x200, .irq = UINT32_MAX, .name = "a" };
	struct k_device_desc other = desc;
	struct device *a, *b;
	struct memory *memory;
	struct bell *bell;

	if (!check(make(&desc, &a) == K_OK))
		return;
	check(make(&desc, &b) == K_ERR_EXISTS);
	other.base += 0x1ff;
	check(make(&other, &b) == K_ERR_EXISTS);
	other.base += 1;		/* the next one in the same page */
	if (check(make(&other, &b) == K_OK))
		drop(b);
	check(device_mmio(a, 1, &memory) == K_ERR_NOT_FOUND);
	check(device_mmio(a, 99, &memory) == K_ERR_NOT_FOUND);
	check(device_mmio(a, 0, &memory) == K_ERR_ACCESS);
	if (check(bell_create(NULL, &bell) == K_OK)) {
		check(device_irq_bind(a, 0, bell, 1) == K_ERR_NOT_FOUND);
		check(device_irq_ack(a, 0) == K_ERR_NOT_FOUND);
		object_put(&bell->object);
	}
	drop(a);
	if (check(make(&desc, &a) == K_OK))
		drop(a);
}

SELFTEST(a_dma_mapping_outlives_the_driver_that_made_it)
{
	const struct k_device_desc desc = { .kind = K_DEVICE_MMIO, .base = 0xfe000200,
					    .length = 0x200, .irq = UINT32_MAX, .name = "a" };
	struct k_dma_range range = { .length = 2 * K_PAGE_SIZE, .dma_id = 7 };
	uint64_t first[2], again[2] = { 0 };
	struct memory *memory, *other;
	struct device *device;

	if (!check(memory_create(NULL, 4 * K_PAGE_SIZE, K_MEMORY_RESIDENT, &memory) == K_OK))
		return;
	if (!check(memory_create(NULL, 4 * K_PAGE_SIZE, K_MEMORY_RESIDENT, &other) == K_OK))
		goto put_memory;
	if (!check(make(&desc, &device) == K_OK))
		goto put_other;
	check(device_dma_map(device, memory, &range, first) == K_OK);
	/* A successor that says the same learns the same, and pins nothing twice. */
	check(device_dma_map(device, memory, &range, again) == K_OK);
	check(again[0] == first[0] && again[1] == first[1]);
	check(atomic_load(&memory->pins) == 2);
	check(device_dma_map(device, other, &range, again) == K_ERR_BAD_ARGUMENT);
	range.offset = K_PAGE_SIZE;
	check(device_dma_map(device, memory, &range, again) == K_ERR_BAD_ARGUMENT);
	range.offset = 0;
	range.length = K_PAGE_SIZE;
	check(device_dma_map(device, memory, &range, again) == K_ERR_BAD_ARGUMENT);
	drop(device);
	check(atomic_load(&memory->pins) == 0);
put_other:
	object_put(&other->object);
put_memory:
	object_put(&memory->object);
}

/* The first function with MSI-X on the first buses; UINT32_MAX: none. */
static uint32_t find_msix(struct device **out)
{
	for (uint32_t function = 0; function < 8 << 8; function++) {
		struct k_device_desc desc = { .kind = K_DEVICE_PCI, .function = function,
					      .name = "pci" };
		struct device *device;

		if (make(&desc, &device) != K_OK)
			continue;
		if (device->pci.msix) {
			*out = device;
			return function;
		}
		drop(device);
	}
	return UINT32_MAX;
}

static uint32_t config(uint32_t function, uint32_t offset, uint32_t width)
{
	uint32_t value = 0;

	check(pci_config_read(function, offset, width, &value) == K_OK);
	return value;
}

static void check_filter(struct device *device, uint32_t function)
{
	uint8_t msix = device->pci.msix;
	uint32_t command;

	for (uint32_t bar = 0x10; bar < 0x28; bar += 4)
		check(pci_config_write_filtered(function, bar, 4, 0xffffffff) == K_ERR_ACCESS);
	check(pci_config_write_filtered(function, 0x30, 4, 1) == K_ERR_ACCESS);
	/* Nothing of its capabilities: it is no port with a slot. */
	for (uint32_t at = 0x40; at < 0x100; at += 2)
		check(pci_config_write_filtered(function, at, 2, 0) == K_ERR_ACCESS);
	check(pci_config_write_filtered(function, msix + 2u, 2, 0) == K_ERR_ACCESS);
	check(pci_config_write_filtered(function, 4, 4, 7) == K_ERR_ACCESS);	/* and status */
	check(pci_config_write_filtered(function, 5, 2, 7) == K_ERR_BAD_ARGUMENT);
	check(pci_config_write_filtered(function, 4, 3, 7) == K_ERR_BAD_ARGUMENT);
	check(pci_config_write_filtered(function, 4096, 2, 7) == K_ERR_BAD_ARGUMENT);
	check(pci_config_write_filtered(function | 1u << 16, 4, 2, 7) == K_ERR_NOT_FOUND);
	command = config(function, 4, 2);
	check(!(command & 4));
	check(pci_config_write_filtered(function, 4, 2, command | 4) == K_OK);
	check(config(function, 4, 2) & 4);
}

SELFTEST(only_windows_of_whole_pages_are_mapped)
{
	static const struct { uint64_t base, length; bool mapped; } windows[] = {
		{ 0xfe001000, 0x1000, true }, { 0xfe001000, 0x3000, true },
		{ 0xfe001000, 0x0ffc, false }, { 0xfe001ffc, 0x1004, false },
		{ 0xfe001800, 0x1000, false }, { 0xfe001ffc, 8, false }, { 0xfe001001, 1, false },
	};
	struct k_device_desc desc = { .kind = K_DEVICE_MMIO, .irq = UINT32_MAX, .name = "w" };
	struct k_device_info info;
	struct memory *memory;
	struct device *device;

	for (unsigned int i = 0; i < ARRAY_SIZE(windows); i++) {
		k_status_t st;

		desc.base = windows[i].base;
		desc.length = windows[i].length;
		if (!check(make(&desc, &device) == K_OK))
			continue;
		device_read(device, &info);
		check(info.bars[0].length == desc.length && info.bars[0].shared == !windows[i].mapped);
		st = device_mmio(device, 0, &memory);
		if (check(st == (windows[i].mapped ? K_OK : K_ERR_ACCESS)) && st == K_OK) {
			check(memory->size == desc.length);
			object_put(&memory->object);
		}
		check((device->window[0].registers == NULL) == windows[i].mapped);
		drop(device);
	}
}

/* No page of the table can be had, and what can be had ends before it. */
static void check_windows(struct device *device)
{
	const struct device_pci *pci = &device->pci;
	struct memory *memory;

	for (uint32_t i = 0; i < DEVICE_WINDOWS; i++) {
		const struct device_window *w = &device->window[i];

		if (device_mmio(device, i, &memory) != K_OK) {
			check(!w->usable || w->is_port || w->registers);
			continue;
		}
		if (i == pci->msix_window)
			check(memory->size <= ALIGN_DOWN(w->base % K_PAGE_SIZE + pci->msix_offset,
							 K_PAGE_SIZE));
		object_put(&memory->object);
	}
}

SELFTEST(pci_functions_keep_to_themselves)
{
	struct device *device, *again;
	struct bell *bell;
	uint32_t function = find_msix(&device);
	uint32_t table;

	if (function == UINT32_MAX) {
		log_line(LOG_INFO, "selftest: no function with MSI-X here");
		return;
	}
	check(make(&device->desc, &again) == K_ERR_EXISTS);
	check_filter(device, function);
	check_windows(device);
	table = device->pci.msix;
	if (check(bell_create(NULL, &bell) == K_OK)) {
		check(device_irq_bind(device, device->irq_count, bell, 1) == K_ERR_NOT_FOUND);
		check(device_irq_bind(device, 0, bell, 1) == K_OK);
		check(device_irq_bind(device, 0, bell, 2) == K_OK);
		check(config(function, table + 2, 2) & 1u << 15);
		check(device_irq_ack(device, 0) == K_OK);
		object_put(&bell->object);
	}
	device_close(&device->object);
	check(!(config(function, 4, 2) & 4));			/* no bus mastering */
	check(!(config(function, table + 2, 2) & 1u << 15));	/* no messages */
	check(device_irq_bind(device, 0, NULL, 0) == K_ERR_NOT_FOUND);
	object_put(&device->object);
}
