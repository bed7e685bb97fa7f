/* SPDX-License-Identifier: MIT */
/*
 * kcmp(2): do two processes share something?  The answers order the objects, so that a program
 * can sort them, by their addresses: mixed with secret numbers, which keep the order the same
 * and the addresses to ourselves.
 */
#include <linux/kcmp.h>

#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/pidfd.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "rt/random.h"

struct secret {
	uint64_t mask, factor;
};

static struct secret secrets[KCMP_TYPES];
static bool ready;
static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);	/* of both */

static struct secret secret_of(int type)
{
	struct secret s;

	rt_mutex_lock(&lock);
	if (!ready) {
		rt_random(secrets, sizeof(secrets));
		ready = true;
	}
	s = secrets[type];
	rt_mutex_unlock(&lock);
	s.factor |= 1;			/* odd: no two addresses become one */
	return s;
}

/* 0: the same; 1: the first is less; 2: it is greater. */
static long compare(int type, const void *a, const void *b)
{
	struct secret s = secret_of(type);
	uint64_t x = ((uint64_t)(uintptr_t)a ^ s.mask) * s.factor;
	uint64_t y = ((uint64_t)(uintptr_t)b ^ s.mask) * s.factor;

	return x == y ? 0 : x < y ? 1 : 2;
}

static struct lx_file *file_of(struct lx_task *t, unsigned long fd)
{
	struct lx_files *files = lx_task_files_get(t);
	struct lx_file *f = NULL;
	int nr = (int)fd;

	if (files && fd <= INT32_MAX) {
		f = lx_files_next(files, &nr, NULL);
		if (f && nr != (int)fd) {
			lx_file_put(f);
			f = NULL;
		}
	}
	if (files)
		lx_files_put(files);
	return f;
}

static long compare_files(struct lx_task *a, unsigned long fd1, struct lx_task *b,
			  unsigned long fd2)
{
	struct lx_file *f = file_of(a, fd1), *g = file_of(b, fd2);
	long ret = f && g ? compare(KCMP_FILE, f, g) : -EBADF;

	if (f)
		lx_file_put(f);
	if (g)
		lx_file_put(g);
	return ret;
}

/* What the task has, only to be compared: it may be gone already. */
static const void *part_of(struct lx_task *t, int type)
{
	const void *part = NULL;

	rt_mutex_lock(&t->group->lock);
	switch (type) {
	case KCMP_VM:
		part = t->mm;
		break;
	case KCMP_FILES:
		part = t->files;
		break;
	case KCMP_FS:
		part = t->fs;
		break;
	case KCMP_SIGHAND:
		part = t->group->sighand;
		break;
	case KCMP_SYSVSEM:
		part = t->sem_undos;
		break;
	case KCMP_IO:		/* nobody has such a context */
		break;
	}
	rt_mutex_unlock(&t->group->lock);
	return part;
}

static long compare_tasks(struct lx_task *self, struct lx_task *a, struct lx_task *b, int type,
			  unsigned long idx1, unsigned long idx2)
{
	if (lx_ptrace_may_access(self, a) || lx_ptrace_may_access(self, b))
		return -EPERM;
	switch (type) {
	case KCMP_FILE:
		return compare_files(a, idx1, b, idx2);
	case KCMP_VM:
	case KCMP_FILES:
	case KCMP_FS:
	case KCMP_SIGHAND:
	case KCMP_IO:
	case KCMP_SYSVSEM:
		return compare(type, part_of(a, type), part_of(b, type));
	case KCMP_EPOLL_TFD:
		return -EOPNOTSUPP;
	}
	return -EINVAL;
}

long lx_sys_kcmp(struct lx_task *self, int pid1, int pid2, int type, unsigned long idx1,
		 unsigned long idx2)
{
	struct lx_task *a = lx_task_find(self, pid1), *b = lx_task_find(self, pid2);
	long ret = a && b ? compare_tasks(self, a, b, type, idx1, idx2) : -ESRCH;

	if (a)
		lx_task_put(a);
	if (b)
		lx_task_put(b);
	return ret;
}
