/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: configuration space, BARs, messages.
 *
 * Configuration space is reached through the memory window that ACPI names (ECAM),
 * one megabyte per bus, mapped when the bus is first asked about; without it through
 * the ports 0xcf8 and 0xcfc, which reach 256 bytes of each function.
 *
 * Where BARs lie is the firmware's decision; how large they are is found in pci_size.c.
 * The layout of MSI-X is in the PCI Local Bus specification 3.0, section 6.8.2.
 */

#include "arch/io.h"
#include "device_priv.h"
#include "kernel/boot_info.h"
#include "kernel/kmem.h"
#include "kernel/log.h"

#define PCI_COMMAND		0x04
#define   COMMAND_IO		(1u << 0)
#define   COMMAND_MEMORY	(1u << 1)
#define   COMMAND_MASTER	(1u << 2)
#define   COMMAND_INTX_OFF	(1u << 10)
#define PCI_STATUS		0x06
#define   STATUS_CAPABILITIES	(1u << 4)
#define PCI_CACHE_LINE		0x0c
#define PCI_LATENCY		0x0d
#define PCI_BAR			0x10
#define PCI_CAPABILITIES	0x34
#define PCI_LINE		0x3c
#define PCI_PIN			0x3d

#define CAPABILITY_MSI		0x05
#define CAPABILITY_EXPRESS	0x10
#define CAPABILITY_MSIX		0x11

#define EXPRESS_HAS_SLOT	(1u << 8)
#define SLOT_CONTROL		0x18
#define SLOT_STATUS		0x1a

#define MSI_ENABLE		(1u << 0)
#define MSI_COUNT		(7u << 4)	/* log2 of the messages enabled */
#define MSI_64BIT		(1u << 7)

#define MSIX_ENABLE		(1u << 15)
#define MSIX_MASK_ALL		(1u << 14)
#define MSIX_SIZE		0x7ffu
#define MSIX_ENTRY		16u
#define MSIX_MASKED		1u

/* -- configuration space ------------------------------------------------------------------------ */

static struct spinlock port_lock = SPINLOCK_INIT(LOCK_OBJECT);	/* 0xcf8 and 0xcfc as a pair */
static volatile uint8_t *_Atomic ecam_bus[256];	/* set once, under devices_mutex */

static uint32_t bus_of(uint32_t function)
{
	return (function >> 8) & 0xff;
}

/* The function's 4 KiB of the window; NULL: no window, or the bus is not in it. */
static volatile uint8_t *ecam_of(uint32_t function)
{
	uint32_t bus = bus_of(function);
	volatile uint8_t *map = atomic_load_explicit(&ecam_bus[bus], memory_order_acquire);

	return map ? map + ((function & 0xff) << 12) : NULL;
}

static bool bus_is_in_ecam(uint32_t bus)
{
	return boot_info.ecam_base && bus >= boot_info.ecam_first_bus &&
	       bus <= boot_info.ecam_last_bus;
}

static void map_bus(uint32_t bus)
{
	uint64_t base = boot_info.ecam_base + ((uint64_t)(bus - boot_info.ecam_first_bus) << 20);

	kmutex_lock(&devices_mutex);
	if (!ecam_bus[bus])
		ecam_bus[bus] = kernel_map(base, 1u << 20, K_PROT_READ | K_PROT_WRITE,
					   ARCH_UNCACHED);
	kmutex_unlock(&devices_mutex);
}

static uint32_t read_mmio(volatile uint8_t *at, uint32_t width)
{
	return width == 1 ? arch_mmio_read8(at) : width == 2 ? arch_mmio_read16(at)
							     : arch_mmio_read32(at);
}

static void write_mmio(volatile uint8_t *at, uint32_t width, uint32_t value)
{
	if (width == 1)
		arch_mmio_write8(at, (uint8_t)value);
	else if (width == 2)
		arch_mmio_write16(at, (uint16_t)value);
	else
		arch_mmio_write32(at, value);
}

static void select_port(uint32_t function, uint32_t offset)
{
	arch_port_write32(0xcf8, 1u << 31 | (function & 0xffff) << 8 | (offset & 0xfc));
}

uint32_t pci_read(uint32_t function, uint32_t offset, uint32_t width)
{
	volatile uint8_t *ecam = ecam_of(function);
	uint16_t port = (uint16_t)(0xcfc + (offset & 3));
	uint32_t value;

	if (ecam)
		return read_mmio(ecam + offset, width);
	spin_lock(&port_lock);
	select_port(function, offset);
	value = width == 1 ? arch_port_read8(port) : width == 2 ? arch_port_read16(port)
								: arch_port_read32(port);
	spin_unlock(&port_lock);
	return value;
}

void pci_write(uint32_t function, uint32_t offset, uint32_t width, uint32_t value)
{
	volatile uint8_t *ecam = ecam_of(function);
	uint16_t port = (uint16_t)(0xcfc + (offset & 3));

	if (ecam) {
		write_mmio(ecam + offset, width, value);
		return;
	}
	spin_lock(&port_lock);
	select_port(function, offset);
	if (width == 1)
		arch_port_write8(port, (uint8_t)value);
	else if (width == 2)
		arch_port_write16(port, (uint16_t)value);
	else
		arch_port_write32(port, value);
	spin_unlock(&port_lock);
}

/* Whether that register can be reached; maps the bus. */
static k_status_t check_register(uint32_t function, uint32_t offset, uint32_t width)
{
	uint32_t bus = bus_of(function);

	if ((width != 1 && width != 2 && width != 4) || offset % width)
		return K_ERR_BAD_ARGUMENT;
	if (function >> 16)		/* other segments: none has been seen */
		return K_ERR_NOT_FOUND;
	if (bus_is_in_ecam(bus)) {
		if (!ecam_of(function))
			map_bus(bus);
		if (!ecam_of(function))
			return K_ERR_NO_MEMORY;
		return offset < 4096 ? K_OK : K_ERR_BAD_ARGUMENT;
	}
	if (!boot_info.has_pci || boot_info.ecam_base)
		return K_ERR_NOT_FOUND;
	return offset < 256 ? K_OK : K_ERR_BAD_ARGUMENT;
}

k_status_t pci_config_read(uint32_t function, uint32_t offset, uint32_t width, uint32_t *value)
{
	k_status_t st = check_register(function, offset, width);

	if (st == K_OK)
		*value = pci_read(function, offset, width);
	return st;
}

/* The offset of capability @id, or 0.  A list that bites its tail ends after 48 steps. */
static uint8_t find_capability(uint32_t function, uint8_t id)
{
	uint8_t at;

	if (!(pci_read(function, PCI_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	at = pci_read(function, PCI_CAPABILITIES, 1) & 0xfc;
	for (unsigned int i = 0; at >= 0x40 && i < 48; i++) {
		uint32_t head = pci_read(function, at, 2);

		if ((head & 0xff) == id)
			return at;
		at = (head >> 8) & 0xfc;
	}
	return 0;
}

/* What drivers may write: for each such register the bits that are theirs. */
static const struct { uint8_t offset, width; uint16_t bits; } writable[] = {
	{ PCI_COMMAND, 2, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | 1u << 6 | 1u << 8 |
			  COMMAND_INTX_OFF },
	{ PCI_STATUS, 2, 0xf900 },	/* error bits, cleared by writing ones */
	{ PCI_CACHE_LINE, 1, 0xff },
	{ PCI_LATENCY, 1, 0xff },
};

/* The same of a port's slot (PCI Express base specification 3.0, 7.8.10 and 7.8.11). */
static uint32_t slot_bits(uint32_t function, uint32_t offset)
{
	uint32_t at = find_capability(function, CAPABILITY_EXPRESS);

	if (!at || !(pci_read(function, at + 2, 2) & EXPRESS_HAS_SLOT))
		return 0;
	return offset == at + SLOT_CONTROL ? 0x17ff :	/* all but the interlock */
	       offset == at + SLOT_STATUS ? 0x011f : 0;	/* events, cleared by writing ones */
}

k_status_t pci_config_write_filtered(uint32_t function, uint32_t offset, uint32_t width,
				     uint32_t value)
{
	k_status_t st = check_register(function, offset, width);
	uint32_t bits, keep;

	if (st != K_OK)
		return st;
	bits = width == 2 ? slot_bits(function, offset) : 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(writable); i++)
		if (writable[i].offset == offset && writable[i].width == width)
			bits = writable[i].bits;
	if (!bits)
		return K_ERR_ACCESS;
	/* Registers of status are second halves: what is written there is what is cleared. */
	keep = offset % 4 == 2 ? 0 : pci_read(function, offset, width);
	pci_write(function, offset, width, (keep & ~bits) | (value & bits));
	return K_OK;
}

void pci_start(void)
{
	if (boot_info.ecam_base)
		log_line(LOG_INFO, "pci: configuration space at %#llx, buses %u to %u",
			 (unsigned long long)boot_info.ecam_base, boot_info.ecam_first_bus,
			 boot_info.ecam_last_bus);
	else if (boot_info.has_pci)
		log_line(LOG_INFO, "pci: configuration space through ports");
	if (boot_info.ecam_base || boot_info.has_pci)
		pci_measure_all();
}

/* -- probing -------------------------------------------------------------------------------------- */

/* The window of BAR @i, which decodes the bits of @masks; returns how many slots it takes. */
static unsigned int probe_bar(struct device *device, const struct pci_bar_masks *masks,
			      unsigned int i, unsigned int count)
{
	uint32_t function = device->desc.function, offset = PCI_BAR + 4 * i;
	uint32_t low = pci_read(function, offset, 4);
	struct device_window *w = &device->window[i];
	uint64_t base, mask;
	bool wide = !(low & 1) && (low & 6) == 4 && i + 1 < count;

	mask = masks->bar[i];
	if (low & 1) {
		base = low & 0xfffc;
		mask = (mask & 0xfffc) | ~0xffffull;
	} else {
		base = low & 0xfffffff0;
		mask = (mask & 0xfffffff0) | ~0xffffffffull;
	}
	if (wide) {
		base |= (uint64_t)pci_read(function, offset + 4, 4) << 32;
		mask = (mask & 0xffffffff) | (uint64_t)masks->bar[i + 1] << 32;
	}
	/* Not implemented, or the firmware gave it no address: no window. */
	if (base && (mask & (low & 1 ? 0xfffc : ~0ull)) && ~mask + 1 && base % (~mask + 1) == 0)
		*w = (struct device_window){ .base = base, .length = ~mask + 1,
					     .usable = ~mask + 1, .is_port = low & 1 };
	return wide ? 2 : 1;
}

static void probe_bars(struct device *device)
{
	unsigned int count = pci_bar_count(device->desc.function);
	struct pci_bar_masks masks;

	pci_bar_masks_take(device->desc.function, &masks);
	for (unsigned int i = 0; i < count;)
		i += probe_bar(device, &masks, i, count);
}

static void probe_msix(struct device *device)
{
	uint32_t function = device->desc.function;
	struct device_pci *pci = &device->pci;
	uint32_t size = (pci_read(function, pci->msix + 2u, 2) & MSIX_SIZE) + 1;
	uint32_t where = pci_read(function, pci->msix + 4u, 4);
	struct device_window *w;
	uint64_t page;

	pci->msix_window = where & 7;
	pci->msix_offset = where & ~7u;
	w = &device->window[pci->msix_window % DEVICE_WINDOWS];
	if (pci->msix_window >= DEVICE_WINDOWS || w->is_port ||
	    !range_within(pci->msix_offset, (uint64_t)size * MSIX_ENTRY, w->length)) {
		pci->msix = 0;		/* a table that is nowhere: do without */
		return;
	}
	page = ALIGN_DOWN(w->base + pci->msix_offset, K_PAGE_SIZE);
	w->usable = page > w->base ? page - w->base : 0;
	device->irq_count = MIN(size, DEVICE_IRQS_MAX);
}

k_status_t pci_probe(struct device *device)
{
	uint32_t function = device->desc.function;
	struct device_pci *pci = &device->pci;
	uint32_t line;

	kassert_checks(kmutex_is_held(&devices_mutex));
	if ((pci_read(function, 0, 4) & 0xffff) == 0xffff)
		return K_ERR_NOT_FOUND;
	probe_bars(device);
	pci->msix = find_capability(function, CAPABILITY_MSIX);
	pci->msi = find_capability(function, CAPABILITY_MSI);
	if (pci->msix)
		probe_msix(device);
	line = pci_read(function, PCI_LINE, 1);
	pci->line = pci_read(function, PCI_PIN, 1) && line && line < 16 ? (uint8_t)line : 0xff;
	if (!pci->msix)
		device->irq_count = pci->msi || pci->line != 0xff;
	pci_quiesce(device);
	return K_OK;
}

void pci_quiesce(struct device *device)
{
	uint32_t function = device->desc.function;
	uint32_t command = pci_read(function, PCI_COMMAND, 2);
	struct device_pci *pci = &device->pci;

	if (!pci_is_bridge(function))	/* it does not master the bus, but lets others behind it do so */
		command &= ~COMMAND_MASTER;
	pci_write(function, PCI_COMMAND, 2, command | COMMAND_INTX_OFF);
	if (pci->msix)
		pci_write(function, pci->msix + 2u, 2,
			     pci_read(function, pci->msix + 2u, 2) & ~MSIX_ENABLE);
	if (pci->msi)
		pci_write(function, pci->msi + 2u, 2,
			     pci_read(function, pci->msi + 2u, 2) & ~MSI_ENABLE);
}

/* -- messages --------------------------------------------------------------------------------------- */

bool pci_has_messages(const struct device *device)
{
	return device->pci.msix || device->pci.msi;
}

static void write_entry(struct device *device, uint32_t index, uint64_t address, uint32_t data,
			uint32_t control)
{
	volatile uint8_t *entry = device->pci.msix_table + index * MSIX_ENTRY;

	arch_mmio_write32(entry + 12, MSIX_MASKED);
	arch_mmio_write32(entry, (uint32_t)address);
	arch_mmio_write32(entry + 4, (uint32_t)(address >> 32));
	arch_mmio_write32(entry + 8, data);
	arch_mmio_write32(entry + 12, control);
}

/* Map the table, mask all of it, and let the function use it. */
static k_status_t start_msix(struct device *device)
{
	struct device_pci *pci = &device->pci;
	uint32_t function = device->desc.function;
	uint32_t size = (pci_read(function, pci->msix + 2u, 2) & MSIX_SIZE) + 1;
	uint64_t base = device->window[pci->msix_window].base + pci->msix_offset;
	uint64_t first = ALIGN_DOWN(base, K_PAGE_SIZE);
	uint64_t end = ALIGN_UP(base + size * MSIX_ENTRY, K_PAGE_SIZE);
	volatile uint8_t *map;

	if (pci->msix_table)
		return K_OK;
	map = kernel_map(first, end - first, K_PROT_READ | K_PROT_WRITE, ARCH_UNCACHED);
	if (!map)
		return K_ERR_NO_MEMORY;
	pci->msix_table = map + (base - first);
	/* Memory decoding has to be on to reach the table; the driver may not have begun. */
	pci_write(function, PCI_COMMAND, 2,
		     pci_read(function, PCI_COMMAND, 2) | COMMAND_MEMORY | COMMAND_INTX_OFF);
	pci_write(function, pci->msix + 2u, 2, MSIX_ENABLE | MSIX_MASK_ALL);
	for (uint32_t i = 0; i < size; i++)
		write_entry(device, i, 0, 0, MSIX_MASKED);
	pci_write(function, pci->msix + 2u, 2, MSIX_ENABLE);
	return K_OK;
}

static void set_msi(struct device *device, const struct irq_message *message)
{
	uint32_t function = device->desc.function, at = device->pci.msi;
	uint32_t control = pci_read(function, at + 2, 2) & ~(MSI_COUNT | MSI_ENABLE);

	pci_write(function, at + 2, 2, control);
	pci_write(function, at + 4, 4, (uint32_t)message->address);
	if (control & MSI_64BIT)
		pci_write(function, at + 8, 4, (uint32_t)(message->address >> 32));
	pci_write(function, at + (control & MSI_64BIT ? 12 : 8), 2, message->data);
	pci_write(function, PCI_COMMAND, 2,
		     pci_read(function, PCI_COMMAND, 2) | COMMAND_INTX_OFF);
	pci_write(function, at + 2, 2, control | MSI_ENABLE);
}

k_status_t pci_message_set(struct device *device, uint32_t index, const struct irq_message *message)
{
	k_status_t st;

	if (!device->pci.msix) {
		set_msi(device, message);
		return K_OK;
	}
	st = start_msix(device);
	if (st == K_OK)
		write_entry(device, index, message->address, message->data, 0);
	return st;
}

void pci_message_clear(struct device *device, uint32_t index)
{
	uint32_t function = device->desc.function;
	struct device_pci *pci = &device->pci;

	if (pci->msix && pci->msix_table)
		write_entry(device, index, 0, 0, MSIX_MASKED);
	else if (!pci->msix)
		pci_write(function, pci->msi + 2u, 2,
			     pci_read(function, pci->msi + 2u, 2) & ~MSI_ENABLE);
}

void pci_line_enable(struct device *device)
{
	uint32_t function = device->desc.function;

	pci_write(function, PCI_COMMAND, 2,
		     pci_read(function, PCI_COMMAND, 2) & ~COMMAND_INTX_OFF);
}

void pci_unmap(struct device *device)
{
	volatile uint8_t *table = device->pci.msix_table;

	if (table)
		kernel_unmap((void *)ALIGN_DOWN((uintptr_t)table, K_PAGE_SIZE));
	device->pci.msix_table = NULL;
}
