/* SPDX-License-Identifier: MIT */
/*
 * Devices: I/O resources as objects.  Theory: device/device.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "kernel/irq.h"
#include "kernel/lock.h"
#include "kernel/object.h"

#define DEVICE_WINDOWS	6u
#define DEVICE_IRQS_MAX	64u
#define DEVICE_DMA_PAGES_MAX (64u << 10)	/* in one mapping: 256 MiB */

struct bell;
struct device;
struct iommu_domain;

/* One range of registers. */
struct device_window {
	uint64_t base, length;		/* physical address or first port; length 0: none */
	bool is_port;
	uint64_t usable;		/* bytes from the start that a driver may reach: those before
					 * the MSI-X table, if it is here */
	volatile uint8_t *registers;	/* of a window that is not made of whole pages: its first
					 * byte, for device_register_*; else NULL */
};

struct device_irq {
	struct irq_action action;	/* kernel/irq.h */
	struct bell *bell;		/* devices' mutex; constant while bound; referenced */
	uint64_t bits;			/* likewise */
	bool bound;			/* devices' mutex */
};

/* What the kernel found in a PCI function's configuration space. */
struct device_pci {
	uint8_t msix, msi;		/* offsets of the capabilities, or 0 */
	uint8_t msix_window;
	uint32_t msix_offset;		/* of the table, in its window */
	uint8_t line;			/* ISA interrupt of INTx, or 0xff */
	volatile uint8_t *msix_table;	/* devices' mutex; mapped at the first bind */
};

struct device {
	struct object object;

	/* Constant. */
	struct k_device_desc desc;
	struct device_window window[DEVICE_WINDOWS];
	uint32_t irq_count;
	struct device_irq *irqs;	/* irq_count of them */
	struct device_pci pci;

	/* The devices' mutex. */
	bool closed;
	struct iommu_domain *domain;	/* of a PCI function, if there is an IOMMU; while not closed */
	struct list dma;		/* struct device_dma */
	struct list link;		/* of all open devices */
};

extern struct device *root_device;	/* constant after device_start() */

void device_start(void);
k_status_t device_create(struct group *group, const struct k_device_desc *desc,
			 struct device **device) MUST_CHECK;
void device_close(struct object *object);
void device_destroy(struct object *object);
void device_read(const struct device *device, struct k_device_info *info);

/* The window @index as a memory object for a driver; NOT_FOUND; ACCESS: it shares a page. */
struct memory;
k_status_t device_mmio(struct device *device, uint32_t index, struct memory **memory) MUST_CHECK;

k_status_t device_irq_bind(struct device *device, uint32_t index, struct bell *bell, uint64_t bits)
	MUST_CHECK;
k_status_t device_irq_ack(struct device *device, uint32_t index) MUST_CHECK;

/*
 * Pin @range of @memory for the device under range->dma_id, and say where its pages are.
 * The same range under the same id again: the same addresses, nothing else happens (the
 * successor of a driver asks).  BAD_ARGUMENT: not whole pages, or another range has the id.
 */
k_status_t device_dma_map(struct device *device, struct memory *memory,
			  const struct k_dma_range *range, uint64_t *addresses) MUST_CHECK;
void device_dma_unmap(struct device *device, uint64_t dma_id);

/* One register of 1, 2 or 4 bytes of a PCI function.  BAD_ARGUMENT, NOT_FOUND. */
k_status_t pci_config_read(uint32_t function, uint32_t offset, uint32_t width, uint32_t *value)
	MUST_CHECK;
/* The same, for registers that a driver may change; ACCESS for the others. */
k_status_t pci_config_write_filtered(uint32_t function, uint32_t offset, uint32_t width,
				     uint32_t value) MUST_CHECK;
