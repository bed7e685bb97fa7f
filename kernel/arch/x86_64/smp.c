/* SPDX-License-Identifier: MIT */
/*
 * Starting the other processors.
 *
 * Everything a processor needs is made before it is told to start: struct cpu,
 * stacks, idle thread, run queue.  All are told at once; each copies nothing, finds
 * its struct cpu by its APIC number, sets itself up and idles.  Nobody waits for
 * them: a processor takes part from the moment it is online.  One that does not
 * come is told once more, and then reported.
 */
#include "arch/smp.h"

#include "x86.h"

#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/panic.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/time.h"

#define TRAMPOLINE_PAGE (TRAMPOLINE_ADDRESS >> K_PAGE_SHIFT)

struct cpu x86_boot_cpu __attribute__((aligned(4096)));
struct cpu *cpus[MAX_CPUS] = { &x86_boot_cpu };
uint32_t cpu_count = 1;

_Static_assert(MAX_CPUS == 64, "trampoline.S counts to 64");

static _Atomic(bool) stop_requested;

extern char x86_trampoline[], x86_trampoline_end[];
/* Parameters of the trampoline: see trampoline.S. */
struct trampoline_data {
	uint32_t root, pad;
	uint64_t entry;
	uint64_t stacks[MAX_CPUS];
	uint32_t apic_ids[MAX_CPUS];	/* low 8 bits, as CPUID leaf 1 shows them */
};

NORETURN void x86_secondary_start(uint32_t apic_id);

struct cpu *x86_cpu_alloc(uint32_t id, uint32_t apic_id)
{
	struct cpu *cpu = vmalloc(ALIGN_UP(sizeof(*cpu), K_PAGE_SIZE));
	struct thread *idle = kzalloc(sizeof(*idle));
	uint8_t *ist = vmalloc(4 * K_PAGE_SIZE);

	if (!cpu || !idle || !ist)
		return NULL;
	cpu->id = id;
	cpu->arch.apic_id = apic_id;
	cpu->arch.ist_stacks = ist;
	idle->arch.stack = kstack_alloc();
	if (!idle->arch.stack)
		return NULL;
	strlcpy(idle->name, "idle", sizeof(idle->name));
	cpu->idle = idle;
	sched_init_thread(idle);
	sched_init_cpu(cpu);
	return cpu;
}

/* First C code of another processor, on its idle thread's stack. */
void x86_secondary_start(uint32_t id)
{
	struct cpu *cpu = cpus[id];

	x86_cpu_setup(cpu);
	arch_root_load(arch_kernel_root(), 0, false);
	cpu->arch.tss.rsp[0] = (uint64_t)(uintptr_t)cpu->idle->arch.stack + KSTACK_SIZE;
	cpu->idle->arch.stamp = arch_cycles();
	x86_apic_setup_cpu(cpu);
	atomic_store_explicit(&cpu->online, 1, memory_order_release);
	sched_idle_loop();
}

static void check_started(uint64_t arg)
{
	(void)arg;
	for (unsigned int round = 0; round < 3; round++) {
		sched_sleep_until(time_now_ns() + 200 * NS_PER_MS);
		for (uint32_t i = 1; i < cpu_count; i++) {
			if (atomic_load_explicit(&cpus[i]->online, memory_order_acquire))
				continue;
			if (round == 2)
				log_line(LOG_ERR, "CPU %u does not start", i);
			else
				x86_apic_send_startup(cpus[i]->arch.apic_id, TRAMPOLINE_PAGE);
		}
	}
}

static void prepare_trampoline(void)
{
	size_t size = (size_t)(x86_trampoline_end - x86_trampoline);
	uint8_t *page = phys_to_virt(TRAMPOLINE_PAGE * K_PAGE_SIZE);
	struct trampoline_data *data = (struct trampoline_data *)(page + size);

	memcpy(page, x86_trampoline, size);
	data->root = (uint32_t)x86_identity_root();
	data->entry = (uint64_t)(uintptr_t)x86_secondary_start;
	memset(data->stacks, 0, sizeof(data->stacks));
	memset(data->apic_ids, 0xff, sizeof(data->apic_ids));
	for (uint32_t i = 1; i < cpu_count; i++) {
		data->stacks[i] = (uint64_t)(uintptr_t)cpus[i]->idle->arch.stack + KSTACK_SIZE;
		data->apic_ids[i] = cpus[i]->arch.apic_id;
	}
}

void arch_smp_start(uint32_t max)
{
	const struct boot_info *boot = &boot_info;
	uint32_t self = this_cpu()->arch.apic_id, count = 1;

	for (uint32_t i = 0; i < boot->cpu_count && count < MIN(max, (uint32_t)MAX_CPUS); i++) {
		struct cpu *cpu;

		if (boot->cpu_apic_ids[i] == self)
			continue;
		cpu = x86_cpu_alloc(count, boot->cpu_apic_ids[i]);
		if (!cpu) {
			log_line(LOG_ERR, "no memory to start CPU %u", count);
			break;
		}
		cpus[count++] = cpu;
	}
	if (count == 1)
		return;
	cpu_count = count;
	prepare_trampoline();
	for (uint32_t i = 1; i < count; i++)
		x86_apic_send_init(cpus[i]->arch.apic_id);
	for (uint32_t i = 1; i < count; i++)
		x86_apic_send_startup(cpus[i]->arch.apic_id, TRAMPOLINE_PAGE);
	thread_spawn_kernel("smp-check", check_started, 0);
}

/* -- stopping ---------------------------------------------------------------------- */

bool x86_stop_requested(void)
{
	return atomic_load_explicit(&stop_requested, memory_order_relaxed);
}

void arch_stop_others(void)
{
	atomic_store_explicit(&stop_requested, true, memory_order_relaxed);
	if (cpu_count > 1) {
		x86_apic_send_nmi_others();
		/* They need a moment; how many are stopped cannot be known. */
		time_delay_ns(100 * NS_PER_US);
	}
}
