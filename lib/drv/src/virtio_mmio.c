/* SPDX-License-Identifier: MIT */
/*
 * virtio over memory mapped registers: virtio 1.1, 4.2.2 and 4.2.4 (legacy).
 *
 * The register file is mapped where it has pages of its own; where several devices
 * share one, the kernel reads and writes it for us.
 */
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

static uint32_t get32(struct virtio_hw *hw, uint32_t offset)
{
	uint64_t v = 0;

	if (hw->common)
		return reg_read32(hw->common, offset);
	(void)!k_device_register_read(hw->d->device, offset, 4, &v);
	return (uint32_t)v;
}

static void put32(struct virtio_hw *hw, uint32_t offset, uint32_t v)
{
	if (hw->common)
		reg_write32(hw->common, offset, v);
	else
		(void)!k_device_register_write(hw->d->device, offset, 4, v);
}

static uint8_t status(struct virtio_hw *hw)
{
	return (uint8_t)get32(hw, STATUS);
}

static void set_status(struct virtio_hw *hw, uint8_t v)
{
	put32(hw, STATUS, v);
}

static uint32_t features(struct virtio_hw *hw, uint32_t half)
{
	put32(hw, DEVICE_FEATURES_SEL, half);
	return get32(hw, DEVICE_FEATURES);
}

static void set_features(struct virtio_hw *hw, uint32_t half, uint32_t bits)
{
	put32(hw, DRIVER_FEATURES_SEL, half);
	put32(hw, DRIVER_FEATURES, bits);
}

static uint32_t queue_max(struct virtio_hw *hw, uint32_t queue)
{
	put32(hw, QUEUE_SEL, queue);
	return get32(hw, QUEUE_NUM_MAX);
}

static void write64(struct virtio_hw *hw, uint32_t offset, uint64_t v)
{
	put32(hw, offset, (uint32_t)v);
	put32(hw, offset + 4, (uint32_t)(v >> 32));
}

static void queue_enable(struct virtio_hw *hw, uint32_t queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used)
{
	put32(hw, QUEUE_SEL, queue);
	put32(hw, QUEUE_NUM, size);
	if (hw->legacy) {
		put32(hw, QUEUE_ALIGN, K_PAGE_SIZE);
		put32(hw, QUEUE_PFN, (uint32_t)(desc / K_PAGE_SIZE));
		return;
	}
	write64(hw, QUEUE_DESC, desc);
	write64(hw, QUEUE_DRIVER, avail);
	write64(hw, QUEUE_DEVICE, used);
	put32(hw, QUEUE_READY, 1);
}

static void notify(struct virtio_hw *hw, uint32_t queue)
{
	put32(hw, QUEUE_NOTIFY, queue);
}

static uint32_t interrupt(struct virtio_hw *hw)
{
	uint32_t v = get32(hw, INTERRUPT_STATUS);

	if (v)
		put32(hw, INTERRUPT_ACK, v);
	return v;
}

static uint8_t config_byte(struct virtio_hw *hw, uint32_t offset)
{
	uint64_t v = 0;

	if (hw->common)
		return hw->common[CONFIG + offset];
	(void)!k_device_register_read(hw->d->device, CONFIG + offset, 1, &v);
	return (uint8_t)v;
}

static uint32_t config_generation(struct virtio_hw *hw)
{
	return hw->legacy ? 0 : get32(hw, CONFIG_GENERATION);
}

static const struct virtio_transport mmio = {
	.status = status, .set_status = set_status, .features = features,
	.set_features = set_features, .queue_max = queue_max, .queue_enable = queue_enable,
	.notify = notify, .interrupt = interrupt, .config_byte = config_byte,
	.config_generation = config_generation,
};

/* NULL: the device shares its page. */
static k_status_t map(struct virtio_hw *hw, uint64_t length, volatile uint8_t **registers)
{
	k_handle_t memory;
	void *pages;
	k_status_t st = k_device_mmio(hw->d->device, 0, &memory);

	*registers = NULL;
	if (st == K_ERR_ACCESS)
		return K_OK;
	if (st != K_OK)
		return st;
	st = rt_map(memory, 0, length, K_PROT_READ | K_PROT_WRITE, &pages);
	rt_close(memory);
	if (st == K_OK)
		*registers = pages;
	return st;
}

k_status_t virtio_mmio_open(struct virtio_hw *hw)
{
	const struct k_device_desc *desc = &hw->d->start.device.desc;
	k_status_t st;

	if (desc->length < CONFIG)
		return K_ERR_NOT_SUPPORTED;
	st = map(hw, desc->length, &hw->common);
	if (st != K_OK)
		return st;
	hw->ops = &mmio;
	hw->config_length = (uint32_t)MIN(desc->length - CONFIG, (uint64_t)LINK_CONFIG_MAX);
	hw->legacy = get32(hw, VERSION) == 1;
	if (hw->legacy)
		put32(hw, GUEST_PAGE_SIZE, K_PAGE_SIZE);
	return K_OK;
}
