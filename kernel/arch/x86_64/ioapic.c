/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs, and the end of the 8259s.  Redirection entries are written under
 * irq.c's lock.
 */
#include "x86.h"

#include "arch/io.h"
#include "kernel/kmem.h"
#include "kernel/log.h"

#define IOAPIC_VERSION	1
#define IOAPIC_ENTRY	0x10
#define ENTRY_MASKED	(1u << 16)
#define ENTRY_LEVEL	(1u << 15)
#define ENTRY_LOW	(1u << 13)

static struct ioapic {			/* constant after x86_ioapic_init() */
	volatile uint32_t *registers;	/* select at 0, data at 4 */
	uint32_t gsi_base, lines;
	uint32_t requester;		/* to the IOMMU */
} ioapics[BOOT_IOAPICS_MAX];

static uint32_t ioapic_read(const struct ioapic *io, uint32_t reg)
{
	io->registers[0] = reg;
	return io->registers[4];
}

static void ioapic_write(const struct ioapic *io, uint32_t reg, uint32_t value)
{
	io->registers[0] = reg;
	io->registers[4] = value;
}

/* Masked, and remapped so that a late spurious interrupt is none of the exceptions. */
static void pic_disable(void)
{
	static const struct { uint16_t port; uint8_t value; } sequence[] = {
		{ 0x21, 0xff }, { 0xa1, 0xff }, { 0x20, 0x11 }, { 0xa0, 0x11 },
		{ 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 0x04 }, { 0xa1, 0x02 },
		{ 0x21, 0x01 }, { 0xa1, 0x01 }, { 0x21, 0xff }, { 0xa1, 0xff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sequence); i++)
		arch_port_write8(sequence[i].port, sequence[i].value);
}

void x86_ioapic_init(const struct boot_info *boot)
{
	pic_disable();
	for (uint32_t i = 0; i < boot->ioapic_count; i++) {
		struct ioapic *io = &ioapics[i];

		io->registers = kernel_map(boot->ioapics[i].base, K_PAGE_SIZE,
					   K_PROT_READ | K_PROT_WRITE, ARCH_UNCACHED);
		if (!io->registers) {
			log_line(LOG_ERR, "no memory to map I/O APIC %u", i);
			continue;
		}
		io->gsi_base = boot->ioapics[i].gsi_base;
		io->requester = boot->ioapics[i].requester;
		io->lines = (ioapic_read(io, IOAPIC_VERSION) >> 16 & 0xff) + 1;
		/* Firmware leaves the lines masked; so does reset. */
	}
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
	for (size_t i = 0; i < ARRAY_SIZE(ioapics); i++) {
		if (ioapics[i].registers && gsi >= ioapics[i].gsi_base &&
		    gsi - ioapics[i].gsi_base < ioapics[i].lines)
			return &ioapics[i];
	}
	return NULL;
}

bool x86_ioapic_has(uint32_t gsi)
{
	return ioapic_of(gsi) != NULL;
}

void x86_ioapic_route(uint32_t gsi, uint32_t vector, uint32_t apic_id, bool level, bool low)
{
	const struct ioapic *io = ioapic_of(gsi);
	uint32_t reg = IOAPIC_ENTRY + 2 * (gsi - io->gsi_base), to;

	/* A remappable entry names that of the IOMMU's table (VT-d 3.3, 5.1.2.1). */
	to = x86_remap_set(vector, apic_id, level, io->requester) ? vector << 17 | 1u << 16
								  : apic_id << 24;
	ioapic_write(io, reg, ENTRY_MASKED);
	ioapic_write(io, reg + 1, to);
	ioapic_write(io, reg, vector | (level ? ENTRY_LEVEL : 0) | (low ? ENTRY_LOW : 0) |
				      ENTRY_MASKED);
}

void x86_ioapic_mask(uint32_t gsi, bool masked)
{
	const struct ioapic *io = ioapic_of(gsi);
	uint32_t reg = IOAPIC_ENTRY + 2 * (gsi - io->gsi_base);
	uint32_t entry = ioapic_read(io, reg);

	ioapic_write(io, reg, masked ? entry | ENTRY_MASKED : entry & ~ENTRY_MASKED);
}
