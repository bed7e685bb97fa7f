/* SPDX-License-Identifier: MIT */
#pragma once

struct p9link;

/* Register the file system. */
void lx_9p_init(void);
/* A server arrived: it can be mounted by its tag.  It belongs to the file system from then on. */
void lx_9p_channel_add(struct p9link *link);
