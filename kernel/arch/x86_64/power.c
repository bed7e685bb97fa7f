/* SPDX-License-Identifier: MIT */
/*
 * Off and on again: ACPI where there is ACPI, then what PCs have always had.
 */
#include "arch/power.h"

#include "x86.h"

#include "arch/cpu.h"
#include "arch/io.h"
#include "arch/panic.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/time.h"

#define DEBUG_EXIT_PORT 0xf4
#define SLP_EN		(1u << 13)
#define SLEEP_ENABLE	(1u << 5)
#define SLEEP_TYPE_SHIFT 2

static bool debug_exit_allowed(void)
{
	const char *word = "concord.debugexit";
	const char *line = boot_info.command_line;
	size_t n = strlen(word);

	for (; *line; line++) {
		if (!strncmp(line, word, n) && (!line[n] || line[n] == ' '))
			return true;
	}
	return false;
}

void arch_power_exit(uint32_t status)
{
	if (debug_exit_allowed())
		arch_port_write8(DEBUG_EXIT_PORT, (uint8_t)status);
}

/* Mapped at boot: when they are needed, nothing may be allocated. */
static volatile uint8_t *reset_register, *sleep_register;

static volatile uint8_t *map_register(uint8_t space, uint64_t address)
{
	uint8_t *page = space == 0 && address ?
				kernel_map(ALIGN_DOWN(address, (uint64_t)K_PAGE_SIZE), K_PAGE_SIZE,
					   K_PROT_READ | K_PROT_WRITE, ARCH_UNCACHED) : NULL;

	return page ? page + address % K_PAGE_SIZE : NULL;
}

void x86_power_init(void)
{
	const struct x86_acpi_power *p = x86_acpi_power();

	if (p->has_reset)
		reset_register = map_register(p->reset_space, p->reset_address);
	if (p->has_sleep_register)
		sleep_register = map_register(p->sleep_space, p->sleep_address);
}

/* Write to a register that ACPI names by address space: 0 memory, 1 ports. */
static void write_generic(uint8_t space, uint64_t address, uint8_t value)
{
	if (space == 1) {
		arch_port_write8((uint16_t)address, value);
	} else if (space == 0) {
		volatile uint8_t *p = address == x86_acpi_power()->reset_address ? reset_register :
										   sleep_register;

		if (p)
			*p = value;
	}
}

/* Nothing but this CPU runs any more; what was said before is on the console. */
static void stop_everything(void)
{
	arch_irq_disable();
	arch_stop_others();
	log_last_words();
}

void arch_power_off(uint32_t status)
{
	const struct x86_acpi_power *p = x86_acpi_power();

	stop_everything();
	if (p->has_sleep_register)
		write_generic(p->sleep_space, p->sleep_address,
			      (uint8_t)(p->slp_typa << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
	if (p->has_s5 && p->pm1a) {
		arch_port_write16(p->pm1a, (uint16_t)(p->slp_typa << 10 | SLP_EN));
		if (p->pm1b)
			arch_port_write16(p->pm1b, (uint16_t)(p->slp_typb << 10 | SLP_EN));
	}
	/* A hypervisor takes a moment to act. */
	if (p->has_sleep_register || (p->has_s5 && p->pm1a))
		time_delay_ns(500 * NS_PER_MS);
	/* No ACPI (microvm): a reset ends QEMU under -no-reboot. */
	if (status)
		arch_power_exit(status);
	if (x86_features.hypervisor)
		arch_reboot();
	arch_halt();
}

void arch_reboot(void)
{
	const struct x86_acpi_power *p = x86_acpi_power();
	struct {
		uint16_t limit;
		uint64_t base;
	} PACKED nothing = { 0, 0 };

	stop_everything();
	if (p->has_reset)
		write_generic(p->reset_space, p->reset_address, p->reset_value);
	arch_port_write8(0xcf9, 0x02);
	arch_port_write8(0xcf9, 0x06);
	/* The keyboard controller's reset line. */
	for (unsigned int i = 0; i < 1000 && (arch_port_read8(0x64) & 2); i++)
		arch_cpu_relax();
	arch_port_write8(0x64, 0xfe);
	time_delay_ns(50 * NS_PER_MS);
	/* A fault without an IDT: triple fault. */
	asm volatile("lidt %0; int3" : : "m"(nothing));
	arch_cpu_halt();
}

void arch_halt(void)
{
	stop_everything();
	arch_cpu_halt();
}
