/* SPDX-License-Identifier: MIT */
/*
 * Filters on system calls (sys/seccomp.c).
 */
#pragma once

#include "lx/types.h"

/*
 * The program is about to make the call in its frame: may it?  False: the call is not to be
 * made, and its result is in the frame.  May not return: the task can end here.
 */
bool lx_seccomp_check(struct lx_task *self);

/* prctl(2) PR_SET_SECCOMP, PR_GET_SECCOMP. */
long lx_seccomp_prctl(struct lx_task *self, unsigned long mode, uaddr_t filter);
uint32_t lx_seccomp_mode(struct lx_task *t);
/* Filters that apply to @t, for /proc. */
unsigned int lx_seccomp_filters(struct lx_task *t);

/* clone: @t, which does not run yet, gets the caller's filters.  With group->lock of the caller. */
void lx_seccomp_inherit_locked(struct lx_task *self, struct lx_task *t);
/* The task is no more. */
void lx_seccomp_free(struct lx_task *t);
