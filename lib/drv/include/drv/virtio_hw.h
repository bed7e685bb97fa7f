/* SPDX-License-Identifier: MIT */
/*
 * virtio devices as hardware: PCI (1.x, through its capabilities) and memory mapped
 * (versions 2 and 1, "legacy", as QEMU's microvm gives them).
 *
 * Order: virtio_hw_open() finds the registers; then either a device is set up
 * (virtio_hw_reset(), features, pieces of memory and queues, virtio_hw_run()), or the live
 * one of a predecessor is taken over (virtio_hw_adopt(), the same pieces and
 * queues).  Rings lie in the driver's DMA memory, and the record says where and what
 * is in them (abi/record.h).  The device is not trusted more than a client: vq_driver checks
 * what it writes.
 */
#pragma once

#include "drv/drv.h"

enum { VIRTIO_HW_QUEUES = LINK_QUEUES_MAX };
/* The interrupt of changes of the configuration, after virtio_hw_watch_config(), on devices with MSI-X. */
enum { VIRTIO_HW_CONFIG_IRQ = 1 };

#define VIRTIO_F_VERSION_1	(1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ull << 33)

struct virtio_hw;

/* Registers of one kind of device. */
struct virtio_transport {
	uint8_t (*status)(struct virtio_hw *hw);
	void (*set_status)(struct virtio_hw *hw, uint8_t status);
	uint32_t (*features)(struct virtio_hw *hw, uint32_t half);
	void (*set_features)(struct virtio_hw *hw, uint32_t half, uint32_t bits);
	/* Largest size of the queue, 0: there is no such queue. */
	uint32_t (*queue_max)(struct virtio_hw *hw, uint32_t queue);
	void (*queue_enable)(struct virtio_hw *hw, uint32_t queue, uint32_t size, uint64_t desc,
			     uint64_t avail, uint64_t used);
	/* Find where queue_enable() found that it is notified.  NULL: nothing to find. */
	void (*queue_locate)(struct virtio_hw *hw, uint32_t queue);
	void (*notify)(struct virtio_hw *hw, uint32_t queue);
	/* What the interrupt was about: 1 queues, 2 configuration; clears it. */
	uint32_t (*interrupt)(struct virtio_hw *hw);
	uint8_t (*config_byte)(struct virtio_hw *hw, uint32_t offset);
	uint32_t (*config_generation)(struct virtio_hw *hw);
};

struct virtio_hw {
	/* Constant after virtio_hw_open(). */
	struct drv *d;
	const struct virtio_transport *ops;
	bool legacy;			/* version 1: no FEATURES_OK, rings by page number */
	bool is_confined;		/* there is an IOMMU before the device */
	bool message_interrupts;	/* MSI-X: interrupts say nothing and need no look */
	uint16_t config_entry;		/* MSI-X: of changes of the configuration */
	volatile uint8_t *common, *notify_base, *isr, *config;	/* PCI; MMIO: common, or NULL */
	uint32_t notify_multiplier, config_length;
	volatile uint8_t *notify_at[VIRTIO_HW_QUEUES];

	uint64_t features;		/* negotiated */
	uint64_t dma_used;		/* bytes of DMA memory that are given out */
	uint32_t pieces;		/* ... in so many pieces */
	bool adopting;			/* pieces and queues have to be those of the record */
	struct vq_driver queue[VIRTIO_HW_QUEUES];
	uint32_t queue_count;
};

/* Find the registers of d's device, and bind its interrupt 0.  The device is left as it is. */
k_status_t virtio_hw_open(struct drv *d, struct virtio_hw *hw)
	__attribute__((warn_unused_result));
/*
 * Tell changes of the configuration from news of queues where interrupts do not say which they
 * are: bind VIRTIO_HW_CONFIG_IRQ.  Before queues are made or adopted.  A device without a second
 * interrupt goes on without.
 */
void virtio_hw_watch_config(struct virtio_hw *hw);

/* A predecessor had the device working: what its rings say was done, whether it works still or not. */
bool virtio_hw_has_past(const struct virtio_hw *hw);
/* ... and it says that it still works. */
bool virtio_hw_is_live(struct virtio_hw *hw);
/* Begin to take it over: features and pieces of memory are the record's. */
void virtio_hw_adopt(struct virtio_hw *hw);
/*
 * Take queue @i over: chains whose requests are in flight stay with the device; the
 * cookie of each is the head of its request.  BAD_STATE: the record does not fit the ring.
 */
k_status_t virtio_hw_adopt_queue(struct virtio_hw *hw, uint32_t i)
	__attribute__((warn_unused_result));
/* Say that the chain @head of queue @i, just added, belongs to the request at @request. */
void virtio_hw_note(struct virtio_hw *hw, uint32_t i, uint16_t head, uint16_t request);
/* Say that all that was taken from queue @i is answered. */
void virtio_hw_settle(struct virtio_hw *hw, uint32_t i);

/*
 * Stop the device, and acknowledge it anew: it touches no memory afterwards, and its
 * rings still tell what it did until then.
 */
k_status_t virtio_hw_reset(struct virtio_hw *hw) __attribute__((warn_unused_result));
/* The rings are void from now on: pieces and queues are made anew. */
void virtio_hw_begin(struct virtio_hw *hw);
/* What the device offers. */
uint64_t virtio_hw_offered(struct virtio_hw *hw);
/* Choose @features (VERSION_1 is added where there is one). */
k_status_t virtio_hw_choose(struct virtio_hw *hw, uint64_t features)
	__attribute__((warn_unused_result));
/* Make queue @i with at most @size descriptors. */
k_status_t virtio_hw_queue(struct virtio_hw *hw, uint32_t i, uint32_t size)
	__attribute__((warn_unused_result));
/* The device may work from now on, and a successor may adopt it. */
void virtio_hw_run(struct virtio_hw *hw);
/* Show the device what was added to queue @i. */
void virtio_hw_publish(struct virtio_hw *hw, uint32_t i);
void virtio_hw_config(struct virtio_hw *hw, void *dst, size_t n);

/*
 * Bytes of DMA memory, aligned to @align; NULL: used up, or, when adopting, not the piece that
 * the predecessor had.  Zeroed when it is new.  *@bus: of its first byte.
 */
void *virtio_hw_dma(struct virtio_hw *hw, uint64_t n, uint64_t align, uint64_t *bus);
