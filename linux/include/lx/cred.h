/* SPDX-License-Identifier: MIT */
/*
 * Credentials: who a task is.  Immutable once a task uses them: a change makes a
 * copy, changes that, and replaces the task's pointer.  Open files keep those of
 * their opener.
 */
#pragma once

#include "lx/types.h"

struct lx_cred {
	_Atomic(uint32_t) refs;

	/* Constant. */
	lx_uid_t uid, euid, suid, fsuid;
	lx_gid_t gid, egid, sgid, fsgid;
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
	uint32_t securebits;
	uint32_t ngroups;
	lx_gid_t *groups;		/* sorted; NULL if ngroups is 0; freed with the cred */
};

/* All of root: the first task's, and what kernel tasks act with. */
extern struct lx_cred lx_init_cred;

struct lx_cred *lx_cred_get(const struct lx_cred *c);
void lx_cred_put(const struct lx_cred *c);
/* A copy with one reference, to be changed; NULL: no memory. */
struct lx_cred *lx_cred_copy(const struct lx_cred *c);
/* Is @gid the file system group or one of the supplementary ones? */
bool lx_cred_in_group(const struct lx_cred *c, lx_gid_t gid);

static inline bool lx_cred_capable(const struct lx_cred *c, int cap)
{
	return c->cap_effective >> cap & 1;
}
