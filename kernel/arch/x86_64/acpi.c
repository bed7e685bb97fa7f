/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables that the kernel itself needs: MADT (processors, interrupt
 * controllers), MCFG (PCI configuration space), DMAR (dmar.c), FADT (power).  No AML is
 * interpreted: \_S5 is found by its name in the DSDT, where every firmware puts it
 * as a package of small integers.
 *
 * Tables come from firmware and are checked: length, checksum, bounds of each
 * record.  A table that fails is as good as absent.
 */
#include "x86.h"

#include "base/string.h"
#include "dmar.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/page.h"

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} PACKED;

#define TABLES_MAX	64u
#define TABLE_BYTES_MAX (1u << 20)

static const struct sdt *tables[TABLES_MAX];	/* constant after x86_acpi_init() */
static uint32_t table_count;
static struct x86_acpi_power power;

static uint8_t sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (n--)
		s += *b++;
	return s;
}

/* Little-endian fields at any offset; the caller has checked the length. */
static uint64_t field(const void *p, size_t offset, size_t bytes)
{
	uint64_t v = 0;

	memcpy(&v, (const uint8_t *)p + offset, bytes);
	return v;
}

static const void *map(paddr_t pa, size_t length, const struct boot_info *boot)
{
	for (uint32_t i = 0; i < boot->range_count; i++) {
		const struct boot_range *r = &boot->ranges[i];

		/* What the direct map covers needs no mapping of its own. */
		if (r->type != BOOT_RESERVED && r->type != BOOT_BAD && pa >= r->base &&
		    range_within(pa - r->base, length, r->length))
			return phys_to_virt(pa);
	}
	return pa < (1u << 20) ? phys_to_virt(pa) :
				 kernel_map(pa, length, K_PROT_READ, ARCH_CACHED);
}

static const struct sdt *map_table(paddr_t pa, const struct boot_info *boot)
{
	const struct sdt *t = pa ? map(pa, sizeof(*t), boot) : NULL;
	uint32_t length = t ? t->length : 0;

	if (length < sizeof(*t) || length > TABLE_BYTES_MAX)
		return NULL;
	t = map(pa, length, boot);
	return t && sum(t, length) == 0 ? t : NULL;
}

const void *x86_acpi_find(const char signature[4])
{
	for (uint32_t i = 0; i < table_count; i++) {
		if (!memcmp(tables[i]->signature, signature, 4))
			return tables[i];
	}
	return NULL;
}

/* -- finding them ------------------------------------------------------------- */

static bool is_rsdp(const uint8_t *p)
{
	return !memcmp(p, "RSD PTR ", 8) && sum(p, 20) == 0;
}

static const uint8_t *search_rsdp(paddr_t start, paddr_t end)
{
	for (paddr_t pa = start; pa + 20 <= end; pa += 16) {
		if (is_rsdp(phys_to_virt(pa)))
			return phys_to_virt(pa);
	}
	return NULL;
}

static const uint8_t *find_rsdp(const struct boot_info *boot)
{
	const uint8_t *p;

	if (boot->rsdp) {
		p = map(boot->rsdp, 36, boot);
		return p && is_rsdp(p) ? p : NULL;
	}
	return search_rsdp(0xe0000, 0x100000);
}

static void read_root(const uint8_t *rsdp, const struct boot_info *boot)
{
	bool extended = rsdp[15] >= 2 && field(rsdp, 24, 8);
	const struct sdt *root = map_table(field(rsdp, extended ? 24 : 16, extended ? 8 : 4), boot);
	size_t width = extended ? 8 : 4;

	for (size_t at = sizeof(*root); root && at + width <= root->length; at += width) {
		const struct sdt *t = map_table(field(root, at, width), boot);

		if (t && table_count < TABLES_MAX)
			tables[table_count++] = t;
	}
}

/* -- MADT --------------------------------------------------------------------------- */

static void add_cpu(struct boot_info *boot, uint32_t apic_id, uint32_t flags)
{
	if ((flags & 1) && boot->cpu_count < BOOT_CPUS_MAX)
		boot->cpu_apic_ids[boot->cpu_count++] = apic_id;
}

static void read_madt_entry(struct boot_info *boot, const uint8_t *e, uint8_t length)
{
	uint32_t n;

	switch (e[0]) {
	case 0:		/* local APIC */
		if (length >= 8)
			add_cpu(boot, e[3], (uint32_t)field(e, 4, 4));
		break;
	case 9:		/* local x2APIC */
		if (length >= 16)
			add_cpu(boot, (uint32_t)field(e, 4, 4), (uint32_t)field(e, 8, 4));
		break;
	case 1:		/* I/O APIC */
		n = boot->ioapic_count;
		if (length < 12 || n == BOOT_IOAPICS_MAX)
			break;
		boot->ioapics[n].id = e[2];
		boot->ioapics[n].base = field(e, 4, 4);
		boot->ioapics[n].gsi_base = (uint32_t)field(e, 8, 4);
		boot->ioapic_count++;
		break;
	case 2:		/* interrupt source override */
		n = boot->override_count;
		if (length < 10 || n == BOOT_OVERRIDES_MAX)
			break;
		boot->overrides[n].isa = e[3];
		boot->overrides[n].gsi = (uint32_t)field(e, 4, 4);
		boot->overrides[n].flags = ((field(e, 8, 2) >> 2 & 3) == 3 ? 1 : 0) |
					   ((field(e, 8, 2) & 3) == 3 ? 2 : 0);
		boot->override_count++;
		break;
	case 5:		/* local APIC address */
		if (length >= 12)
			boot->lapic_base = field(e, 4, 8);
		break;
	default:
		break;
	}
}

static void read_madt(struct boot_info *boot, const struct sdt *madt)
{
	const uint8_t *p = (const uint8_t *)madt;
	size_t at = sizeof(*madt) + 8;

	if (madt->length < at)
		return;
	boot->lapic_base = field(madt, sizeof(*madt), 4);
	while (at + 2 <= madt->length) {
		uint8_t length = p[at + 1];

		if (length < 2 || at + length > madt->length)
			break;
		read_madt_entry(boot, p + at, length);
		at += length;
	}
}

static void read_mcfg(struct boot_info *boot, const struct sdt *mcfg)
{
	size_t at = sizeof(*mcfg) + 8;

	for (; at + 16 <= mcfg->length; at += 16) {
		if (field(mcfg, at + 8, 2) != 0)
			continue;	/* another segment */
		boot->ecam_base = field(mcfg, at, 8);
		boot->ecam_first_bus = (uint32_t)field(mcfg, at + 10, 1);
		boot->ecam_last_bus = (uint32_t)field(mcfg, at + 11, 1);
		return;
	}
}

/* -- power ------------------------------------------------------------------------------- */

/* An AML integer of a package: ByteConst, ZeroOp or OneOp. */
static const uint8_t *read_small(const uint8_t *p, const uint8_t *end, uint8_t *value)
{
	if (p < end && (*p == 0x00 || *p == 0x01)) {
		*value = *p;
		return p + 1;
	}
	if (p + 1 < end && *p == 0x0a) {
		*value = p[1];
		return p + 2;
	}
	return NULL;
}

/* Name(_S5, Package(n) { SLP_TYPa, SLP_TYPb, ... }) */
static void read_s5(const struct sdt *dsdt)
{
	const uint8_t *p = (const uint8_t *)dsdt + sizeof(*dsdt);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->length;

	for (; p + 8 < end; p++) {
		const uint8_t *q = p + 4;
		uint8_t a, b;

		if (memcmp(p, "_S5_", 4) || *q != 0x12)
			continue;
		q += 2 + (q[1] >> 6);	/* PackageOp, PkgLength */
		if (q >= end)
			return;
		q = read_small(q + 1, end, &a);		/* after NumElements */
		q = q ? read_small(q, end, &b) : NULL;
		if (!q)
			continue;
		power.slp_typa = a;
		power.slp_typb = b;
		power.has_s5 = true;
		return;
	}
}

static void read_fadt(const struct sdt *fadt, const struct boot_info *boot)
{
	uint32_t flags = fadt->length >= 116 ? (uint32_t)field(fadt, 112, 4) : 0;
	const struct sdt *dsdt;
	uint64_t dsdt_pa;

	if (fadt->length < 116)
		return;
	power.pm1a = (uint16_t)field(fadt, 64, 4);
	power.pm1b = (uint16_t)field(fadt, 68, 4);
	power.pm_timer = (uint16_t)field(fadt, 76, 4);
	if ((flags & 1u << 10) && fadt->length >= 129) {
		power.has_reset = true;
		power.reset_space = (uint8_t)field(fadt, 116, 1);
		power.reset_address = field(fadt, 120, 8);
		power.reset_value = (uint8_t)field(fadt, 128, 1);
	}
	if ((flags & 1u << 20) && fadt->length >= 256) {	/* hardware-reduced */
		power.has_sleep_register = field(fadt, 248, 8) != 0;
		power.sleep_space = (uint8_t)field(fadt, 244, 1);
		power.sleep_address = field(fadt, 248, 8);
	}
	dsdt_pa = fadt->length >= 148 ? field(fadt, 140, 8) : 0;
	dsdt = map_table(dsdt_pa ? dsdt_pa : field(fadt, 40, 4), boot);
	if (dsdt)
		read_s5(dsdt);
}

const struct x86_acpi_power *x86_acpi_power(void)
{
	return &power;
}

void x86_acpi_init(struct boot_info *boot)
{
	const uint8_t *rsdp = find_rsdp(boot);
	const struct sdt *t;

	boot->lapic_base = 0xfee00000;
	if (rsdp)
		read_root(rsdp, boot);
	t = x86_acpi_find("APIC");
	if (!t)
		return;
	boot->has_acpi = true;
	read_madt(boot, t);
	t = x86_acpi_find("MCFG");
	if (t)
		read_mcfg(boot, t);
	t = x86_acpi_find("DMAR");
	if (t)
		boot->iommu_problem = x86_dmar_read(t, t->length, boot);
	t = x86_acpi_find("FACP");
	if (t)
		read_fadt(t, boot);
}
