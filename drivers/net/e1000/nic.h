/* SPDX-License-Identifier: MIT */
/*
 * The registers of an Intel 82540EM (8254x family software developer's manual, chapter 13), and
 * the way from whatever state it is in to one in which it works on our rings.
 *
 *	quiet		it reads and writes no memory, and does not interrupt
 *	set up		it knows the rings, which are empty
 *	running		it works on what it is shown: descriptors before a ring's tail
 *
 * Everything that is read is the device's word: nothing is waited for without a bound, and a
 * register that reads as all ones is a device that is gone.
 *
 * Statuses: IO: it is gone, or does not do what it is told; TIMED_OUT: not in time.
 */
#pragma once

#include "drv/registers.h"

enum { NIC_RX, NIC_TX, NIC_RINGS };		/* also the numbers of the link's queues */
enum { NIC_WINDOW = 0x6000, NIC_RING_SIZE = 256, NIC_ADDRESS = 6, NIC_BUFFER = 2048 };

/* Causes of interrupts (13.4.17). */
#define NIC_SENT	(1u << 0)	/* a descriptor that asks for it was done */
#define NIC_LINK	(1u << 2)	/* the cable */
#define NIC_RX_LOW	(1u << 4)	/* few buffers are left */
#define NIC_RX_NONE	(1u << 6)	/* ... none, and frames were lost */
#define NIC_RECEIVED	(1u << 7)
/* ... of those that are always wanted. */
#define NIC_CAUSES	(NIC_LINK | NIC_RX_LOW | NIC_RX_NONE | NIC_RECEIVED)

struct nic {
	const struct drv_window *window;	/* constant from nic_open() on */
	uint8_t address[NIC_ADDRESS];		/* from nic_find_address() on */
};

/* IO: there is nothing behind the registers.  The device is left as it is. */
k_status_t nic_open(struct nic *n, const struct drv_window *window)
	__attribute__((warn_unused_result));
/*
 * Find the address that the card was made with, in the registers or the EEPROM; false: neither has
 * one that a card can have.
 */
bool nic_find_address(struct nic *n);

/* Have it quiet, and then reset it: what lies in the rings is final, and stays. */
k_status_t nic_reset(const struct nic *n) __attribute__((warn_unused_result));
/* Tell it of the rings, NIC_RING_SIZE descriptors that are not done each, and have it run. */
k_status_t nic_run(const struct nic *n, const uint64_t rings[NIC_RINGS])
	__attribute__((warn_unused_result));
/* It runs, as nic_run() left it, on these rings. */
bool nic_runs_on(const struct nic *n, const uint64_t rings[NIC_RINGS]);
/* It has sent all that it was shown. */
bool nic_has_drained(const struct nic *n);

/* What it was shown of a ring: descriptors before this one; NIC_RING_SIZE or more: it lies. */
uint32_t nic_tail(const struct nic *n, unsigned int ring);
/* What lies in the ring before @tail is for the device: a release fence included. */
void nic_show(const struct nic *n, unsigned int ring, uint32_t tail);

bool nic_is_linked(const struct nic *n);	/* the cable is plugged in */
bool nic_is_gone(const struct nic *n);
/* Causes that came since the last call, and by that are acknowledged. */
uint32_t nic_causes(const struct nic *n);
void nic_listen(const struct nic *n, uint32_t causes);
void nic_ignore(const struct nic *n, uint32_t causes);
