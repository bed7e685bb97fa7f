/* SPDX-License-Identifier: MIT */
/* Shared by the files that know how tasks are made and end; nobody else's. */
#pragma once

#include "lx/task.h"

struct lx_task *lx_task_alloc(struct lx_group *g);
struct lx_group *lx_group_alloc(void);
void lx_usage_add(struct lx_rusage_sum *to, const struct lx_rusage_sum *from);

/* With lx_pidns.lock: */
void lx_group_join_pgrp_locked(struct lx_group *g, struct lx_pid *pgrp);
void lx_group_join_session_locked(struct lx_group *g, struct lx_pid *session);
void lx_group_leave_pgrp_locked(struct lx_group *g);
bool lx_pgrp_is_orphaned_locked(struct lx_pid *pgrp, struct lx_group *ignored);
bool lx_pgrp_has_stopped_locked(struct lx_pid *pgrp);
void lx_signal_pgrp_locked(struct lx_pid *pgrp, const struct lx_siginfo *info);
/* The leader is a zombie and nobody else is left: forget the process.  Collects for after the lock. */
struct lx_task *lx_group_release_locked(struct lx_group *g);
/* The state of @g changed (stopped, continued): tell the parent.  With lx_pidns.lock. */
void lx_group_notify_parent_locked(struct lx_group *g, int why);

void lx_itimers_free(struct lx_group *g);
void lx_itimers_exit(struct lx_group *g);
void lx_itimers_exec(struct lx_group *g);
void lx_itimers_rlimit_cpu(struct lx_group *g);

/* ptrace/ */
void lx_ptrace_free(struct lx_task *t);

int lx_group_wait_status(struct lx_group *g);
/* With lx_pidns.lock: @t leaves the table of numbers and its group. */
void lx_task_release_locked(struct lx_task *t);
/* After a tracer let go of a dead leader: tell the parent.  A leader to put, or NULL. */
struct lx_task *lx_group_check_dead_locked(struct lx_group *g);
/* wait: the tracer reaps @t, a zombie: a task to put afterwards, or NULL. */
struct lx_task *lx_ptrace_reap_locked(struct lx_task *t);
/* wait: is @t in a stop that was not reported?  With lx_pidns.lock. */
bool lx_ptrace_wait_locked(struct lx_task *t, bool keep, int *status);
/* Was ptrace ever used: spares wait the search. */
extern _Atomic(uint32_t) lx_ptrace_in_use;
/* A core file is being written: wait for its end; an exiting task does not count any more. */
void lx_core_park(struct lx_task *self);
void lx_core_uncount_locked(struct lx_task *t);
/* An exiting task does not take part in a group stop. */
void lx_signal_group_stop_leave(struct lx_task *self);
/* The first process ended: the system cannot go on. */
void lx_init_died(int code) __attribute__((noreturn));
/* Tell the kernel's scheduler about policy, nice value and affinity of @t.  With group->lock. */
void lx_sched_apply(struct lx_task *t);

#define LX_ALL_CAPS ((1ull << (CAP_LAST_CAP + 1)) - 1)	/* with <linux/capability.h> */
/* The caller takes @c, a changed copy of its credentials (a reference moves in). */
void lx_cred_commit(struct lx_task *self, struct lx_cred *c);
