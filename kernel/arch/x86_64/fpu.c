/* SPDX-License-Identifier: MIT */
/*
 * The registers that the kernel itself never uses: x87, SSE, AVX, AVX-512.
 *
 * Each thread that enters ring 3 has a memory image in the standard XSAVE form, with
 * a header also where the processor has only FXSAVE.
 * On one CPU:
 *
 *	fpu_owner == t	the FPU holds t's state and t may be changing it
 *	fpu_last == t and t->fpu_cpu == this CPU
 *			the FPU holds t's state, unchanged since it was saved
 *
 * A switch away from the owner saves it and makes it fpu_last; entering ring 3
 * without being the owner takes the state over, from the FPU if it is still
 * there, else from memory.  So a thread that only sleeps and wakes in the kernel
 * costs one save, and one that ran alone no restore.  Whoever changes an image
 * sets fpu_cpu to NOWHERE.
 */
#include "x86.h"

#include "abi/status.h"
#include "arch/cpu.h"
#include "arch/thread.h"
#include "base/string.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"

#define NOWHERE UINT32_MAX

#define XSAVE_HEADER	512u		/* offset of the header */
#define MXCSR_OFFSET	24u
#define MXCSR_MASK_OFFSET 28u

static struct kmem_cache xsave_cache = KMEM_CACHE_SIZED("xsave", 0, 64);
static uint32_t mxcsr_mask = 0xffbf;	/* constant after the start; what old processors mean by 0 */

static void xsave(void *area)
{
	if (x86_features.xsave)
		asm volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void xrstor(const void *area)
{
	if (x86_features.xsave)
		asm volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* What execve() starts with.  Its header says that everything is in its initial state, so XRSTOR
 * reads no more than this, whatever the size of the state is. */
static const uint8_t initial_image[XSAVE_HEADER + 64] __attribute__((aligned(64))) = {
	0x7f, 0x03,			/* x87 control word 0x37f */
	[MXCSR_OFFSET] = 0x80, 0x1f,	/* MXCSR 0x1f80 */
};

/* The same as a thread's image, where XSTATE_BV has at least x87 and SSE. */
static void image_reset(uint8_t *image)
{
	memset(image, 0, x86_features.xsave_size);
	memcpy(image, initial_image, sizeof(initial_image));
	image[XSAVE_HEADER] = 3;
}

/* FXRSTOR knows no header: what it says to be in its initial state is made so. */
static void apply_header(uint8_t *image)
{
	if (!(image[XSAVE_HEADER] & 1)) {
		memset(image, 0, MXCSR_OFFSET);
		memset(image + 32, 0, 128);
		image[0] = 0x7f;
		image[1] = 0x03;
	}
	if (!(image[XSAVE_HEADER] & 2))
		memset(image + 160, 0, 256);
	image[XSAVE_HEADER] = 3;
}

/* Which bits of MXCSR the processor has. */
static void find_mxcsr_mask(void)
{
	static uint8_t area[XSAVE_HEADER] __attribute__((aligned(16)));
	uint32_t mask;

	asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	memcpy(&mask, area + MXCSR_MASK_OFFSET, sizeof(mask));
	if (mask)
		mxcsr_mask = mask;
}

void x86_fpu_setup_cpu(void)
{
	if (x86_features.xsave)
		asm volatile("xsetbv" : : "c"(0), "a"((uint32_t)x86_features.xcr0),
			     "d"((uint32_t)(x86_features.xcr0 >> 32)));
	if (this_cpu()->id != 0)
		return;
	find_mxcsr_mask();
	/* How much that takes is known only now. */
	if (x86_features.xsave)
		x86_features.xsave_size = x86_cpuid(0xd, 0).ebx;
	xsave_cache.size = ALIGN_UP(x86_features.xsave_size, 64u);
}

/* Bring @t's image up to date; it is the caller, or does not run. */
static void sync_image(struct thread *t)
{
	arch_irqflags_t flags = arch_irq_save();
	struct cpu *cpu = this_cpu();

	if (cpu->arch.fpu_owner == t) {
		xsave(t->arch.xsave);
		cpu->arch.fpu_owner = NULL;
		cpu->arch.fpu_last = t;
	}
	arch_irq_restore(flags);
}

k_status_t x86_fpu_alloc(struct thread *t, const struct thread *inherit)
{
	t->arch.xsave = kmem_alloc(&xsave_cache);
	if (!t->arch.xsave)
		return K_ERR_NO_MEMORY;
	t->arch.fpu_cpu = NOWHERE;
	if (inherit && inherit->arch.xsave) {
		sync_image((struct thread *)inherit);
		memcpy(t->arch.xsave, inherit->arch.xsave, x86_features.xsave_size);
	} else {
		image_reset(t->arch.xsave);
	}
	return K_OK;
}

void x86_fpu_free(struct thread *t)
{
	if (t->arch.xsave)
		kmem_free(&xsave_cache, t->arch.xsave);
	t->arch.xsave = NULL;
}

/* Interrupts are disabled in the next three. */

/* The FPU holds @self's state and nobody else's. */
static void take_over(struct cpu *cpu, struct thread *self)
{
	self->arch.fpu_cpu = cpu->id;
	cpu->arch.fpu_last = NULL;
	cpu->arch.fpu_owner = self;
}

void x86_fpu_switch_out(struct cpu *cpu, struct thread *prev)
{
	if (cpu->arch.fpu_owner != prev)
		return;
	cpu->arch.fpu_owner = NULL;
	if (atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_DEAD) {
		cpu->arch.fpu_last = NULL;
		return;
	}
	xsave(prev->arch.xsave);
	cpu->arch.fpu_last = prev;
}

void x86_fpu_load(void)
{
	struct cpu *cpu = this_cpu();
	struct thread *self = cpu->current;

	if (!self->arch.xsave)
		panic("thread %s enters ring 3 without a register area", self->name);
	if (cpu->arch.fpu_last != self || self->arch.fpu_cpu != cpu->id)
		xrstor(self->arch.xsave);
	take_over(cpu, self);
}

/* -- access from outside ---------------------------------------------------------- */

k_status_t arch_thread_xsave_read(struct thread *t, void *dst, uint64_t *length)
{
	if (!t->arch.xsave)
		return K_ERR_BAD_STATE;
	if (*length < x86_features.xsave_size)
		return K_ERR_TOO_BIG;
	sync_image(t);
	memcpy(dst, t->arch.xsave, x86_features.xsave_size);
	*length = x86_features.xsave_size;
	return K_OK;
}

/*
 * XRSTOR refuses reserved MXCSR bits, state components that XCR0 lacks, a
 * compacted form and any bit in the rest of the header.
 */
static bool image_valid(const uint8_t *image)
{
	uint32_t mxcsr;
	uint64_t header[8];

	memcpy(&mxcsr, image + MXCSR_OFFSET, sizeof(mxcsr));
	if (mxcsr & ~mxcsr_mask)
		return false;
	memcpy(header, image + XSAVE_HEADER, sizeof(header));
	if (header[0] & ~x86_features.xcr0)
		return false;
	for (unsigned int i = 1; i < ARRAY_SIZE(header); i++) {
		if (header[i])
			return false;
	}
	return true;
}

k_status_t arch_thread_xsave_write(struct thread *t, const void *src, uint64_t length)
{
	if (!t->arch.xsave)
		return K_ERR_BAD_STATE;
	if (length != x86_features.xsave_size || !image_valid(src))
		return K_ERR_BAD_ARGUMENT;
	sync_image(t);
	memcpy(t->arch.xsave, src, length);
	if (!x86_features.xsave)
		apply_header(t->arch.xsave);
	t->arch.fpu_cpu = NOWHERE;
	return K_OK;
}

void arch_thread_xsave_reset(struct thread *t)
{
	arch_irqflags_t flags;

	if (!t->arch.xsave)
		return;
	if (t == current_thread()) {
		flags = arch_irq_save();
		xrstor(initial_image);
		take_over(this_cpu(), t);
		arch_irq_restore(flags);
		return;
	}
	image_reset(t->arch.xsave);
	t->arch.fpu_cpu = NOWHERE;
}

/* -- straight to and from the program's memory ------------------------------------- */

k_status_t arch_xsave_to_user(uint64_t addr, uint64_t *length, bool reset)
{
	struct thread *self = current_thread();
	arch_irqflags_t flags;
	bool done;

	if (!x86_features.xsave)
		return K_ERR_NOT_SUPPORTED;
	if (!self->arch.xsave)
		return K_ERR_BAD_STATE;
	if (addr % 64)
		return K_ERR_BAD_ARGUMENT;
	if (*length < x86_features.xsave_size)
		return K_ERR_TOO_BIG;
	*length = x86_features.xsave_size;
	flags = arch_irq_save();
	if (this_cpu()->arch.fpu_owner != self)
		x86_fpu_load();
	done = x86_xsave_user(addr);
	if (done && reset)
		xrstor(initial_image);
	arch_irq_restore(flags);
	return done ? K_OK : K_ERR_BAD_ADDRESS;
}

static uint32_t read_mxcsr(void)
{
	uint32_t mxcsr;

	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	return mxcsr;
}

k_status_t arch_xsave_from_user(uint64_t addr, uint64_t length)
{
	struct thread *self = current_thread();
	k_status_t status = K_OK;
	arch_irqflags_t flags;

	if (!x86_features.xsave)
		return K_ERR_NOT_SUPPORTED;
	if (!self->arch.xsave)
		return K_ERR_BAD_STATE;
	if (addr % 64 || length != x86_features.xsave_size)
		return K_ERR_BAD_ARGUMENT;
	flags = arch_irq_save();
	if (!x86_xrstor_user(addr))
		status = K_ERR_BAD_ADDRESS;
	else if (read_mxcsr() & ~mxcsr_mask)
		status = K_ERR_BAD_ARGUMENT;	/* processors refuse it themselves, emulators may not */
	if (status != K_OK)
		xrstor(initial_image);
	take_over(this_cpu(), self);
	arch_irq_restore(flags);
	return status;
}
