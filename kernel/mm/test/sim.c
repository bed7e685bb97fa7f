/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/mmu.h"
#include "arch/smp.h"
#include "arch/ucopy.h"
#include "kernel/backing.h"
#include "kernel/bell.h"
#include "kernel/fault.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "unit/unit.h"

uint64_t sim_memory, sim_page_array;
unsigned sim_spinlocks_held, sim_bells_rung;
uint32_t sim_ranks[16];
struct thread sim_thread;
struct cpu *cpus[MAX_CPUS];
uint32_t cpu_count = SIM_CPUS, sim_cpu, arch_asids;
uint64_t sim_kept_loads;
struct group *sim_group;
uint64_t sim_charged, sim_objects;

static unsigned fail_one_in;
static paddr_t kernel_root, loaded_root[SIM_CPUS];

/* -- the machine ------------------------------------------------------------------------ */

void sim_start(void)
{
	static struct cpu online[SIM_CPUS] = { { 1 }, { 1 } };
	static struct group group;
	const struct page_range usable[] = {
		{ 1 << 20, SIM_MEMORY / 2 }, { SIM_MEMORY / 2 + (3 << 20), SIM_MEMORY },
	};
	uint64_t array = SIM_MEMORY / K_PAGE_SIZE * sizeof(struct page);

	if (sim_memory)
		return;
	sim_memory = (uint64_t)(uintptr_t)mmap(NULL, SIM_MEMORY, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sim_page_array = (uint64_t)(uintptr_t)mmap(NULL, array, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sim_group = &group;
	kernel_root = K_PAGE_SIZE;
	for (unsigned i = 0; i < SIM_CPUS; i++) {
		cpus[i] = &online[i];
		loaded_root[i] = kernel_root;
	}
	page_init(usable, ARRAY_SIZE(usable));
	kmem_init();
}

paddr_t arch_kernel_root(void) { return kernel_root; }

/* -- the TLBs ------------------------------------------------------------------------------ */

#define TLB_SLOTS 4096u

struct translation { uint64_t va; arch_pte_t pte; };

static struct translation tlbs[SIM_CPUS][SIM_ASIDS_MAX + 1][TLB_SLOTS];
static uint32_t loaded_asid[SIM_CPUS];

static struct translation *tlb_slot(uint64_t va)
{
	return &tlbs[sim_cpu][loaded_asid[sim_cpu]][(va >> K_PAGE_SHIFT) % TLB_SLOTS];
}

void arch_tlb_flush_all(void) { memset(tlbs[sim_cpu], 0, sizeof(tlbs[0])); }

void arch_tlb_flush_root(void)
{
	memset(tlbs[sim_cpu][loaded_asid[sim_cpu]], 0, sizeof(tlbs[0][0]));
}

void arch_tlb_flush_page(uint64_t va)
{
	va &= ~(K_PAGE_SIZE - 1ull);
	if (tlb_slot(va)->va == va)
		tlb_slot(va)->pte = 0;
}

void arch_root_load(paddr_t root, uint32_t asid, bool keep)
{
	loaded_root[sim_cpu] = root;
	loaded_asid[sim_cpu] = asid;
	sim_kept_loads += keep;
	if (!keep)
		arch_tlb_flush_root();
}

/* The other processor does at once what it is told. */
void arch_ipi_send(uint32_t cpu, enum arch_ipi ipi)
{
	uint32_t sender = sim_cpu;

	sim_cpu = cpu;
	tlb_interrupt();
	sim_cpu = sender;
}

/* Make a random processor run on @space. */
static void run_on(struct space *space, bool unified)
{
	sim_thread.run_space = space;
	sim_cpu = (uint32_t)(unit_random() % SIM_CPUS);
	tlb_switch(space, unified);
}

/* What the processor finds for the page at @page, in its TLB or else in the tables. */
static arch_pte_t look_up(uint64_t page, uint32_t access)
{
	struct translation *slot = tlb_slot(page);
	arch_pte_t pte = slot->va == page ? slot->pte : 0;
	arch_pte_t *entry;

	if (pte && arch_pte_allows(pte, access))
		return pte;
	entry = table_find(loaded_root[sim_cpu], page);
	pte = entry ? *entry : 0;
	if (pte & PTE_PRESENT)
		*slot = (struct translation){ page, pte };
	return pte;
}

bool sim_reaches(struct space *space, bool unified, uint64_t va)
{
	run_on(space, unified);
	return arch_pte_allows(look_up(va & ~(K_PAGE_SIZE - 1ull), K_PROT_READ), K_PROT_READ);
}

k_status_t sim_access(struct space *space, uint64_t va, bool write, uint64_t *value,
		      struct k_fault *fault)
{
	uint64_t page = va & ~(K_PAGE_SIZE - 1ull), *where;
	uint32_t access = write ? K_PROT_WRITE : K_PROT_READ;

	run_on(space, unit_random() % 2);
	for (unsigned tries = 0; tries < 4; tries++) {
		arch_pte_t pte = look_up(page, access);
		k_status_t st;

		if (arch_pte_allows(pte, access)) {
			where = (uint64_t *)((char *)phys_to_virt(arch_pte_paddr(pte)) + (va - page));
			if (write)
				*where = *value;
			else
				*value = *where;
			return K_OK;
		}
		arch_tlb_flush_page(page);	/* a fault does that */
		st = fault_handle(space, va, access, fault);
		if (st != K_OK)
			return st;
	}
	return K_ERR_BAD_STATE;	/* settled again and again, and never accessible */
}

k_status_t sim_read(struct space *space, uint64_t va, uint64_t *value)
{
	return sim_access(space, va, false, value, NULL);
}

k_status_t sim_write(struct space *space, uint64_t va, uint64_t value)
{
	return sim_access(space, va, true, &value, NULL);
}

size_t arch_copy_from_user(void *dst, uint64_t src, size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		if (sim_read(sim_thread.run_space, src + i, (uint64_t *)((char *)dst + i)) != K_OK)
			return n - i;
	return 0;
}

size_t arch_copy_to_user(uint64_t dst, const void *src, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v;

		memcpy(&v, (const char *)src + i, 8);
		if (sim_write(sim_thread.run_space, dst + i, v) != K_OK)
			return n - i;
	}
	return 0;
}

size_t arch_clear_user(uint64_t dst, size_t n) { return n; }

/* -- the rest of the kernel ------------------------------------------------------------------- */

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("panic: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

void log_line(enum log_level level, const char *fmt, ...) {}

void sim_fail_charges(unsigned n) { fail_one_in = n; }

bool group_charge_bytes(struct group *group, uint64_t bytes)
{
	if (fail_one_in && unit_random() % fail_one_in == 0)
		return false;
	sim_charged += bytes;
	return true;
}

void group_uncharge_bytes(struct group *group, uint64_t bytes) { sim_charged -= bytes; }
bool group_has_reserve(const struct group *group) { return false; }

k_status_t object_init(struct object *object, enum k_type type, struct group *group, uint32_t bytes)
{
	static uint64_t koid;

	refcount_init(&object->refs, 1);
	object->type = type;
	object->group = group;
	object->koid = ++koid;
	sim_objects++;
	return K_OK;
}

void object_abandon(struct object *object) { sim_objects--; }

void object_put_deferred(struct object *object)
{
	object_put(object);
}

void object_last_put(struct object *object)
{
	sim_objects--;
	switch (object->type) {
	case K_TYPE_SPACE:	space_destroy(object); break;
	case K_TYPE_MEMORY:	memory_destroy(object); break;
	case K_TYPE_BACKING:	backing_destroy(object); break;
	}
}

void bell_ring(struct bell *bell, uint64_t bits) { sim_bells_rung++; }

uint64_t sim_free_pages(void)
{
	struct page_stats stats;

	for (sim_cpu = 0; sim_cpu < SIM_CPUS; sim_cpu++) {
		kmem_drain();
		page_drain_caches();
	}
	sim_cpu = 0;
	page_stats(&stats);
	return stats.free;
}
