/* SPDX-License-Identifier: MIT */
/* Names of the system: uname(2). */
#pragma once

#include "lx/types.h"

#define LX_RELEASE	"6.1.0-concord"
#define LX_UTS_VERSION	"#1 SMP PREEMPT"

struct lx_utsns {
	_Atomic(uint32_t) refs;
	uint64_t ino;			/* of /proc/PID/ns/uts */
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	char nodename[65], domainname[65];	/* lock */
};

extern struct lx_utsns lx_init_utsns;
struct lx_utsns *lx_utsns_get(struct lx_utsns *ns);
void lx_utsns_put(struct lx_utsns *ns);
struct lx_utsns *lx_utsns_copy(struct lx_utsns *ns);
