/* SPDX-License-Identifier: MIT */
/*
 * Iterators over the segments of a read or write.
 */
#include <linux/uio.h>

#include "lx/iter.h"
#include "lx/mm.h"
#include "vfs/vfs_priv.h"

#define MAX_RW 0x7ffff000ull		/* no call transfers more */

void lx_iter_init_user(struct lx_iter *it, uaddr_t base, uint64_t len)
{
	it->user = true;
	it->nr = 1;
	it->done_in_seg = 0;
	it->count = MIN(len, MAX_RW);
	it->fault_addr = 0;
	it->inline_segs[0] = (struct lx_seg){ base.v, it->count };
	it->segs = it->inline_segs;
	it->alloc = NULL;
}

void lx_iter_init_kernel(struct lx_iter *it, void *base, uint64_t len)
{
	lx_iter_init_user(it, uaddr((uintptr_t)base), len);
	it->user = false;
}

int lx_iter_import(struct lx_iter *it, uaddr_t iov, unsigned long nr)
{
	struct lx_seg *segs = it->inline_segs;
	uint64_t total = 0;
	int err;

	*it = (struct lx_iter){ .user = true };
	if (nr > UIO_MAXIOV)
		return -EINVAL;
	if (nr > LX_ITER_INLINE) {
		segs = rt_alloc(nr * sizeof(*segs));
		if (!segs)
			return -ENOMEM;
		it->alloc = segs;
	}
	_Static_assert(sizeof(struct lx_seg) == sizeof(struct iovec), "a segment is an iovec");
	err = lx_copy_from_user(segs, iov, nr * sizeof(*segs));
	for (unsigned long i = 0; i < nr && !err; i++) {
		if ((int64_t)segs[i].len < 0)
			err = -EINVAL;
		else if (segs[i].len && !range_within(segs[i].base, segs[i].len, K_PROGRAM_MAX))
			err = -EFAULT;
		segs[i].len = MIN(segs[i].len, MAX_RW - total);
		total += segs[i].len;
	}
	if (err) {
		lx_iter_free(it);
		return err;
	}
	it->segs = segs;
	it->nr = (unsigned int)nr;
	it->count = total;
	return 0;
}

void lx_iter_free(struct lx_iter *it)
{
	rt_free(it->alloc);
	it->alloc = NULL;
}

void lx_iter_advance(struct lx_iter *it, size_t n)
{
	it->count -= n;
	it->done_in_seg += n;
	while (it->nr && it->done_in_seg >= it->segs[0].len) {
		if (it->nr == 1 && it->done_in_seg == it->segs[0].len)
			break;		/* stay on the last: a revert needs it */
		it->done_in_seg -= it->segs[0].len;
		it->segs++;
		it->nr--;
	}
}

void lx_iter_revert(struct lx_iter *it, size_t n)
{
	it->count += n;
	while (n > it->done_in_seg) {
		n -= it->done_in_seg;
		it->segs--;
		it->nr++;
		it->done_in_seg = it->segs[0].len;
	}
	it->done_in_seg -= n;
}

/* The next piece: at most @n bytes of one segment; 0 at the end. */
static size_t piece(struct lx_iter *it, size_t n, uint64_t *at)
{
	/* segments of no length in between */
	while (it->nr > 1 && it->done_in_seg >= it->segs[0].len) {
		it->done_in_seg -= it->segs[0].len;
		it->segs++;
		it->nr--;
	}
	if (!it->nr || !it->count)
		return 0;
	*at = it->segs[0].base + it->done_in_seg;
	n = MIN((uint64_t)n, it->count);
	return MIN((uint64_t)n, it->segs[0].len - it->done_in_seg);
}

enum dir { PUT, GET, ZERO };

static size_t copy(struct lx_iter *it, void *buf, size_t n, enum dir dir)
{
	size_t done = 0;

	while (done < n) {
		uint64_t at;
		size_t len = piece(it, n - done, &at), left = 0;
		char *p = (char *)buf + done;

		if (!len)
			break;
		if (!it->user) {
			if (dir == PUT)
				memcpy((void *)(uintptr_t)at, p, len);
			else if (dir == GET)
				memcpy(p, (void *)(uintptr_t)at, len);
			else
				memset((void *)(uintptr_t)at, 0, len);
		} else if (dir == PUT) {
			left = rt_copy_to_user(uaddr(at), p, len);
		} else if (dir == GET) {
			left = rt_copy_from_user(p, uaddr(at), len);
		} else {
			left = rt_clear_user(uaddr(at), len);
		}
		lx_iter_advance(it, len - left);
		done += len - left;
		if (left) {
			it->fault_addr = at + len - left;
			break;
		}
	}
	return done;
}

/* The usual case: all of it lies in one piece of the program's memory. */
static bool is_simple(const struct lx_iter *it, size_t n)
{
	return it->user && it->nr && n <= it->count && n <= it->segs[0].len - it->done_in_seg;
}

static size_t simple_done(struct lx_iter *it, size_t n, size_t left)
{
	n -= left;
	it->done_in_seg += n;		/* the next piece() goes on to the next segment */
	it->count -= n;
	if (unlikely(left))
		it->fault_addr = it->segs[0].base + it->done_in_seg;
	return n;
}

size_t lx_iter_put(struct lx_iter *it, const void *src, size_t n)
{
	if (likely(is_simple(it, n)))
		return simple_done(it, n, rt_copy_to_user(
				uaddr(it->segs[0].base + it->done_in_seg), src, n));
	return copy(it, (void *)(uintptr_t)src, n, PUT);
}

size_t lx_iter_get(struct lx_iter *it, void *dst, size_t n)
{
	if (likely(is_simple(it, n)))
		return simple_done(it, n, rt_copy_from_user(
				dst, uaddr(it->segs[0].base + it->done_in_seg), n));
	return copy(it, dst, n, GET);
}

size_t lx_iter_zero(struct lx_iter *it, size_t n)
{
	return copy(it, NULL, n, ZERO);
}

int lx_iter_fault_in(struct lx_iter *it, bool write_to_user)
{
	uint64_t at = it->fault_addr;

	if (!at || !it->user)
		return -EFAULT;
	it->fault_addr = 0;
	return lx_fault_in(lx_self(), uaddr(at), 1, write_to_user);
}

static k_status_t memory_copy(struct lx_iter *it, struct rt_memory *m, uint64_t off, size_t n,
			      size_t *done, bool to_iter)
{
	*done = 0;
	while (*done < n) {
		uint64_t at;
		size_t len = piece(it, n - *done, &at), did = 0;
		void *p = (void *)(uintptr_t)at;
		k_status_t st;

		if (!len)
			break;
		if (it->user)
			st = to_iter ? rt_memory_read_user(m, off + *done, uaddr(at), len, &did)
				     : rt_memory_write_user(m, off + *done, uaddr(at), len, &did);
		else
			st = to_iter ? rt_memory_read(m, off + *done, p, len, &did)
				     : rt_memory_write(m, off + *done, p, len, &did);
		lx_iter_advance(it, did);
		*done += did;
		if (st != K_OK) {
			if (st == K_ERR_BAD_ADDRESS)
				it->fault_addr = at + did;
			return st;
		}
	}
	return K_OK;
}

k_status_t lx_iter_put_memory(struct lx_iter *it, struct rt_memory *m, uint64_t off, size_t n,
			      size_t *done)
{
	return memory_copy(it, m, off, n, done, true);
}

k_status_t lx_iter_get_memory(struct lx_iter *it, struct rt_memory *m, uint64_t off, size_t n,
			      size_t *done)
{
	return memory_copy(it, m, off, n, done, false);
}

bool lx_iter_is_aligned(const struct lx_iter *it, uint32_t block, uint32_t mask)
{
	uint64_t left = it->count, skip = it->done_in_seg;

	for (unsigned int i = 0; i < it->nr && left; i++) {
		uint64_t base = it->segs[i].base + skip, len = MIN(it->segs[i].len - skip, left);

		if ((it->user && (base & mask)) || len % block)
			return false;
		left -= len;
		skip = 0;
	}
	return true;
}

int lx_iter_copy(struct lx_iter *it, void *buf, size_t n, bool write)
{
	char *p = buf;
	size_t done = 0;

	for (;;) {
		done += write ? lx_iter_get(it, p + done, n - done) : lx_iter_put(it, p + done, n - done);
		if (done == n)
			return 0;
		if (lx_iter_fault_in(it, !write))
			return -EFAULT;
	}
}
