/* SPDX-License-Identifier: MIT */
/* The super block as it is read and written; between load.c and super.c. */
#pragma once

#include "fs/ext4/ext4.h"

/*
 * Read the super block and the group descriptors: -EINVAL (no ext4, or one that we
 * do not know; said on the log unless @silent), -EBADMSG, -EUCLEAN, -EIO, -ENOMEM.
 * e4_super_unload() afterwards in any case.
 */
int e4_super_load(struct e4_super *s, bool silent);
void e4_super_unload(struct e4_super *s);
/* Past the journal, durably: while mounting and unmounting. */
int e4_super_write(struct e4_super *s);
void e4_super_set_csum(struct e4_super *s);	/* orphan_lock */
