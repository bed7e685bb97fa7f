/* SPDX-License-Identifier: MIT */
/*
 * TLB shoot-down.
 *
 * A page (or page table) that was taken out of a space may be used again only
 * after every CPU has forgotten the translation.  Whoever edits tables collects
 * what he takes out in a batch, and finishes the batch before he unlocks the
 * space; only then are the pages put.
 *
 * Each space knows the CPUs that have one of its roots loaded.  A batch posts
 * its addresses to their inboxes and interrupts them; an inbox that overflows
 * becomes "everything".  CPUs that run a kernel thread on a borrowed root (lazy)
 * are not interrupted but told to flush before they use it for programs again,
 * except when tables are freed.  The initiator polls briefly, then yields.
 *
 * Up to TLB_SINGLE_MAX pages are invalidated one by one, more by reloading the
 * root: cheaper from about ten pages on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/pte.h"
#include "kernel/page.h"

#define TLB_SINGLE_MAX	8u
#define TLB_BATCH_PAGES	32u

struct space;

struct tlb_batch {
	struct space *space;		/* NULL: the kernel's half */
	uint32_t addr_count;		/* > TLB_SINGLE_MAX: everything */
	uint32_t page_count;
	bool tables;			/* page tables are among the pages */
	uint64_t addr[TLB_SINGLE_MAX];
	struct page *page[TLB_BATCH_PAGES];	/* a reference each */
};

/* On the caller's stack; space locked until tlb_finish(). */
static inline void tlb_begin(struct tlb_batch *batch, struct space *space)
{
	batch->space = space;
	batch->addr_count = 0;
	batch->page_count = 0;
	batch->tables = false;
}

/* The entry for @va lost rights or its page. */
static inline void tlb_add(struct tlb_batch *batch, uint64_t va)
{
	if (batch->addr_count < TLB_SINGLE_MAX)
		batch->addr[batch->addr_count] = va;
	batch->addr_count += batch->addr_count <= TLB_SINGLE_MAX;
}

/* Put the page once nobody can reach it; finishes a full batch first. */
void tlb_put_page(struct tlb_batch *batch, struct page *page);

/* Flush everywhere, then put the pages.  May yield; no spinlocks held. */
void tlb_finish(struct tlb_batch *batch);

/*
 * Interrupt the CPUs that have @space loaded (NULL: all) and wait until they were: programs
 * there have ordered their accesses to memory since the call.  May yield; no spinlocks held.
 */
void tlb_barrier(struct space *space);

/* The shoot-down interrupt (ARCH_IPI_TLB), interrupts off. */
void tlb_interrupt(void);

/*
 * Make @next (NULL: none, kernel only) the space of this CPU; the context
 * switch calls it with interrupts off.  A NULL keeps the present root loaded
 * (lazy); the same space again costs nothing.  @unified chooses the root in which
 * a personality process appears.
 */
void tlb_switch(struct space *next, bool unified);

/* @space is the running thread's: only which of its two roots is loaded changes.  Interrupts off. */
void tlb_switch_root(struct space *space, bool unified);

/* Load the kernel's own root if @space's is loaded here (before its destruction). */
void tlb_leave(struct space *space);
