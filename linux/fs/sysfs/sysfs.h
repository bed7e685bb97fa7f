/* SPDX-License-Identifier: MIT */
#pragma once

int lx_sysfs_init(void);

/*
 * Who owns the nodes that a mount shows besides everybody's (pseudo_set_owner(), pseudo_super_of()):
 * network namespaces do, and say which is the caller's.
 */
struct sysfs_owners {
	void *(*get)(void);		/* a reference; NULL: the first one's */
	void (*put)(void *owner);
};
/* At the start of the system. */
void lx_sysfs_set_owners(const struct sysfs_owners *owners);
