/* SPDX-License-Identifier: MIT */
/* What PCI and memory mapped virtio devices share: virtio 1.1, 3.1. */
#include "base/string.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "drv/die.h"
#include "virtio_hw_priv.h"

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64,
       FAILED = 128 };
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
	if (st == K_OK)
		st = drv_dma_map(d);
	return st == K_OK ? drv_irq_bind(d, 0) : st;
}

void virtio_hw_watch_config(struct virtio_hw *hw)
{
	if (hw->message_interrupts && drv_irq_bind(hw->d, VIRTIO_HW_CONFIG_IRQ) == K_OK)
		hw->config_entry = VIRTIO_HW_CONFIG_IRQ;
}

k_status_t virtio_hw_reset(struct virtio_hw *hw)
{
	if (!reset(hw))
		return K_ERR_IO;
	add_status(hw, ACKNOWLEDGE);
	add_status(hw, DRIVER);
	return K_OK;
}

void virtio_hw_begin(struct virtio_hw *hw)
{
	struct record *r = hw->d->record;

	r->phase = RECORD_SETUP;
	/* What the record says of rings holds only while it says LIVE. */
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->piece_count = 0;
	r->queue_count = 0;
	hw->adopting = false;
	hw->dma_used = 0;
	hw->pieces = 0;
	hw->queue_count = 0;
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
	/* The emulator can have it reach memory directly, whatever the IOMMU says. */
	if (hw->is_confined && !(features & VIRTIO_F_ACCESS_PLATFORM))
		drv_log(hw->d, RT_LOG_WARNING, "the device is not behind the IOMMU: trusted with DMA");
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

/* Put the piece on record, or see that it is there. */
static bool note_piece(struct virtio_hw *hw, uint64_t at, uint64_t n)
{
	struct record *r = hw->d->record;
	struct record_piece *piece = &r->pieces[hw->pieces];

	if (hw->pieces == RECORD_PIECES)
		return false;
	if (hw->adopting)
		return hw->pieces++ < r->piece_count && piece->offset == at && piece->length == n;
	*piece = (struct record_piece){ at, n };
	r->piece_count = ++hw->pieces;
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
	if (!range_within(at, n, d->start.dma_length) || !note_piece(hw, at, n))
		return NULL;
	hw->dma_used = at + n;
	*bus = d->dma_bus[at / K_PAGE_SIZE] + at % K_PAGE_SIZE;
	if (!hw->adopting)
		memset((char *)d->dma + at, 0, n);
	return (char *)d->dma + at;
}

static uint64_t ring_align(const struct virtio_hw *hw)
{
	return hw->legacy ? LEGACY_ALIGN : RING_ALIGN;
}

/*
 * A ring begins at a page, so that its used part lies within one.  Behind an IOMMU, QEMU (7.2 at least)
 * writes an entry that crosses the end of a page by halves, and the second half, which says how much
 * was written, elsewhere.
 */
static void *ring_memory(struct virtio_hw *hw, uint64_t length, uint64_t *bus)
{
	return virtio_hw_dma(hw, length, K_PAGE_SIZE, bus);
}

static struct record_ring *ring_record(struct virtio_hw *hw, uint32_t i)
{
	return record_ring(&hw->d->start.link, hw->d->record, i);
}

k_status_t virtio_hw_queue(struct virtio_hw *hw, uint32_t i, uint32_t size)
{
	uint32_t max = i < hw->d->layout.queue_count ? hw->ops->queue_max(hw, i) : 0;
	struct vq_driver_slot *slots;
	struct record_ring *record;
	struct vring_layout l;
	struct vring ring;
	uint64_t bus;
	void *memory;

	if (!max)
		return K_ERR_NOT_FOUND;
	max = MIN(max, RECORD_RING_MAX);
	size = MIN(size, 1u << log2_u64(max));
	l = vring_layout(size, ring_align(hw));
	memory = ring_memory(hw, l.length, &bus);
	slots = rt_alloc(size * sizeof(*slots));
	if (!memory || !slots)
		return K_ERR_NO_MEMORY;
	record = ring_record(hw, i);
	memset(record, 0, sizeof(*record));
	record->size = size;
	ring = vring_at(memory, size, ring_align(hw));
	vq_driver_init(&hw->queue[i], &ring, slots);
	hw->queue[i].step = drv_step;
	hw->ops->queue_enable(hw, i, size, bus, bus + l.avail, bus + l.used);
	hw->queue_count = MAX(hw->queue_count, i + 1);
	return K_OK;
}

void virtio_hw_run(struct virtio_hw *hw)
{
	struct record *r = hw->d->record;

	add_status(hw, DRIVER_OK);
	r->features = hw->features;
	r->queue_count = hw->queue_count;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->phase = RECORD_LIVE;
	drv_step();
}

void virtio_hw_publish(struct virtio_hw *hw, uint32_t i)
{
	if (drv_is_deaf() || !vq_driver_publish(&hw->queue[i]))
		return;
	drv_step();
	if (!drv_is_silent())
		hw->ops->notify(hw, i);
	drv_step();
}

/* -- succession ---------------------------------------------------------------------------- */

bool virtio_hw_has_past(const struct virtio_hw *hw)
{
	return hw->d->record->phase == RECORD_LIVE;
}

bool virtio_hw_is_live(struct virtio_hw *hw)
{
	return virtio_hw_has_past(hw) &&
	       (hw->ops->status(hw) & (DRIVER_OK | NEEDS_RESET | FAILED)) == DRIVER_OK;
}

void virtio_hw_adopt(struct virtio_hw *hw)
{
	hw->adopting = true;
	hw->features = hw->d->record->features;
	hw->queue_count = hw->d->record->queue_count;
}

void virtio_hw_note(struct virtio_hw *hw, uint32_t i, uint16_t head, uint16_t request)
{
	struct record_ring *r = ring_record(hw, i);
	struct record_chain *c = &r->chains[head];

	c->counter = 0;
	atomic_signal_fence(memory_order_release);
	c->position = r->added;
	c->head = request;
	c->count = hw->queue[i].slots[head].count;
	atomic_signal_fence(memory_order_release);
	drv_step();
	c->counter = vq_device_counter(&hw->d->queue[i], request);
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->added++;
	drv_step();
}

void virtio_hw_settle(struct virtio_hw *hw, uint32_t i)
{
	drv_step();
	ring_record(hw, i)->used_idx = hw->queue[i].used_idx;
	drv_step();
}

/* Of all chains ever added, how many the device was shown; those beyond are forgotten. */
static void forget_unpublished(struct record_ring *r, const struct vring *ring)
{
	uint16_t idx = atomic_load_explicit(&ring->avail->idx, memory_order_relaxed);
	uint64_t published = r->added + (uint64_t)(int16_t)(idx - (uint16_t)r->added);

	for (uint32_t d = 0; d < r->size; d++)
		if (r->chains[d].position >= published)
			r->chains[d].counter = 0;
	/* They are gone before their places are counted again. */
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->added = published;
	drv_step();
}

k_status_t virtio_hw_adopt_queue(struct virtio_hw *hw, uint32_t i)
{
	struct record_ring *r = ring_record(hw, i);
	struct vq_driver_slot *slots;
	struct vring_layout l;
	struct vring ring;
	uint64_t bus;
	void *memory;

	if (!IS_POWER_OF_2(r->size) || r->size > RECORD_RING_MAX)
		return K_ERR_BAD_STATE;
	l = vring_layout(r->size, ring_align(hw));
	memory = ring_memory(hw, l.length, &bus);
	if (!memory)
		return K_ERR_BAD_STATE;
	slots = rt_alloc(r->size * sizeof(*slots));
	if (!slots)
		return K_ERR_NO_MEMORY;
	ring = vring_at(memory, r->size, ring_align(hw));
	forget_unpublished(r, &ring);
	vq_driver_adopt_begin(&hw->queue[i], &ring, slots, r->used_idx);
	hw->queue[i].step = drv_step;
	for (uint32_t d = 0; d < r->size; d++) {
		const struct record_chain *c = &r->chains[d];

		if (c->counter && c->counter == vq_device_counter(&hw->d->queue[i], c->head) &&
		    !vq_driver_adopt_chain(&hw->queue[i], (uint16_t)d, c->count,
					   (void *)(uintptr_t)c->head))
			return K_ERR_BAD_STATE;
	}
	if (hw->ops->queue_locate)
		hw->ops->queue_locate(hw, i);
	if (!vq_driver_adopt_end(&hw->queue[i]))
		return K_ERR_BAD_STATE;
	/* Entries that were skipped must not be looked at again once their heads have new chains. */
	virtio_hw_settle(hw, i);
	return K_OK;
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
