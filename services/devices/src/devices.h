/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "abi/component.h"

enum { DEVICES_MMIO_MAX = 24 };

struct devices {
	struct component_start start;	/* constant */
	k_handle_t root;		/* the root device, for reading */
	k_handle_t channel;
	struct component_device found[DEVICES_MMIO_MAX];
	uint32_t found_count;
};

extern struct devices devices;

/* Report one device to init. */
void report(const struct component_device *d);

void pci_scan(void);
/* @window: device of microvm's register window, or 0; it is closed. */
void virtio_mmio_scan(k_handle_t window);
void uart_scan(void);
