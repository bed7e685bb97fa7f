/* SPDX-License-Identifier: MIT */
/*
 * How large a PCI function's BARs are.
 *
 * A BAR answers with the bits that it decodes after all ones were written to it (PCI
 * Local Bus 3.0, section 6.2.5.1); the function's decoding is off meanwhile.  That
 * changes what lies at physical addresses, and is done before the other processors
 * run: QEMU's emulation (seen with 7.2) ends with a segmentation fault when another
 * processor writes to its local APIC in the moment in which the map of memory changes.
 * No device has a driver yet, either, so nobody can be using what vanishes.
 *
 * What is measured here is kept until the device object of the function is made, which
 * takes it: a function that is plugged in later at the same place is measured again.
 */

#include "base/bitmap.h"
#include "device_priv.h"
#include "kernel/boot_info.h"

#define PCI_COMMAND		0x04
#define   COMMAND_DECODE	3u		/* of ports and of memory */
#define PCI_HEADER_TYPE		0x0e
#define   HEADER_MULTI		0x80u
#define PCI_BAR			0x10
#define PCI_SECONDARY_BUS	0x19

#define MEASURED_MAX	64

/* With devices_mutex; at the start there is nobody else. */
static struct measured {
	bool used;
	uint32_t function;
	struct pci_bar_masks masks;
} measured[MEASURED_MAX];

static uint32_t header_type(uint32_t function)
{
	return pci_read(function, PCI_HEADER_TYPE, 1) & ~HEADER_MULTI;
}

bool pci_is_bridge(uint32_t function)
{
	return header_type(function) == 1;
}

unsigned int pci_bar_count(uint32_t function)
{
	uint32_t type = header_type(function);

	return type == 0 ? 6 : type == 1 ? 2 : 0;
}

static void measure(uint32_t function, struct pci_bar_masks *masks)
{
	uint32_t command = pci_read(function, PCI_COMMAND, 2);
	unsigned int count = pci_bar_count(function);

	*masks = (struct pci_bar_masks){ 0 };
	pci_write(function, PCI_COMMAND, 2, command & ~COMMAND_DECODE);
	for (unsigned int i = 0; i < count; i++) {
		uint32_t offset = PCI_BAR + 4 * i, value = pci_read(function, offset, 4);

		pci_write(function, offset, 4, UINT32_MAX);
		masks->bar[i] = pci_read(function, offset, 4);
		pci_write(function, offset, 4, value);
	}
	pci_write(function, PCI_COMMAND, 2, command);
}

void pci_bar_masks_take(uint32_t function, struct pci_bar_masks *masks)
{
	kassert_checks(kmutex_is_held(&devices_mutex));
	for (unsigned int i = 0; i < MEASURED_MAX; i++) {
		if (!measured[i].used || measured[i].function != function)
			continue;
		*masks = measured[i].masks;
		measured[i].used = false;
		return;
	}
	measure(function, masks);
}

/* -- at the start: all that is there ----------------------------------------------------------- */

struct walk {
	uint64_t seen[BITMAP_WORDS(256)], todo[BITMAP_WORDS(256)];	/* buses */
	unsigned int found;
};

/* False: nothing answers there. */
static bool visit_function(struct walk *w, uint32_t function)
{
	uint32_t value;

	if (pci_config_read(function, 0, 4, &value) != K_OK || (value & 0xffff) == 0xffff)
		return false;
	if (pci_is_bridge(function)) {
		uint32_t bus = pci_read(function, PCI_SECONDARY_BUS, 1);

		if (!bitmap_test(w->seen, bus))
			bitmap_set(w->todo, bus);
	}
	if (w->found < MEASURED_MAX) {
		struct measured *m = &measured[w->found++];

		m->used = true;
		m->function = function;
		measure(function, &m->masks);
	}
	return true;
}

static void visit_bus(struct walk *w, uint32_t bus)
{
	for (uint32_t slot = 0; slot < 32; slot++) {
		uint32_t function = bus << 8 | slot << 3;

		if (!visit_function(w, function) ||
		    !(pci_read(function, PCI_HEADER_TYPE, 1) & HEADER_MULTI))
			continue;
		for (uint32_t i = 1; i < 8; i++)
			visit_function(w, function | i);
	}
}

void pci_measure_all(void)
{
	struct walk w = { .found = 0 };
	size_t bus = boot_info.ecam_base ? boot_info.ecam_first_bus : 0;

	bitmap_set(w.todo, bus);
	while ((bus = bitmap_next_set(w.todo, 256, 0)) < 256) {
		bitmap_clear(w.todo, bus);
		bitmap_set(w.seen, bus);
		visit_bus(&w, (uint32_t)bus);
	}
}
