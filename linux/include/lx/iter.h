/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a read or write: a list of segments in the program's or in our
 * own memory, and how far we are.
 */
#pragma once

#include "lx/types.h"

struct lx_seg {
	uint64_t base;			/* program address, or our own */
	uint64_t len;
};

#define LX_ITER_INLINE 8

struct lx_iter {
	bool user;			/* segments are program addresses */
	unsigned int nr;		/* segments left, segs[0] first */
	uint64_t done_in_seg;		/* bytes of segs[0] already used */
	uint64_t count;			/* bytes left in all */
	uint64_t fault_addr;		/* where a copy stopped short, else 0 */
	const struct lx_seg *segs;
	void *alloc;			/* the segments, if there are many: lx_iter_free() */
	struct lx_seg inline_segs[LX_ITER_INLINE];
};

void lx_iter_init_user(struct lx_iter *it, uaddr_t base, uint64_t len);
void lx_iter_init_kernel(struct lx_iter *it, void *base, uint64_t len);
/*
 * From a struct iovec[] in the program; checks as readv(2): EINVAL (count,
 * negative or overflowing length), EFAULT.  lx_iter_free() afterwards.
 */
int lx_iter_import(struct lx_iter *it, uaddr_t iov, unsigned long nr);
void lx_iter_free(struct lx_iter *it);

/*
 * Copy and advance.  Return the bytes copied; fewer than @n only at the end of the
 * iterator or when program memory was not accessible (fault_addr is set then).
 * Never sleep for a page's owner: fine under locks.
 */
size_t lx_iter_put(struct lx_iter *it, const void *src, size_t n);	/* a read: to the caller */
size_t lx_iter_get(struct lx_iter *it, void *dst, size_t n);		/* a write: from the caller */
size_t lx_iter_zero(struct lx_iter *it, size_t n);
void lx_iter_advance(struct lx_iter *it, size_t n);
void lx_iter_revert(struct lx_iter *it, size_t n);

/*
 * Without locks: make the memory at fault_addr accessible if it can be, so that
 * the copy can be tried again.  0, or -EFAULT.
 */
int lx_iter_fault_in(struct lx_iter *it, bool write_to_user);

/*
 * For transfers past the page cache.  Aligned: each segment is whole blocks long, and begins, in the
 * program, at an address without bits of @mask; our own memory may be anywhere, for it is copied.
 */
bool lx_iter_is_aligned(const struct lx_iter *it, uint32_t block, uint32_t mask);
/* All @n bytes, from the caller if @write, without locks: faults are settled.  0 or -EFAULT. */
int lx_iter_copy(struct lx_iter *it, void *buf, size_t n, bool write);

/* Between a memory object and the iterator (page cache); see rt_memory_read for the statuses. */
k_status_t lx_iter_put_memory(struct lx_iter *it, struct rt_memory *m, uint64_t off, size_t n,
			      size_t *done);
k_status_t lx_iter_get_memory(struct lx_iter *it, struct rt_memory *m, uint64_t off, size_t n,
			      size_t *done);
