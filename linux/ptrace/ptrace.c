/* SPDX-License-Identifier: MIT */
#include "lx/ptrace.h"

#include "lx/cred.h"
#include "lx/pidfd.h"
#include "lx/system.h"
#include "lx/vdso.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

_Atomic(uint32_t) lx_ptrace_in_use;

void lx_ptrace_event(struct lx_task *self, int event, uint64_t message) { }
bool lx_ptrace_event_enabled(struct lx_task *self, int event) { return false; }
void lx_ptrace_clone_locked(struct lx_task *self, struct lx_task *child, uint64_t f) { }
int lx_ptrace_signal(struct lx_task *self, int sig, struct lx_siginfo *info) { return sig; }
bool lx_ptrace_syscall_enter(struct lx_task *self) { return true; }
void lx_ptrace_syscall_exit(struct lx_task *self) { }
void lx_ptrace_work(struct lx_task *self) { }
void lx_ptrace_exec(struct lx_task *self, lx_pid_t old_tid) { }
void lx_ptrace_exit_tracer_locked(struct lx_task *self) { }
bool lx_ptrace_group_stop(struct lx_task *self) { return false; }
void lx_ptrace_handler_entered(struct lx_task *self) { }
void lx_ptrace_free(struct lx_task *t) { }
struct lx_task *lx_ptrace_reap_locked(struct lx_task *t) { return NULL; }
bool lx_ptrace_wait_locked(struct lx_task *t, bool keep, int *status) { return false; }
int lx_ptrace_may_access(struct lx_task *self, struct lx_task *target) { return 0; }

bool lx_core_dump(struct lx_task *self, const struct lx_siginfo *info) { return false; }
void lx_print_fatal_signal(struct lx_task *self, const struct lx_siginfo *info) { }
int lx_fpu_exception_code(struct lx_task *self, uint32_t vector) { return 0; }
bool lx_group_is_dead(struct lx_group *g) { return (g->flags & LX_GROUP_DEAD) || !g->leader; }
