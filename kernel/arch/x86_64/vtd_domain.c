/* SPDX-License-Identifier: MIT */
/*
 * Domains: what a function sees of memory (VT-d 3.3, 3.4 and chapter 9).
 *
 * The root table leads by bus to a context table, that by device and function to a domain's page
 * tables.  Their entries of the last level have bits that the hardware ignores, in which is
 * counted how often the page is mapped.  Tables are made when they are first needed and freed
 * with the domain.
 */
#include "arch/iommu.h"

#include "kernel/kmem.h"
#include "kernel/page.h"
#include "vtd.h"

#define DOMAINS_MAX	256u

#define ENTRY_PRESENT	1ull		/* of roots and contexts */
#define CONTEXT_SILENT	2ull		/* faults are not told */
#define PAGE_READ	1ull
#define PAGE_WRITE	2ull
#define ADDRESS		0x000ffffffffff000ull
#define ONCE		(1ull << 52)	/* the count, in bits that are ignored */
#define COUNT		(0x3ffull << 52)

#define FAULTS_TOLD	16u		/* of a function; then it is known */

struct iommu_domain {
	/* Constant. */
	uint32_t function, id;
	const char *name;
	struct group *group;
	uint64_t *table;		/* its entries: devices' mutex */

	uint32_t faults;		/* vtd_lock */
};

static uint64_t *roots;			/* two words for each bus; contexts of a bus once made stay */
static struct iommu_domain *domains[DOMAINS_MAX];	/* by id, from 1 on; vtd_lock */

paddr_t vtd_domains_start(void)
{
	roots = vtd_table_alloc(NULL);
	return roots ? virt_to_phys(roots) : 0;
}

static void set_entry(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	vtd_publish(entry, sizeof(*entry));
}

/* The function's two words; NULL: no memory. */
static uint64_t *context_of(uint32_t function)
{
	uint64_t *root = &roots[2 * (function >> 8 & 255)];

	if (!*root) {
		uint64_t *table = vtd_table_alloc(NULL);

		if (!table)
			return NULL;
		set_entry(root, virt_to_phys(table) | ENTRY_PRESENT);
	}
	return (uint64_t *)phys_to_virt(*root & ADDRESS) + 2 * (function & 255);
}

struct iommu_domain *vtd_domain_find(uint32_t function)
{
	assert_spin_held(&vtd_lock);
	for (uint32_t i = 1; i < DOMAINS_MAX; i++)
		if (domains[i] && domains[i]->function == function)
			return domains[i];
	return NULL;
}

bool vtd_domain_fault(struct iommu_domain *domain, const char **name)
{
	uint64_t *context = context_of(domain->function);

	*name = domain->name;
	if (++domain->faults < FAULTS_TOLD)
		return true;
	/* A device that goes on must not keep a processor busy. */
	set_entry(context, *context | CONTEXT_SILENT);
	(void)!vtd_forget_function(domain->function, domain->id);
	return false;
}

/* -- page tables ----------------------------------------------------------------------------- */

/* The entry of the last level; NULL: there is no table for it, or no memory to @make one. */
static uint64_t *find_entry(const struct iommu_domain *domain, paddr_t pa, bool make)
{
	uint64_t *table = domain->table;

	for (unsigned int level = vtd.levels - 1; level; level--) {
		uint64_t *entry = &table[pa >> (K_PAGE_SHIFT + 9 * level) & 511];

		if (!*entry) {
			uint64_t *fresh = make ? vtd_table_alloc(domain->group) : NULL;

			if (!fresh)
				return NULL;
			set_entry(entry, virt_to_phys(fresh) | PAGE_READ | PAGE_WRITE);
		}
		table = phys_to_virt(*entry & ADDRESS);
	}
	return &table[pa >> K_PAGE_SHIFT & 511];
}

static void free_tables(uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; level && i < 512; i++)
		if (table[i])
			free_tables(phys_to_virt(table[i] & ADDRESS), level - 1);
	page_free(phys_to_page(virt_to_phys(table)), 0);
}

static k_status_t map_page(const struct iommu_domain *domain, paddr_t pa)
{
	uint64_t *entry = find_entry(domain, pa, true);

	if (!entry)
		return K_ERR_NO_MEMORY;
	if ((*entry & COUNT) == COUNT)
		return K_ERR_LIMIT;
	set_entry(entry, *entry ? *entry + ONCE : pa | PAGE_READ | PAGE_WRITE | ONCE);
	return K_OK;
}

static bool forget(const struct iommu_domain *domain)
{
	arch_irqflags_t irq = spin_lock_irqsave(&vtd_lock);
	bool ok = vtd_forget_domain(domain->id);

	spin_unlock_irqrestore(&vtd_lock, irq);
	return ok;
}

k_status_t arch_iommu_map(struct iommu_domain *domain, const paddr_t *pages, uint64_t count)
{
	k_status_t st = K_OK;
	uint64_t done = 0;

	while (done < count && st == K_OK) {
		st = map_page(domain, pages[done]);
		done += st == K_OK;
	}
	if (st == K_OK && vtd.remembers_absence && !forget(domain))
		st = K_ERR_IO;
	/* Nobody was told of the addresses; a device that guessed them is cut off as always. */
	if (st != K_OK && !arch_iommu_unmap(domain, pages, done))
		st = K_ERR_IO;
	return st;
}

bool arch_iommu_unmap(struct iommu_domain *domain, const paddr_t *pages, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t *entry = find_entry(domain, pages[i], false);

		set_entry(entry, (*entry & COUNT) == ONCE ? 0 : *entry - ONCE);
	}
	return forget(domain);
}

/* -- life ------------------------------------------------------------------------------------ */

/* Have the function see @domain's tables, or nothing. */
static bool set_context(const struct iommu_domain *domain, bool on)
{
	uint64_t *context = context_of(domain->function);

	if (on)
		set_entry(context + 1, (uint64_t)domain->id << 8 | (vtd.levels - 2));
	set_entry(context, on ? virt_to_phys(domain->table) | ENTRY_PRESENT : 0);
	return vtd_forget_function(domain->function, domain->id);
}

/* Under vtd_lock; the context table exists. */
static k_status_t enter(struct iommu_domain *domain)
{
	uint32_t max = MIN(vtd.domain_max, DOMAINS_MAX);

	domain->id = 1;			/* 0 is not to be used with some units */
	while (domain->id < max && domains[domain->id])
		domain->id++;
	if (domain->id == max)
		return K_ERR_LIMIT;
	if (!set_context(domain, true))
		return K_ERR_IO;
	domains[domain->id] = domain;
	return K_OK;
}

k_status_t arch_iommu_open(uint32_t function, const char *name, struct group *group,
			   struct iommu_domain **out)
{
	struct iommu_domain *domain;
	arch_irqflags_t irq;
	k_status_t st;

	*out = NULL;
	if (!arch_iommu_is_on())
		return K_OK;
	domain = context_of(function) ? kzalloc(sizeof(*domain)) : NULL;
	if (!domain)
		return K_ERR_NO_MEMORY;
	domain->function = function;
	domain->name = name;
	domain->group = group;
	domain->table = vtd_table_alloc(group);
	if (!domain->table) {
		kfree(domain);
		return K_ERR_NO_MEMORY;
	}
	irq = spin_lock_irqsave(&vtd_lock);
	st = enter(domain);
	spin_unlock_irqrestore(&vtd_lock, irq);
	if (st == K_OK)
		*out = domain;
	else if (st == K_ERR_LIMIT) {
		free_tables(domain->table, 0);
		kfree(domain);
	}
	return st;
}

void arch_iommu_close(struct iommu_domain *domain)
{
	arch_irqflags_t irq;
	bool ok;

	if (!domain)
		return;
	irq = spin_lock_irqsave(&vtd_lock);
	ok = set_context(domain, false);
	if (ok)
		domains[domain->id] = NULL;
	spin_unlock_irqrestore(&vtd_lock, irq);
	/* A unit that may still look at the tables keeps them, and the number. */
	if (!ok)
		return;
	free_tables(domain->table, vtd.levels - 1);
	kfree(domain);
}
