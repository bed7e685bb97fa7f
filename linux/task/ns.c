/* SPDX-License-Identifier: MIT */
/*
 * The set of namespaces of a task.  Mount, UTS, IPC and network namespaces can be made anew;
 * there is one of each other kind, and asking for another is EINVAL, as from a
 * Linux kernel that was built without that kind.
 */

#include "lx/ns.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/utsname.h>

#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/ipc.h"
#include "lx/mm.h"
#include "lx/lock_rank.h"
#include "lx/netns.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/uts.h"

#define POSSIBLE (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
#define KINDS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	       CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)

struct lx_nsproxy *lx_nsproxy_get(struct lx_nsproxy *ns)
{
	atomic_fetch_add_explicit(&ns->refs, 1, memory_order_relaxed);
	return ns;
}

void lx_nsproxy_put(struct lx_nsproxy *ns)
{
	if (!ns || atomic_fetch_sub(&ns->refs, 1) != 1)
		return;
	lx_mntns_put(ns->mnt);
	lx_utsns_put(ns->uts);
	lx_ipcns_put(ns->ipc);
	lx_netns_put(ns->net);
	rt_free(ns);
}

struct lx_nsproxy *lx_nsproxy_create_init(void)
{
	struct lx_nsproxy *ns = rt_zalloc(sizeof(*ns));

	if (!ns)
		return NULL;
	atomic_init(&ns->refs, 1);
	ns->mnt = lx_mntns_get(lx_init_mntns);
	ns->uts = lx_utsns_get(&lx_init_utsns);
	ns->ipc = lx_ipcns_get(&lx_init_ipcns);
	ns->net = lx_netns_get(lx_init_netns);
	ns->pid = &lx_init_pidns;
	return ns;
}

struct lx_nsproxy *lx_task_ns_get(struct lx_task *t)
{
	struct lx_nsproxy *ns;

	rt_mutex_lock(&t->group->lock);
	ns = t->ns ? lx_nsproxy_get(t->ns) : NULL;
	rt_mutex_unlock(&t->group->lock);
	return ns;
}

void lx_task_ns_set(struct lx_task *self, struct lx_nsproxy *ns)
{
	struct lx_nsproxy *old = self->ns;

	rt_mutex_lock(&self->group->lock);
	self->ns = ns;
	rt_mutex_unlock(&self->group->lock);
	lx_nsproxy_put(old);
}

int lx_ns_check(struct lx_task *self, uint64_t kinds)
{
	if (!kinds)
		return 0;
	if (kinds & CLONE_NEWUSER)
		return -EINVAL;		/* Linux without CONFIG_USER_NS; it needs no capability */
	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	return kinds & ~(uint64_t)POSSIBLE ? -EINVAL : 0;
}

int lx_ns_copy(struct lx_nsproxy *from, uint64_t kinds, struct lx_fs *fs, struct lx_nsproxy **out)
{
	struct lx_nsproxy *ns = rt_zalloc(sizeof(*ns));
	int err = 0;

	if (!ns)
		return -ENOMEM;
	atomic_init(&ns->refs, 1);
	ns->pid = from->pid;
	ns->uts = kinds & CLONE_NEWUTS ? lx_utsns_copy(from->uts) : lx_utsns_get(from->uts);
	ns->ipc = kinds & CLONE_NEWIPC ? lx_ipcns_create() : lx_ipcns_get(from->ipc);
	ns->net = kinds & CLONE_NEWNET ? lx_netns_create() : lx_netns_get(from->net);
	if (!ns->uts || !ns->ipc || !ns->net)
		err = -ENOMEM;
	else if (kinds & CLONE_NEWNS)
		err = lx_mntns_copy(from->mnt, fs, &ns->mnt);
	else
		ns->mnt = lx_mntns_get(from->mnt);
	if (err) {
		if (ns->uts)
			lx_utsns_put(ns->uts);
		lx_ipcns_put(ns->ipc);
		lx_netns_put(ns->net);
		rt_free(ns);
		return err;
	}
	*out = ns;
	return 0;
}

static int unshare_fs(struct lx_task *self)
{
	struct lx_fs *fs, *old = self->fs;

	if (atomic_load(&old->refs) == 1)
		return 0;
	fs = lx_fs_copy(old);
	if (!fs)
		return -ENOMEM;
	rt_mutex_lock(&self->group->lock);
	self->fs = fs;
	rt_mutex_unlock(&self->group->lock);
	lx_fs_put(old);
	return 0;
}

static int unshare_files(struct lx_task *self)
{
	struct lx_files *files, *old = self->files;

	files = lx_files_copy(old);
	if (!files)
		return -ENOMEM;
	rt_mutex_lock(&self->group->lock);
	self->files = files;
	rt_mutex_unlock(&self->group->lock);
	lx_files_put(old);
	return 0;
}

long lx_sys_unshare(struct lx_task *self, uint64_t flags)
{
	struct lx_nsproxy *ns = NULL;
	int err;

	if (flags & ~(uint64_t)(KINDS | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FS |
				CLONE_FILES | CLONE_SYSVSEM))
		return -EINVAL;
	if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) {
		/* Possible only if there is nothing to unshare. */
		if (self->group->nr_tasks != 1 ||
		    ((flags & CLONE_SIGHAND) && atomic_load(&self->group->sighand->refs) > 1) ||
		    ((flags & CLONE_VM) && atomic_load(&self->mm->users) > 1))
			return -EINVAL;
	}
	if (flags & CLONE_NEWNS)
		flags |= CLONE_FS;
	if (flags & CLONE_NEWIPC)
		flags |= CLONE_SYSVSEM;	/* adjustments of semaphores that are out of reach */
	err = lx_ns_check(self, flags & KINDS);
	if (!err && (flags & CLONE_FS))
		err = unshare_fs(self);
	if (!err && (flags & CLONE_FILES))
		err = unshare_files(self);
	if (!err && (flags & KINDS))
		err = lx_ns_copy(self->ns, flags & KINDS, self->fs, &ns);
	if (err)
		return err;
	if (flags & CLONE_SYSVSEM)
		lx_sem_exit(self);
	if (flags & KINDS)
		lx_task_ns_set(self, ns);
	return 0;
}
