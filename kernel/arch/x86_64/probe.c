/* SPDX-License-Identifier: MIT */
/*
 * Buses that no table need announce: PCI by its ports, and the virtio-mmio window of
 * QEMU's microvm, which without ACPI is told by nothing but where QEMU puts it.
 */
#include "arch/io.h"
#include "kernel/kmem.h"
#include "x86.h"

enum { CONFIG_ADDRESS = 0xcf8 };
#define ADDRESS_ENABLE		0x80000000u
#define MICROVM_WINDOW		0xfeb00000ull
#define VIRTIO_MAGIC		0x74726976u	/* "virt" */

/* The address register keeps what is written to it. */
static bool pci_ports_answer(void)
{
	arch_port_write32(CONFIG_ADDRESS, ADDRESS_ENABLE);
	return arch_port_read32(CONFIG_ADDRESS) == ADDRESS_ENABLE;
}

static bool is_ram(const struct boot_info *boot, uint64_t addr)
{
	for (uint32_t i = 0; i < boot->range_count; i++)
		if (boot->ranges[i].type != BOOT_RESERVED && addr >= boot->ranges[i].base &&
		    addr - boot->ranges[i].base < boot->ranges[i].length)
			return true;
	return false;
}

/* A machine with PCI has other things at that address. */
static bool microvm_window_answers(const struct boot_info *boot)
{
	volatile uint32_t *registers;
	bool found;

	if (boot->has_pci || is_ram(boot, MICROVM_WINDOW))
		return false;
	registers = kernel_map(MICROVM_WINDOW, K_PAGE_SIZE, K_PROT_READ, ARCH_UNCACHED);
	if (!registers)
		return false;
	found = registers[0] == VIRTIO_MAGIC;
	kernel_unmap((void *)registers);
	return found;
}

void x86_probe_buses(struct boot_info *boot)
{
	boot->has_pci = boot->ecam_base || pci_ports_answer();
	if (microvm_window_answers(boot))
		boot->virtio_mmio_base = MICROVM_WINDOW;
}
