/* SPDX-License-Identifier: MIT */
/*
 * The namespaces of a task.  Immutable once used: setns and unshare make a copy
 * and replace the task's pointer.
 */
#pragma once

#include "lx/types.h"

struct lx_path;

struct lx_nsproxy {
	_Atomic(uint32_t) refs;
	struct lx_mntns *mnt;		/* a reference each; see lx/fs.h */
	struct lx_utsns *uts;
	struct lx_ipcns *ipc;
	struct lx_pidns *pid;		/* of children */
	struct lx_netns *net;
};

/* A kind of namespace. */
struct lx_ns_type {
	const char *name;		/* "uts", as in "uts:[4026531838]" */
	uint64_t kind;			/* CLONE_NEW* */
	void (*put)(void *ns);
};

struct lx_nsproxy *lx_nsproxy_get(struct lx_nsproxy *ns);
void lx_nsproxy_put(struct lx_nsproxy *ns);
struct lx_nsproxy *lx_nsproxy_create_init(void);
/* May the caller make namespaces of these kinds (CLONE_NEW*)?  0, -EPERM, -EINVAL. */
int lx_ns_check(struct lx_task *self, uint64_t kinds);
/* A proxy with new namespaces of these kinds; @fs moves into a new mount namespace. */
int lx_ns_copy(struct lx_nsproxy *from, uint64_t kinds, struct lx_fs *fs, struct lx_nsproxy **out);
/* The namespaces of another task: a reference, or NULL after its exit. */
struct lx_nsproxy *lx_task_ns_get(struct lx_task *t);
/* Replace the caller's (the reference moves in). */
void lx_task_ns_set(struct lx_task *self, struct lx_nsproxy *ns);

/* -- namespaces as files */
/* A number for a new namespace: shown by /proc/PID/ns/, different for all of them. */
uint64_t lx_ns_number_next(void);
/* /proc/PID/ns/@name: references; -ENOENT: the task has none any more; -ENOMEM. */
int lx_task_ns_path(struct lx_task *t, const char *name, struct lx_path *out);
/* A file that is @ns, whose reference moves in on success; -ENOMEM.  (fs/nsfs) */
int lx_nsfs_path(const struct lx_ns_type *type, void *ns, uint64_t number, struct lx_path *out);
/* What namespace @f is: no references of their own; false: none. */
bool lx_nsfs_get(struct lx_file *f, const struct lx_ns_type **type, void **ns);
