/* SPDX-License-Identifier: MIT */
#pragma once

#include "drv/virtio_hw.h"

k_status_t virtio_pci_open(struct virtio_hw *hw);
k_status_t virtio_mmio_open(struct virtio_hw *hw);

static inline uint32_t reg_read32(volatile uint8_t *base, uint32_t offset)
{
	return *(volatile uint32_t *)(base + offset);
}

static inline void reg_write32(volatile uint8_t *base, uint32_t offset, uint32_t v)
{
	*(volatile uint32_t *)(base + offset) = v;
}

static inline uint16_t reg_read16(volatile uint8_t *base, uint32_t offset)
{
	return *(volatile uint16_t *)(base + offset);
}

static inline void reg_write16(volatile uint8_t *base, uint32_t offset, uint16_t v)
{
	*(volatile uint16_t *)(base + offset) = v;
}
