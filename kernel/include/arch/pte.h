/* SPDX-License-Identifier: MIT */
/*
 * The layout of the address space and the form of page-table entries.
 *
 * Everything here is a pure function of its arguments: mm/ does all table
 * walking through these, and host tests run the same code over a pretended
 * memory.  Loading roots and flushing TLBs is in arch/mmu.h.
 *
 * An entry of the last level is one of
 *
 *	0				nothing here
 *	PTE_HELD, maybe PTE_PRESENT	a page; without PTE_PRESENT the region
 *					forbids every access, the page stays
 *
 * and, with PTE_SPECIAL, the page is not counted: device memory or the page of
 * zeros.  What the region allows and what the entry allows differ on purpose:
 * a writable region's entry is read-only while the page is shared copy-on-write,
 * clean in an object that tracks dirty pages, or the page of zeros.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

typedef uint64_t paddr_t;
typedef uint64_t arch_pte_t;

/* -- the kernel's half ------------------------------------------------------- */

#define ARCH_DIRECT_MAP		0xffff800000000000ull	/* all memory, 2 MiB pages, NX */
#define ARCH_PAGE_ARRAY		0xffffc00000000000ull	/* struct page by frame number */
#define ARCH_VMALLOC		0xffffd00000000000ull	/* stacks, device registers, large blocks */
#define ARCH_VMALLOC_SIZE	(64ull << 30)
#define ARCH_STACKS		0xffffd80000000000ull	/* kernel stacks: one slot each */
#define ARCH_STACKS_SIZE	(64ull << 30)
#define ARCH_KERNEL_IMAGE	0xffffffff80000000ull

#define ARCH_MAX_PADDR		(1ull << 46)

/* -- tables: four levels; level 0 holds the entries of 4 KiB pages ------------ */

#define ARCH_LEVELS		4
#define ARCH_TABLE_BITS		9
#define ARCH_TABLE_ENTRIES	512u

static inline unsigned arch_table_index(uint64_t va, unsigned level)
{
	return (va >> (K_PAGE_SHIFT + ARCH_TABLE_BITS * level)) & (ARCH_TABLE_ENTRIES - 1);
}

/* Bytes covered by one entry of a table of @level. */
static inline uint64_t arch_table_span(unsigned level)
{
	return 1ull << (K_PAGE_SHIFT + ARCH_TABLE_BITS * level);
}

#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_USER	(1ull << 2)
#define PTE_PWT		(1ull << 3)
#define PTE_PCD		(1ull << 4)
#define PTE_ACCESSED	(1ull << 5)
#define PTE_DIRTY	(1ull << 6)
#define PTE_LARGE	(1ull << 7)	/* levels 1 and 2 */
#define PTE_PAT		(1ull << 7)	/* level 0 */
#define PTE_GLOBAL	(1ull << 8)
#define PTE_HELD	(1ull << 9)	/* software: there is a page */
#define PTE_SPECIAL	(1ull << 10)	/* software: the page is not counted */
#define PTE_NX		(1ull << 63)
#define PTE_FRAME	0x000ffffffffff000ull

/* How memory is cached.  WRITE_COMBINE needs the PAT entry that arch sets up (entry 4: WC). */
enum arch_cache { ARCH_CACHED, ARCH_UNCACHED, ARCH_WRITE_COMBINE };

static inline arch_pte_t arch_pte_cache_bits(enum arch_cache cache)
{
	if (cache == ARCH_UNCACHED)
		return PTE_PCD | PTE_PWT;
	return cache == ARCH_WRITE_COMBINE ? PTE_PAT : 0;
}

/* The permission bits for K_PROT_* @prot; any access implies reading. */
static inline arch_pte_t arch_pte_prot_bits(uint32_t prot)
{
	arch_pte_t bits = prot ? PTE_PRESENT : 0;

	if (prot & K_PROT_WRITE)
		bits |= PTE_WRITE;
	if (!(prot & K_PROT_EXEC))
		bits |= PTE_NX;
	return bits;
}

/* The entry of a program's page; accessed and dirty set, so that the CPU need not write them. */
static inline arch_pte_t arch_pte_user(paddr_t pa, uint32_t prot, arch_pte_t extra)
{
	return pa | PTE_HELD | PTE_USER | PTE_ACCESSED | PTE_DIRTY | extra |
	       arch_pte_prot_bits(prot);
}

/* The entry of a kernel page. */
static inline arch_pte_t arch_pte_kernel(paddr_t pa, uint32_t prot, arch_pte_t extra)
{
	return pa | PTE_HELD | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY | extra |
	       arch_pte_prot_bits(prot);
}

static inline arch_pte_t arch_pte_set_prot(arch_pte_t pte, uint32_t prot)
{
	return (pte & ~(PTE_PRESENT | PTE_WRITE | PTE_NX)) | arch_pte_prot_bits(prot);
}

/* An entry that points to a table of the next lower level. */
static inline arch_pte_t arch_pte_table(paddr_t pa, bool user)
{
	return pa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | (user ? PTE_USER : 0);
}

static inline paddr_t arch_pte_paddr(arch_pte_t pte)
{
	return pte & PTE_FRAME;
}

static inline bool arch_pte_writable(arch_pte_t pte)
{
	return pte & PTE_WRITE;
}

/* Whether the entry lets user code make @access (K_PROT_*) as it stands. */
static inline bool arch_pte_allows(arch_pte_t pte, uint32_t access)
{
	return (pte & PTE_PRESENT) && (!(access & K_PROT_WRITE) || (pte & PTE_WRITE)) &&
	       (!(access & K_PROT_EXEC) || !(pte & PTE_NX));
}
