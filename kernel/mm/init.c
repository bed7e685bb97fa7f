/* SPDX-License-Identifier: MIT */
/*
 * The start of memory management: from the boot loader's memory map to an
 * allocator.
 */

#include "base/util.h"
#include "kernel/boot_info.h"
#include "mm_priv.h"

/* What of memory is taken: ascending by base is not needed. */
struct taken {
	uint64_t base, end;
};

/* Cut [start, end) around what is taken and add the rest; returns the new count. */
static unsigned add_around(struct page_range *out, unsigned n, unsigned max, uint64_t start,
			   uint64_t end, const struct taken *taken, unsigned taken_count)
{
	while (start < end && n < max) {
		uint64_t stop = end, resume = end;

		for (unsigned i = 0; i < taken_count; i++) {
			if (taken[i].base >= taken[i].end || taken[i].end <= start ||
			    taken[i].base >= stop)
				continue;
			if (taken[i].base <= start) {	/* begin behind it, and look again */
				stop = start;
				resume = taken[i].end;
				break;
			}
			stop = taken[i].base;
			resume = taken[i].end;
		}
		if (start < stop)
			out[n++] = (struct page_range){ start, stop };
		start = MAX(stop, resume);
	}
	return n;
}

void mm_init(const struct boot_info *boot)
{
	static struct page_range usable[BOOT_RANGES_MAX];	/* too large for the boot stack */
	const struct taken taken[] = {
		/* Firmware tables, trampolines for other CPUs, DOS-era holes: not worth the risk. */
		{ 0, 1u << 20 },
		{ ALIGN_DOWN(boot->kernel_base, K_PAGE_SIZE), ALIGN_UP(boot->kernel_end, K_PAGE_SIZE) },
		{ ALIGN_DOWN(boot->initrd_base, K_PAGE_SIZE),
		  ALIGN_UP(boot->initrd_base + boot->initrd_length, K_PAGE_SIZE) },
	};
	unsigned n = 0;

	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *r = &boot->ranges[i];

		if (r->type == BOOT_RAM)
			n = add_around(usable, n, ARRAY_SIZE(usable), r->base, r->base + r->length,
				       taken, ARRAY_SIZE(taken));
	}
	page_init(usable, n);
	kmem_init();
}
