/* SPDX-License-Identifier: MIT */
/*
 * The page cache's parts: pages and their media (pagecache.c), reads and writes of files
 * (page_io.c), the other operations of regular files (regular.c).
 */
#pragma once

#include "abi/calls.h"
#include "vfs/vfs_priv.h"

#define PAGE		((uint64_t)K_PAGE_SIZE)
#define RA_MIN		(32u * 1024)		/* reading ahead: to begin with, */
#define RA_NORMAL	(128u * 1024)		/* at most, if nobody says otherwise, */
#define RA_MAX		(1024u * 1024)		/* and whatever they say */

static inline uint64_t rounded(uint64_t size)
{
	return ALIGN_UP(size, PAGE);
}

/* Missing pages are read from a medium; else they are zeros. */
static inline bool is_paged(const struct lx_inode *inode)
{
	return inode->ops && (inode->ops->readpage || inode->ops->readpages);
}

/* How much may be read beforehand: bytes of whole pages, at most RA_MAX. */
static inline uint64_t read_ahead_of(const struct lx_inode *inode)
{
	uint64_t n = inode->ops->read_ahead ? inode->ops->read_ahead(inode) : RA_NORMAL;

	return MIN(ALIGN_DOWN(n, PAGE), (uint64_t)RA_MAX);
}

/* The first page from @off on that is K_NEXT_DATA or K_NEXT_HOLE; UINT64_MAX: none. */
uint64_t lx_pages_next(struct lx_inode *inode, uint64_t off, uint32_t what);
/*
 * Have the page at @off, and up to @want bytes from there on if they are missing too.
 * 0, -EIO (behind the end too), -ENOMEM, or what the file system says.
 */
int lx_pages_fill(struct lx_inode *inode, uint64_t off, uint64_t want);
