/* SPDX-License-Identifier: MIT */
/*
 * What the x86-64 files share: registers, features, and each other's functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asm_offsets.h"

#include "arch/pte.h"
#include "base/util.h"
#include "kernel/boot_info.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

/* -- processor registers ------------------------------------------------------ */

#define MSR_APIC_BASE		0x1b
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_PAT			0x277
#define MSR_X2APIC		0x800
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102

#define EFER_SCE		(1u << 0)
#define EFER_NXE		(1u << 11)

#define CR0_MP			(1u << 1)
#define CR0_EM			(1u << 2)
#define CR0_TS			(1u << 3)
#define CR0_NE			(1u << 5)
#define CR0_WP			(1u << 16)
#define CR3_PCID_MASK		0xfffu
#define CR3_KEEP		(1ull << 63)	/* written only */
#define CR4_PGE			(1u << 7)
#define CR4_OSFXSR		(1u << 9)
#define CR4_OSXMMEXCPT		(1u << 10)
#define CR4_UMIP		(1u << 11)
#define CR4_PCIDE		(1u << 17)
#define CR4_OSXSAVE		(1u << 18)
#define CR4_SMEP		(1u << 20)
#define CR4_SMAP		(1u << 21)

static inline uint64_t x86_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void x86_wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

#define X86_CR(n) \
	static inline uint64_t x86_read_cr##n(void) \
	{ \
		uint64_t v; \
		asm volatile("movq %%cr" #n ", %0" : "=r"(v) : : "memory"); \
		return v; \
	} \
	static inline void x86_write_cr##n(uint64_t v) \
	{ \
		asm volatile("movq %0, %%cr" #n : : "r"(v) : "memory"); \
	}

X86_CR(0)
X86_CR(2)
X86_CR(3)
X86_CR(4)

static inline uint64_t x86_read_dr6(void)
{
	uint64_t v;

	asm volatile("movq %%dr6, %0" : "=r"(v));
	return v;
}

static inline void x86_write_dr6(uint64_t v)
{
	asm volatile("movq %0, %%dr6" : : "r"(v));
}

struct x86_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t sub)
{
	struct x86_cpuid r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(sub));
	return r;
}

/* -- what the processors of this machine can do; constant after x86_cpu_detect() -- */

struct x86_features {
	bool x2apic, tsc_deadline, xsave, smep, smap, umip, pge, pdpe1gb, rdrand, nx;
	bool hypervisor, tcg;
	uint64_t xcr0;
	uint32_t xsave_size;		/* of the standard form; at least 576 */
	uint32_t max_leaf, hypervisor_leaf;
};

extern struct x86_features x86_features;

/* -- vectors ------------------------------------------------------------------ */

#define VECTOR_DB	1
#define VECTOR_NMI	2
#define VECTOR_BP	3
#define VECTOR_DF	8
#define VECTOR_GP	13
#define VECTOR_PF	14
#define VECTOR_MC	18
#define VECTOR_IRQ_FIRST 0x30	/* device interrupts */
#define VECTOR_IRQ_LAST	0xef
#define VECTOR_TIMER	0xf0
#define VECTOR_RESCHED	0xf1
#define VECTOR_SHOOTDOWN 0xf2
#define VECTOR_SPURIOUS	0xff

/* -- the files ------------------------------------------------------------------ */

/* cpu.c */
void x86_cpu_detect(void);
void x86_cpu_report_flaws(void);
void x86_cpu_setup(struct cpu *cpu);	/* this CPU's registers, tables, per-CPU base */
void x86_patch_smap(void);		/* while the text is still writable */

/* mmu.c */
void x86_mmu_init(struct boot_info *boot);	/* final page tables, loaded */
void x86_mmu_seal(void);			/* the identity map goes, after SMP start */
paddr_t x86_identity_root(void);		/* for starting CPUs: low memory mapped 1:1 */

/* acpi.c, mptable.c */
void x86_acpi_init(struct boot_info *boot);
bool x86_mptable_init(struct boot_info *boot);
const void *x86_acpi_find(const char signature[4]);	/* checked table, or NULL */
struct x86_acpi_power {
	bool has_s5, has_sleep_register, has_reset;
	uint16_t pm1a, pm1b;
	uint8_t slp_typa, slp_typb;
	uint8_t reset_space, reset_value;	/* generic address space id */
	uint64_t reset_address;
	uint8_t sleep_space;
	uint64_t sleep_address;			/* SLEEP_CONTROL_REG of hardware-reduced ACPI */
	uint16_t pm_timer;			/* port, or 0 */
};
const struct x86_acpi_power *x86_acpi_power(void);

/* apic.c */
void x86_apic_init(const struct boot_info *boot);	/* boot CPU, before interrupts */
void x86_apic_setup_cpu(struct cpu *cpu);
void x86_apic_eoi(void);
void x86_apic_timer_start(uint64_t ticks);		/* one-shot; calibration */
uint32_t x86_apic_timer_count(void);
void x86_apic_timer_rate(uint64_t khz);
void x86_apic_send_init(uint32_t apic_id);
void x86_apic_send_startup(uint32_t apic_id, uint8_t page);
void x86_apic_send_nmi_others(void);
void x86_apic_send_self(uint32_t vector);

/* irq.c */
void x86_irq_init(const struct boot_info *boot);
void x86_irq_vector(uint32_t vector);

/* ioapic.c */
void x86_ioapic_init(const struct boot_info *boot);
bool x86_ioapic_has(uint32_t gsi);
void x86_ioapic_route(uint32_t gsi, uint32_t vector, uint32_t apic_id, bool level, bool low);
void x86_ioapic_mask(uint32_t gsi, bool masked);

/*
 * vtd_irq.c: have interrupts of @vector from @requester alone go to a processor, if there is
 * something that remaps (else false); take none any more.  irq.c's lock.
 */
bool x86_remap_set(uint32_t vector, uint32_t apic_id, bool level, uint32_t requester);
void x86_remap_clear(uint32_t vector);

/* clock.c */
void x86_clock_init(void);

/* fpu.c */
void x86_fpu_setup_cpu(void);
k_status_t x86_fpu_alloc(struct thread *t, const struct thread *inherit);
void x86_fpu_free(struct thread *t);
void x86_fpu_switch_out(struct cpu *cpu, struct thread *prev);
void x86_fpu_switch_in(struct cpu *cpu, struct thread *next);
void x86_fpu_load(void);

/* ucopy.S: XSAVE and XRSTOR of everything at an aligned user address; false: it faulted.
 * Saving sets the bits of x87 and SSE in the header and zeroes what XSAVE leaves alone. */
bool x86_xsave_user(uint64_t addr);
bool x86_xrstor_user(uint64_t addr);

/* debug.c */
void x86_debug_switch(struct cpu *cpu, const struct thread *next);
bool x86_debug_is_fault(const struct thread *t, uint64_t dr6);

/* power.c */
void x86_power_init(void);

/* probe.c: has_pci and virtio_mmio_base, after the ACPI tables and mm_init(). */
void x86_probe_buses(struct boot_info *boot);

/* trap.c */
void x86_idt_init(void);
void x86_idt_load(void);

void x86_nmi(const struct arch_regs *regs);

/* smp.c */
bool x86_stop_requested(void);
extern struct cpu x86_boot_cpu;
struct cpu *x86_cpu_alloc(uint32_t id, uint32_t apic_id);

/* entry.S */
extern char x86_syscall_entry[], x86_thread_start[], x86_exception_table[];
NORETURN void x86_user_leave(k_status_t status);	/* return from user_run() */
NORETURN void x86_enter_regs(struct arch_regs *regs);	/* to ring 3, by IRET */
struct thread *x86_switch_stacks(struct thread *prev, struct thread *next);
