/* SPDX-License-Identifier: MIT */
/*
 * The table of interrupts (VT-d 3.3, 5.1 and 9.10): what a device's message or an I/O APIC's line
 * names is an entry of it, which says the vector and the processor, and from whom alone it is taken.
 *
 * A vector belongs to one source in the machine (irq.c), so that it numbers the entry, too.
 */
#include "kernel/page.h"
#include "vtd.h"

#define ENTRIES		256u

#define ENTRY_PRESENT	(1ull << 0)
#define ENTRY_LEVEL	(1ull << 4)
#define ENTRY_FROM_ONE	(1ull << 18)	/* of the second word: check the whole requester id */

static uint64_t (*table)[2];		/* vtd_lock */

paddr_t vtd_interrupts_start(void)
{
	_Static_assert(ENTRIES * sizeof(table[0]) == K_PAGE_SIZE, "the table is a page");
	table = vtd_table_alloc(NULL);
	return table ? virt_to_phys(table) : 0;
}

static void set_entry(uint32_t index, uint64_t low, uint64_t high)
{
	arch_irqflags_t irq = spin_lock_irqsave(&vtd_lock);

	/* It is absent while it changes. */
	__atomic_store_n(&table[index][0], 0, __ATOMIC_RELEASE);
	__atomic_store_n(&table[index][1], high, __ATOMIC_RELEASE);
	__atomic_store_n(&table[index][0], low, __ATOMIC_RELEASE);
	vtd_publish(table[index], sizeof(table[index]));
	/* One that does not answer has been complained about: interrupts are lost, or come late. */
	(void)!vtd_forget_interrupt(index);
	spin_unlock_irqrestore(&vtd_lock, irq);
}

bool x86_remap_set(uint32_t vector, uint32_t apic_id, bool level, uint32_t requester)
{
	if (!vtd.unit_count || !vtd.remaps_interrupts)
		return false;
	/* Fixed delivery to one processor by its physical number, in bits 15 to 8 of the destination. */
	set_entry(vector, ENTRY_PRESENT | (level ? ENTRY_LEVEL : 0) | vector << 16 |
			  (uint64_t)(apic_id & 0xff) << 40, ENTRY_FROM_ONE | (requester & 0xffff));
	return true;
}

void x86_remap_clear(uint32_t vector)
{
	if (vtd.unit_count && vtd.remaps_interrupts)
		set_entry(vector, 0, 0);
}
