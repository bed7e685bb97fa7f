/* SPDX-License-Identifier: MIT */
/*
 * Devices: I/O resources as objects.  Theory: device/device.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "kernel/lock.h"
#include "kernel/object.h"

#define DEVICE_BARS	6u

struct bell;
struct device_irq;
struct device_dma;
struct memory;

/* One window of registers. */
struct device_window {
	uint64_t base, length;		/* physical address, or first port; length 0: none */
	bool is_port;
};

struct device {
	struct object object;

	/* Constant. */
	struct k_device_desc desc;
	struct device_window window[DEVICE_BARS];
	uint32_t irq_count;		/* that can be bound */
	uint8_t msix_cap, msi_cap;	/* offsets in configuration space, or 0 */
	uint8_t msix_bar;
	uint64_t msix_table, msix_pba;	/* offsets in their BARs */
	uint8_t pba_bar;

	struct kmutex lock;		/* rank LOCK_DEVICES */
	bool closed;			/* lock */
	struct device_irq *irqs;	/* lock; irq_count of them, made at the first bind */
	volatile uint32_t *msix_entries;/* lock; kernel mapping of the table, made then too */
	struct list dma;		/* lock; struct device_dma */
	struct list link;		/* lock of all devices */
};

extern struct device *root_device;	/* constant after device_start() */

void device_start(void);
void device_close(struct object *object);
void device_destroy(struct object *object);
