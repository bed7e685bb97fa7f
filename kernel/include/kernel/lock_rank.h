/* SPDX-License-Identifier: MIT */
/*
 * The lock order of the kernel, outermost first.
 *
 * A lock is taken only while every lock held (by this thread: kmutexes; on this
 * CPU: spinlocks) has a smaller rank.  Two locks of one rank nest only through
 * the _nested variants, in an order that the rank's comment states.  Checked at
 * each acquisition when CONFIG_CHECKS is 1; a violation panics and names both.
 *
 * Interrupts count as nested in what they interrupt: a lock that an interrupt
 * handler takes has a rank above that of every spinlock which is ever held with
 * interrupts enabled.  So all irqsave locks come last.
 */
#pragma once

enum lock_rank {
	LOCK_UNRANKED = 0,	/* not checked: self-tests only */

	/* -- kmutex: the holder may sleep --------------------------------------- */
	LOCK_SYSTEM = 10,	/* start, stop, power                                      */
	LOCK_DEVICES = 12,	/* device tree, configuration space                        */
	LOCK_PROCESS = 14,	/* a process: state, threads                               */
	LOCK_TIMER_OBJECT = 15,	/* a timer object: setting and cancelling                  */
	LOCK_CHAINS = 16,	/* which bell is chained to which                          */
	LOCK_ZAP = 18,		/* a memory object: one at a time goes through its mappings */
	LOCK_SPACE = 20,	/* a space: regions and page tables.  Two: address order   */

	/* -- spinlocks held with interrupts enabled ------------------------------ */
	LOCK_HANDLES = 40,	/* a process's handle table                                */
	LOCK_MEMORY = 42,	/* a memory object: its pages and its list of regions      */
	LOCK_BACKING = 44,	/* reap lists                                              */
	LOCK_GROUP = 46,	/* quota counters, parent after child                      */
	LOCK_OBJECT = 48,	/* small per-object state                                  */
	LOCK_VMALLOC = 58,	/* kernel stacks and mappings                              */
	LOCK_SLAB = 60,		/* slab caches                                             */
	LOCK_PAGE = 62,		/* the page allocator                                      */
	LOCK_MUTEX = 66,	/* the wait list inside a kmutex                           */

	/* -- spinlocks that interrupt handlers take: irqsave only ----------------- */
	LOCK_IRQ = 78,		/* interrupt lines and vectors; their functions ring bells   */
	LOCK_IOMMU = 79,	/* the IOMMU: its queues, entries of devices and interrupts      */
	LOCK_CHANNEL = 80,	/* a channel pair: queues and waiters                      */
	LOCK_WATCH = 81,	/* who watches the log                                     */
	LOCK_WAITWORD = 82,	/* a bucket of waiting words.  Two: address order          */
	LOCK_BELL = 84,		/* a bell.  A parent after its child (chains have no loop) */
	LOCK_TIMER = 90,	/* one CPU's timer heap                                    */
	LOCK_TLB = 92,		/* one CPU's shoot-down inbox                              */
	LOCK_RUNQ = 94,		/* one CPU's run queue.  Two: address order                */
	LOCK_TIME = 96,		/* clock parameters                                        */
	LOCK_LOG = 98,		/* log ring and early console: taken from anywhere         */
};
