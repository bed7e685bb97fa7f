/* SPDX-License-Identifier: MIT */
/* Bitmaps of groups: between balloc.c and ialloc.c.  The group's lock is held. */
#pragma once

#include "fs/ext4/ext4.h"

/* The bitmap, checked or made up for a group that was never used: a reference. */
int e4_bitmap_load(struct e4_super *s, struct e4_group *g, bool inodes, struct e4_buf **out);
/* Bitmap and descriptor are about to be changed: 2 credits. */
int e4_bitmap_join(struct e4_handle *h, struct e4_group *g, bool inodes, struct e4_buf *b);
/* They were: checksums. */
void e4_bitmap_done(struct e4_super *s, struct e4_group *g, bool inodes, const struct e4_buf *b);

/* The first block from @from on that can be used, and where the run of such blocks at @from ends; at most @bits. */
uint32_t e4_next_free(const struct e4_group *g, const uint64_t *map, uint32_t bits, uint32_t from);
uint32_t e4_run_end(const struct e4_group *g, const uint64_t *map, uint32_t bits, uint32_t from);
