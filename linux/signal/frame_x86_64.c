/* SPDX-License-Identifier: MIT */
/*
 * The stack frame of a signal handler on x86-64, exactly as Linux lays it out,
 * and the way back.
 *
 *	high	program's stack, 128 bytes of red zone
 *		XSAVE image, aligned to 64, then FP_XSTATE_MAGIC2
 *		siginfo
 *		ucontext
 *	low	return address (the restorer); 16-byte aligned after a call
 *
 * The way back trusts nothing: the frame was in the program's hands.
 */

#include <asm/prctl.h>
#include <asm/processor-flags.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/signal.h>
#include <asm/ucontext.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/xstate.h"
#include "signal/signal_impl.h"

struct rt_sigframe {
	uint64_t pretcode;
	struct ucontext uc;
	uint8_t info[128];
};

_Static_assert(sizeof(struct rt_sigframe) == 440, "Linux's layout");

#define RED_ZONE	128
#define FX_SIZE		512
#define FX_SW_BYTES	464		/* offset of struct _fpx_sw_bytes */
#define XSAVE_HEADER	64

#define UC_FLAGS	(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS)

/* Flags that a program may set for itself through a frame. */
#define USER_FLAGS	(X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | \
			 X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF | \
			 X86_EFLAGS_CF | X86_EFLAGS_RF)

#define USER_CS		0x33
#define USER_DS		0x2b

/* -- the processor's extended state ------------------------------------------------------ */

static uint64_t xstate_bytes, xstate_mask;

void lx_xstate_init(const struct k_system_info *info)
{
	xstate_bytes = info->xsave_size;
	xstate_mask = info->xsave_mask;
	if (xstate_bytes < FX_SIZE + XSAVE_HEADER) {
		xstate_bytes = FX_SIZE + XSAVE_HEADER;
		xstate_mask = 3;
	}
}

uint64_t lx_xstate_size(void)
{
	return xstate_bytes;
}

uint64_t lx_xstate_mask(void)
{
	return xstate_mask;
}

uint64_t lx_signal_frame_size(void)
{
	return sizeof(struct rt_sigframe) + xstate_bytes + FP_XSTATE_MAGIC2_SIZE + RED_ZONE + 64 + 16;
}

/* By way of a buffer: a copy can wait for pages. */
static int save_xstate_slowly(uint64_t to)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	uint64_t n;

	if (k_thread_state_read(K_HANDLE_NONE, K_STATE_XSAVE, buf, xstate_bytes, &n) != K_OK)
		return -EFAULT;
	buf[FX_SIZE] |= 3;
	if (lx_copy_to_user(uaddr(to), buf, FX_SW_BYTES) ||
	    lx_copy_to_user(uaddr(to + FX_SIZE), buf + FX_SIZE, xstate_bytes - FX_SIZE))
		return -EFAULT;
	return lx_xstate_clear();
}

/*
 * Store the state, and leave the initial one for the handler.
 *
 * What surrounds the image comes first, so that its pages are there and the
 * processor can store the state itself.  x87 and SSE are always marked as present:
 * a handler that knows FXSAVE only may change them.
 */
static int take_xstate(uint64_t to)
{
	const struct _fpx_sw_bytes sw = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)xstate_bytes + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = xstate_mask,
		.xstate_size = (uint32_t)xstate_bytes,
	};
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	uint64_t n;

	if (lx_copy_to_user(uaddr(to + FX_SW_BYTES), &sw, sizeof(sw)) ||
	    lx_copy_to_user(uaddr(to + xstate_bytes), &magic2, sizeof(magic2)))
		return -EFAULT;
	if (k_thread_state_read(K_HANDLE_NONE, K_STATE_XSAVE_TAKE, (void *)(uintptr_t)to,
				xstate_bytes, &n) == K_OK)
		return 0;
	return save_xstate_slowly(to);
}

/* The processor's state after FNINIT and with all vector registers zero. */
static void xstate_reset(uint8_t *buf)
{
	memset(buf, 0, xstate_bytes);
	buf[0] = 0x7f;			/* FCW 0x037f */
	buf[1] = 0x03;
	buf[24] = 0x80;			/* MXCSR 0x1f80 */
	buf[25] = 0x1f;
	buf[FX_SIZE] = 3;		/* XSTATE_BV: x87, SSE; others in their initial state */
}

int lx_xstate_clear(void)
{
	/* Nothing to write: the initial state. */
	return lx_errno(k_thread_state_write(K_HANDLE_NONE, K_STATE_XSAVE, NULL, 0));
}

/* What the processor would refuse is refused here. */
bool lx_xstate_valid(const uint8_t *buf)
{
	uint64_t bv, zero[7];
	uint32_t mxcsr;
	int i;

	memcpy(&mxcsr, buf + 24, sizeof(mxcsr));
	memcpy(&bv, buf + FX_SIZE, sizeof(bv));
	memcpy(zero, buf + FX_SIZE + 8, sizeof(zero));
	if (mxcsr & ~0xffffu || bv & ~xstate_mask)
		return false;
	for (i = 0; i < 7; i++)
		if (zero[i])
			return false;
	return true;
}

/*
 * Find out what lies at @from: *@size bytes of XSAVE image, or 0: only the FXSAVE
 * area can be relied upon.
 */
static int xstate_form(uint64_t from, struct _fpx_sw_bytes *sw, uint64_t *size)
{
	uint32_t magic2;

	*size = 0;
	if (lx_copy_from_user(sw, uaddr(from + FX_SW_BYTES), sizeof(*sw)))
		return -EFAULT;
	if (sw->magic1 != FP_XSTATE_MAGIC1 || sw->xstate_size < FX_SIZE + XSAVE_HEADER ||
	    sw->xstate_size > xstate_bytes || sw->xstate_size > sw->extended_size)
		return 0;
	if (lx_copy_from_user(&magic2, uaddr(from + sw->xstate_size), sizeof(magic2)))
		return -EFAULT;
	if (magic2 == FP_XSTATE_MAGIC2)
		*size = sw->xstate_size;
	return 0;
}

/* The processor takes the image as it is: all that setup wrote, where setup wrote it. */
static bool restore_xstate_directly(uint64_t from, const struct _fpx_sw_bytes *sw, uint64_t size)
{
	return size == xstate_bytes && sw->xfeatures == xstate_mask &&
	       k_thread_state_write(K_HANDLE_NONE, K_STATE_XSAVE_PROGRAM,
				    (void *)(uintptr_t)from, size) == K_OK;
}

static int restore_xstate(uint64_t from)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	struct _fpx_sw_bytes sw;
	uint64_t bv = 3, size;

	if (!from)
		return lx_xstate_clear();
	if (xstate_form(from, &sw, &size))
		return -EFAULT;
	if (restore_xstate_directly(from, &sw, size))
		return 0;
	xstate_reset(buf);
	if (lx_copy_from_user(buf, uaddr(from), size ? size : FX_SIZE))
		return -EFAULT;
	if (size) {
		memcpy(&bv, buf + FX_SIZE, sizeof(bv));
		if (bv & ~xstate_mask)
			return -EFAULT;
		bv &= sw.xfeatures;
		/* The processor looks at the first three words of the header only. */
		memset(buf + FX_SIZE + 24, 0, XSAVE_HEADER - 24);
	}
	memcpy(buf + FX_SIZE, &bv, sizeof(bv));
	if (!lx_xstate_valid(buf))
		return -EFAULT;
	return lx_errno(k_thread_state_write(K_HANDLE_NONE, K_STATE_XSAVE, buf, xstate_bytes));
}

/* -- building the frame --------------------------------------------------------------------- */

static void fill_sigcontext(struct sigcontext *sc, const struct k_user_frame *f, uint64_t mask,
			    uint64_t fpstate)
{
	sc->r8 = f->r8;
	sc->r9 = f->r9;
	sc->r10 = f->r10;
	sc->r11 = f->r11;
	sc->r12 = f->r12;
	sc->r13 = f->r13;
	sc->r14 = f->r14;
	sc->r15 = f->r15;
	sc->rdi = f->rdi;
	sc->rsi = f->rsi;
	sc->rbp = f->rbp;
	sc->rbx = f->rbx;
	sc->rdx = f->rdx;
	sc->rax = f->rax;
	sc->rcx = f->rcx;
	sc->rsp = f->rsp;
	sc->rip = f->rip;
	sc->eflags = f->rflags;
	sc->cs = USER_CS;
	sc->ss = USER_DS;
	sc->err = f->error_code;
	sc->trapno = f->vector;
	sc->cr2 = f->fault.addr;
	sc->oldmask = mask;
	sc->fpstate = (void *)(uintptr_t)fpstate;
}

static bool on_altstack(const struct lx_task *self, uint64_t sp)
{
	const struct lx_altstack *a = &self->altstack;

	return !(a->flags & SS_AUTODISARM) && a->size && sp > a->sp && sp - a->sp <= a->size;
}

uint32_t lx_altstack_status(const struct lx_task *self, uint64_t sp)
{
	if (!self->altstack.size)
		return SS_DISABLE;
	return on_altstack(self, sp) ? SS_ONSTACK : 0;
}

static void fill_altstack(struct lx_task *self, stack_t *ss, uint64_t sp)
{
	ss->ss_sp = (void *)(uintptr_t)self->altstack.sp;
	ss->ss_size = self->altstack.size;
	ss->ss_flags = (int)(lx_altstack_status(self, sp) |
			     (self->altstack.flags & SS_AUTODISARM));
}

int lx_signal_frame_setup(struct lx_task *self, const struct lx_sigaction *act,
			  const struct lx_siginfo *info, uint64_t oldmask)
{
	struct k_user_frame *f = self->frame;
	struct rt_sigframe frame;
	uint64_t sp = f->rsp - RED_ZONE, fpstate, low;
	bool nested = on_altstack(self, f->rsp), entering = false;

	if (!(act->flags & SA_RESTORER))
		return -EFAULT;
	if ((act->flags & SA_ONSTACK) && self->altstack.size && !nested) {
		sp = self->altstack.sp + self->altstack.size;
		entering = true;
	}
	sp = fpstate = (sp - (xstate_bytes + FP_XSTATE_MAGIC2_SIZE)) & ~63ull;
	sp = ((sp - sizeof(frame)) & ~15ull) - 8;
	low = sp;
	/* An overflow of the alternate stack must not be written below it. */
	if ((nested || entering) && (low < self->altstack.sp ||
				     low > self->altstack.sp + self->altstack.size))
		return -EFAULT;
	if (low >= K_PROGRAM_MAX)
		return -EFAULT;

	memset(&frame, 0, sizeof(frame));
	frame.pretcode = act->restorer;
	frame.uc.uc_flags = UC_FLAGS;
	fill_altstack(self, &frame.uc.uc_stack, f->rsp);
	fill_sigcontext(&frame.uc.uc_mcontext, f, oldmask, fpstate);
	memcpy(&frame.uc.uc_sigmask, &oldmask, sizeof(oldmask));
	lx_siginfo_export(info, frame.info);
	if (lx_copy_to_user(uaddr(sp), &frame, sizeof(frame)) || take_xstate(fpstate))
		return -EFAULT;
	if (self->altstack.flags & SS_AUTODISARM)
		self->altstack = (struct lx_altstack){ .flags = SS_DISABLE };

	f->rdi = (uint64_t)info->signo;
	f->rsi = sp + offsetof(struct rt_sigframe, info);
	f->rdx = sp + offsetof(struct rt_sigframe, uc);
	f->rax = 0;
	f->rip = act->handler;
	f->rsp = sp;
	f->rflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	f->flags = 0;
	return 0;
}

/* -- the way back --------------------------------------------------------------------------------- */

static void restore_sigcontext(struct k_user_frame *f, const struct sigcontext *sc)
{
	f->r8 = sc->r8;
	f->r9 = sc->r9;
	f->r10 = sc->r10;
	f->r11 = sc->r11;
	f->r12 = sc->r12;
	f->r13 = sc->r13;
	f->r14 = sc->r14;
	f->r15 = sc->r15;
	f->rdi = sc->rdi;
	f->rsi = sc->rsi;
	f->rbp = sc->rbp;
	f->rbx = sc->rbx;
	f->rdx = sc->rdx;
	f->rax = sc->rax;
	f->rcx = sc->rcx;
	f->rsp = sc->rsp;
	f->rip = sc->rip;
	f->rflags = (f->rflags & ~(uint64_t)USER_FLAGS) | (sc->eflags & USER_FLAGS);
	f->orig_rax = ~0ull;
	f->flags = 0;
}

long lx_sys_rt_sigreturn(struct lx_task *self)
{
	struct k_user_frame *f = self->frame;
	struct lx_siginfo segv = lx_siginfo_kernel(SIGSEGV);
	struct rt_sigframe frame;
	uint64_t mask;

	if (lx_copy_from_user(&frame, uaddr(f->rsp - 8), offsetof(struct rt_sigframe, info)))
		goto bad;
	memcpy(&mask, &frame.uc.uc_sigmask, sizeof(mask));
	lx_sigmask_set(self, mask);
	restore_sigcontext(f, &frame.uc.uc_mcontext);
	if (restore_xstate((uint64_t)(uintptr_t)frame.uc.uc_mcontext.fpstate))
		goto bad;
	lx_altstack_restore(self, &frame.uc.uc_stack, f->rsp);
	self->restart.fn = NULL;
	return (long)f->rax;
bad:
	lx_signal_force(self, &segv);
	return 0;
}
