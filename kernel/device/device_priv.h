/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernel/device.h"

/* All below with the devices' mutex held. */
extern struct kmutex devices_mutex;	/* rank LOCK_DEVICES */

/* Fill window, irq_count and pci of a new PCI device, whose configuration space is known to be
 * reachable.  NOT_FOUND: nothing answers there. */
k_status_t pci_probe(struct device *device) MUST_CHECK;
/* No bus mastering (but a bridge's, which is that of others), no interrupts: what a function is left in. */
void pci_quiesce(struct device *device);
/* Program message @index, or take it away. */
k_status_t pci_message_set(struct device *device, uint32_t index,
			   const struct irq_message *message) MUST_CHECK;
void pci_message_clear(struct device *device, uint32_t index);
/* Let the function raise its line. */
void pci_line_enable(struct device *device);
void pci_unmap(struct device *device);
bool pci_has_messages(const struct device *device);
/* Called once, by the only processor that runs. */
void pci_start(void);

/* Configuration space; @function's bus is mapped and the register exists (pci_config_read()). */
uint32_t pci_read(uint32_t function, uint32_t offset, uint32_t width);
void pci_write(uint32_t function, uint32_t offset, uint32_t width, uint32_t value);

/* What each BAR answers after it was written ones; 0 where there is none. */
struct pci_bar_masks {
	uint32_t bar[6];
};

bool pci_is_bridge(uint32_t function);
unsigned int pci_bar_count(uint32_t function);
/* Of every function that is there; needs no mutex, as nothing else runs yet. */
void pci_measure_all(void);
/* What was measured of @function, or measure it now. */
void pci_bar_masks_take(uint32_t function, struct pci_bar_masks *masks);

void device_irq_init(struct device *device, struct device_irq *irq);
void device_irqs_unbind(struct device *device);
void device_dma_unmap_all(struct device *device);
