/* SPDX-License-Identifier: MIT */
/*
 * What the boot code found out, in one form for every boot protocol.  Filled once,
 * before other CPUs run; constant afterwards.  Physical addresses.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BOOT_RANGES_MAX		128u
#define BOOT_CPUS_MAX		64u
#define BOOT_IOAPICS_MAX	8u
#define BOOT_OVERRIDES_MAX	24u
#define BOOT_IOMMUS_MAX		8u
#define BOOT_REQUESTER_KNOWN	(1u << 16)
#define BOOT_COMMAND_LINE_MAX	4096u

/* E820 numbers. */
enum boot_range_type { BOOT_RAM = 1, BOOT_RESERVED, BOOT_ACPI, BOOT_ACPI_NVS, BOOT_BAD };

struct boot_range {
	uint64_t base, length;
	uint32_t type, pad;
};

struct boot_info {
	/* From the boot protocol. */
	const char *protocol;		/* "pvh", "linux64" */
	struct boot_range ranges[BOOT_RANGES_MAX];	/* ascending, no overlap */
	uint32_t range_count;
	char command_line[BOOT_COMMAND_LINE_MAX];	/* cut if longer */
	bool command_line_cut;
	uint64_t initrd_base, initrd_length;		/* 0, 0: none */
	uint64_t rsdp;			/* 0: none was given; the ACPI code may search */

	/* The kernel image, the page tables made at boot, and the boot bundle in it. */
	uint64_t kernel_base, kernel_end;
	const void *bundle;		/* virtual: in the image; NULL: none */
	uint64_t bundle_length;

	/* From ACPI (or the MP table), if has_acpi. */
	bool has_acpi;
	uint32_t cpu_count;
	uint32_t cpu_apic_ids[BOOT_CPUS_MAX];
	uint64_t lapic_base;
	uint32_t ioapic_count;
	struct {
		uint64_t base;
		uint32_t id, gsi_base;
		uint32_t requester;	/* to the IOMMU, with BOOT_REQUESTER_KNOWN; 0: not known */
	} ioapics[BOOT_IOAPICS_MAX];
	uint32_t override_count;
	struct { uint32_t isa, gsi, flags; } overrides[BOOT_OVERRIDES_MAX];	/* 1 level, 2 low */
	uint64_t ecam_base;		/* MCFG's first segment; 0: none */
	uint32_t ecam_first_bus, ecam_last_bus;
	uint32_t iommu_count;		/* units of VT-d; 0: none to be used */
	uint64_t iommus[BOOT_IOMMUS_MAX];	/* their registers */
	bool iommu_interrupts;		/* the table allows remapping, and knows all I/O APICs */
	uint32_t iommu_reserved;	/* ranges that firmware uses devices with */
	const char *iommu_problem;	/* why a table of units was refused, or NULL */

	/* Found by probing. */
	bool has_pci;			/* ports 0xcf8 or ECAM answer */
	uint32_t has_uart;		/* bit n: COM(n+1) */
	uint64_t virtio_mmio_base;	/* microvm's window; 0: none */
};

extern struct boot_info boot_info;
