/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d: DMA and interrupts of devices go through tables (specification 3.3; numbers of
 * sections below are those).
 *
 *	vtd.c		the units: switching on, invalidation
 *	vtd_domain.c	root and context tables, domains and their page tables (arch/iommu.h)
 *	vtd_irq.c	the table of interrupts
 *	vtd_fault.c	what was stopped
 *
 * All units of the machine have the same root table and the same table of interrupts, and each
 * learns of every change: a change is rare (drivers map their memory once, when they start), and so
 * it does not matter which unit a device is behind.
 */
#pragma once

#include "x86.h"

#include "kernel/irq.h"
#include "kernel/lock.h"

struct vtd_unit {
	/* Constant. */
	volatile uint8_t *registers;
	uint64_t cap, ecap;
	uint64_t *queue;		/* QUEUE_ENTRIES descriptors of two words */
	_Atomic(uint32_t) *answer;	/* behind the queue: written by the unit, see submit() */

	/* vtd_lock. */
	uint32_t tail, asked;
	bool is_dead;			/* it did not answer: never waited for again */
};

struct vtd {
	/* Constant after arch_iommu_start(). */
	uint32_t unit_count;		/* 0: there is no IOMMU */
	struct vtd_unit units[BOOT_IOMMUS_MAX];
	bool remaps_interrupts;
	bool is_coherent;		/* the units see what is in the processors' caches */
	bool remembers_absence;		/* caching mode: they need to be told of new entries, too */
	unsigned int levels;		/* of the domains' page tables: 3 or 4 */
	uint32_t domain_max;		/* how many domains can be told apart */
};

extern struct vtd vtd;

/*
 * Rank LOCK_IOMMU, irqsave: the queues of the units, context entries, the list of domains and the table of
 * interrupts.  Page tables of domains are the devices' mutex's.
 */
extern struct spinlock vtd_lock;

enum { REG_CAP = 0x08, REG_ECAP = 0x10, REG_COMMAND = 0x18, REG_STATUS = 0x1c, REG_ROOT = 0x20,
       REG_FAULTS = 0x34, REG_FAULT_CONTROL = 0x38, REG_FAULT_DATA = 0x3c, REG_FAULT_ADDRESS = 0x40,
       REG_FAULT_ADDRESS_HIGH = 0x44, REG_PROTECTED = 0x64, REG_QUEUE_TAIL = 0x88, REG_QUEUE = 0x90,
       REG_INTERRUPTS = 0xb8 };

#define FAULTS_OVERFLOW		(1u << 0)
#define FAULTS_PENDING		(1u << 1)
#define FAULTS_QUEUE		(7u << 4)	/* of the invalidation queue */

/* What a unit is to forget.  False: some unit did not answer, and may still know it.  vtd_lock. */
bool vtd_forget_function(uint32_t function, uint32_t domain) MUST_CHECK;	/* and all of the domain */
bool vtd_forget_domain(uint32_t domain) MUST_CHECK;
bool vtd_forget_interrupt(uint32_t index) MUST_CHECK;

/* Have the units see what was written to a table. */
void vtd_publish(const volatile void *p, size_t n);

/* A page of zeros for a table, published; NULL. */
void *vtd_table_alloc(struct group *group);

/* vtd_domain.c: the root table's address; 0: no memory. */
paddr_t vtd_domains_start(void);
struct iommu_domain *vtd_domain_find(uint32_t function);	/* vtd_lock; NULL */
/* Count a fault of the function; false: it had so many that the rest is not told.  vtd_lock. */
bool vtd_domain_fault(struct iommu_domain *domain, const char **name);

/* vtd_irq.c: the table's address; 0: no memory. */
paddr_t vtd_interrupts_start(void);

/* vtd_fault.c */
k_status_t vtd_faults_start(void) MUST_CHECK;
