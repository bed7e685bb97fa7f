/* SPDX-License-Identifier: MIT */
/*
 * TLB shoot-down.  The theory is in kernel/shootdown.h.
 *
 * How no CPU can be missed: a CPU that switches to a space sets its bit in
 * space->cpus before it loads the root; an initiator changes the tables before it
 * reads space->cpus, with a full barrier between on both sides.  Either he sees the
 * bit, or the CPU walks tables that are changed already.
 *
 * A CPU's mode says what its loaded root is used for:
 *
 *	ACTIVE	programs (or component code) run on it
 *	LAZY	only kernel code runs: nothing of the lower half is used
 *	STALE	lazy, and a flush is owed: done when it becomes ACTIVE again
 *
 * ACTIVE <-> LAZY is the CPU's own doing; LAZY -> STALE an initiator's.
 *
 * With identifiers (asid.h) a CPU also remembers translations of roots that it has not loaded.
 * The same barriers see to these: an initiator counts his shoot-down before he reads
 * space->cpus, a CPU reads the count after it has set its bit.
 */

#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/smp.h"
#include "asid.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "mm_priv.h"

#define INBOX_MAX	16u
#define POLLS_MAX	400u

enum tlb_mode { TLB_ACTIVE, TLB_LAZY, TLB_STALE };

struct tlb_cpu {
	_Atomic(uint32_t) mode;		/* enum tlb_mode; see above */

	/* The CPU's own, interrupts off. */
	struct space *space;		/* whose root is loaded; NULL: the kernel's */
	bool unified;			/* ... the unified one */
	struct asid_set asids;

	struct spinlock lock;		/* rank LOCK_TLB, irqsave */
	uint32_t count;			/* lock; > INBOX_MAX: flush everything */
	uint64_t addr[INBOX_MAX];	/* lock */
	struct space *leave;		/* lock: load the kernel's root if this one's is loaded */
	uint32_t posted;		/* lock: number of the last request */
	_Atomic(uint32_t) done;		/* release by the CPU: requests up to here are carried out */
} __attribute__((aligned(64)));

static struct tlb_cpu tlb_cpus[MAX_CPUS] = {
	[0 ... MAX_CPUS - 1] = { .mode = TLB_LAZY, .lock = SPINLOCK_INIT(LOCK_TLB) },
};

static _Atomic(uint64_t) slot_shootdowns;	/* of all slots; struct asid_stamp */

static void flush_local(const uint64_t *addr, uint32_t count, bool kernel)
{
	if (count > TLB_SINGLE_MAX) {
		if (kernel)
			arch_tlb_flush_all();
		else
			arch_tlb_flush_root();
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		arch_tlb_flush_page(addr[i]);
}

/* -- the CPU's side: interrupts off ----------------------------------------------------------- */

__attribute__((noinline))
static void load_tagged(struct tlb_cpu *t, struct space *space, bool unified, paddr_t root)
{
	struct asid_stamp stamp = { atomic_load(&space->shootdowns), atomic_load(&slot_shootdowns) };
	bool keep;
	uint32_t asid = asid_choose(&t->asids, MIN(arch_asids, ASID_MAX), space->object.koid,
				    unified, stamp, &keep);

	arch_root_load(root, asid, keep);
}

/* Load a root of @space, which t->space names.  Twice in each call of a program of a process. */
static inline void load(struct tlb_cpu *t, struct space *space, bool unified)
{
	paddr_t root = unified ? space->unified_root : space->root;

	t->unified = unified;
	if (arch_asids)
		load_tagged(t, space, unified, root);
	else
		arch_root_load(root, 0, false);
}

static void load_kernel_root(uint32_t cpu)
{
	struct space *space = tlb_cpus[cpu].space;

	arch_root_load(arch_kernel_root(), 0, false);
	tlb_cpus[cpu].space = NULL;
	tlb_cpus[cpu].unified = false;
	tlb_cpus[cpu].asids.loaded = 0;
	atomic_fetch_and(&space->cpus, ~BIT(cpu));
}

void tlb_interrupt(void)
{
	uint32_t cpu = cpu_id();
	struct tlb_cpu *t = &tlb_cpus[cpu];
	uint64_t addr[INBOX_MAX];
	uint32_t count, posted;
	struct space *leave;
	arch_irqflags_t flags;

	flags = spin_lock_irqsave(&t->lock);
	count = t->count;
	posted = t->posted;
	leave = t->leave;
	for (uint32_t i = 0; i < MIN(count, INBOX_MAX); i++)
		addr[i] = t->addr[i];
	t->count = 0;
	t->leave = NULL;
	spin_unlock_irqrestore(&t->lock, flags);

	if (count > TLB_SINGLE_MAX)
		arch_tlb_flush_all();
	else
		flush_local(addr, count, true);
	if (leave && t->space == leave)
		load_kernel_root(cpu);
	/* release: pairs with the acquire in wait_done() */
	atomic_store_explicit(&t->done, posted, memory_order_release);
}

void tlb_switch(struct space *next, bool unified)
{
	uint32_t cpu = cpu_id();
	struct tlb_cpu *t = &tlb_cpus[cpu];
	struct space *prev = t->space;
	uint32_t mode;

	if (!next) {
		uint32_t active = TLB_ACTIVE;

		atomic_compare_exchange_strong(&t->mode, &active, TLB_LAZY);
		return;
	}
	if (!next->unified_root)
		unified = false;
	mode = atomic_exchange(&t->mode, TLB_ACTIVE);
	if (next == prev && unified == t->unified && mode != TLB_STALE)
		return;
	if (next != prev) {
		atomic_fetch_or(&next->cpus, BIT(cpu));	/* full barrier: see above */
		t->space = next;
	}
	load(t, next, unified);
	if (prev && prev != next)
		atomic_fetch_and(&prev->cpus, ~BIT(cpu));
}

void tlb_switch_root(struct space *space, bool unified)
{
	struct tlb_cpu *t = &tlb_cpus[cpu_id()];

	kassert_checks(t->space == space);
	load(t, space, unified && space->unified_root);
}

/* -- the initiator's side ----------------------------------------------------------------------- */

/* Queue a request for @cpu; returns its number. */
static uint32_t post(uint32_t cpu, const struct tlb_batch *batch, struct space *leave)
{
	struct tlb_cpu *t = &tlb_cpus[cpu];
	arch_irqflags_t flags = spin_lock_irqsave(&t->lock);
	uint32_t posted = ++t->posted;

	if (leave) {
		/* Two spaces at once: leaving is only for the one that is loaded, the other
		 * request has been overtaken by a switch; but flush to be safe. */
		t->leave = leave;
	} else if (batch->addr_count > TLB_SINGLE_MAX || t->count + batch->addr_count > INBOX_MAX) {
		t->count = INBOX_MAX + 1;
	} else {
		for (uint32_t i = 0; i < batch->addr_count; i++)
			t->addr[t->count++] = batch->addr[i];
	}
	spin_unlock_irqrestore(&t->lock, flags);
	arch_ipi_send(cpu, IPI_SHOOTDOWN);
	return posted;
}

static void wait_done(uint32_t cpu, uint32_t number)
{
	for (uint32_t polls = 0;; polls++) {
		/* acquire: pairs with the release in tlb_interrupt() */
		uint32_t done = atomic_load_explicit(&tlb_cpus[cpu].done, memory_order_acquire);

		if ((int32_t)(done - number) >= 0)
			return;
		if (polls < POLLS_MAX || !arch_irq_enabled())
			arch_cpu_relax();
		else
			sched_yield();
	}
}

/* Whether @cpu need not be interrupted for @batch, because it flushes before it goes on. */
static bool defer(uint32_t cpu, const struct tlb_batch *batch)
{
	uint32_t mode = TLB_LAZY;

	if (!batch->space || batch->tables)
		return false;
	return atomic_compare_exchange_strong(&tlb_cpus[cpu].mode, &mode, TLB_STALE) ||
	       mode == TLB_STALE;
}

static uint64_t online_mask(void)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < cpu_count; i++)
		if (cpus[i] && atomic_load_explicit(&cpus[i]->online, memory_order_relaxed))
			mask |= BIT(i);
	return mask;
}

static void flush_others(const struct tlb_batch *batch, uint64_t mask)
{
	uint32_t number[MAX_CPUS];
	uint64_t waiting = 0;

	for (; mask; mask &= mask - 1) {
		uint32_t cpu = (uint32_t)__builtin_ctzll(mask);

		if (defer(cpu, batch))
			continue;
		number[cpu] = post(cpu, batch, NULL);
		waiting |= BIT(cpu);
	}
	for (; waiting; waiting &= waiting - 1) {
		uint32_t cpu = (uint32_t)__builtin_ctzll(waiting);

		wait_done(cpu, number[cpu]);
	}
}

/* Count a shoot-down of @space, which may be NULL; its tables were changed before. */
static struct asid_stamp count_shootdown(struct space *space, bool slot)
{
	return (struct asid_stamp){ space ? atomic_fetch_add(&space->shootdowns, 1) + 1 : 0,
				    slot ? atomic_fetch_add(&slot_shootdowns, 1) + 1 : 0 };
}

static void flush(struct tlb_batch *batch)
{
	struct asid_stamp stamp;
	uint32_t cpu;
	uint64_t mask;
	bool slot, everywhere;

	if (!batch->addr_count)
		return;
	/* A personality's slot is in the unified roots of all its program spaces: who has one of
	 * those loaded is not recorded, so everybody is told. */
	slot = batch->space && table_has_slot(batch->space);
	everywhere = !batch->space || slot;
	stamp = count_shootdown(batch->space, slot);
	preempt_disable();
	cpu = cpu_id();
	if (everywhere || tlb_cpus[cpu].space == batch->space) {
		flush_local(batch->addr, batch->addr_count, !batch->space);
		if (batch->space)
			asid_flushed(&tlb_cpus[cpu].asids, batch->space->object.koid, slot, stamp);
	}
	/* Tables were changed before, see the head of the file. */
	atomic_thread_fence(memory_order_seq_cst);
	mask = everywhere ? online_mask() : atomic_load(&batch->space->cpus);
	mask &= ~BIT(cpu);
	preempt_enable();
	/* Should the caller migrate now: the new CPU is in the mask if it matters. */
	if (unlikely(mask))
		flush_others(batch, mask);
	batch->addr_count = 0;
	batch->tables = false;
}

void tlb_finish(struct tlb_batch *batch)
{
	flush(batch);
	for (uint32_t i = 0; i < batch->page_count; i++)
		if (batch->page[i]->kind == PAGE_TABLE)
			table_free(batch->page[i]);
		else
			page_put(batch->page[i]);
	batch->page_count = 0;
}

void tlb_barrier(struct space *space)
{
	struct tlb_batch batch;

	/* A lazy CPU that is not interrupted runs no program, and switches roots before it does. */
	tlb_begin(&batch, space);
	tlb_add(&batch, 0);		/* for its interrupts, not for the page */
	tlb_finish(&batch);
}

void tlb_put_page(struct tlb_batch *batch, struct page *page)
{
	if (batch->page_count == TLB_BATCH_PAGES) {
		bool tables = batch->tables;

		tlb_finish(batch);
		batch->tables = tables;
	}
	batch->page[batch->page_count++] = page;
}

void tlb_leave(struct space *space)
{
	uint32_t number[MAX_CPUS];
	uint64_t mask, waiting;
	arch_irqflags_t flags = arch_irq_save();

	if (tlb_cpus[cpu_id()].space == space)
		load_kernel_root(cpu_id());
	arch_irq_restore(flags);
	/* Nobody can switch to it any more, so the mask only shrinks. */
	while ((mask = atomic_load(&space->cpus))) {
		waiting = mask;
		for (; mask; mask &= mask - 1) {
			uint32_t cpu = (uint32_t)__builtin_ctzll(mask);

			number[cpu] = post(cpu, NULL, space);
		}
		for (; waiting; waiting &= waiting - 1) {
			uint32_t cpu = (uint32_t)__builtin_ctzll(waiting);

			wait_done(cpu, number[cpu]);
		}
	}
}
