/* SPDX-License-Identifier: MIT */
/*
 * Devices: register windows, interrupts and DMA as objects that a driver process can
 * be given, and nothing else with them.
 *
 * The root device makes the others from descriptions; whoever holds it (init) decides
 * who drives what.  A device is open from its creation until its last handle goes;
 * then the function is quiet (no bus mastering), its interrupts are unbound, its
 * DMA memory is out of its reach and unpinned, and the same resources can be described again.
 *
 * What a driver cannot do with its handle, because it would reach beyond its device:
 * move a BAR, write MSI or MSI-X registers (that is, raise interrupts that are not
 * its own), see pages of the MSI-X table, name physical addresses that are memory or
 * belong to another device or to the kernel; and, where there is an IOMMU, have its
 * device read or write memory that was not mapped for it.  Without one a device that masters
 * the bus can still be told to read and write any memory.
 *
 * A window that is not made of whole pages shares one with whatever else the board
 * put there (the virtio-mmio devices of microvm are eight to a page).  Who maps it
 * would reach its neighbours, so that it is never mapped for a driver: the kernel
 * maps it for itself, and reads and writes single registers on demand (decision 0005).
 *
 * Invariants, under the devices' mutex:
 *
 *   (1) The windows of open devices do not overlap each other, memory, or the
 *       interrupt controllers; ports that the kernel uses belong to no device.
 *   (2) A closed device has no bound interrupt and no pinned memory.
 */

#include "kernel/device.h"

#include "arch/iommu.h"
#include "base/string.h"
#include "device_priv.h"
#include "kernel/boot_info.h"
#include "kernel/kmem.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/panic.h"

struct kmutex devices_mutex = KMUTEX_INIT(devices_mutex, LOCK_DEVICES);
struct device *root_device;

static struct list devices = LIST_INIT(devices);	/* devices_mutex; struct device.link */

/* Ports of the interrupt controllers, the timer, PCI configuration, and debug exit. */
static const struct { uint16_t first, last; } kernel_ports[] = {
	{ 0x20, 0x21 }, { 0x40, 0x43 }, { 0xa0, 0xa1 }, { 0xf4, 0xf4 }, { 0x4d0, 0x4d1 },
	{ 0xcf8, 0xcff },
};

static bool overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	return a_length && b_length && a <= b + (b_length - 1) && b <= a + (a_length - 1);
}

/* -- what descriptions may name ---------------------------------------------------------------- */

static bool is_kernels(const struct device_window *w)
{
	if (w->is_port) {
		for (unsigned int i = 0; i < ARRAY_SIZE(kernel_ports); i++)
			if (overlap(w->base, w->length, kernel_ports[i].first,
				    kernel_ports[i].last - kernel_ports[i].first + 1u))
				return true;
		return false;
	}
	for (uint32_t i = 0; i < boot_info.range_count; i++)
		if (boot_info.ranges[i].type != BOOT_RESERVED &&
		    overlap(w->base, w->length, boot_info.ranges[i].base,
			    boot_info.ranges[i].length))
			return true;
	for (uint32_t i = 0; i < boot_info.ioapic_count; i++)
		if (overlap(w->base, w->length, boot_info.ioapics[i].base, K_PAGE_SIZE))
			return true;
	for (uint32_t i = 0; i < boot_info.iommu_count; i++)
		if (overlap(w->base, w->length, boot_info.iommus[i], K_PAGE_SIZE))
			return true;
	if (boot_info.ecam_base &&
	    overlap(w->base, w->length, boot_info.ecam_base,
		    (uint64_t)(boot_info.ecam_last_bus - boot_info.ecam_first_bus + 1) << 20))
		return true;
	return overlap(w->base, w->length, boot_info.lapic_base, K_PAGE_SIZE);
}

static bool is_taken(const struct device_window *w)
{
	const struct device *d;

	list_for_each_entry(d, &devices, link)
		for (unsigned int i = 0; i < DEVICE_WINDOWS; i++)
			if (d->window[i].is_port == w->is_port &&
			    overlap(w->base, w->length, d->window[i].base, d->window[i].length))
				return true;
	return false;
}

static bool desc_is_valid(const struct k_device_desc *desc)
{
	uint64_t end;

	if (!memchr(desc->name, 0, sizeof(desc->name)))
		return false;
	if (desc->kind == K_DEVICE_PCI)
		return true;
	if (desc->irq_flags & ~(IRQ_LEVEL | IRQ_ACTIVE_LOW))
		return false;
	if (!desc->length || !add_u64(desc->base, desc->length, &end))
		return false;
	return desc->kind == K_DEVICE_MMIO ? end <= ARCH_MAX_PADDR
					   : desc->kind == K_DEVICE_PORTS && end <= 0x10000;
}

static k_status_t find_resources(struct device *device)
{
	const struct k_device_desc *desc = &device->desc;
	const struct device *d;

	if (desc->kind == K_DEVICE_PCI) {
		list_for_each_entry(d, &devices, link)
			if (d->desc.kind == K_DEVICE_PCI && d->desc.function == desc->function)
				return K_ERR_EXISTS;
		return pci_probe(device);
	}
	device->window[0] = (struct device_window){
		.base = desc->base, .length = desc->length, .usable = desc->length,
		.is_port = desc->kind == K_DEVICE_PORTS,
	};
	device->irq_count = desc->irq != UINT32_MAX;
	return K_OK;
}

/* Not made of whole pages: it cannot be mapped without its neighbours. */
static bool shares_pages(const struct device_window *w)
{
	return !w->is_port && w->usable && (w->base | w->usable) % K_PAGE_SIZE != 0;
}

static k_status_t map_registers(struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_WINDOWS; i++) {
		struct device_window *w = &device->window[i];
		uint64_t first = ALIGN_DOWN(w->base, K_PAGE_SIZE);
		uint8_t *pages;

		if (!shares_pages(w))
			continue;
		pages = kernel_map(first, ALIGN_UP(w->base + w->usable, K_PAGE_SIZE) - first,
				   K_PROT_READ | K_PROT_WRITE, ARCH_UNCACHED);
		if (!pages)
			return K_ERR_NO_MEMORY;
		w->registers = pages + w->base % K_PAGE_SIZE;
	}
	return K_OK;
}

static void unmap_registers(struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_WINDOWS; i++) {
		struct device_window *w = &device->window[i];

		if (w->registers)
			kernel_unmap((void *)(w->registers - w->base % K_PAGE_SIZE));
		w->registers = NULL;
	}
}

static k_status_t check_windows(const struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_WINDOWS; i++) {
		if (!device->window[i].length)
			continue;
		if (is_kernels(&device->window[i]))
			return K_ERR_BAD_ARGUMENT;
		if (is_taken(&device->window[i]))
			return K_ERR_EXISTS;
	}
	return K_OK;
}

/* -- life ----------------------------------------------------------------------------------------- */

static struct device *device_alloc(const struct k_device_desc *desc)
{
	struct device *device = kzalloc(sizeof(*device));

	if (!device)
		return NULL;
	device->desc = *desc;
	list_init(&device->dma);
	list_init(&device->link);
	return device;
}

static k_status_t open_locked(struct device *device, struct group *group)
{
	k_status_t st;

	st = find_resources(device);
	if (st == K_OK)
		st = check_windows(device);
	if (st == K_OK)
		st = map_registers(device);
	if (st != K_OK)
		return st;
	device->irqs = kcalloc(device->irq_count, sizeof(device->irqs[0]));
	if (!device->irqs && device->irq_count)
		return K_ERR_NO_MEMORY;
	for (uint32_t i = 0; i < device->irq_count; i++)
		device_irq_init(device, &device->irqs[i]);
	if (device->desc.kind == K_DEVICE_PCI) {
		st = arch_iommu_open(device->desc.function, device->desc.name, group,
				     &device->domain);
		if (st != K_OK)
			return st;
	}
	st = object_init(&device->object, K_TYPE_DEVICE, group,
			 (uint32_t)(sizeof(*device) + device->irq_count * sizeof(device->irqs[0])));
	if (st != K_OK) {
		arch_iommu_close(device->domain);
		return st;
	}
	list_add_last(&devices, &device->link);
	return K_OK;
}

k_status_t device_create(struct group *group, const struct k_device_desc *desc,
			 struct device **out)
{
	struct device *device;
	uint32_t ids;
	k_status_t st;

	if (!desc_is_valid(desc))
		return K_ERR_BAD_ARGUMENT;
	if (desc->kind == K_DEVICE_PCI) {
		st = pci_config_read(desc->function, 0, 4, &ids);
		if (st != K_OK)
			return st;
	}
	device = device_alloc(desc);
	if (!device)
		return K_ERR_NO_MEMORY;
	kmutex_lock(&devices_mutex);
	st = open_locked(device, group);
	kmutex_unlock(&devices_mutex);
	if (st != K_OK) {
		unmap_registers(device);
		kfree(device->irqs);
		kfree(device);
		return st;
	}
	*out = device;
	return K_OK;
}

void device_close(struct object *object)
{
	struct device *device = container_of(object, struct device, object);

	if (device->desc.kind == K_DEVICE_ROOT)
		return;
	kmutex_lock(&devices_mutex);
	if (!device->closed) {
		if (device->desc.kind == K_DEVICE_PCI)
			pci_quiesce(device);
		device_irqs_unbind(device);
		device_dma_unmap_all(device);
		arch_iommu_close(device->domain);
		pci_unmap(device);
		list_remove(&device->link);
		device->closed = true;
	}
	kmutex_unlock(&devices_mutex);
}

void device_destroy(struct object *object)
{
	struct device *device = container_of(object, struct device, object);

	device_close(object);		/* no handle was ever made, or only after the close */
	unmap_registers(device);	/* not earlier: calls under way use them */
	kfree(device->irqs);
	kfree(device);
}

void device_start(void)
{
	static const struct k_device_desc desc = { .kind = K_DEVICE_ROOT, .name = "root" };

	root_device = device_alloc(&desc);
	if (!root_device || object_init(&root_device->object, K_TYPE_DEVICE, NULL, 0) != K_OK)
		panic("no memory for the root device");
	arch_iommu_start(&boot_info);
	pci_start();
}

/* -- looking -------------------------------------------------------------------------------------- */

static void read_pci_ids(const struct device *device, struct k_device_info *info)
{
	uint32_t ids = 0, class = 0, subsystem = 0;
	uint32_t function = device->desc.function;

	/* A function that was there and is not any more reads as ones. */
	if (pci_config_read(function, 0x00, 4, &ids) != K_OK ||
	    pci_config_read(function, 0x08, 4, &class) != K_OK ||
	    pci_config_read(function, 0x2c, 4, &subsystem) != K_OK)
		return;
	info->vendor = ids & 0xffff;
	info->device_id = ids >> 16;
	info->class_code = class >> 8;
	info->revision = class & 0xff;
	info->subsystem_vendor = subsystem & 0xffff;
	info->subsystem_id = subsystem >> 16;
}

void device_read(const struct device *device, struct k_device_info *info)
{
	*info = (struct k_device_info){
		.koid = device->object.koid,
		.kind = device->desc.kind,
		.function = device->desc.function,
		.irqs = device->irq_count,
		.is_confined = device->desc.kind == K_DEVICE_PCI && arch_iommu_is_on(),
	};
	strlcpy(info->name, device->desc.name, sizeof(info->name));
	for (unsigned int i = 0; i < DEVICE_WINDOWS; i++) {
		const struct device_window *w = &device->window[i];

		info->bars[i].length = w->length;
		info->bars[i].is_port = w->is_port;
		info->bars[i].shared = shares_pages(w);
		info->mmio_count += w->length && !w->is_port;
	}
	if (device->desc.kind == K_DEVICE_PCI)
		read_pci_ids(device, info);
}

k_status_t device_mmio(struct device *device, uint32_t index, struct memory **memory)
{
	const struct device_window *w;

	if (index >= DEVICE_WINDOWS)
		return K_ERR_NOT_FOUND;
	w = &device->window[index];
	if (!w->length || w->is_port || !w->usable)
		return K_ERR_NOT_FOUND;
	if (shares_pages(w))
		return K_ERR_ACCESS;
	return memory_create_physical(w->base, w->usable, ARCH_UNCACHED, memory);
}
