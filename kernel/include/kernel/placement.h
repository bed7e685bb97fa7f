/* SPDX-License-Identifier: MIT */
/*
 * What the kernel gives the first thread of a personality in its image.
 */
#pragma once

struct k_user_frame;

/* A thread's frame, with what the runtime keeps beside it; kfree() frees both.  NULL: no memory. */
struct k_user_frame *placement_frame_create(void);
