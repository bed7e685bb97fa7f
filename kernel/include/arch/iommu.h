/* SPDX-License-Identifier: MIT */
/*
 * What devices reach by themselves, where the machine has an IOMMU.
 *
 * A domain is all that one PCI function can see of memory: nothing at first, then the pages
 * that are mapped, for reading and writing, at their physical addresses.  A function without
 * a domain sees nothing.  What a function tries beyond that is stopped, and logged under the
 * domain's name.  Interrupts of devices go through the IOMMU as well, where it can do that
 * (kernel/irq.h).
 *
 * Context of all but the start: threads, with the devices' mutex held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "arch/pte.h"
#include "base/util.h"

struct boot_info;
struct group;
struct iommu_domain;

/*
 * Switch on what the firmware's tables name, and say on the log whether DMA is confined.  Called
 * once, by the only processor that runs, when interrupts can be bound, and before any device is made.
 */
void arch_iommu_start(const struct boot_info *boot);
bool arch_iommu_is_on(void);		/* constant afterwards */

/*
 * A domain for @function, which is quiet and has none; its tables are charged to @group.  @name
 * stays as long as the domain.  *@out is NULL where there is no IOMMU.  NO_MEMORY; LIMIT: the
 * hardware can tell no more domains apart.
 */
k_status_t arch_iommu_open(uint32_t function, const char *name, struct group *group,
			   struct iommu_domain **out) MUST_CHECK;
/* The function is quiet. */
void arch_iommu_close(struct iommu_domain *domain);

/*
 * Map @count pages, all or none.  A page that is mapped already is mapped once more, and stays
 * until it was unmapped as often.  NO_MEMORY; LIMIT: a page was mapped a thousand times.
 * IO: the IOMMU did not answer, and the pages must not be used for anything else.
 */
k_status_t arch_iommu_map(struct iommu_domain *domain, const paddr_t *pages, uint64_t count)
	MUST_CHECK;
/*
 * Undo one arch_iommu_map().  True: the function cannot reach these pages any more, other than by
 * other mappings.  False: the IOMMU did not answer, and they must not be used for anything else.
 */
bool arch_iommu_unmap(struct iommu_domain *domain, const paddr_t *pages, uint64_t count) MUST_CHECK;
