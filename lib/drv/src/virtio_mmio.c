/* SPDX-License-Identifier: MIT */
/* virtio over memory mapped registers: virtio 1.1, 4.2.2 and 4.2.4 (legacy). */
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "virtio_hw_priv.h"

enum {
	MAGIC = 0x000, VERSION = 0x004, DEVICE_FEATURES = 0x010, DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SEL = 0x024, GUEST_PAGE_SIZE = 0x028,
	QUEUE_SEL = 0x030, QUEUE_NUM_MAX = 0x034, QUEUE_NUM = 0x038, QUEUE_ALIGN = 0x03c,
	QUEUE_PFN = 0x040, QUEUE_READY = 0x044, QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACK = 0x064, STATUS = 0x070, QUEUE_DESC = 0x080, QUEUE_DRIVER = 0x090,
	QUEUE_DEVICE = 0x0a0, CONFIG_GENERATION = 0x0fc, CONFIG = 0x100,
};

static uint8_t status(struct virtio_hw *hw)
{
	return (uint8_t)reg_read32(hw->common, STATUS);
}

static void set_status(struct virtio_hw *hw, uint8_t v)
{
	reg_write32(hw->common, STATUS, v);
}

static uint32_t features(struct virtio_hw *hw, uint32_t half)
{
	reg_write32(hw->common, DEVICE_FEATURES_SEL, half);
	return reg_read32(hw->common, DEVICE_FEATURES);
}

static void set_features(struct virtio_hw *hw, uint32_t half, uint32_t bits)
{
	reg_write32(hw->common, DRIVER_FEATURES_SEL, half);
	reg_write32(hw->common, DRIVER_FEATURES, bits);
}

static uint32_t queue_max(struct virtio_hw *hw, uint32_t queue)
{
	reg_write32(hw->common, QUEUE_SEL, queue);
	return reg_read32(hw->common, QUEUE_NUM_MAX);
}

static void write64(struct virtio_hw *hw, uint32_t offset, uint64_t v)
{
	reg_write32(hw->common, offset, (uint32_t)v);
	reg_write32(hw->common, offset + 4, (uint32_t)(v >> 32));
}

static void queue_enable(struct virtio_hw *hw, uint32_t queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used)
{
	reg_write32(hw->common, QUEUE_SEL, queue);
	reg_write32(hw->common, QUEUE_NUM, size);
	if (hw->legacy) {
		reg_write32(hw->common, QUEUE_ALIGN, K_PAGE_SIZE);
		reg_write32(hw->common, QUEUE_PFN, (uint32_t)(desc / K_PAGE_SIZE));
		return;
	}
	write64(hw, QUEUE_DESC, desc);
	write64(hw, QUEUE_DRIVER, avail);
	write64(hw, QUEUE_DEVICE, used);
	reg_write32(hw->common, QUEUE_READY, 1);
}

static void notify(struct virtio_hw *hw, uint32_t queue)
{
	reg_write32(hw->common, QUEUE_NOTIFY, queue);
}

static uint32_t interrupt(struct virtio_hw *hw)
{
	uint32_t v = reg_read32(hw->common, INTERRUPT_STATUS);

	if (v)
		reg_write32(hw->common, INTERRUPT_ACK, v);
	return v;
}

static uint8_t config_byte(struct virtio_hw *hw, uint32_t offset)
{
	return hw->common[CONFIG + offset];
}

static uint32_t config_generation(struct virtio_hw *hw)
{
	return hw->legacy ? 0 : reg_read32(hw->common, CONFIG_GENERATION);
}

static const struct virtio_transport mmio = {
	.status = status, .set_status = set_status, .features = features,
	.set_features = set_features, .queue_max = queue_max, .queue_enable = queue_enable,
	.notify = notify, .interrupt = interrupt, .config_byte = config_byte,
	.config_generation = config_generation,
};

k_status_t virtio_mmio_open(struct virtio_hw *hw)
{
	const struct k_device_desc *desc = &hw->d->start.device.desc;
	uint64_t in_page = desc->base % K_PAGE_SIZE;
	k_handle_t memory;
	void *page;
	k_status_t st;

	if (in_page + desc->length > K_PAGE_SIZE || desc->length < CONFIG)
		return K_ERR_NOT_SUPPORTED;
	st = k_device_mmio(hw->d->device, 0, &memory);
	if (st != K_OK)
		return st;
	st = rt_map(memory, 0, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE, &page);
	rt_close(memory);
	if (st != K_OK)
		return st;
	hw->ops = &mmio;
	hw->common = (volatile uint8_t *)page + in_page;
	hw->config_length = (uint32_t)desc->length - CONFIG;
	hw->legacy = reg_read32(hw->common, VERSION) == 1;
	if (hw->legacy)
		reg_write32(hw->common, GUEST_PAGE_SIZE, K_PAGE_SIZE);
	return K_OK;
}
