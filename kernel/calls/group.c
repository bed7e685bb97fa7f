/* SPDX-License-Identifier: MIT */
/*
 * Calls on groups.
 */

#include "kernel/group.h"
#include "kernel/bell.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"

k_status_t kcall_group_create(struct thread *self, struct group *parent,
			      const struct k_group_limits *limits, struct new_handle *group)
{
	struct group *fresh;
	k_status_t st = group_create(parent, limits, &fresh);

	if (st == K_OK)
		group->object = &fresh->object;
	return st;
}

k_status_t kcall_group_limits(struct thread *self, struct group *group,
			      const struct k_group_limits *limits)
{
	return group_set_limits(group, limits);
}

k_status_t kcall_group_info(struct thread *self, struct group *group, struct k_group_info *info)
{
	group_read(group, info);
	return K_OK;
}

k_status_t kcall_group_watch(struct thread *self, struct group *group, struct bell *bell,
			     uint64_t bits)
{
	group_watch(group, bell, bits);
	return K_OK;
}
