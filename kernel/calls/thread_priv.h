/* SPDX-License-Identifier: MIT */
#pragma once

#include "abi/types.h"
#include "base/util.h"
#include "kernel/process.h"
#include "kernel/thread.h"

/*
 * From a caller's description of a thread of @process to what the thread and process
 * layers want.  BAD_ARGUMENT, or why its program space handle is no good.  On OK end
 * with thread_params_done(); @params points into @start.
 */
k_status_t thread_params_decode(struct thread *self, struct process *process,
				const struct k_thread_start *start, struct thread_params *params,
				struct process_start *process_start) MUST_CHECK;
void thread_params_done(struct process_start *process_start);
