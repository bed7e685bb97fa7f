/* SPDX-License-Identifier: MIT */
/*
 * rseq(2): restartable sequences.
 *
 * A thread registers an area of its memory.  In it we keep the number of the CPU that it runs
 * on, and it keeps the address of a description of the critical section that it is in.  If it
 * loses its CPU in there, or gets a signal, it goes on at the section's abort handler: so it can
 * work on data of its CPU without locks.
 *
 * That the program lost its CPU only the kernel knows, and it is rare: k_thread_report_moves()
 * makes k_user_run() return as if the thread had been kicked, and costs nothing until then,
 * because the kernel tests for both with one comparison.  (glibc registers every thread, for
 * sched_getcpu(3); a test at each entry of the program would be paid by all.)  In between
 *   - the personality works for the program (a fault, an exception), and sleeps perhaps: whatever
 *     k_user_run() returned for, but system calls, aborts the section.  That is more than Linux
 *     does, and allowed: a section has to bear it.  System calls are not made in sections;
 *   - the number of the CPU is read after the report was consumed: a move after that is a new one.
 *
 * The layout of the area is that of Linux 6.1: 32 bytes.
 */
#include <asm/signal.h>
#include <linux/rseq.h>

#include "abi/calls.h"
#include "lx/arch.h"
#include "lx/mm.h"
#include "lx/rseq.h"
#include "lx/signal.h"
#include "lx/syscall.h"
#include "lx/task.h"

#define AREA_SIZE	32u
#define AREA_ALIGN	32u
#define FIELD(self, name) uaddr((self)->rseq.v + offsetof(struct rseq, name))

/* cpu_id_start and cpu_id, one after the other. */
struct cpu_fields {
	uint32_t start, now;
};

static bool range_ok(const struct rseq_cs *cs)
{
	return cs->start_ip < K_PROGRAM_MAX && cs->abort_ip < K_PROGRAM_MAX &&
	       cs->post_commit_offset < K_PROGRAM_MAX - cs->start_ip && cs->version == 0 &&
	       cs->abort_ip - cs->start_ip >= cs->post_commit_offset;
}

/* The section that the program says it is in: 1; 0: none; -EFAULT, -EINVAL. */
static int load_section(struct lx_task *self, struct rseq_cs *cs)
{
	uint64_t at;
	uint32_t sig;

	if (lx_copy_from_user(&at, FIELD(self, rseq_cs), sizeof(at)))
		return -EFAULT;
	if (!at)
		return 0;
	if (lx_copy_from_user(cs, uaddr(at), sizeof(*cs)))
		return -EFAULT;
	if (!range_ok(cs) || cs->flags)
		return -EINVAL;
	/* What the program wrote before the handler shows that it is one. */
	if (lx_copy_from_user(&sig, uaddr(cs->abort_ip - sizeof(sig)), sizeof(sig)))
		return -EFAULT;
	return sig == self->rseq_sig ? 1 : -EINVAL;
}

static int leave_section(struct lx_task *self)
{
	struct rseq_cs cs;
	static const uint64_t none;
	int st = load_section(self, &cs);

	if (st <= 0)
		return st;
	/* Left already, too: programs need not say so. */
	if (lx_copy_to_user(FIELD(self, rseq_cs), &none, sizeof(none)))
		return -EFAULT;
	if (LX_PC(self->frame) - cs.start_ip < cs.post_commit_offset)
		LX_PC(self->frame) = cs.abort_ip;
	return 0;
}

static int set_cpu(struct lx_task *self)
{
	struct cpu_fields fields;
	struct k_thread_info info;

	if (k_thread_info(K_HANDLE_NONE, &info) != K_OK)
		return -EFAULT;
	fields = (struct cpu_fields){ info.cpu, info.cpu };
	return lx_copy_to_user(FIELD(self, cpu_id_start), &fields, sizeof(fields));
}

void lx_rseq_resume(struct lx_task *self, bool reported)
{
	struct lx_siginfo info = lx_siginfo_kernel(SIGSEGV);

	if (leave_section(self) || (reported && set_cpu(self)))
		lx_signal_force(self, &info);
}

/* The first report comes before the program runs, and fills the area. */
void lx_rseq_start(struct lx_task *self)
{
	if (self->rseq.v)
		(void)!k_thread_report_moves(1);
}

void lx_rseq_forget(struct lx_task *self)
{
	if (self->rseq.v)
		(void)!k_thread_report_moves(0);
	self->rseq = UADDR_NULL;
	self->rseq_len = 0;
	self->rseq_sig = 0;
}

static long forget(struct lx_task *self, uint64_t area, uint32_t length, uint32_t sig)
{
	static const struct cpu_fields nobody = { 0, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED };

	if (!self->rseq.v || area != self->rseq.v || length != AREA_SIZE)
		return -EINVAL;
	if (sig != self->rseq_sig)
		return -EPERM;
	if (lx_copy_to_user(FIELD(self, cpu_id_start), &nobody, sizeof(nobody)))
		return -EFAULT;
	lx_rseq_forget(self);
	return 0;
}

long lx_sys_rseq(struct lx_task *self, unsigned long area, unsigned int length,
		 unsigned int flags, unsigned int sig)
{
	if (flags == RSEQ_FLAG_UNREGISTER)
		return forget(self, area, length, sig);
	if (flags)
		return -EINVAL;
	if (self->rseq.v) {
		if (area != self->rseq.v || length != AREA_SIZE)
			return -EINVAL;
		return sig != self->rseq_sig ? -EPERM : -EBUSY;
	}
	if (area % AREA_ALIGN || length != AREA_SIZE)
		return -EINVAL;
	if (!range_within(area, length, K_PROGRAM_MAX))
		return -EFAULT;
	if (!area)
		return 0;
	self->rseq = uaddr(area);
	self->rseq_len = length;
	self->rseq_sig = sig;
	lx_rseq_start(self);
	return 0;
}
