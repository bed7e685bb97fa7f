/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables, made once at boot.
 *
 *	direct map	every range of memory in the map, 2 MiB pages (1 GiB pages where a
 *			whole GiB is memory and the processor has them), not executable
 *	image		4 KiB pages with the rights of their sections
 *	the rest	empty tables of level 2, so that all top-level entries exist and
 *			every root can share them for ever
 *
 * Table pages come from the memory behind the image; boot_info.kernel_end moves up.
 */
#include "x86.h"

#include "arch/mmu.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/panic.h"

#define MIB2	(2ull << 20)
#define GIB	(1ull << 30)

extern char kernel_image_start[], kernel_text_start[], kernel_text_end[], kernel_rodata_end[],
	kernel_image_end[];
extern uint64_t boot_pml4[];

static uint64_t kernel_pml4[ARCH_TABLE_ENTRIES] __attribute__((aligned(4096)));
static paddr_t direct_map_end;
static paddr_t next_table, tables_end;

static paddr_t image_phys(const void *p)
{
	return (uint64_t)(uintptr_t)p - ARCH_KERNEL_IMAGE;
}

/* The end of usable memory behind @start. */
static paddr_t usable_end(const struct boot_info *boot, paddr_t start)
{
	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *r = &boot->ranges[i];
		paddr_t end = r->base + r->length;

		if (r->type != BOOT_RAM || r->base > start || end <= start)
			continue;
		if (boot->initrd_length && boot->initrd_base >= start && boot->initrd_base < end)
			end = boot->initrd_base;
		return MIN(end, GIB);	/* as far as the boot tables reach */
	}
	return start;
}

static uint64_t *table_alloc(paddr_t *pa)
{
	if (next_table + K_PAGE_SIZE > tables_end)
		panic("not enough memory behind the kernel image for its page tables");
	*pa = next_table;
	next_table += K_PAGE_SIZE;
	return memset(phys_to_virt(*pa), 0, K_PAGE_SIZE);
}

/* The table that @entry points to, made if there is none. */
static uint64_t *table_of(uint64_t *entry)
{
	paddr_t pa;
	uint64_t *table;

	if (*entry)
		return phys_to_virt(arch_pte_paddr(*entry));
	table = table_alloc(&pa);
	*entry = arch_pte_table(pa, false);
	return table;
}

static uint64_t *top_entry(uint64_t va)
{
	return &kernel_pml4[arch_table_index(va, 3)];
}

static void map_direct(paddr_t start, paddr_t end)
{
	const uint64_t bits = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_LARGE |
			      PTE_GLOBAL | PTE_NX;
	paddr_t pa = ALIGN_DOWN(start, MIB2);

	end = ALIGN_UP(end, MIB2);
	direct_map_end = MAX(direct_map_end, end);
	while (pa < end) {
		uint64_t va = ARCH_DIRECT_MAP + pa;
		uint64_t *level2 = table_of(top_entry(va)) + arch_table_index(va, 2);

		if (x86_features.pdpe1gb && IS_ALIGNED(pa, GIB) && end - pa >= GIB && !*level2) {
			*level2 = pa | bits;
			pa += GIB;
			continue;
		}
		if (!(*level2 & PTE_LARGE))
			table_of(level2)[arch_table_index(va, 1)] = pa | bits;
		pa += MIB2;
	}
}

static void map_image(const char *start, const char *end, uint32_t prot)
{
	for (const char *p = start; p < end; p += K_PAGE_SIZE) {
		uint64_t va = (uint64_t)(uintptr_t)p;
		uint64_t *level2 = table_of(top_entry(va)) + arch_table_index(va, 2);
		uint64_t *level1 = table_of(level2) + arch_table_index(va, 1);

		table_of(level1)[arch_table_index(va, 0)] =
			arch_pte_kernel(image_phys(p), prot, 0) & ~PTE_HELD;
	}
}

void x86_mmu_init(struct boot_info *boot)
{
	next_table = ALIGN_UP(image_phys(kernel_image_end), K_PAGE_SIZE);
	tables_end = usable_end(boot, next_table);

	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *r = &boot->ranges[i];

		if ((r->type == BOOT_RAM || r->type == BOOT_ACPI || r->type == BOOT_ACPI_NVS) &&
		    r->base < ARCH_MAX_PADDR)
			map_direct(r->base, MIN(r->base + r->length, ARCH_MAX_PADDR));
	}
	map_image(kernel_text_start, kernel_text_end, K_PROT_READ | K_PROT_EXEC);
	map_image(kernel_text_end, kernel_rodata_end, K_PROT_READ);
	map_image(kernel_rodata_end, kernel_image_end, K_PROT_READ | K_PROT_WRITE);
	table_of(top_entry(ARCH_PAGE_ARRAY));
	table_of(top_entry(ARCH_VMALLOC));
	table_of(top_entry(ARCH_STACKS));

	boot->kernel_base = image_phys(kernel_image_start);
	boot->kernel_end = next_table;
	arch_root_load(arch_kernel_root(), 0, false);
}

paddr_t arch_kernel_root(void)
{
	return image_phys(kernel_pml4);
}

/* The boot tables serve the starting processors: first GiB 1:1, and the kernel's half. */
paddr_t x86_identity_root(void)
{
	uint64_t *pml4 = phys_to_virt((uint64_t)(uintptr_t)boot_pml4);

	memcpy(pml4 + 256, kernel_pml4 + 256, 256 * sizeof(pml4[0]));
	return (uint64_t)(uintptr_t)boot_pml4;
}

paddr_t arch_direct_map_end(void)
{
	return direct_map_end;
}

uint32_t arch_asids;			/* x86_cpu_detect() */

void arch_root_load(paddr_t root, uint32_t asid, bool keep)
{
	x86_write_cr3(root | asid | (keep ? CR3_KEEP : 0));
}

void arch_tlb_flush_page(uint64_t va)
{
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}

void arch_tlb_flush_root(void)
{
	x86_write_cr3(x86_read_cr3());	/* CR3_KEEP reads as 0 */
}

/* Changing CR4.PGE drops the translations of all PCIDs. */
void arch_tlb_flush_all(void)
{
	uint64_t cr4 = x86_read_cr4();

	if (cr4 & CR4_PGE) {
		x86_write_cr4(cr4 & ~(uint64_t)CR4_PGE);
		x86_write_cr4(cr4);
	} else {
		arch_tlb_flush_root();
	}
}
