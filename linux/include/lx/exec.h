/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/types.h"

/* execve with strings of ours, for process 1: 0 (enter the program by lx_task_main) or a negative errno. */
int lx_exec_kernel(struct lx_task *self, const char *path, const char *const *argv,
		   const char *const *envp);
