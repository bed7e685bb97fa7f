/* SPDX-License-Identifier: MIT */
#pragma once

/* Tell the kernel where faults of user_copy.S continue. */
void rt_user_start(void);
