/* SPDX-License-Identifier: MIT */
/* Descriptors of processes: pidfd_open(2). */
#pragma once

#include "lx/types.h"

struct lx_pid;
struct lx_group;

/* A file for CLONE_PIDFD and pidfd_open; NULL: no memory. */
struct lx_file *lx_pidfd_create(struct lx_pid *pid, uint32_t o_flags);
/* The process that @fd names: a reference; -EBADF.  *@nonblock: opened with PIDFD_NONBLOCK. */
int lx_pidfd_pid(struct lx_task *self, int fd, struct lx_pid **pid, bool *nonblock);

/* -- asked of linux/task and linux/ptrace */
/* Dead as a whole: the leader is a zombie and no other thread is left, or it was reaped. */
bool lx_group_is_dead(struct lx_group *g);
/* May @self look into @target as with PTRACE_ATTACH (ptrace(2), "access mode")?  0 or -EPERM. */
int lx_ptrace_may_access(struct lx_task *self, struct lx_task *target);
