/* SPDX-License-Identifier: MIT */
/*
 * The units of VT-d: found, switched on, and told what to forget.  Theory: vtd.h.
 *
 * A unit is told through its invalidation queue (6.5.2), and says when it is done by writing a
 * number to memory.  One that does not within a tenth of a second is broken: what it might still
 * reach is never used again (device/dma.c), and nobody waits for it any more.
 */
#include "vtd.h"

#include "arch/cpu.h"
#include "arch/io.h"
#include "arch/iommu.h"
#include "arch/mmu.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/page.h"
#include "kernel/time.h"

#define CAP_DOMAINS(cap)	(4 + 2 * ((cap) & 7))	/* bits of a domain's number */
#define CAP_WRITE_BUFFER	(1u << 4)	/* to be flushed by hand: before 2009 */
#define CAP_PROTECTED		(3u << 5)	/* firmware can protect memory by registers */
#define CAP_CACHING_MODE	(1u << 7)
#define CAP_LEVELS_3		(1u << 9)	/* 39 bits of address */
#define CAP_LEVELS_4		(1u << 10)	/* 48 bits */
#define CAP_WIDTH(cap)		(((cap) >> 16 & 63) + 1)
#define ECAP_COHERENT		(1u << 0)
#define ECAP_QUEUE		(1u << 1)
#define ECAP_INTERRUPTS		(1u << 3)

#define COMMAND_TRANSLATE	(1u << 31)	/* and likewise in REG_STATUS */
#define COMMAND_ROOT		(1u << 30)
#define COMMAND_QUEUE		(1u << 26)
#define COMMAND_INTERRUPTS	(1u << 25)
#define COMMAND_INTERRUPT_TABLE	(1u << 24)
#define COMMAND_STAYS		(COMMAND_TRANSLATE | COMMAND_QUEUE | COMMAND_INTERRUPTS)

#define QUEUE_ENTRIES		256u		/* of 16 bytes: a page */

/* Descriptors (6.5.2). */
#define FORGET_CONTEXT(function, domain) \
	(0x1 | 3ull << 4 | (uint64_t)(domain) << 16 | (uint64_t)(function) << 32)
#define FORGET_CONTEXTS		(0x1 | 1ull << 4)
#define FORGET_DOMAIN(domain)	(0x2 | 2ull << 4 | FORGET_DRAIN | (uint64_t)(domain) << 16)
#define FORGET_ADDRESSES	(0x2 | 1ull << 4 | FORGET_DRAIN)
#define   FORGET_DRAIN		(3u << 6)	/* what is under way is over before the answer */
#define FORGET_INTERRUPT(index)	(0x4 | 1ull << 4 | (uint64_t)(index) << 32)
#define FORGET_INTERRUPTS	0x4ull
#define ANSWER(number)		(0x5 | 1ull << 5 | (uint64_t)(number) << 32)

#define ANSWER_NS		(100 * NS_PER_MS)

struct vtd vtd;
struct spinlock vtd_lock = SPINLOCK_INIT(LOCK_IOMMU);

void vtd_publish(const volatile void *p, size_t n)
{
	const volatile char *at = (const volatile char *)ALIGN_DOWN((uintptr_t)p, 64);

	if (!vtd.is_coherent)
		for (; at < (const volatile char *)p + n; at += 64)
			asm volatile("clflush %0" : : "m"(*at) : "memory");
	asm volatile("sfence" : : : "memory");
}

void *vtd_table_alloc(struct group *group)
{
	struct page *page = page_alloc(0, PAGE_ALLOC_ZERO, PAGE_TABLE, group);

	if (page)
		vtd_publish(page_virt(page), K_PAGE_SIZE);
	return page ? page_virt(page) : NULL;
}

/* -- the queue ------------------------------------------------------------------------------- */

static void put_descriptor(struct vtd_unit *u, uint64_t low, uint64_t high)
{
	u->queue[2 * u->tail] = low;
	u->queue[2 * u->tail + 1] = high;
	u->tail = (u->tail + 1) % QUEUE_ENTRIES;
}

static bool wait_for_answer(struct vtd_unit *u)
{
	uint64_t deadline = time_now_ns() + ANSWER_NS;

	/* acquire: the unit has done what stands before the answer */
	while (atomic_load_explicit(u->answer, memory_order_acquire) != u->asked) {
		if (time_now_ns() > deadline ||
		    (arch_mmio_read32(u->registers + REG_FAULTS) & FAULTS_QUEUE))
			return false;
		arch_cpu_relax();
	}
	return true;
}

/* Have a unit do @first, and @second if it is not 0. */
static bool submit(struct vtd_unit *u, uint64_t first, uint64_t second)
{
	if (u->is_dead)
		return false;
	put_descriptor(u, first, 0);
	if (second)
		put_descriptor(u, second, 0);
	put_descriptor(u, ANSWER(++u->asked), virt_to_phys((const void *)u->answer));
	/* The registers are not cached: what was written to memory is there before. */
	arch_mmio_write64(u->registers + REG_QUEUE_TAIL, u->tail * 16);
	u->is_dead = !wait_for_answer(u);
	if (u->is_dead)
		log_line(LOG_ERR, "iommu: a unit does not answer: status %#x, faults %#x",
			 arch_mmio_read32(u->registers + REG_STATUS),
			 arch_mmio_read32(u->registers + REG_FAULTS));
	return !u->is_dead;
}

static bool submit_to_all(uint64_t first, uint64_t second)
{
	bool ok = true;

	assert_spin_held(&vtd_lock);
	for (uint32_t i = 0; i < vtd.unit_count; i++)
		ok &= submit(&vtd.units[i], first, second);
	return ok;
}

bool vtd_forget_function(uint32_t function, uint32_t domain)
{
	return submit_to_all(FORGET_CONTEXT(function, domain), FORGET_DOMAIN(domain));
}

bool vtd_forget_domain(uint32_t domain)
{
	return submit_to_all(FORGET_DOMAIN(domain), 0);
}

bool vtd_forget_interrupt(uint32_t index)
{
	return submit_to_all(FORGET_INTERRUPT(index), 0);
}

/* -- switching on ---------------------------------------------------------------------------- */

/* Change one bit of what stays, or have a command done; false: the unit does not do it. */
static bool command(struct vtd_unit *u, uint32_t bit, bool on)
{
	uint32_t stays = arch_mmio_read32(u->registers + REG_STATUS) & COMMAND_STAYS;
	uint64_t deadline = time_now_ns() + ANSWER_NS;

	arch_mmio_write32(u->registers + REG_COMMAND, on ? stays | bit : stays & ~bit);
	while (!(arch_mmio_read32(u->registers + REG_STATUS) & bit) == on) {
		if (time_now_ns() > deadline)
			return false;
		arch_cpu_relax();
	}
	return true;
}

/* What the firmware, or a kernel before this one, left on. */
static bool reset(struct vtd_unit *u)
{
	static const uint32_t bits[] = { COMMAND_TRANSLATE, COMMAND_INTERRUPTS, COMMAND_QUEUE };
	bool ok = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++)
		if (arch_mmio_read32(u->registers + REG_STATUS) & bits[i])
			ok &= command(u, bits[i], false);
	return ok;
}

static const char *start_queue(struct vtd_unit *u)
{
	struct page *pages = page_alloc(1, PAGE_ALLOC_ZERO, PAGE_KERNEL, NULL);

	if (!pages)
		return "no memory";
	u->queue = page_virt(pages);
	u->answer = (_Atomic(uint32_t) *)(u->queue + 2 * QUEUE_ENTRIES);
	arch_mmio_write64(u->registers + REG_QUEUE_TAIL, 0);
	arch_mmio_write64(u->registers + REG_QUEUE, page_phys(pages));
	return command(u, COMMAND_QUEUE, true) ? NULL : "a unit's queue does not start";
}

static const char *start_unit(struct vtd_unit *u, paddr_t root, paddr_t interrupts)
{
	const char *why = reset(u) ? start_queue(u) : "a unit cannot be switched off";

	if (why)
		return why;
	arch_mmio_write64(u->registers + REG_ROOT, root);
	if (!command(u, COMMAND_ROOT, true) || !submit(u, FORGET_CONTEXTS, FORGET_ADDRESSES))
		return "a unit does not take its tables";
	if (interrupts) {
		/* 256 entries; interrupts of the old format stay blocked (5.1.4). */
		arch_mmio_write64(u->registers + REG_INTERRUPTS, interrupts | 7);
		if (!command(u, COMMAND_INTERRUPT_TABLE, true) || !submit(u, FORGET_INTERRUPTS, 0) ||
		    !command(u, COMMAND_INTERRUPTS, true))
			return "a unit does not remap interrupts";
	}
	if (!command(u, COMMAND_TRANSLATE, true))
		return "a unit does not translate";
	if (u->cap & CAP_PROTECTED)
		arch_mmio_write32(u->registers + REG_PROTECTED, 0);
	return NULL;
}

/* Map the registers, and see what all units have in common. */
static const char *look_at(struct vtd_unit *u, uint64_t base, uint64_t *levels)
{
	u->registers = kernel_map(base, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE, ARCH_UNCACHED);
	if (!u->registers)
		return "no memory";
	u->cap = arch_mmio_read64(u->registers + REG_CAP);
	u->ecap = arch_mmio_read64(u->registers + REG_ECAP);
	if (u->cap == UINT64_MAX || !(u->ecap & ECAP_QUEUE) || (u->cap & CAP_WRITE_BUFFER))
		return "a unit is not there, or too old";
	vtd.remaps_interrupts &= u->ecap & ECAP_INTERRUPTS ? true : false;
	vtd.is_coherent &= u->ecap & ECAP_COHERENT;
	vtd.remembers_absence |= u->cap & CAP_CACHING_MODE ? true : false;
	vtd.domain_max = MIN(vtd.domain_max, 1u << CAP_DOMAINS(u->cap));
	*levels &= u->cap;
	if (arch_direct_map_end() > 1ull << MIN(CAP_WIDTH(u->cap), 48u))
		return "a unit does not reach all memory";
	return NULL;
}

static const char *look_at_all(const struct boot_info *boot)
{
	uint64_t levels = arch_direct_map_end() <= 1ull << 39 ? CAP_LEVELS_3 | CAP_LEVELS_4
							      : CAP_LEVELS_4;
	const char *why = NULL;

	for (uint32_t i = 0; i < boot->iommu_count && !why; i++)
		why = look_at(&vtd.units[i], boot->iommus[i], &levels);
	vtd.levels = levels & CAP_LEVELS_3 ? 3 : 4;
	return why ? why : levels ? NULL : "no size of page tables fits";
}

static const char *start_all(const struct boot_info *boot)
{
	paddr_t root, interrupts = 0;
	const char *why;

	vtd = (struct vtd){ .is_coherent = true, .remaps_interrupts = boot->iommu_interrupts,
			    .domain_max = UINT32_MAX };
	why = look_at_all(boot);
	if (why)
		return why;
	root = vtd_domains_start();
	if (vtd.remaps_interrupts)
		interrupts = vtd_interrupts_start();
	if (!root || (vtd.remaps_interrupts && !interrupts))
		return "no memory";
	for (uint32_t i = 0; i < boot->iommu_count && !why; i++)
		why = start_unit(&vtd.units[i], root, interrupts);
	return why;
}

void arch_iommu_start(const struct boot_info *boot)
{
	const char *why = boot->iommu_problem, *value;
	size_t length;

	if (command_line_value(boot->command_line, "iommu", &value, &length) && length == 3 &&
	    !strncmp(value, "off", 3))
		why = "it is off";
	else if (!why)
		why = boot->iommu_count ? start_all(boot) : "there is none";
	if (why) {
		for (uint32_t i = 0; i < boot->iommu_count; i++)
			if (vtd.units[i].registers)
				(void)!reset(&vtd.units[i]);
		vtd.remaps_interrupts = false;
		log_line(LOG_NOTICE, "iommu: %s: drivers are trusted with DMA", why);
		return;
	}
	vtd.unit_count = boot->iommu_count;
	if (vtd_faults_start() != K_OK)
		log_line(LOG_WARNING, "iommu: what it stops cannot be told");
	log_line(LOG_NOTICE, "iommu: DMA of drivers is confined by VT-d%s",
		 vtd.remaps_interrupts ? ", and their interrupts are"
				       : "; a device can forge interrupts");
	if (boot->iommu_reserved)
		log_line(LOG_NOTICE, "iommu: %u ranges that the firmware reserves for devices are not theirs",
			 boot->iommu_reserved);
}

bool arch_iommu_is_on(void)
{
	return vtd.unit_count != 0;
}
