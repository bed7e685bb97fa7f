/* SPDX-License-Identifier: MIT */
/*
 * Registers of a PCI device, 32 bits at a time, as drivers of other hardware than virtio's use
 * them: behind functions, so that tests on the host have a device of their own.
 */
#pragma once

#include "drv/drv.h"

/* The registers, time, and what is done while waiting. */
struct drv_window {
	uint32_t (*read)(void *user, uint32_t offset);
	void (*write)(void *user, uint32_t offset, uint32_t value);
	uint64_t (*now_ns)(void *user);
	/* Called for the n-th look in a row, from 0: sleeps a little, the longer the more. */
	void (*pause)(void *user, uint32_t n);
	/* Between two steps of setting up: kill points (drv/die.h). */
	void (*step)(void);
	void *user;
};

/* Bits of the command register for drv_pci_enable(). */
enum { DRV_PCI_MEMORY = 2, DRV_PCI_MASTER = 4 };

/* Set bits of d's command register; others stay as they are. */
void drv_pci_enable(struct drv *d, uint32_t bits);

/*
 * Map the first @length bytes of BAR @bar, and have @w lead there; memory decoding is on.  A
 * window can be made anew with another length; what was mapped before stays mapped.
 */
k_status_t drv_window_map(struct drv *d, uint32_t bar, uint64_t length, struct drv_window *w)
	__attribute__((warn_unused_result));
