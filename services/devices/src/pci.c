/* SPDX-License-Identifier: MIT */
/*
 * PCI: bus by bus from bus 0, through bridges as firmware numbered them.  A bus is
 * visited once, so that bridges that point at each other end the walk.
 */
#include "base/bitmap.h"
#include "base/format.h"
#include "devices.h"
#include "rt/process.h"

enum { VENDOR = 0x00, CLASS = 0x08, HEADER_TYPE = 0x0e, SECONDARY_BUS = 0x19 };
enum { HEADER_MULTI = 0x80, HEADER_BRIDGE = 1 };

static uint64_t seen[BITMAP_WORDS(256)], todo[BITMAP_WORDS(256)];

static uint32_t config(uint32_t function, uint32_t offset, uint32_t width)
{
	uint64_t v;

	return k_device_config_read(devices.root, function, offset, width, &v) == K_OK ?
		(uint32_t)v : ~0u;
}

static void found(uint32_t function, uint32_t id)
{
	struct component_device d = {
		.bus = BUS_PCI, .vendor = id & 0xffff, .device = id >> 16,
		.class_code = config(function, CLASS, 4) >> 8,
		.desc = { .kind = K_DEVICE_PCI, .function = function, .irq = ~0u },
	};

	snprintf(d.desc.name, sizeof(d.desc.name), "pci %02x:%02x.%x", function >> 8 & 0xff,
		 function >> 3 & 31, function & 7);
	report(&d);
}

static bool function_scan(uint32_t function)
{
	uint32_t id = config(function, VENDOR, 4), bus;

	if ((id & 0xffff) == 0xffff)
		return false;
	if ((config(function, HEADER_TYPE, 1) & 0x7f) == HEADER_BRIDGE) {
		bus = config(function, SECONDARY_BUS, 1);
		if (bus < 256 && !bitmap_test(seen, bus))
			bitmap_set(todo, bus);
	}
	found(function, id);
	return true;
}

static void bus_scan(uint32_t bus)
{
	for (uint32_t slot = 0; slot < 32; slot++) {
		uint32_t function = bus << 8 | slot << 3;

		if (!function_scan(function) || !(config(function, HEADER_TYPE, 1) & HEADER_MULTI))
			continue;
		for (uint32_t i = 1; i < 8; i++)
			function_scan(function | i);
	}
}

void pci_scan(void)
{
	size_t bus = devices.start.machine.ecam_first_bus;

	if (!devices.start.machine.has_pci)
		return;
	bitmap_set(todo, bus);
	while ((bus = bitmap_next_set(todo, 256, 0)) < 256) {
		bitmap_clear(todo, bus);
		bitmap_set(seen, bus);
		bus_scan((uint32_t)bus);
	}
}
