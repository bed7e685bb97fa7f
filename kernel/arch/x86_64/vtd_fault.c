/* SPDX-License-Identifier: MIT */
/*
 * What the units stopped (VT-d 3.3, chapter 7): they record it in registers and interrupt, and it goes
 * on the log under the name of the device's driver.
 */
#include "arch/io.h"
#include "kernel/log.h"
#include "vtd.h"

#define CAP_RECORDS_AT(cap)	((uint32_t)((cap) >> 24 & 0x3ff) * 16)
#define CAP_RECORDS(cap)	((uint32_t)((cap) >> 40 & 0xff) + 1)
#define CONTROL_MASKED		(1u << 31)

/* A record: the address in the first word; of the second: */
#define RECORD_PENDING		(1ull << 63)
#define RECORD_READ		(1ull << 62)
#define RECORD_REASON(high)	((uint32_t)((high) >> 32) & 0xff)
#define   REASON_INTERRUPT	0x20u		/* and above: the index is in bits 63 to 48 */

#define ROUNDS			64u		/* more than are told of anybody */
#define STRANGERS_TOLD		64u		/* faults of functions without a driver */

static struct irq_action action;	/* bound once */

static void tell(const char *name, uint32_t function, uint64_t low, uint64_t high)
{
	uint32_t reason = RECORD_REASON(high);

	if (reason >= REASON_INTERRUPT)
		log_line(LOG_ERR, "iommu: %s (%02x:%02x.%x): interrupt %u was stopped, reason %#x", name,
			 function >> 8, function >> 3 & 31, function & 7, (uint32_t)(low >> 48), reason);
	else
		log_line(LOG_ERR, "iommu: %s (%02x:%02x.%x): %s memory at %#llx was stopped, reason %#x",
			 name, function >> 8, function >> 3 & 31, function & 7,
			 high & RECORD_READ ? "reading" : "writing",
			 (unsigned long long)(low & ~0xfffull), reason);
}

/* False: enough was told. */
static bool fault(uint64_t low, uint64_t high)
{
	static uint32_t strangers;	/* vtd_lock */
	uint32_t function = high & 0xffff;
	struct iommu_domain *domain = vtd_domain_find(function);
	const char *name = "no driver";
	bool goes_on = domain ? vtd_domain_fault(domain, &name) : ++strangers < STRANGERS_TOLD;

	tell(name, function, low, high);
	if (!goes_on)
		log_line(LOG_ERR, "iommu: %s: and more of that, which will not be told", name);
	return domain || goes_on;
}

static void look_at(struct vtd_unit *u)
{
	volatile uint8_t *record = u->registers + CAP_RECORDS_AT(u->cap);

	for (uint32_t i = 0; i < CAP_RECORDS(u->cap); i++, record += 16) {
		uint64_t high = arch_mmio_read64(record + 8);

		if (!(high & RECORD_PENDING))
			continue;
		if (!fault(arch_mmio_read64(record), high))
			arch_mmio_write32(u->registers + REG_FAULT_CONTROL, CONTROL_MASKED);
		arch_mmio_write32(record + 12, RECORD_PENDING >> 32);
	}
	arch_mmio_write32(u->registers + REG_FAULTS, FAULTS_OVERFLOW);
}

/* A unit interrupts again only when there was nothing pending. */
static void interrupt(struct irq_action *unused)
{
	spin_lock_irqoff(&vtd_lock);
	for (uint32_t i = 0; i < vtd.unit_count; i++) {
		struct vtd_unit *u = &vtd.units[i];

		for (unsigned int n = 0; n < ROUNDS; n++)
			if (arch_mmio_read32(u->registers + REG_FAULTS) & FAULTS_PENDING)
				look_at(u);
	}
	spin_unlock_irqoff(&vtd_lock);
}

k_status_t vtd_faults_start(void)
{
	struct irq_message message;
	k_status_t st;

	action.fn = interrupt;
	action.name = "iommu";
	list_init(&action.link);
	/* A unit's own interrupts are not remapped. */
	st = irq_bind_message(&action, IRQ_NOT_REMAPPED, &message);
	for (uint32_t i = 0; i < vtd.unit_count && st == K_OK; i++) {
		struct vtd_unit *u = &vtd.units[i];

		if (CAP_RECORDS_AT(u->cap) + 16 * CAP_RECORDS(u->cap) > K_PAGE_SIZE)
			return K_ERR_NOT_SUPPORTED;
		arch_mmio_write32(u->registers + REG_FAULT_DATA, message.data);
		arch_mmio_write32(u->registers + REG_FAULT_ADDRESS, (uint32_t)message.address);
		arch_mmio_write32(u->registers + REG_FAULT_ADDRESS_HIGH,
				  (uint32_t)(message.address >> 32));
		arch_mmio_write32(u->registers + REG_FAULT_CONTROL, 0);
	}
	return st;
}
