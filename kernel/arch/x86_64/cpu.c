/* SPDX-License-Identifier: MIT */
/*
 * A processor's identification, control registers and descriptor tables.
 */
#include "x86.h"

#include "arch/cpu.h"
#include "arch/mmu.h"
#include "base/string.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

struct x86_features x86_features;

#define IST_STACK_SIZE	4096u
#define IST_STACKS	4u		/* NMI, double fault, machine check, debug */

static void detect_hypervisor(void)
{
	struct x86_cpuid r;

	x86_features.hypervisor = x86_cpuid(1, 0).ecx >> 31 & 1;
	if (!x86_features.hypervisor)
		return;
	r = x86_cpuid(0x40000000, 0);
	x86_features.hypervisor_leaf = r.eax;
	x86_features.tcg = !memcmp(&r.ebx, "TCGT", 4);
}

static void detect_xsave(void)
{
	struct x86_cpuid r;

	/* With FXSAVE alone: its 512 bytes, and the header. */
	x86_features.xsave_size = 576;
	x86_features.xcr0 = 3;
	if (!x86_features.xsave)
		return;
	r = x86_cpuid(0xd, 0);
	/* x87, SSE, AVX, AVX-512 (three parts, together or not at all). */
	x86_features.xcr0 = r.eax & 0x7;
	if ((r.eax & 0xe0) == 0xe0 && (r.eax & 4))
		x86_features.xcr0 |= 0xe0;
}

void x86_cpu_detect(void)
{
	struct x86_cpuid r = x86_cpuid(0, 0);

	x86_features.max_leaf = r.eax;
	r = x86_cpuid(1, 0);
	x86_features.pge = r.edx >> 13 & 1;
	/* Without global pages the kernel's would be remembered under each PCID. */
	arch_asids = x86_features.pge && (r.ecx >> 17 & 1) ? CR3_PCID_MASK : 0;
	x86_features.x2apic = r.ecx >> 21 & 1;
	x86_features.tsc_deadline = r.ecx >> 24 & 1;
	x86_features.xsave = r.ecx >> 26 & 1;
	x86_features.rdrand = r.ecx >> 30 & 1;
	if (x86_features.max_leaf >= 7) {
		r = x86_cpuid(7, 0);
		x86_features.smep = r.ebx >> 7 & 1;
		x86_features.smap = r.ebx >> 20 & 1;
		x86_features.umip = r.ecx >> 2 & 1;
	}
	r = x86_cpuid(0x80000001, 0);
	x86_features.nx = r.edx >> 20 & 1;
	x86_features.pdpe1gb = r.edx >> 26 & 1;
	if (!x86_features.nx)
		panic("this processor has no NX bit");
	detect_hypervisor();
	detect_xsave();
}

/* -- stac and clac where they exist ------------------------------------------- */

struct smap_site {
	uint8_t *code;
	uint64_t byte;			/* the last byte of the instruction 0f 01 xx */
};

extern const struct smap_site x86_smap_sites[], x86_smap_sites_end[];

void x86_patch_smap(void)
{
	if (!x86_features.smap)
		return;
	for (const struct smap_site *s = x86_smap_sites; s < x86_smap_sites_end; s++) {
		s->code[1] = 0x01;
		s->code[2] = (uint8_t)s->byte;
	}
}

/* -- descriptor tables --------------------------------------------------------- */

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} PACKED;

static void setup_gdt(struct arch_cpu *ac)
{
	uint64_t tss = (uint64_t)(uintptr_t)&ac->tss;
	struct table_pointer p = { .limit = sizeof(ac->gdt) - 1, .base = (uintptr_t)ac->gdt };

	ac->gdt[SEL_KERNEL_CS >> 3] = 0x00af9b000000ffff;
	ac->gdt[SEL_KERNEL_DS >> 3] = 0x00cf93000000ffff;
	ac->gdt[SEL_USER_CS32 >> 3] = 0x00cffb000000ffff;
	ac->gdt[SEL_USER_DS >> 3] = 0x00cff3000000ffff;
	ac->gdt[SEL_USER_CS >> 3] = 0x00affb000000ffff;
	ac->gdt[SEL_TSS >> 3] = (sizeof(ac->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
				(tss >> 24 & 0xff) << 56;
	ac->gdt[(SEL_TSS >> 3) + 1] = tss >> 32;
	asm volatile("lgdt %0" : : "m"(p));
	asm volatile("pushq %0\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:\n\t"
		     "movl %1, %%ds\n\t"
		     "movl %1, %%es\n\t"
		     "movl %1, %%ss\n\t"
		     "movl %2, %%fs\n\t"
		     "movl %2, %%gs\n\t"
		     "ltr %w3"
		     : : "i"(SEL_KERNEL_CS), "r"(SEL_KERNEL_DS), "r"(0), "r"(SEL_TSS)
		     : "rax", "memory");
}

static void setup_tss(struct cpu *cpu)
{
	struct x86_tss *tss = &cpu->arch.tss;

	tss->iomap_base = sizeof(*tss);
	for (unsigned int i = 0; i < IST_STACKS; i++)
		tss->ist[i] = (uint64_t)(uintptr_t)cpu->arch.ist_stacks + (i + 1) * IST_STACK_SIZE;
}

static void setup_control_registers(void)
{
	uint64_t cr4 = x86_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	x86_write_cr0((x86_read_cr0() | CR0_WP | CR0_NE | CR0_MP) & ~(uint64_t)(CR0_EM | CR0_TS));
	if (x86_features.pge)
		cr4 |= CR4_PGE;
	if (arch_asids)
		cr4 |= CR4_PCIDE;	/* CR3 names PCID 0 here, as it has to */
	if (x86_features.smep)
		cr4 |= CR4_SMEP;
	if (x86_features.smap)
		cr4 |= CR4_SMAP;
	if (x86_features.umip)
		cr4 |= CR4_UMIP;
	if (x86_features.xsave)
		cr4 |= CR4_OSXSAVE;
	x86_write_cr4(cr4);
}

static void setup_syscall(void)
{
	x86_wrmsr(MSR_EFER, x86_rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	x86_wrmsr(MSR_STAR, (uint64_t)(SEL_USER_CS32) << 48 | (uint64_t)SEL_KERNEL_CS << 32);
	x86_wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)x86_syscall_entry);
	x86_wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC | 0x4000 /* NT */);
	/* PAT entry 4: write combining; the others as after reset. */
	x86_wrmsr(MSR_PAT, 0x0007040100070406);
}

void x86_cpu_setup(struct cpu *cpu)
{
	cpu->self = cpu;
	cpu->preempt_count = PREEMPT_NO_RESCHED;
	list_init(&cpu->dead_stacks);
	setup_tss(cpu);
	setup_gdt(&cpu->arch);
	x86_wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)cpu);
	x86_wrmsr(MSR_KERNEL_GS_BASE, 0);
	x86_idt_load();
	setup_control_registers();
	setup_syscall();
	x86_fpu_setup_cpu();
}

/* -- flaws ------------------------------------------------------------------------ */

#define MSR_ARCH_CAPABILITIES	0x10a
#define CAPABILITY_RDCL_NO	(1u << 0)	/* no Meltdown */
#define CAPABILITY_MDS_NO	(1u << 5)

/* Say what this processor leaks and nothing here prevents. */
void x86_cpu_report_flaws(void)
{
	struct x86_cpuid r = x86_cpuid(0, 0);
	uint64_t capabilities = 0;

	if (memcmp(&r.ebx, "Genu", 4))
		return;		/* only Intel's have these */
	if (x86_features.max_leaf >= 7 && (x86_cpuid(7, 0).edx >> 29 & 1))
		capabilities = x86_rdmsr(MSR_ARCH_CAPABILITIES);
	if (!(capabilities & CAPABILITY_RDCL_NO))
		log_line(LOG_WARNING, "speculation: programs can read kernel memory (Meltdown)");
	if (!(capabilities & CAPABILITY_MDS_NO))
		log_line(LOG_WARNING, "speculation: programs can sample others' data (MDS)");
}

/* -- information ------------------------------------------------------------------ */

void arch_cpu_idle(void)
{
	/* The instruction after STI runs before an interrupt does. */
	asm volatile("sti; hlt; cli" : : : "memory");
}

void arch_cpu_halt(void)
{
	for (;;)
		asm volatile("cli; hlt" : : : "memory");
}

bool arch_cpu_is_emulated(void)
{
	return x86_features.tcg;
}

bool arch_random(uint64_t *value)
{
	if (!x86_features.rdrand)
		return false;
	for (unsigned int i = 0; i < 10; i++) {
		bool ok;

		asm volatile("rdrand %0" : "=r"(*value), "=@ccc"(ok));
		if (ok)
			return true;
	}
	return false;
}

bool arch_cpu_info(uint32_t cpu, struct k_cpu_info *info)
{
	uint32_t words[4], version;
	struct x86_cpuid r;

	if (cpu >= cpu_count || !cpus[cpu])
		return false;
	memset(info, 0, sizeof(*info));
	info->khz = time_cycles_khz();
	info->apic_id = cpus[cpu]->arch.apic_id;
	info->online = atomic_load_explicit(&cpus[cpu]->online, memory_order_relaxed);

	r = x86_cpuid(0, 0);
	words[0] = r.ebx;
	words[1] = r.edx;
	words[2] = r.ecx;
	memcpy(info->vendor, words, 12);
	for (uint32_t i = 0; i < 3 && x86_cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
		r = x86_cpuid(0x80000002 + i, 0);
		memcpy(info->model + 16 * i, &r, 16);
	}
	version = x86_cpuid(1, 0).eax;
	info->stepping = version & 0xf;
	info->model_number = version >> 4 & 0xf;
	info->family = version >> 8 & 0xf;
	if (info->family == 0xf)
		info->family += version >> 20 & 0xff;
	if (info->family >= 6)
		info->model_number |= (version >> 16 & 0xf) << 4;
	return true;
}

void arch_system_info(struct k_system_info *info)
{
	struct x86_cpuid r = x86_cpuid(1, 0);

	info->features[0] = r.edx;
	info->features[1] = r.ecx;
	if (x86_features.max_leaf >= 7) {
		r = x86_cpuid(7, 0);
		info->features[2] = r.ebx;
		info->features[3] = r.ecx;
	}
	info->xsave_size = x86_features.xsave_size;
	info->xsave_mask = x86_features.xcr0;
}
