/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU: what a device can be told to do, and cannot do.
 *
 * The device that is told is QEMU's edu, whose DMA engine copies between its own buffer and any
 * address (-device edu,dma_mask=0xffffffff).  Without it, or without an IOMMU, there is nothing to
 * test.
 */
#include "kernel/selftest.h"

#include "abi/status.h"
#include "arch/io.h"
#include "arch/iommu.h"
#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/device.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/sched.h"
#include "kernel/time.h"

#define EDU_IDS		0x11e81234u
#define EDU_BUFFER	0x40000ull	/* in the device's own addresses */

enum { EDU_SOURCE = 0x80, EDU_DESTINATION = 0x88, EDU_COUNT = 0x90, EDU_COMMAND = 0x98 };
enum { EDU_RUN = 1, EDU_TO_MEMORY = 2 };

#define PIECE	2048ull		/* of a page; edu takes less than a whole one */
#define SECRET	0x5e
#define MARK	0xa7

static struct device *open_function(uint32_t function)
{
	struct k_device_desc desc = { .kind = K_DEVICE_PCI, .function = function, .name = "test" };
	struct device *device;

	return device_create(NULL, &desc, &device) == K_OK ? device : NULL;
}

static void drop(struct device *device)
{
	device_close(&device->object);
	object_put(&device->object);
}

static uint32_t find_edu(void)
{
	uint32_t ids;

	for (uint32_t function = 0; function < 256; function += 8)
		if (pci_config_read(function, 0, 4, &ids) == K_OK && ids == EDU_IDS)
			return function;
	return UINT32_MAX;
}

/* -- one device with memory ------------------------------------------------------------------ */

struct rig {
	struct device *edu, *other;	/* the neighbour: the host bridge */
	volatile uint8_t *registers;
	struct memory *own, *others;	/* two pages each */
	uint64_t own_pages[2], others_pages[2];
};

static bool map(struct device *device, struct memory *memory, uint64_t id, uint64_t *pages)
{
	struct k_dma_range range = { .length = 2 * K_PAGE_SIZE, .dma_id = id };

	return check(device_dma_map(device, memory, &range, pages) == K_OK);
}

static void rig_close(struct rig *r)
{
	if (r->edu)
		drop(r->edu);
	if (r->other)
		drop(r->other);
	if (r->registers)
		kernel_unmap((void *)r->registers);
	if (r->own)
		object_put(&r->own->object);
	if (r->others)
		object_put(&r->others->object);
}

static bool rig_open(struct rig *r)
{
	uint32_t function = find_edu();

	*r = (struct rig){ 0 };
	if (function == UINT32_MAX || !arch_iommu_is_on()) {
		log_line(LOG_INFO, "selftest: no IOMMU, or no edu device, here");
		return false;
	}
	r->edu = open_function(function);
	r->other = open_function(0);
	if (!check(r->edu && r->other) ||
	    !check(memory_create(NULL, 2 * K_PAGE_SIZE, K_MEMORY_RESIDENT, &r->own) == K_OK) ||
	    !check(memory_create(NULL, 2 * K_PAGE_SIZE, K_MEMORY_RESIDENT, &r->others) == K_OK))
		return false;
	r->registers = kernel_map(r->edu->window[0].base, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE,
				  ARCH_UNCACHED);
	return check(r->registers) && map(r->edu, r->own, 1, r->own_pages) &&
	       map(r->other, r->others, 1, r->others_pages) &&
	       check(pci_config_write_filtered(function, 4, 2, 6) == K_OK);
}

/* Have the device copy @n bytes between its buffer and @address, whatever that is. */
static void transfer(const struct rig *r, uint64_t address, uint64_t n, uint32_t direction)
{
	bool out = direction == EDU_TO_MEMORY;

	arch_mmio_write64(r->registers + EDU_SOURCE, out ? EDU_BUFFER : address);
	arch_mmio_write64(r->registers + EDU_DESTINATION, out ? address : EDU_BUFFER);
	arch_mmio_write64(r->registers + EDU_COUNT, n);
	arch_mmio_write64(r->registers + EDU_COMMAND, EDU_RUN | direction);
	while (arch_mmio_read64(r->registers + EDU_COMMAND) & EDU_RUN)
		sched_sleep_until(time_now_ns() + NS_PER_MS);
}

static bool is_all(uint64_t pa, uint8_t value)
{
	const uint8_t *p = phys_to_virt(pa);

	for (unsigned int i = 0; i < PIECE; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void fill(uint64_t pa, uint8_t value)
{
	memset(phys_to_virt(pa), value, PIECE);
}

/* What is at @pa now is what the device has in its buffer. */
static void load(const struct rig *r, uint8_t value)
{
	fill(r->own_pages[0], value);
	transfer(r, r->own_pages[0], PIECE, 0);
}

/* Neither does writing change what is there, nor does reading bring it out. */
static void check_is_denied(const struct rig *r, uint64_t pa)
{
	fill(pa, SECRET);
	load(r, MARK);
	transfer(r, pa, PIECE, EDU_TO_MEMORY);
	check(is_all(pa, SECRET));
	transfer(r, pa, PIECE, 0);
	transfer(r, r->own_pages[0], PIECE, EDU_TO_MEMORY);
	check(!memchr(phys_to_virt(r->own_pages[0]), SECRET, PIECE));
}

static void check_is_allowed(const struct rig *r, uint64_t pa)
{
	load(r, MARK);
	fill(pa, 0);
	transfer(r, pa, PIECE, EDU_TO_MEMORY);
	check(is_all(pa, MARK));
}

static uint64_t deliveries(const char *name)
{
	struct k_irq_info info;
	uint64_t count = 0;

	for (uint32_t from = 0; irq_info(from, &info) == K_OK; from = info.next)
		if (!strcmp(info.name, name))
			count += info.count;
	return count;
}

SELFTEST(a_device_reaches_only_what_was_mapped_for_it)
{
	uint64_t before = deliveries("iommu");
	struct page *page = page_alloc(0, 0, PAGE_KERNEL, NULL);
	struct rig r;

	if (rig_open(&r) && check(page)) {
		check_is_allowed(&r, r.own_pages[0]);
		check_is_allowed(&r, r.own_pages[1]);
		check_is_denied(&r, page_phys(page));		/* the kernel's */
		check_is_denied(&r, r.others_pages[1]);		/* another driver's */
		check(deliveries("iommu") > before);		/* and it was told of */
	}
	if (page)
		page_free(page, 0);
	rig_close(&r);
}

SELFTEST(memory_that_was_unmapped_is_out_of_reach)
{
	uint64_t again[2];
	struct rig r;

	if (rig_open(&r) && map(r.edu, r.others, 2, r.others_pages) &&
	    map(r.edu, r.others, 3, again)) {
		check_is_allowed(&r, r.others_pages[0]);
		device_dma_unmap(r.edu, 2);			/* there is a second mapping */
		check_is_allowed(&r, r.others_pages[0]);
		device_dma_unmap(r.edu, 3);
		check_is_denied(&r, r.others_pages[0]);
		check_is_allowed(&r, r.own_pages[0]);
	}
	rig_close(&r);
}

struct counted {
	struct irq_action action;
	_Atomic(uint32_t) count;
};

static void count(struct irq_action *action)
{
	atomic_fetch_add(&container_of(action, struct counted, action)->count, 1);
}

/* The device writes what a message says; returns how many interrupts came of it. */
static uint32_t forge(const struct rig *r, struct counted *c, const struct irq_message *message)
{
	memcpy(phys_to_virt(r->own_pages[0]), &message->data, sizeof(message->data));
	transfer(r, r->own_pages[0], sizeof(message->data), 0);
	transfer(r, message->address, sizeof(message->data), EDU_TO_MEMORY);
	return atomic_load(&c->count);
}

SELFTEST(memory_writes_do_not_forge_interrupts)
{
	struct counted c = { .action = { .fn = count, .name = "test" } };
	struct irq_message message;
	struct rig r;

	list_init(&c.action.link);
	if (rig_open(&r) &&
	    check(irq_bind_message(&c.action, r.other->desc.function, &message) == K_OK)) {
		check(message.address & 0x10);		/* it names an entry of the table */
		irq_unbind(&c.action);
		check(forge(&r, &c, &message) == 0);	/* which is not there any more */
		check(irq_bind_message(&c.action, IRQ_NOT_REMAPPED, &message) == K_OK);
		/* QEMU blocks these since version 8.1. */
		if (forge(&r, &c, &message))
			log_line(LOG_INFO, "selftest: this IOMMU passes interrupts of the old format");
		irq_unbind(&c.action);
	}
	rig_close(&r);
}

/* -- without a device that answers ----------------------------------------------------------- */

SELFTEST(domains_and_mappings_have_limits)
{
	static struct iommu_domain *domains[300];
	struct page *page = page_alloc(0, 0, PAGE_KERNEL, NULL);
	paddr_t pa = page ? page_phys(page) : 0;
	unsigned int n = 0, times = 0;
	k_status_t st = K_OK;

	if (!arch_iommu_is_on() || !check(page))
		return;
	/* No such functions answer on the last bus. */
	while (n < ARRAY_SIZE(domains) && st == K_OK) {
		st = arch_iommu_open(0xfe00 + n, "test", NULL, &domains[n]);
		n += st == K_OK;
	}
	check(st == K_ERR_LIMIT || n == ARRAY_SIZE(domains));
	st = K_OK;
	while (n && times < 2000 && st == K_OK) {
		st = arch_iommu_map(domains[0], &pa, 1);
		times += st == K_OK;
	}
	check(st == K_ERR_LIMIT && times >= 1000);
	while (times-- && n)
		check(arch_iommu_unmap(domains[0], &pa, 1));
	while (n)
		arch_iommu_close(domains[--n]);
	page_free(page, 0);
}
