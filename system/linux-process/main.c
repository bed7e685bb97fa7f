/* SPDX-License-Identifier: MIT */
/*
 * The personality as a process: the library that the kernel image links too, on the
 * runtime of processes.
 */
#include "rt/process.h"

void lx_main(k_handle_t bootstrap);

int rt_main(k_handle_t bootstrap)
{
	lx_main(bootstrap);
	return 0;
}
