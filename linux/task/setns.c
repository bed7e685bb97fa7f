/* SPDX-License-Identifier: MIT */
/*
 * Namespaces by name: /proc/PID/ns/ and setns(2).
 *
 * Of some kinds there is one namespace only.  Its file exists and has Linux's number,
 * and a task that enters it is where it was.
 */

#include <linux/capability.h>
#include <linux/sched.h>

#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/ipc.h"
#include "lx/netns.h"
#include "lx/ns.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/uts.h"

#define KINDS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	       CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)

static void put_uts(void *ns)
{
	lx_utsns_put(ns);
}

static void put_ipc(void *ns)
{
	lx_ipcns_put(ns);
}

static void put_mnt(void *ns)
{
	lx_mntns_put(ns);
}

static void put_net(void *ns)
{
	lx_netns_put(ns);
}

static void put_nothing(void *ns)
{
}

static const struct known {
	const char *name;		/* in /proc/PID/ns */
	struct lx_ns_type type;
	uint64_t number;		/* of the only one */
} known[] = {
	{ "cgroup", { "cgroup", CLONE_NEWCGROUP, put_nothing }, 4026531835u },
	{ "ipc", { "ipc", CLONE_NEWIPC, put_ipc }, 0 },
	{ "mnt", { "mnt", CLONE_NEWNS, put_mnt }, 0 },
	{ "net", { "net", CLONE_NEWNET, put_net }, 0 },
	{ "pid", { "pid", CLONE_NEWPID, put_nothing }, 4026531836u },
	{ "pid_for_children", { "pid", CLONE_NEWPID, put_nothing }, 4026531836u },
	{ "time", { "time", CLONE_NEWTIME, put_nothing }, 4026531834u },
	{ "time_for_children", { "time", CLONE_NEWTIME, put_nothing }, 4026531834u },
	{ "user", { "user", CLONE_NEWUSER, put_nothing }, 4026531837u },
	{ "uts", { "uts", CLONE_NEWUTS, put_uts }, 0 },
};

/* A reference to the one of @proxy, and its number. */
static void *namespace_of(const struct lx_nsproxy *proxy, const struct known *k, uint64_t *number)
{
	*number = k->number;
	switch (k->type.kind) {
	case CLONE_NEWIPC:
		*number = lx_ipcns_ino(proxy->ipc);
		return lx_ipcns_get(proxy->ipc);
	case CLONE_NEWNS:
		*number = proxy->mnt->ino;
		return lx_mntns_get(proxy->mnt);
	case CLONE_NEWNET:
		*number = proxy->net->ino;
		return lx_netns_get(proxy->net);
	case CLONE_NEWUTS:
		*number = proxy->uts->ino;
		return lx_utsns_get(proxy->uts);
	}
	return NULL;
}

static const struct known *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_equal(known[i].name, name))
			return &known[i];
	return NULL;
}

int lx_task_ns_path(struct lx_task *t, const char *name, struct lx_path *out)
{
	const struct known *k = find(name);
	struct lx_nsproxy *proxy = k ? lx_task_ns_get(t) : NULL;
	uint64_t number;
	void *ns;
	int err;

	if (!proxy)
		return -ENOENT;
	ns = namespace_of(proxy, k, &number);
	lx_nsproxy_put(proxy);
	err = lx_nsfs_path(&k->type, ns, number, out);
	if (err)
		k->type.put(ns);
	return err;
}

/* -- setns */

/* May the caller enter namespaces of these kinds? */
static int check(struct lx_task *self, uint64_t kinds)
{
	if (kinds & CLONE_NEWUSER)
		return -EINVAL;		/* it is in the only one */
	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	if (kinds & CLONE_NEWNS) {
		if (!lx_capable(self, CAP_SYS_CHROOT))
			return -EPERM;
		if (atomic_load(&self->fs->refs) > 1)
			return -EINVAL;
	}
	return 0;
}

/* The namespaces of @from of these kinds take the place of those of @to, which is nobody's yet. */
static void replace(struct lx_nsproxy *to, const struct lx_nsproxy *from, uint64_t kinds)
{
	if (kinds & CLONE_NEWNS) {
		lx_mntns_put(to->mnt);
		to->mnt = lx_mntns_get(from->mnt);
	}
	if (kinds & CLONE_NEWUTS) {
		lx_utsns_put(to->uts);
		to->uts = lx_utsns_get(from->uts);
	}
	if (kinds & CLONE_NEWIPC) {
		lx_ipcns_put(to->ipc);
		to->ipc = lx_ipcns_get(from->ipc);
	}
	if (kinds & CLONE_NEWNET) {
		lx_netns_put(to->net);
		to->net = lx_netns_get(from->net);
	}
}

/* In a mount namespace, a task stands at its root. */
static void move_to_root(struct lx_task *self, struct lx_mntns *ns)
{
	struct lx_path root, pwd, old_root, old_pwd;
	struct lx_fs *fs = self->fs;

	lx_mntns_root(ns, &root);
	pwd = root;
	lx_path_get(&pwd);
	rt_mutex_lock(&fs->lock);
	old_root = fs->root;
	old_pwd = fs->pwd;
	fs->root = root;
	fs->pwd = pwd;
	rt_mutex_unlock(&fs->lock);
	lx_path_put(&old_root);
	lx_path_put(&old_pwd);
}

static int enter(struct lx_task *self, const struct lx_nsproxy *from, uint64_t kinds)
{
	struct lx_nsproxy *proxy;
	int err = check(self, kinds);

	if (!err)
		err = lx_ns_copy(self->ns, 0, self->fs, &proxy);
	if (err)
		return err;
	replace(proxy, from, kinds);
	if (kinds & CLONE_NEWIPC)
		lx_sem_exit(self);
	if (kinds & CLONE_NEWNS)
		move_to_root(self, proxy->mnt);
	lx_task_ns_set(self, proxy);
	return 0;
}

/* A file of /proc/PID/ns/. */
static long enter_file(struct lx_task *self, const struct lx_ns_type *type, void *ns, uint64_t kind)
{
	struct lx_nsproxy from = { .mnt = ns, .uts = ns, .ipc = ns, .net = ns };

	if (kind && kind != type->kind)
		return -EINVAL;
	return enter(self, &from, type->kind);
}

/* Those of a process. */
static long enter_process(struct lx_task *self, struct lx_pid *pid, uint64_t kinds)
{
	struct lx_task *t;
	struct lx_nsproxy *from;
	long err;

	if (!kinds || (kinds & ~(uint64_t)KINDS))
		return -EINVAL;
	t = lx_pid_task(pid);
	if (!t)
		return -ESRCH;
	err = lx_ptrace_may_access(self, t);
	from = err ? NULL : lx_task_ns_get(t);
	if (!err && !from)
		err = -ESRCH;
	if (!err)
		err = enter(self, from, kinds);
	lx_nsproxy_put(from);
	lx_task_put(t);
	return err;
}

long lx_sys_setns(struct lx_task *self, int fd, unsigned int kinds)
{
	const struct lx_ns_type *type;
	struct lx_file *f = lx_fd_get(self, fd);
	struct lx_pid *pid;
	void *ns;
	long err;

	if (!f)
		return -EBADF;
	if (lx_nsfs_get(f, &type, &ns)) {
		err = enter_file(self, type, ns, kinds);
	} else if (!lx_pidfd_pid(self, fd, &pid, NULL)) {
		err = enter_process(self, pid, kinds);
		lx_pid_put(pid);
	} else {
		err = -EINVAL;
	}
	lx_file_put(f);
	return err;
}
