/* SPDX-License-Identifier: MIT */
/*
 * Faults: what the kernel could not settle.  Either a page of a file has to be
 * read, or the program gets a signal; and the copies from and to programs that
 * do the same for the personality's own accesses.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "base/util.h"
#include "abi/calls.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/ptrace.h"
#include "ptrace/ptrace_impl.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "lx/xstate.h"
#include "rt/time.h"
#include "mm/mm_impl.h"

static _Atomic(uint64_t) major_faults;

uint64_t lx_major_faults(void)
{
	return atomic_load_explicit(&major_faults, memory_order_relaxed);
}

/* The owner of a page that is not there, or is about to change.  0 or a negative errno. */
static int supply(struct lx_task *self, const struct k_fault *fault)
{
	struct lx_file *f = lx_backing_file(fault->cookie);
	uint64_t start = rt_now_ns(), refaults;
	int err;

	if (!f)
		return 0;		/* unmapped meanwhile: the next access will tell */
	err = lx_inode_settle_page(f->inode, fault->offset, fault->access & K_PROT_WRITE, &refaults);
	lx_file_put(f);
	if (refaults)
		lx_refaulted(self, refaults, rt_now_ns() - start);
	return err;
}

/*
 * Do what can be done about a fault.  0: try again; otherwise -EFAULT with the
 * signal and code that the program would get.
 */
static int settle(struct lx_task *self, const struct k_fault *fault, int *signo, int *code)
{
	*signo = SIGSEGV;
	*code = SEGV_MAPERR;
	switch (fault->status) {
	case K_OK:
		return 0;
	case K_ERR_ACCESS:
		*code = SEGV_ACCERR;
		return -EFAULT;
	case K_ERR_NEED_PAGE:
		self->maj_flt++;
		atomic_fetch_add_explicit(&major_faults, 1, memory_order_relaxed);
		switch (supply(self, fault)) {
		case 0:
			return 0;
		case -ENOMEM:
			if (lx_out_of_memory("page cache", true))
				return 0;
			break;
		}
		FALLTHROUGH;
	case K_ERR_BEYOND_END:
		*signo = SIGBUS;
		*code = BUS_ADRERR;
		return -EFAULT;
	case K_ERR_NO_MEMORY:
		if (lx_out_of_memory("page fault", false))
			return 0;
		*signo = SIGKILL;
		*code = SI_KERNEL;
		return -EFAULT;
	}
	return -EFAULT;
}

void lx_fault(struct lx_task *self)
{
	struct lx_siginfo info = { 0 };

	self->frame->vector = 14;
	if (!settle(self, &self->frame->fault, &info.signo, &info.code))
		return;
	info.fault.addr = self->frame->fault.addr;
	info.fault.trapno = 14;
	lx_signal_force(self, &info);
}

/* Exceptions of the processor, by vector. */
static const struct { uint8_t signo; int8_t code; bool has_addr; } exceptions[32] = {
	[0] = { SIGFPE, FPE_INTDIV, true },
	[1] = { SIGTRAP, TRAP_TRACE, true },
	[3] = { SIGTRAP, 0, false },
	[4] = { SIGSEGV, 0, false },
	[5] = { SIGSEGV, 0, false },
	[6] = { SIGILL, ILL_ILLOPN, true },
	[7] = { SIGSEGV, 0, false },
	[9] = { SIGFPE, 0, false },
	[10] = { SIGSEGV, 0, false },
	[11] = { SIGBUS, 0, false },
	[12] = { SIGBUS, 0, false },
	[13] = { SIGSEGV, 0, false },
	[16] = { SIGFPE, FPE_FLTINV, true },
	[17] = { SIGBUS, BUS_ADRALN, true },
	[19] = { SIGFPE, FPE_FLTINV, true },
};

void lx_exception(struct lx_task *self)
{
	const struct k_user_frame *f = self->frame;
	uint32_t v = f->vector;
	struct lx_siginfo info = lx_siginfo_kernel(SIGSEGV);

	if (v < ARRAY_SIZE(exceptions) && exceptions[v].signo) {
		info.signo = exceptions[v].signo;
		if (exceptions[v].has_addr) {
			info.code = exceptions[v].code;
			info.fault.addr = f->rip;
		} else if (v == 3) {
			info.code = SI_KERNEL;
		}
		if (v == 1)
			info.code = lx_debug_exception(self, f->error_code);
		if (v == 16 || v == 19)
			info.code = lx_fpu_exception_code(self, v);
	}
	/* The tracer's flag, when one step is done; one that the program set for itself stays. */
	if (v == 1 && self->ptrace && self->ptrace->stepping)
		self->frame->rflags &= ~(uint64_t)0x100;
	info.fault.trapno = (int)v;
	lx_signal_force(self, &info);
}

/*
 * Which of the unmasked exceptions is pending: from the x87 status and control
 * words, or MXCSR.
 */
int lx_fpu_exception_code(struct lx_task *self, uint32_t vector)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	uint64_t n;
	uint32_t bits, mxcsr;
	uint16_t cw, sw;

	if (k_thread_state_read(K_HANDLE_NONE, K_STATE_XSAVE, buf, lx_xstate_size(), &n) != K_OK)
		return 0;
	memcpy(&cw, buf, sizeof(cw));
	memcpy(&sw, buf + 2, sizeof(sw));
	memcpy(&mxcsr, buf + 24, sizeof(mxcsr));
	bits = vector == 16 ? sw & ~cw : mxcsr & ~(mxcsr >> 7);
	if (bits & 1)
		return FPE_FLTINV;
	if (bits & 4)
		return FPE_FLTDIV;
	if (bits & 8)
		return FPE_FLTOVF;
	if (bits & 0x12)
		return FPE_FLTUND;
	return bits & 0x20 ? FPE_FLTRES : 0;
}

/* -- access to the caller's program --------------------------------------------------------- */

/* One page of it. */
static int fault_in_page(struct lx_task *self, uint64_t addr, bool write)
{
	struct k_fault fault;
	k_status_t st;
	int signo, code;

	for (;;) {
		st = k_space_fault(self->mm->space, addr, write ? K_PROT_WRITE : K_PROT_READ, &fault);
		if (st == K_OK)
			return 0;
		if (lx_fatal_signal_pending(self))
			return -EFAULT;
		fault.status = st;
		if (settle(self, &fault, &signo, &code))
			return -EFAULT;
	}
}

int lx_fault_in(struct lx_task *self, uaddr_t addr, size_t n, bool write)
{
	uint64_t page, end;

	if (!self || !self->mm || addr.v >= K_PROGRAM_MAX || n > K_PROGRAM_MAX - addr.v)
		return -EFAULT;
	end = addr.v + n;
	for (page = addr.v & ~(uint64_t)(K_PAGE_SIZE - 1); page < end; page += K_PAGE_SIZE)
		if (fault_in_page(self, page, write))
			return -EFAULT;
	return 0;
}

int lx_copy_from_user(void *dst, uaddr_t src, size_t n)
{
	size_t left;

	while ((left = rt_copy_from_user(dst, src, n))) {
		size_t done = n - left;

		dst = (char *)dst + done;
		src = uaddr_add(src, done);
		n = left;
		if (lx_fault_in(lx_self(), src, 1, false))
			return -EFAULT;
	}
	return 0;
}

int lx_copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	size_t left;

	while ((left = rt_copy_to_user(dst, src, n))) {
		size_t done = n - left;

		src = (const char *)src + done;
		dst = uaddr_add(dst, done);
		n = left;
		if (lx_fault_in(lx_self(), dst, 1, true))
			return -EFAULT;
	}
	return 0;
}

int lx_clear_user(uaddr_t dst, size_t n)
{
	size_t left;

	while ((left = rt_clear_user(dst, n))) {
		dst = uaddr_add(dst, n - left);
		n = left;
		if (lx_fault_in(lx_self(), dst, 1, true))
			return -EFAULT;
	}
	return 0;
}

int64_t lx_string_from_user(char *dst, uaddr_t src, size_t size)
{
	size_t have = 0, done;
	long n;

	while (have < size) {
		n = rt_strncpy_from_user(dst + have, uaddr_add(src, have), size - have, &done);
		if (n >= 0) {
			have += (size_t)n;
			return have < size ? (int64_t)have : -ENAMETOOLONG;
		}
		have += done;
		if (lx_fault_in(lx_self(), uaddr_add(src, have), 1, false))
			return -EFAULT;
	}
	return -ENAMETOOLONG;
}

int lx_copy_struct_from_user(void *dst, size_t size, uaddr_t src, size_t usize)
{
	uint8_t rest[64];
	size_t n, i;

	memset(dst, 0, size);
	if (lx_copy_from_user(dst, src, MIN(size, usize)))
		return -EFAULT;
	/* What we do not know has to be zero. */
	while (usize > size) {
		n = MIN(usize - size, sizeof(rest));
		if (lx_copy_from_user(rest, uaddr_add(src, usize - n), n))
			return -EFAULT;
		for (i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
		usize -= n;
	}
	return 0;
}

/* -- another program's memory ------------------------------------------------------------------- */

int64_t lx_mm_access(struct lx_mm *mm, uint64_t addr, void *buf, size_t n, bool write)
{
	struct lx_task *self = lx_self();
	uint64_t total = 0, done;
	struct k_fault fault;
	int signo, code;
	k_status_t st;

	while (total < n) {
		void *at = (char *)buf + total;

		st = write ? k_space_write(mm->space, addr + total, at, n - total, &done)
			   : k_space_read(mm->space, addr + total, at, n - total, &done);
		total += done;
		if (st == K_OK)
			break;
		if (st != K_ERR_NEED_PAGE || lx_fatal_signal_pending(self))
			break;
		st = k_space_fault(mm->space, addr + total, K_PROT_READ, &fault);
		fault.status = st;
		if (st != K_OK && settle(self, &fault, &signo, &code))
			break;
	}
	return total ? (int64_t)total : -EFAULT;
}
