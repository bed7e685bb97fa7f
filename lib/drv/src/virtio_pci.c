/* SPDX-License-Identifier: MIT */
/*
 * virtio over PCI: virtio 1.1, 4.1.  Registers are where vendor capabilities say.
 * MSI-X where the device has it: all queues on entry 0, which the kernel programs, and the
 * configuration, too, or on an entry of its own; else the line interrupt and its ISR register.
 */
#include "base/util.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "virtio_hw_priv.h"

enum { PCI_STATUS = 0x06, PCI_CAPABILITIES = 0x34, STATUS_HAS_CAPABILITIES = 0x10 };
enum { PCI_COMMAND = 0x04, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };
enum { CAP_VENDOR = 0x09, CAP_MSIX = 0x11 };
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE };
enum {	/* common configuration */
	DEVICE_FEATURE_SELECT = 0x00, DEVICE_FEATURE = 0x04, DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c, MSIX_CONFIG = 0x10, NUM_QUEUES = 0x12, DEVICE_STATUS = 0x14,
	GENERATION = 0x15, QUEUE_SELECT = 0x16, QUEUE_SIZE = 0x18, QUEUE_MSIX = 0x1a,
	QUEUE_ENABLE = 0x1c, QUEUE_NOTIFY_OFF = 0x1e, QUEUE_DESC = 0x20, QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30, COMMON_LENGTH = 0x38,
};

struct capability {
	uint32_t bar, offset, length, multiplier;
	bool found;
};

static uint8_t status(struct virtio_hw *hw)
{
	return hw->common[DEVICE_STATUS];
}

static void set_status(struct virtio_hw *hw, uint8_t v)
{
	hw->common[DEVICE_STATUS] = v;
}

static uint32_t features(struct virtio_hw *hw, uint32_t half)
{
	reg_write32(hw->common, DEVICE_FEATURE_SELECT, half);
	return reg_read32(hw->common, DEVICE_FEATURE);
}

static void set_features(struct virtio_hw *hw, uint32_t half, uint32_t bits)
{
	reg_write32(hw->common, DRIVER_FEATURE_SELECT, half);
	reg_write32(hw->common, DRIVER_FEATURE, bits);
}

static uint32_t queue_max(struct virtio_hw *hw, uint32_t queue)
{
	if (queue >= reg_read16(hw->common, NUM_QUEUES))
		return 0;
	reg_write16(hw->common, QUEUE_SELECT, (uint16_t)queue);
	return reg_read16(hw->common, QUEUE_SIZE);
}

static void write64(struct virtio_hw *hw, uint32_t offset, uint64_t v)
{
	reg_write32(hw->common, offset, (uint32_t)v);
	reg_write32(hw->common, offset + 4, (uint32_t)(v >> 32));
}

static void queue_locate(struct virtio_hw *hw, uint32_t queue)
{
	uint32_t off;

	reg_write16(hw->common, QUEUE_SELECT, (uint16_t)queue);
	off = reg_read16(hw->common, QUEUE_NOTIFY_OFF);
	hw->notify_at[queue] = hw->notify_base + (uint64_t)off * hw->notify_multiplier;
}

static void queue_enable(struct virtio_hw *hw, uint32_t queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used)
{
	reg_write16(hw->common, QUEUE_SELECT, (uint16_t)queue);
	reg_write16(hw->common, QUEUE_SIZE, (uint16_t)size);
	write64(hw, QUEUE_DESC, desc);
	write64(hw, QUEUE_DRIVER, avail);
	write64(hw, QUEUE_DEVICE, used);
	if (hw->message_interrupts) {
		reg_write16(hw->common, QUEUE_MSIX, 0);
		reg_write16(hw->common, MSIX_CONFIG, hw->config_entry);	/* a reset took it away */
	}
	queue_locate(hw, queue);
	reg_write16(hw->common, QUEUE_ENABLE, 1);
}

static void notify(struct virtio_hw *hw, uint32_t queue)
{
	reg_write16(hw->notify_at[queue], 0, (uint16_t)queue);
}

/* By message: any of them may be meant. */
static uint32_t interrupt(struct virtio_hw *hw)
{
	return hw->message_interrupts ? 3 : *hw->isr;
}

static uint8_t config_byte(struct virtio_hw *hw, uint32_t offset)
{
	return hw->config[offset];
}

static uint32_t config_generation(struct virtio_hw *hw)
{
	return hw->common[GENERATION];
}

static const struct virtio_transport pci = {
	.status = status, .set_status = set_status, .features = features,
	.set_features = set_features, .queue_max = queue_max, .queue_enable = queue_enable,
	.queue_locate = queue_locate,
	.notify = notify, .interrupt = interrupt, .config_byte = config_byte,
	.config_generation = config_generation,
};

static uint32_t config_read(struct virtio_hw *hw, uint32_t offset, uint32_t width)
{
	uint64_t v;

	return k_device_config_read(hw->d->device, 0, offset, width, &v) == K_OK ? (uint32_t)v : ~0u;
}

/* Walk the capability list; 48 of them fill the configuration space. */
static void read_capabilities(struct virtio_hw *hw, struct capability *caps)
{
	uint32_t at;

	if (!(config_read(hw, PCI_STATUS, 2) & STATUS_HAS_CAPABILITIES))
		return;
	at = config_read(hw, PCI_CAPABILITIES, 1) & 0xfc;
	for (int i = 0; i < 48 && at >= 0x40; i++) {
		uint32_t id = config_read(hw, at, 1), type = config_read(hw, at + 3, 1);

		if (id == CAP_MSIX)
			hw->message_interrupts = true;
		if (id == CAP_VENDOR && type >= CAP_COMMON && type <= CAP_DEVICE &&
		    !caps[type].found) {
			caps[type] = (struct capability){
				.bar = config_read(hw, at + 4, 1),
				.offset = config_read(hw, at + 8, 4),
				.length = config_read(hw, at + 12, 4),
				.multiplier = type == CAP_NOTIFY ? config_read(hw, at + 16, 4) : 0,
				.found = true,
			};
		}
		at = config_read(hw, at + 1, 1) & 0xfc;
	}
}

/* Map the registers of one capability. */
static k_status_t map(struct virtio_hw *hw, const struct k_device_info *info,
		      const struct capability *c, volatile uint8_t **out)
{
	uint64_t page = K_PAGE_SIZE, start, end;
	k_handle_t memory;
	void *base;
	k_status_t st;

	if (!c->found || c->bar >= ARRAY_SIZE(info->bars) || !c->length ||
	    !range_within(c->offset, c->length, info->bars[c->bar].length) ||
	    info->bars[c->bar].is_port || info->bars[c->bar].shared)
		return K_ERR_NOT_SUPPORTED;
	start = c->offset;
	end = ALIGN_UP(start + c->length, page);
	st = k_device_mmio(hw->d->device, c->bar, &memory);
	if (st != K_OK)
		return st;
	st = rt_map(memory, ALIGN_DOWN(start, page), end - ALIGN_DOWN(start, page),
		    K_PROT_READ | K_PROT_WRITE, &base);
	rt_close(memory);
	if (st == K_OK)
		*out = (volatile uint8_t *)base + start % page;
	return st;
}

k_status_t virtio_pci_open(struct virtio_hw *hw)
{
	struct capability caps[CAP_DEVICE + 1] = { 0 };
	struct k_device_info info;
	k_status_t st = k_device_info(hw->d->device, &info);

	if (st != K_OK)
		return st;
	read_capabilities(hw, caps);
	(void)!k_device_config_write(hw->d->device, 0, PCI_COMMAND, 2,
				     config_read(hw, PCI_COMMAND, 2) | COMMAND_MEMORY |
				     COMMAND_MASTER);
	hw->ops = &pci;
	hw->is_confined = info.is_confined;
	hw->notify_multiplier = caps[CAP_NOTIFY].multiplier;
	st = caps[CAP_COMMON].length >= COMMON_LENGTH ? map(hw, &info, &caps[CAP_COMMON], &hw->common)
						      : K_ERR_NOT_SUPPORTED;
	if (st == K_OK)
		st = map(hw, &info, &caps[CAP_NOTIFY], &hw->notify_base);
	if (st == K_OK)
		st = map(hw, &info, &caps[CAP_ISR], &hw->isr);
	if (st == K_OK && caps[CAP_DEVICE].found) {
		hw->config_length = MIN(caps[CAP_DEVICE].length, LINK_CONFIG_MAX);
		st = map(hw, &info, &caps[CAP_DEVICE], &hw->config);
	}
	return st;
}
