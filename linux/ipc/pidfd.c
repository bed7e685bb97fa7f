/* SPDX-License-Identifier: MIT */
/*
 * pidfd: a descriptor that names a process for good, also when its number is
 * given to another.  It is readable from the moment that the process is dead as a
 * whole, whether it was waited for or not.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <linux/pidfd.h>

#include "base/format.h"
#include "lx/file.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/syscall.h"
#include "lx/task.h"

static bool is_dead(struct lx_pid *pid)
{
	struct lx_group *g = lx_pid_group(pid);
	bool dead;

	if (!g)
		return true;
	/* The last thread is the leader, and a zombie: waitid(2) would find it. */
	dead = lx_group_is_dead(g);
	lx_group_put(g);
	return dead;
}

static uint32_t pidfd_poll(struct lx_file *f, struct lx_poll *p)
{
	struct lx_pid *pid = f->private;

	lx_poll_wait(p, f, &pid->exit_wait);
	return is_dead(pid) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct lx_file *f)
{
	lx_pid_put(f->private);
}

static size_t pidfd_fdinfo(struct lx_file *f, char *buf, size_t size)
{
	struct lx_pid *pid = f->private;
	struct lx_group *g = lx_pid_group(pid);
	int nr = g ? pid->nr : -1;

	if (g)
		lx_group_put(g);
	return (size_t)scnprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", nr, nr);
}

static const struct lx_file_ops pidfd_ops = {
	.poll = pidfd_poll,
	.release = pidfd_release,
	.fdinfo = pidfd_fdinfo,
};

struct lx_file *lx_pidfd_create(struct lx_pid *pid, uint32_t o_flags)
{
	struct lx_file *f = lx_file_anon("anon_inode:[pidfd]", &pidfd_ops, lx_pid_get(pid),
					 O_RDWR | o_flags, LX_FMODE_READ | LX_FMODE_WRITE);

	if (!f)
		lx_pid_put(pid);
	return f;
}

int lx_pidfd_pid(struct lx_task *self, int fd, struct lx_pid **pid, bool *nonblock)
{
	struct lx_file *f = lx_fd_get(self, fd);
	int err = 0;

	if (!f)
		return -EBADF;
	if (f->ops == &pidfd_ops) {
		*pid = lx_pid_get(f->private);
		if (nonblock)
			*nonblock = f->flags & O_NONBLOCK;
	} else {
		err = -EBADF;
	}
	lx_file_put(f);
	return err;
}

long lx_sys_pidfd_open(struct lx_task *self, int nr, unsigned int flags)
{
	struct lx_group *g = NULL;
	struct lx_pid *pid;
	struct lx_file *f;
	int fd;

	if (flags & ~(unsigned int)PIDFD_NONBLOCK)
		return -EINVAL;
	if (nr <= 0)
		return -EINVAL;
	pid = lx_pid_find(self, nr);
	if (pid)
		g = lx_pid_group(pid);
	if (!g) {
		/* A thread's number that is no process's is EINVAL, as in Linux 6.1. */
		struct lx_task *t = pid ? lx_pid_task(pid) : NULL;

		if (pid)
			lx_pid_put(pid);
		if (!t)
			return -ESRCH;
		lx_task_put(t);
		return -EINVAL;
	}
	lx_group_put(g);
	f = lx_pidfd_create(pid, flags & PIDFD_NONBLOCK);
	lx_pid_put(pid);
	if (!f)
		return -ENOMEM;
	fd = lx_fd_install(self, f, 0, true);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

/* What sender of @info claims; only the process itself may make up the kernel's codes. */
static int load_info(struct lx_task *self, struct lx_pid *pid, int sig, uaddr_t uinfo,
		     struct lx_siginfo *info)
{
	int err;

	if (!uinfo.v) {
		*info = lx_siginfo_user(self, sig, SI_USER);
		return 0;
	}
	err = lx_siginfo_import(info, uinfo);
	if (err)
		return err;
	if (info->signo != sig)
		return -EINVAL;
	if (pid->nr != self->group->pid && (info->code >= 0 || info->code == SI_TKILL))
		return -EPERM;
	return 0;
}

long lx_sys_pidfd_send_signal(struct lx_task *self, int pidfd, int sig, uaddr_t uinfo,
			      unsigned int flags)
{
	struct lx_siginfo info;
	struct lx_task *leader;
	struct lx_pid *pid;
	int err;

	if (flags)
		return -EINVAL;
	err = lx_pidfd_pid(self, pidfd, &pid, NULL);
	if (err)
		return err;
	err = load_info(self, pid, sig, uinfo, &info);
	if (err)
		goto put_pid;
	err = -EINVAL;
	if (sig < 0 || sig > LX_NSIG)
		goto put_pid;
	err = -ESRCH;
	leader = lx_pid_task(pid);
	if (!leader)
		goto put_pid;
	err = lx_signal_permission(self, leader, sig);
	if (!err && sig)
		err = lx_signal_group(leader->group, &info);
	lx_task_put(leader);
put_pid:
	lx_pid_put(pid);
	return err;
}

long lx_sys_pidfd_getfd(struct lx_task *self, int pidfd, int fd, unsigned int flags)
{
	struct lx_files *files = NULL;
	struct lx_file *f = NULL;
	struct lx_task *target;
	struct lx_pid *pid;
	bool cloexec;
	int err, found = fd;

	if (flags)
		return -EINVAL;
	err = lx_pidfd_pid(self, pidfd, &pid, NULL);
	if (err)
		return err;
	target = lx_pid_task(pid);
	lx_pid_put(pid);
	if (!target)
		return -ESRCH;
	err = lx_ptrace_may_access(self, target);
	if (!err) {
		files = lx_task_files_get(target);
		err = files ? 0 : -ESRCH;
	}
	if (!err && fd >= 0)
		f = lx_files_next(files, &found, &cloexec);
	if (!err && (!f || found != fd))
		err = -EBADF;
	if (!err) {
		err = lx_fd_install(self, f, 0, true);
		if (err >= 0)
			f = NULL;
	}
	if (f)
		lx_file_put(f);
	if (files)
		lx_files_put(files);
	lx_task_put(target);
	return err;
}
