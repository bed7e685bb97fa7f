/* SPDX-License-Identifier: MIT */
/* What PCI and memory mapped virtio devices share: virtio 1.1, 3.1. */
#include "base/string.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "virtio_hw_priv.h"

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128 };
enum { LEGACY_ALIGN = 4096, RING_ALIGN = 64 };

static void add_status(struct virtio_hw *hw, uint8_t bits)
{
	hw->ops->set_status(hw, hw->ops->status(hw) | bits);
}

/* Reset takes effect when the status reads zero; a device that never says so is broken. */
static bool reset(struct virtio_hw *hw)
{
	hw->ops->set_status(hw, 0);
	for (int tries = 0; tries < 1000; tries++) {
		if (hw->ops->status(hw) == 0)
			return true;
		(void)!k_thread_yield();
	}
	return false;
}

k_status_t virtio_hw_open(struct drv *d, struct virtio_hw *hw)
{
	k_status_t st;

	*hw = (struct virtio_hw){ .d = d };
	st = d->start.device.bus == BUS_PCI ? virtio_pci_open(hw) : virtio_mmio_open(hw);
	if (st != K_OK)
		return st;
	if (!reset(hw))
		return K_ERR_IO;
	add_status(hw, ACKNOWLEDGE);
	add_status(hw, DRIVER);
	st = drv_dma_map(d);
	return st == K_OK ? drv_irq_bind(d, 0) : st;
}

uint64_t virtio_hw_offered(struct virtio_hw *hw)
{
	uint64_t low = hw->ops->features(hw, 0);

	return hw->legacy ? low : low | (uint64_t)hw->ops->features(hw, 1) << 32;
}

k_status_t virtio_hw_choose(struct virtio_hw *hw, uint64_t features)
{
	uint64_t offered = virtio_hw_offered(hw);

	features &= offered;
	if (!hw->legacy) {
		if (!(offered & VIRTIO_F_VERSION_1))
			return K_ERR_NOT_SUPPORTED;
		features |= VIRTIO_F_VERSION_1 | (offered & VIRTIO_F_ACCESS_PLATFORM);
		hw->ops->set_features(hw, 1, (uint32_t)(features >> 32));
	}
	hw->ops->set_features(hw, 0, (uint32_t)features);
	hw->features = features;
	if (hw->legacy)
		return K_OK;
	add_status(hw, FEATURES_OK);
	if (hw->ops->status(hw) & FEATURES_OK)
		return K_OK;
	add_status(hw, FAILED);
	return K_ERR_NOT_SUPPORTED;
}

/* Whether DMA memory [@offset, @offset + @n) is in one piece for the device. */
static bool is_contiguous(const struct drv *d, uint64_t offset, uint64_t n)
{
	uint64_t first = offset / K_PAGE_SIZE, last = (offset + n - 1) / K_PAGE_SIZE;

	for (uint64_t p = first; p < last; p++)
		if (d->dma_bus[p + 1] != d->dma_bus[p] + K_PAGE_SIZE)
			return false;
	return true;
}

void *virtio_hw_dma(struct virtio_hw *hw, uint64_t n, uint64_t align, uint64_t *bus)
{
	struct drv *d = hw->d;
	uint64_t at = ALIGN_UP(hw->dma_used, align);

	if (!d->dma || !n)
		return NULL;
	while (range_within(at, n, d->start.dma_length) && !is_contiguous(d, at, n))
		at = ALIGN_UP(at + 1, (uint64_t)K_PAGE_SIZE);
	if (!range_within(at, n, d->start.dma_length))
		return NULL;
	hw->dma_used = at + n;
	*bus = d->dma_bus[at / K_PAGE_SIZE] + at % K_PAGE_SIZE;
	return (char *)d->dma + at;
}

k_status_t virtio_hw_queue(struct virtio_hw *hw, uint32_t i, uint32_t size)
{
	uint64_t align = hw->legacy ? LEGACY_ALIGN : RING_ALIGN, bus;
	uint32_t max = i < VIRTIO_HW_QUEUES ? hw->ops->queue_max(hw, i) : 0;
	struct vq_driver_slot *slots;
	struct vring_layout l;
	struct vring ring;
	void *memory;

	if (!max)
		return K_ERR_NOT_FOUND;
	max = MIN(max, 32768u);
	size = MIN(size, 1u << log2_u64(max));
	l = vring_layout(size, align);
	memory = virtio_hw_dma(hw, l.length, align, &bus);
	slots = rt_alloc(size * sizeof(*slots));
	if (!memory || !slots)
		return K_ERR_NO_MEMORY;
	memset(memory, 0, l.length);
	ring = vring_at(memory, size, align);
	vq_driver_init(&hw->queue[i], &ring, slots);
	hw->ops->queue_enable(hw, i, size, bus, bus + l.avail, bus + l.used);
	hw->queue_count = MAX(hw->queue_count, i + 1);
	return K_OK;
}

void virtio_hw_run(struct virtio_hw *hw)
{
	add_status(hw, DRIVER_OK);
}

void virtio_hw_publish(struct virtio_hw *hw, uint32_t i)
{
	if (vq_driver_publish(&hw->queue[i]))
		hw->ops->notify(hw, i);
}

void virtio_hw_config(struct virtio_hw *hw, void *dst, size_t n)
{
	uint8_t *p = dst;
	uint32_t before;

	for (int tries = 0; tries < 16; tries++) {
		before = hw->ops->config_generation(hw);
		for (size_t i = 0; i < n; i++)
			p[i] = i < hw->config_length ? hw->ops->config_byte(hw, (uint32_t)i) : 0;
		if (hw->ops->config_generation(hw) == before)
			return;
	}
}
