/* SPDX-License-Identifier: MIT */
/*
 * Memory that a device reaches by itself.
 *
 * Mapping pins the pages and tells their addresses, which are physical.  Where there is
 * an IOMMU, these are all that the device's domain has, and what was not mapped is out of
 * its reach (arch/iommu.h); without one nothing keeps a device to them.  Memory
 * stays pinned until it is unmapped or the device closes, after bus mastering was
 * switched off: a driver that dies leaves its mappings, as the device goes on using
 * them, and its successor maps the same again to learn the addresses.
 *
 * Memory is unpinned when the device cannot reach it any more.  If the IOMMU does not say
 * so, it stays as it is for ever: lost, but not somebody else's.
 */

#include "arch/iommu.h"
#include "device_priv.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/memory.h"

struct device_dma {
	struct list link;		/* devices_mutex */
	uint64_t id;			/* constant, and all below */
	struct memory *memory;		/* referenced */
	uint64_t offset, count;
	paddr_t pages[];
};

static struct device_dma *find(struct device *device, uint64_t id)
{
	struct device_dma *dma;

	list_for_each_entry(dma, &device->dma, link)
		if (dma->id == id)
			return dma;
	return NULL;
}

static void destroy(struct device *device, struct device_dma *dma)
{
	if (device->object.group)
		group_uncharge_bytes(device->object.group,
				     sizeof(*dma) + dma->count * sizeof(dma->pages[0]));
	object_put(&dma->memory->object);
	kfree(dma);
}

/* The device may still reach it: it stays referenced and pinned for ever. */
static k_status_t lose(const struct device *device, const struct device_dma *dma)
{
	log_line(LOG_ERR, "%s: %llu KiB of DMA memory are lost", device->desc.name,
		 (unsigned long long)(dma->count << K_PAGE_SHIFT >> 10));
	return K_ERR_IO;
}

static k_status_t create(struct device *device, struct memory *memory,
			 const struct k_dma_range *range, struct device_dma **out)
{
	uint64_t count = range->length >> K_PAGE_SHIFT;
	size_t size = sizeof(struct device_dma) + count * sizeof(paddr_t);
	struct device_dma *dma;
	k_status_t st;

	if (device->object.group && !group_charge_bytes(device->object.group, size))
		return K_ERR_NO_MEMORY;
	dma = kmalloc(size);
	if (!dma) {
		if (device->object.group)
			group_uncharge_bytes(device->object.group, size);
		return K_ERR_NO_MEMORY;
	}
	object_get(&memory->object);
	dma->id = range->dma_id;
	dma->memory = memory;
	dma->offset = range->offset;
	dma->count = count;
	st = memory_pin(memory, range->offset, range->length, dma->pages);
	if (st == K_OK && device->domain) {
		st = arch_iommu_map(device->domain, dma->pages, count);
		if (st == K_ERR_IO)
			return lose(device, dma);
		if (st != K_OK)
			memory_unpin(memory, dma->pages, count);
	}
	if (st != K_OK) {
		destroy(device, dma);
		return st;
	}
	*out = dma;
	return K_OK;
}

static void unmap(struct device *device, struct device_dma *dma)
{
	list_remove(&dma->link);
	if (device->domain && !arch_iommu_unmap(device->domain, dma->pages, dma->count)) {
		(void)!lose(device, dma);
		return;
	}
	memory_unpin(dma->memory, dma->pages, dma->count);
	destroy(device, dma);
}

static bool is_same(const struct device_dma *dma, const struct memory *memory,
		    const struct k_dma_range *range)
{
	return dma->memory == memory && dma->offset == range->offset &&
	       dma->count == range->length >> K_PAGE_SHIFT;
}

/* Find the mapping of that id, or make it. */
static k_status_t map(struct device *device, struct memory *memory,
		      const struct k_dma_range *range, struct device_dma **out)
{
	k_status_t st;

	if (device->closed)
		return K_ERR_BAD_ARGUMENT;
	*out = find(device, range->dma_id);
	if (*out)
		return is_same(*out, memory, range) ? K_OK : K_ERR_BAD_ARGUMENT;
	st = create(device, memory, range, out);
	if (st == K_OK)
		list_add_last(&device->dma, &(*out)->link);
	return st;
}

k_status_t device_dma_map(struct device *device, struct memory *memory,
			  const struct k_dma_range *range, uint64_t *addresses)
{
	struct device_dma *dma;
	k_status_t st;

	if (!range->length || range->length % K_PAGE_SIZE || range->offset % K_PAGE_SIZE)
		return K_ERR_BAD_ARGUMENT;
	if (range->length >> K_PAGE_SHIFT > DEVICE_DMA_PAGES_MAX)
		return K_ERR_LIMIT;
	kmutex_lock(&devices_mutex);
	st = map(device, memory, range, &dma);
	for (uint64_t i = 0; st == K_OK && i < dma->count; i++)
		addresses[i] = dma->pages[i];
	kmutex_unlock(&devices_mutex);
	return st;
}

void device_dma_unmap(struct device *device, uint64_t dma_id)
{
	struct device_dma *dma;

	kmutex_lock(&devices_mutex);
	dma = find(device, dma_id);
	if (dma)
		unmap(device, dma);
	kmutex_unlock(&devices_mutex);
}

void device_dma_unmap_all(struct device *device)
{
	struct device_dma *dma;

	while ((dma = list_first_entry(&device->dma, struct device_dma, link)))
		unmap(device, dma);
}
