/* SPDX-License-Identifier: MIT */
/*
 * The MultiProcessor Specification's table, for machines without ACPI (QEMU's
 * microvm with acpi=off, Firecracker).
 */
#include "x86.h"

#include "base/string.h"
#include "kernel/page.h"

struct floating {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, features[5];
} PACKED;

struct header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} PACKED;

static bool sums_to_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (n--)
		s += *b++;
	return s == 0;
}

static const struct floating *search(paddr_t start, paddr_t end)
{
	for (paddr_t pa = start; pa + sizeof(struct floating) <= end; pa += 16) {
		const struct floating *f = phys_to_virt(pa);

		if (!memcmp(f->signature, "_MP_", 4) && sums_to_zero(f, sizeof(*f)))
			return f;
	}
	return NULL;
}

static const struct header *find_table(void)
{
	const struct floating *f = search(0xf0000, 0x100000);
	const struct header *h;

	if (!f)
		f = search(0x9fc00, 0xa0000);
	if (!f)
		f = search(0, 0x400);
	if (!f || !f->table || f->table >= 1u << 20)
		return NULL;
	h = phys_to_virt(f->table);
	if (memcmp(h->signature, "PCMP", 4) || f->table + h->length > 1u << 20 ||
	    !sums_to_zero(h, h->length))
		return NULL;
	return h;
}

static void read_processor(struct boot_info *boot, const uint8_t *e)
{
	if ((e[3] & 1) && boot->cpu_count < BOOT_CPUS_MAX)
		boot->cpu_apic_ids[boot->cpu_count++] = e[1];
}

static void read_ioapic(struct boot_info *boot, const uint8_t *e)
{
	uint32_t n = boot->ioapic_count, base;

	if (!(e[3] & 1) || n == BOOT_IOAPICS_MAX)
		return;
	memcpy(&base, e + 4, sizeof(base));
	boot->ioapics[n].id = e[1];
	boot->ioapics[n].base = base;
	/* Lines are numbered through; the table does not say from where.  24 is what all have. */
	boot->ioapics[n].gsi_base = n * 24;
	boot->ioapic_count++;
}

/* Interrupt of the ISA bus at another line than its number, or with flags of its own. */
static void read_interrupt(struct boot_info *boot, const uint8_t *e, uint32_t isa_buses)
{
	uint32_t n = boot->override_count;
	uint16_t flags = (uint16_t)(e[2] | e[3] << 8);
	uint32_t f = ((flags >> 2 & 3) == 3 ? 1 : 0) | ((flags & 3) == 3 ? 2 : 0);

	if (e[1] != 0 || e[4] >= 32 || !(isa_buses >> e[4] & 1) || n == BOOT_OVERRIDES_MAX)
		return;
	if (e[5] == e[7] && !f)
		return;
	boot->overrides[n].isa = e[5];
	boot->overrides[n].gsi = e[7];
	boot->overrides[n].flags = f;
	boot->override_count++;
}

bool x86_mptable_init(struct boot_info *boot)
{
	const struct header *h = find_table();
	const uint8_t *p, *end;
	uint32_t isa_buses = 0;

	if (!h)
		return false;
	if (h->lapic)
		boot->lapic_base = h->lapic;
	p = (const uint8_t *)(h + 1);
	end = (const uint8_t *)h + h->length;
	/* By length: QEMU's firmware for microvm leaves the number of entries 0. */
	while (p < end) {
		size_t size = p[0] == 0 ? 20 : 8;

		if (p + size > end)
			break;
		switch (p[0]) {
		case 0:
			read_processor(boot, p);
			break;
		case 1:
			if (!memcmp(p + 2, "ISA", 3) && p[1] < 32)
				isa_buses |= 1u << p[1];
			break;
		case 2:
			read_ioapic(boot, p);
			break;
		case 3:
			read_interrupt(boot, p, isa_buses);
			break;
		default:
			break;
		}
		p += size;
	}
	return true;
}
