/* SPDX-License-Identifier: MIT */
/*
 * Registers of a stopped tracee, as ptrace and core files show them on x86-64.
 *
 * The first 23 words of struct k_user_frame are those of Linux's struct
 * user_regs_struct; the segment registers behind them are always 0.
 */

#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/uio.h>

#include "abi/calls.h"
#include "lx/arch.h"
#include "lx/mm.h"
#include "lx/regs.h"
#include "lx/task.h"
#include "lx/xstate.h"
#include "ptrace/ptrace_impl.h"

#define WORDS_IN_FRAME	23
#define USER_CS		0x33
#define USER_DS		0x2b
#define USER_SIZE	912		/* sizeof(struct user) */
#define DEBUGREGS	848		/* offsetof(struct user, u_debugreg) */

#define FIX_FLAGS (X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | \
		   X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_RF)

_Static_assert(offsetof(struct k_user_frame, gs_base) == 22 * 8, "as struct user_regs_struct");

enum { R_ORIG_RAX = 15, R_RAX = 10, R_CS = 17, R_FLAGS = 18, R_SS = 20, R_FS_BASE = 21, R_GS_BASE };

void lx_regs_get(const struct lx_task *t, uint64_t regs[LX_NR_REGS])
{
	memset(regs, 0, LX_NR_REGS * sizeof(*regs));
	memcpy(regs, t->frame, WORDS_IN_FRAME * sizeof(*regs));
	regs[R_CS] = USER_CS;
	regs[R_SS] = USER_DS;
}

static int set_reg(struct lx_task *t, unsigned int i, uint64_t v)
{
	struct k_user_frame *f = t->frame;
	uint64_t *words = (uint64_t *)f;

	if (i >= WORDS_IN_FRAME || i == R_CS || i == R_SS)
		return 0;		/* segments are what they are */
	if ((i == R_FS_BASE || i == R_GS_BASE) && v >= K_PROGRAM_MAX)
		return -EIO;
	if (i == R_FLAGS)
		v = (f->rflags & ~(uint64_t)FIX_FLAGS) | (v & FIX_FLAGS);
	words[i] = v;
	f->flags = 0;			/* all registers have to be loaded now */
	/* Whether a call is made again is decided by these two, as on Linux. */
	if (i == R_ORIG_RAX || i == R_RAX) {
		int64_t rax = (int64_t)LX_RESULT(f);

		t->restarting = (int64_t)f->orig_rax >= 0 && rax <= -LX_ERESTARTSYS &&
				rax >= -LX_ERESTART_BLOCK;
	}
	return 0;
}

static int set_regs(struct lx_task *t, const uint64_t *regs, unsigned int count)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < count && !err; i++)
		err = set_reg(t, i, regs[i]);
	return err;
}

int lx_xstate_get(const struct lx_task *t, uint8_t *buf)
{
	uint64_t mask = lx_xstate_mask(), n;
	k_status_t st = k_thread_state_read(atomic_load(&t->thread), K_STATE_XSAVE, buf,
					    lx_xstate_size(), &n);

	if (st != K_OK)
		return lx_errno(st);
	memset(buf + 464, 0, 48);
	memcpy(buf + 464, &mask, sizeof(mask));
	return 0;
}

static int set_xstate(struct lx_task *t, uint8_t *buf)
{
	memset(buf + 464, 0, 48);
	if (!lx_xstate_valid(buf))
		return -EINVAL;
	return lx_errno(k_thread_state_write(atomic_load(&t->thread), K_STATE_XSAVE, buf,
					     lx_xstate_size()));
}

/* -- whole sets ------------------------------------------------------------------------ */

static long get_all(struct lx_task *t, uint64_t data)
{
	uint64_t regs[LX_NR_REGS];

	lx_regs_get(t, regs);
	return lx_copy_to_user(uaddr(data), regs, sizeof(regs));
}

static long set_all(struct lx_task *t, uint64_t data)
{
	uint64_t regs[LX_NR_REGS];

	if (lx_copy_from_user(regs, uaddr(data), sizeof(regs)))
		return -EFAULT;
	return set_regs(t, regs, LX_NR_REGS);
}

static long get_fp(struct lx_task *t, uint64_t data)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	int err = lx_xstate_get(t, buf);

	memset(buf + 464, 0, 48);
	return err ? err : lx_copy_to_user(uaddr(data), buf, 512);
}

static long set_fp(struct lx_task *t, uint64_t data)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	int err = lx_xstate_get(t, buf);

	if (err)
		return err;
	if (lx_copy_from_user(buf, uaddr(data), 512))
		return -EFAULT;
	buf[512] |= 3;			/* x87 and SSE are in use now */
	return set_xstate(t, buf);
}

/* GETREGSET and SETREGSET: as much as the program's iovec holds. */
static long regset(struct lx_task *t, uint64_t type, uint64_t data, bool set)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	struct { uint64_t base, len; } iov;
	uint64_t size;
	int err = 0;

	if (lx_copy_from_user(&iov, uaddr(data), sizeof(iov)))
		return -EFAULT;
	switch (type) {
	case NT_PRSTATUS:
		size = LX_NR_REGS * 8;
		lx_regs_get(t, (uint64_t *)(void *)buf);
		break;
	case NT_PRFPREG:
		size = 512;
		err = lx_xstate_get(t, buf);
		break;
	case NT_X86_XSTATE:
		size = lx_xstate_size();
		err = lx_xstate_get(t, buf);
		break;
	default:
		return -EINVAL;
	}
	if (err)
		return err;
	if (iov.len % 8)
		return -EINVAL;
	iov.len = MIN(iov.len, size);
	if (!set && lx_copy_to_user(uaddr(iov.base), buf, iov.len))
		return -EFAULT;
	if (set) {
		if (type == NT_X86_XSTATE && iov.len < size)
			return -EFAULT;
		if (lx_copy_from_user(buf, uaddr(iov.base), iov.len))
			return -EFAULT;
		if (type == NT_PRSTATUS)
			err = set_regs(t, (uint64_t *)(void *)buf, (unsigned int)(iov.len / 8));
		else
			err = set_xstate(t, buf);
		if (err)
			return err;
	}
	return lx_copy_to_user(uaddr(data + 8), &iov.len, sizeof(iov.len));
}

/* -- single words of struct user ------------------------------------------------------------- */

static long peek_user(struct lx_task *t, uint64_t addr, uint64_t data)
{
	uint64_t regs[LX_NR_REGS], word = 0;

	if (addr & 7 || addr >= USER_SIZE)
		return -EIO;
	lx_regs_get(t, regs);
	if (addr < sizeof(regs))
		word = regs[addr / 8];
	else if (addr >= DEBUGREGS && addr < DEBUGREGS + 64)
		word = lx_debug_reg_get(t, (unsigned int)(addr - DEBUGREGS) / 8);
	return lx_copy_to_user(uaddr(data), &word, sizeof(word));
}

static long poke_user(struct lx_task *t, uint64_t addr, uint64_t word)
{
	if (addr & 7 || addr >= USER_SIZE)
		return -EIO;
	if (addr < LX_NR_REGS * 8)
		return set_reg(t, (unsigned int)(addr / 8), word);
	if (addr >= DEBUGREGS && addr < DEBUGREGS + 64)
		return lx_debug_reg_set(t, (unsigned int)(addr - DEBUGREGS) / 8, word);
	return -EIO;
}

long lx_ptrace_registers(struct lx_task *t, long request, uint64_t addr, uint64_t data)
{
	switch (request) {
	case PTRACE_GETREGS:
		return get_all(t, data);
	case PTRACE_SETREGS:
		return set_all(t, data);
	case PTRACE_GETFPREGS:
		return get_fp(t, data);
	case PTRACE_SETFPREGS:
		return set_fp(t, data);
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		return regset(t, addr, data, request == PTRACE_SETREGSET);
	case PTRACE_PEEKUSR:
		return peek_user(t, addr, data);
	case PTRACE_POKEUSR:
		return poke_user(t, addr, data);
	}
	return -EIO;
}
