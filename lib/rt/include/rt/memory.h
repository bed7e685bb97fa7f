/* SPDX-License-Identifier: MIT */
/*
 * The heap, and the bytes of memory objects (the page cache).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"
#include "rt/user.h"

/* -- heap: aligned to 16 bytes; NULL when out of memory.  Any context that may sleep. */
void *rt_alloc(size_t size);
void *rt_zalloc(size_t size);
void *rt_realloc(void *p, size_t size);
void rt_free(void *p);			/* NULL is fine */

/*
 * Whether this thread was refused memory since it last asked: an rt_alloc() of at most
 * RT_ALLOC_SMALL bytes failed, or a kernel call of which its code says so.  For the one place
 * where nothing is held, so that memory can be looked for and all be tried again.
 */
#define RT_ALLOC_SMALL 32768u
void rt_memory_refused(void);
bool rt_memory_was_refused(void);

/*
 * -- A memory object whose bytes this process reads and writes without kernel
 * calls: in placement kernel through the kernel's map of all memory, in
 * placement process through a window mapped on first use.
 */
struct rt_memory {
	k_handle_t handle;
	void *priv;			/* the placement's: kernel object or window */
	uint64_t priv_size;
};

/* Make an object as k_memory_create does and open it; close also closes the handle. */
k_status_t rt_memory_create(struct rt_memory *m, k_handle_t group, uint64_t size, uint32_t flags);
k_status_t rt_memory_open(struct rt_memory *m, k_handle_t handle);
void rt_memory_close(struct rt_memory *m);
k_status_t rt_memory_resize(struct rt_memory *m, uint64_t size);

/*
 * Copy between the object and a buffer or the running program.  *@done says how
 * many bytes were copied, also on failure.  Reading a page that is not there
 * gives zeros (and makes no page) unless the object is PAGED: NEED_PAGE then;
 * writing makes the page, but for a partly written PAGED page: NEED_PAGE.
 * Written pages become dirty.  BEYOND_END: stopped at the object's size.
 * BAD_ADDRESS: the program's memory was not accessible at *@done (settle the
 * fault without locks, try again).  Concurrent callers see each byte either way.
 */
k_status_t rt_memory_read(struct rt_memory *m, uint64_t offset, void *dst, size_t n, size_t *done);
k_status_t rt_memory_write(struct rt_memory *m, uint64_t offset, const void *src, size_t n,
			   size_t *done);
k_status_t rt_memory_read_user(struct rt_memory *m, uint64_t offset, uaddr_t dst, size_t n,
			       size_t *done);
k_status_t rt_memory_write_user(struct rt_memory *m, uint64_t offset, uaddr_t src, size_t n,
				size_t *done);

/*
 * Map [@offset, @offset + @length) of a RESIDENT object (link memory) for plain loads
 * and stores by this process, until rt_unmap.  Multiples of the page size; @prot:
 * K_PROT_READ, K_PROT_WRITE.  The handle may be closed afterwards.
 */
k_status_t rt_map(k_handle_t memory, uint64_t offset, uint64_t length, uint32_t prot,
		  void **addr) __attribute__((warn_unused_result));
void rt_unmap(void *addr, uint64_t length);
