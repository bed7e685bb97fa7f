/* SPDX-License-Identifier: MIT */
/*
 * The namespaces of a task.  Immutable once used: setns and unshare make a copy
 * and replace the task's pointer.
 */
#pragma once

#include "lx/types.h"

struct lx_nsproxy {
	_Atomic(uint32_t) refs;
	struct lx_mntns *mnt;		/* a reference each; see lx/fs.h */
	struct lx_utsns *uts;
	struct lx_ipcns *ipc;
	struct lx_pidns *pid;		/* of children */
	struct lx_netns *net;
};

struct lx_nsproxy *lx_nsproxy_get(struct lx_nsproxy *ns);
void lx_nsproxy_put(struct lx_nsproxy *ns);
struct lx_nsproxy *lx_nsproxy_create_init(void);
/* May the caller make namespaces of these kinds (CLONE_NEW*)?  0, -EPERM, -EINVAL. */
int lx_ns_check(struct lx_task *self, uint64_t kinds);
/* A proxy with new namespaces of these kinds; @fs moves into a new mount namespace. */
int lx_ns_copy(struct lx_nsproxy *from, uint64_t kinds, struct lx_fs *fs, struct lx_nsproxy **out);
