/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: interrupts to processors, and their one-shot timer.  In x2APIC
 * mode where the processor has it, else through its page of registers.
 */
#include "x86.h"

#include "abi/status.h"
#include "arch/smp.h"
#include "arch/time.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#define APIC_ID		0x02
#define APIC_TPR	0x08
#define APIC_EOI	0x0b
#define APIC_SPURIOUS	0x0f
#define APIC_ESR	0x28
#define APIC_ICR	0x30
#define APIC_ICR_HIGH	0x31
#define APIC_LVT_TIMER	0x32
#define APIC_LVT_LINT0	0x35
#define APIC_LVT_LINT1	0x36
#define APIC_LVT_ERROR	0x37
#define APIC_TIMER_INITIAL 0x38
#define APIC_TIMER_COUNT 0x39
#define APIC_TIMER_DIVIDE 0x3e

#define LVT_MASKED	(1u << 16)
#define LVT_NMI		(4u << 8)
#define LVT_DEADLINE	(2u << 17)
#define ICR_NMI		(4u << 8)
#define ICR_INIT	(5u << 8)
#define ICR_STARTUP	(6u << 8)
#define ICR_PENDING	(1u << 12)
#define ICR_ASSERT	(1u << 14)
#define ICR_OTHERS	(3u << 18)

static volatile uint32_t *registers;	/* constant; not in x2APIC mode */
static bool x2apic, deadline_mode;	/* constant */
static uint64_t timer_khz;		/* constant after calibration */

static uint32_t apic_read(uint32_t reg)
{
	return x2apic ? (uint32_t)x86_rdmsr(MSR_X2APIC + reg) : registers[reg * 4];
}

static void apic_write(uint32_t reg, uint32_t value)
{
	if (x2apic)
		x86_wrmsr(MSR_X2APIC + reg, value);
	else
		registers[reg * 4] = value;
}

static void icr_write(uint32_t apic_id, uint32_t command)
{
	if (x2apic) {
		x86_wrmsr(MSR_X2APIC + APIC_ICR, (uint64_t)apic_id << 32 | command);
		return;
	}
	for (unsigned int i = 0; i < 100000 && (apic_read(APIC_ICR) & ICR_PENDING); i++)
		arch_cpu_relax();
	apic_write(APIC_ICR_HIGH, apic_id << 24);
	apic_write(APIC_ICR, command);
}

void x86_apic_setup_cpu(struct cpu *cpu)
{
	uint64_t base = x86_rdmsr(MSR_APIC_BASE) | 1u << 11;

	x86_wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		x86_wrmsr(MSR_APIC_BASE, base | 1u << 10);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, cpu->id == 0 ? LVT_NMI : LVT_MASKED);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	apic_write(APIC_TIMER_DIVIDE, 0xb);	/* by 1 */
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? LVT_DEADLINE : 0));
	cpu->arch.apic_id = x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void x86_apic_init(const struct boot_info *boot)
{
	x2apic = x86_features.x2apic;
	deadline_mode = x86_features.tsc_deadline;
	if (!x2apic) {
		registers = kernel_map(boot->lapic_base, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE,
				       ARCH_UNCACHED);
		if (!registers)
			panic("no memory to map the local APIC");
	}
	x86_apic_setup_cpu(this_cpu());
}

void x86_apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* -- the timer ------------------------------------------------------------------- */

void x86_apic_timer_start(uint64_t ticks)
{
	if (deadline_mode)
		return;
	apic_write(APIC_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

uint32_t x86_apic_timer_count(void)
{
	return apic_read(APIC_TIMER_COUNT);
}

void x86_apic_timer_rate(uint64_t khz)
{
	timer_khz = khz;
}

void arch_timer_set(uint64_t deadline_ns)
{
	uint64_t now, ticks;

	if (deadline_ns == UINT64_MAX) {
		if (deadline_mode)
			x86_wrmsr(MSR_TSC_DEADLINE, 0);
		else
			apic_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = time_now_ns();
	if (deadline_mode) {
		uint64_t delta = deadline_ns > now ? time_ns_to_cycles(deadline_ns - now) : 0;

		x86_wrmsr(MSR_TSC_DEADLINE, arch_cycles() + delta + 1);
		return;
	}
	/* Far ahead: the timer's range is enough for now; the handler asks again. */
	ticks = deadline_ns > now ? MIN(deadline_ns - now, NS_PER_SEC) * timer_khz / 1000000 : 0;
	apic_write(APIC_TIMER_INITIAL, ticks ? (uint32_t)MIN(ticks, (uint64_t)UINT32_MAX) : 1);
}

/* -- interrupts between processors --------------------------------------------------- */

static const uint32_t ipi_vectors[] = {
	[IPI_RESCHEDULE] = VECTOR_RESCHED,
	[IPI_SHOOTDOWN] = VECTOR_SHOOTDOWN,
};

void arch_ipi_send(uint32_t cpu, enum arch_ipi ipi)
{
	arch_irqflags_t flags = arch_irq_save();

	if (registers || x2apic)
		icr_write(cpus[cpu]->arch.apic_id, ipi_vectors[ipi] | ICR_ASSERT);
	arch_irq_restore(flags);
}

void arch_ipi_send_mask(uint64_t mask, enum arch_ipi ipi)
{
	for (; mask; mask &= mask - 1)
		arch_ipi_send((uint32_t)__builtin_ctzll(mask), ipi);
}

void x86_apic_send_init(uint32_t apic_id)
{
	icr_write(apic_id, ICR_INIT | ICR_ASSERT);
}

void x86_apic_send_startup(uint32_t apic_id, uint8_t page)
{
	icr_write(apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

void x86_apic_send_nmi_others(void)
{
	if (registers || x2apic)
		icr_write(0, ICR_NMI | ICR_ASSERT | ICR_OTHERS);
}
