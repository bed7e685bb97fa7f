/* SPDX-License-Identifier: MIT */
/*
 * The ACPI table DMAR: where the units of VT-d are (Intel VT-d specification 3.3, chapter 8).
 *
 * All units of segment 0 are switched on, with the same tables (vtd.h), so that it does not
 * matter which device is behind which: of the device scopes only those of I/O APICs are read,
 * for the requester ids under which these interrupt.  Memory that the firmware reserves
 * for its own use of a device (RMRR) is counted for the log, and not given to anybody.
 */
#include "dmar.h"

#include "arch/pte.h"
#include "base/byteorder.h"
#include "base/util.h"
#include "kernel/boot_info.h"

#define TABLE_HEADER	48u
#define TABLE_FLAGS	37u
#define   FLAG_INTERRUPTS 1u		/* remapping of interrupts is supported */

enum { UNIT = 0, RESERVED_MEMORY = 1 };	/* types of structures */
enum { UNIT_LENGTH = 16, RESERVED_LENGTH = 24, SCOPE_LENGTH = 6, SCOPE_IOAPIC = 3 };

static void read_scope(const uint8_t *scope, uint8_t length, struct boot_info *boot)
{
	/* One that is behind a bridge would take walking there; none has been seen. */
	if (scope[0] != SCOPE_IOAPIC || length != SCOPE_LENGTH + 2)
		return;
	for (uint32_t i = 0; i < boot->ioapic_count; i++)
		if (boot->ioapics[i].id == scope[4])
			boot->ioapics[i].requester = BOOT_REQUESTER_KNOWN | (uint32_t)scope[5] << 8 |
						     (scope[6] & 31u) << 3 | (scope[7] & 7u);
}

static const char *read_unit(const uint8_t *unit, uint32_t length, struct boot_info *boot)
{
	uint64_t base;

	if (length < UNIT_LENGTH)
		return "a unit's structure is too short";
	if (get_le16(unit + 6) != 0)
		return NULL;		/* a segment that has no devices for us */
	base = get_le64(unit + 8);
	if (!base || base % K_PAGE_SIZE || base >= ARCH_MAX_PADDR)
		return "a unit has no address";
	if (boot->iommu_count == BOOT_IOMMUS_MAX)
		return "too many units";
	boot->iommus[boot->iommu_count++] = base;
	for (uint32_t at = UNIT_LENGTH; at < length;) {
		uint8_t n = length - at >= SCOPE_LENGTH ? unit[at + 1] : 0;

		if (n < SCOPE_LENGTH || n > length - at)
			return "a device scope is cut off";
		read_scope(unit + at, n, boot);
		at += n;
	}
	return NULL;
}

static const char *read_structures(const uint8_t *table, size_t length, struct boot_info *boot)
{
	const char *why = NULL;

	for (size_t at = TABLE_HEADER; at < length && !why;) {
		uint32_t n = length - at >= 4 ? get_le16(table + at + 2) : 0;

		if (n < 4 || n > length - at)
			return "a structure is cut off";
		if (get_le16(table + at) == UNIT)
			why = read_unit(table + at, n, boot);
		else if (get_le16(table + at) == RESERVED_MEMORY && n >= RESERVED_LENGTH)
			boot->iommu_reserved++;
		at += n;
	}
	return why ? why : boot->iommu_count ? NULL : "it names no unit";
}

const char *x86_dmar_read(const void *table, size_t length, struct boot_info *boot)
{
	const uint8_t *t = table;
	const char *why = length < TABLE_HEADER ? "it is too short" : NULL;

	if (!why)
		why = read_structures(t, length, boot);
	if (why) {
		boot->iommu_count = 0;
		return why;
	}
	boot->iommu_interrupts = t[TABLE_FLAGS] & FLAG_INTERRUPTS;
	for (uint32_t i = 0; i < boot->ioapic_count; i++)
		boot->iommu_interrupts &= boot->ioapics[i].requester != 0;
	return NULL;
}
