/* SPDX-License-Identifier: MIT */
/*
 * What the core of the personality does for the rest, imitated.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#undef __GLIBC__

#include "fs/proc/proc.h"
#include "lx/async.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/pipe.h"
#include "lx/signal.h"
#include "lx/system.h"
#include "lx/task.h"
#include "rt/thread.h"
#include "test/host/rig.h"

bool rig_fault_in(uint64_t addr);

struct rig_task {
	struct lx_task task;
	struct lx_group group;
	struct lx_nsproxy ns;
	pthread_t thread;
	void (*fn)(void *arg);
	void *arg;
	_Atomic(unsigned int) signals[65];
	_Atomic(bool) interrupted, killed;
};

static __thread struct rig_task *current;
static unsigned long rlimits[16];
static lx_pid_t next_pid = 1;

void *rt_self(void)
{
	return current ? &current->task : NULL;
}

struct lx_task *rig_self(void)
{
	return rt_self();
}

/* -- credentials */

#define ALL_CAPS ((1ull << 41) - 1)

struct lx_cred lx_init_cred = {
	.refs = 1, .cap_permitted = ALL_CAPS, .cap_effective = ALL_CAPS, .cap_bounding = ALL_CAPS,
};

struct lx_cred *lx_cred_get(const struct lx_cred *c)
{
	struct lx_cred *m = (struct lx_cred *)(uintptr_t)c;

	atomic_fetch_add(&m->refs, 1);
	return m;
}

void lx_cred_put(const struct lx_cred *c)
{
	struct lx_cred *m = (struct lx_cred *)(uintptr_t)c;

	if (atomic_fetch_sub(&m->refs, 1) == 1)
		free(m);
}

struct lx_cred *lx_cred_copy(const struct lx_cred *c)
{
	struct lx_cred *m = malloc(sizeof(*m));

	*m = *c;
	m->groups = NULL;
	m->ngroups = 0;
	atomic_store(&m->refs, 1);
	return m;
}

bool lx_cred_in_group(const struct lx_cred *c, lx_gid_t gid)
{
	return c->fsgid == gid;
}

bool lx_capable(struct lx_task *self, int cap)
{
	return lx_cred_capable(self->cred, cap);
}

void rig_become(uint32_t uid, uint32_t gid)
{
	struct lx_cred *c = lx_cred_copy(&lx_init_cred);

	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = gid;
	if (uid)
		c->cap_effective = c->cap_permitted = 0;
	lx_cred_put(current->task.cred);
	current->task.cred = c;
}

/* -- the system: a small one */

struct lx_system lx_system = { .info = { .memory_bytes = 64u << 20 } };

/* -- tasks */

static struct rig_task *make_task(void)
{
	struct rig_task *t = calloc(1, sizeof(*t));

	t->task.group = &t->group;
	t->task.tid = t->group.pid = next_pid++;
	t->task.cred = lx_cred_get(&lx_init_cred);
	atomic_store(&t->task.refs, 1);
	t->ns.mnt = lx_init_mntns;
	t->task.ns = &t->ns;
	return t;
}

void rig_start(void)
{
	struct rig_task *t;

	if (current)
		return;
	for (int i = 0; i < 16; i++)
		rlimits[i] = ~0ul;
	rlimits[7] = 1024;
	rig_reset();
	t = make_task();
	current = t;
	if (lx_vfs_init())
		abort();
	t->ns.mnt = lx_init_mntns;
	t->task.fs = lx_fs_create();
	t->task.files = lx_files_create();
}

static void *thread_main(void *arg)
{
	current = arg;
	current->fn(current->arg);
	return NULL;
}

struct lx_task *rig_task(void (*fn)(void *arg), void *arg)
{
	struct rig_task *t = make_task();

	t->task.fs = lx_fs_copy(current->task.fs);
	t->task.files = lx_files_create();
	t->fn = fn;
	t->arg = arg;
	if (pthread_create(&t->thread, NULL, thread_main, t))
		abort();
	return &t->task;
}

void rig_join(struct lx_task *task)
{
	struct rig_task *t = container_of(task, struct rig_task, task);

	pthread_join(t->thread, NULL);
	lx_files_put(t->task.files);
	lx_fs_put(t->task.fs);
	lx_cred_put(t->task.cred);
	free(t);
}

unsigned long lx_rlimit(struct lx_task *self, unsigned int which)
{
	return rlimits[which];
}

void rig_set_rlimit(unsigned int which, unsigned long value)
{
	rlimits[which] = value;
}

static void *kthread_main(void *arg)
{
	struct rig_task *t = current = arg;

	t->fn(t->arg);
	lx_cred_put(t->task.cred);
	free(t);
	return NULL;
}

struct lx_task *lx_kthread_create(const char *name, void (*fn)(void *arg), void *arg)
{
	struct rig_task *t = make_task();

	t->task.fs = current->task.fs;
	t->fn = fn;
	t->arg = arg;
	if (pthread_create(&t->thread, NULL, kthread_main, t))
		abort();
	pthread_detach(t->thread);
	return &t->task;
}

/* -- signals: counted */

int lx_signal_task(struct lx_task *task, const struct lx_siginfo *info)
{
	struct rig_task *t = container_of(task, struct rig_task, task);

	atomic_fetch_add(&t->signals[info->signo], 1);
	return 0;
}

unsigned int rig_signals(int signo)
{
	return atomic_load(&current->signals[signo]);
}

void rig_interrupt(struct lx_task *task)
{
	struct rig_task *t = container_of(task, struct rig_task, task);

	atomic_store(&t->interrupted, true);
	lx_task_wake(task);
}

bool lx_signal_pending(struct lx_task *self)
{
	return atomic_load(&container_of(self, struct rig_task, task)->interrupted);
}

bool lx_memory_has_room(void)
{
	return true;
}

bool lx_memory_is_low(void)
{
	return false;
}

bool lx_cache_is_least(void)
{
	return false;
}

bool lx_out_of_memory(const char *why, bool for_cache)
{
	return false;
}

bool lx_find_memory(const char *why, bool for_cache, unsigned int *tries)
{
	return false;
}

bool lx_fatal_signal_pending(struct lx_task *self)
{
	return atomic_load(&container_of(self, struct rig_task, task)->killed);
}

void rig_kill(struct lx_task *task)
{
	atomic_store(&container_of(task, struct rig_task, task)->killed, true);
	rig_interrupt(task);
}

/* -- program memory */

int lx_fault_in(struct lx_task *self, uaddr_t addr, size_t n, bool write)
{
	return rig_fault_in(addr.v) ? 0 : -EFAULT;
}

int lx_copy_from_user(void *dst, uaddr_t src, size_t n)
{
	for (;;) {
		size_t left = rt_copy_from_user(dst, src, n);

		if (!left)
			return 0;
		if (!rig_fault_in(src.v + n - left))
			return -EFAULT;
	}
}

int lx_copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	for (;;) {
		size_t left = rt_copy_to_user(dst, src, n);

		if (!left)
			return 0;
		if (!rig_fault_in(dst.v + n - left))
			return -EFAULT;
	}
}

int lx_clear_user(uaddr_t dst, size_t n)
{
	return rt_clear_user(dst, n) ? -EFAULT : 0;
}

/* -- proc has no processes here */

static int no_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	return -ENOENT;
}

static int no_iterate(struct lx_file *f, struct lx_dir_emit *ctx, lx_off_t base)
{
	return 0;
}

const struct pseudo_hooks proc_pid_hooks = { no_lookup, no_iterate, NULL };

/* -- what the sockets, pipes and devices of ipc do: only as far as the VFS asks for it */

__attribute__((weak)) const struct lx_file_ops lx_fifo_ops;

__attribute__((weak)) long lx_async_fcntl(struct lx_task *self, struct lx_file *f,
					 unsigned int cmd, unsigned long arg)
{
	return -EINVAL;
}

__attribute__((weak)) long lx_async_ioctl(struct lx_task *self, struct lx_file *f,
					 unsigned int cmd, uaddr_t arg)
{
	return -ENOTTY;
}

__attribute__((weak)) int lx_async_set(struct lx_task *self, struct lx_file *f, int fd, bool on)
{
	return -ENOTTY;
}

__attribute__((weak)) void lx_async_release(struct lx_file *f)
{
}

__attribute__((weak)) void lx_async_hand_over(struct lx_task *self)
{
}

__attribute__((weak)) lx_pid_t lx_async_no_owner(struct lx_file *f)
{
	return 0;
}

__attribute__((weak)) void lx_epoll_release(struct lx_file *f)
{
}

__attribute__((weak)) uint32_t lx_file_poll(struct lx_file *f, struct lx_poll *p)
{
	return f->ops->poll ? f->ops->poll(f, p) : 5;
}

__attribute__((weak)) long lx_pipe_fcntl(struct lx_file *f, unsigned int cmd, uint64_t arg);
__attribute__((weak)) long lx_pipe_fcntl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	return -EBADF;
}

__attribute__((weak)) struct lx_pipe *lx_pipe_of(struct lx_file *f)
{
	return NULL;
}

__attribute__((weak)) int64_t lx_splice_to_pipe(struct lx_task *self, struct lx_file *in,
						lx_off_t *pos, struct lx_pipe *p, uint64_t len,
						unsigned int flags)
{
	return -EINVAL;
}
