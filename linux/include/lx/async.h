/* SPDX-License-Identifier: MIT */
/*
 * Signals that tell of input and output: F_SETOWN, F_SETSIG, O_ASYNC (ipc/async.c).
 */
#pragma once

#include "lx/types.h"

/*
 * F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG of fcntl(2): the result, or
 * -EINVAL, -ESRCH, -EFAULT, -ENOMEM.
 */
long lx_async_fcntl(struct lx_task *self, struct lx_file *f, unsigned int cmd, unsigned long arg);
/* FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP of sockets; -ENOTTY for others. */
long lx_async_ioctl(struct lx_task *self, struct lx_file *f, unsigned int cmd, uaddr_t arg);

/*
 * Switch O_ASYNC of @f, which is open as @fd; what it is already stays as it is.  0, -ENOMEM, or
 * -ENOTTY if files of this kind send no signals (lx_file_ops.async is NULL).
 */
int lx_async_set(struct lx_task *self, struct lx_file *f, int fd, bool on);
/* The last reference to @f went: nothing is sent for it any more. */
void lx_async_release(struct lx_file *f);

/* LX_ATTN_ASYNC: send what the caller's call has caused.  Without locks. */
void lx_async_run(struct lx_task *self);
/* The same for a task that is about to sleep, perhaps with locks: somebody else does it. */
void lx_async_hand_over(struct lx_task *self);

/* lx_file_ops.async of files that have no owner before they are given one. */
lx_pid_t lx_async_no_owner(struct lx_file *f);
