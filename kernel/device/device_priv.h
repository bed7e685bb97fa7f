/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernel/device.h"

/* All below with the devices' mutex held. */
extern struct kmutex devices_mutex;	/* rank LOCK_DEVICES */

/* Fill window, irq_count and pci of a new PCI device, whose configuration space is known to be
 * reachable.  NOT_FOUND: nothing answers there. */
k_status_t pci_probe(struct device *device) MUST_CHECK;
/* No bus mastering, no interrupts: what a function is left in. */
void pci_quiesce(struct device *device);
/* Program message @index, or take it away. */
k_status_t pci_message_set(struct device *device, uint32_t index,
			   const struct irq_message *message) MUST_CHECK;
void pci_message_clear(struct device *device, uint32_t index);
/* Let the function raise its line. */
void pci_line_enable(struct device *device);
void pci_unmap(struct device *device);
bool pci_has_messages(const struct device *device);
void pci_start(void);

void device_irq_init(struct device_irq *irq);
void device_irqs_unbind(struct device *device);
void device_dma_unmap_all(struct device *device);
