/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences (task/rseq.c).
 */
#pragma once

#include "lx/types.h"

/*
 * The program of the caller, which has an area (self->rseq), may have lost its CPU or gets a
 * signal: abort its critical section.  @reported: k_user_run() has just consumed the report of a
 * move, if there was one: tell the program its CPU, too.  SIGSEGV if that cannot be done.
 */
void lx_rseq_resume(struct lx_task *self, bool reported);

/* A new task, before its program runs. */
void lx_rseq_start(struct lx_task *self);
/* exec: the area went with the program. */
void lx_rseq_forget(struct lx_task *self);
