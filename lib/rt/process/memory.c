/* SPDX-License-Identifier: MIT */
/*
 * The bytes of memory objects (rt/memory.h), by kernel calls, which reach our own
 * memory and, below K_PROGRAM_MAX, the program's.
 */
#include "abi/calls.h"
#include "base/util.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "thread_priv.h"

k_status_t rt_memory_create(struct rt_memory *m, k_handle_t group, uint64_t size, uint32_t flags)
{
	k_handle_t h;
	k_status_t st = k_memory_create(group, size, flags, &h);

	if (st == K_OK)
		*m = (struct rt_memory){ .handle = h };
	return st;
}

k_status_t rt_memory_open(struct rt_memory *m, k_handle_t handle)
{
	*m = (struct rt_memory){ .handle = handle };
	return K_OK;
}

void rt_memory_close(struct rt_memory *m)
{
	rt_close(m->handle);
	m->handle = 0;
}

k_status_t rt_memory_resize(struct rt_memory *m, uint64_t size)
{
	return k_memory_resize(m->handle, size);
}

/*
 * The kernel copies with its locks held, so it does not settle faults of our buffer: a
 * page of the heap that was never touched stops it.  Touch the page where it stopped,
 * and go on; false: it had stopped there before.
 */
static bool touch(volatile uint8_t *p, bool write, uint64_t at, uint64_t *stopped)
{
	uint8_t byte;

	if (*stopped == at)
		return false;
	*stopped = at;
	byte = p[at];
	if (write)
		p[at] = byte;
	return true;
}

k_status_t rt_memory_read(struct rt_memory *m, uint64_t offset, void *dst, size_t n, size_t *done)
{
	uint64_t stopped = UINT64_MAX;
	k_status_t st;

	*done = 0;
	do {
		uint64_t got = 0;

		st = k_memory_read(m->handle, offset + *done, (char *)dst + *done, n - *done, &got);
		*done += got;
	} while (st == K_ERR_BAD_ADDRESS && touch(dst, true, *done, &stopped));
	return st;
}

k_status_t rt_memory_write(struct rt_memory *m, uint64_t offset, const void *src, size_t n,
			   size_t *done)
{
	uint64_t stopped = UINT64_MAX;
	k_status_t st;

	*done = 0;
	do {
		uint64_t put = 0;

		st = k_memory_write(m->handle, offset + *done, (const char *)src + *done, n - *done,
				    &put);
		*done += put;
	} while (st == K_ERR_BAD_ADDRESS && touch((uint8_t *)(uintptr_t)src, false, *done, &stopped));
	return st;
}

/* The same for the program's memory: false also if the program may not access it there. */
static bool touch_user(uaddr_t p, bool write, uint64_t at, uint64_t *stopped)
{
	uaddr_t addr = uaddr_add(p, at);
	uint32_t seen;
	size_t done;
	char byte;

	if (*stopped == at)
		return false;
	*stopped = at;
	/* Exchanging zero for zero is a write that changes nothing. */
	if (write)
		return rt_cmpxchg_user_u32(uaddr(addr.v & ~3ull), 0, 0, &seen);
	return rt_strncpy_from_user(&byte, addr, 1, &done) >= 0;
}

k_status_t rt_memory_read_user(struct rt_memory *m, uint64_t offset, uaddr_t dst, size_t n,
			       size_t *done)
{
	uint64_t stopped = UINT64_MAX;
	k_status_t st;

	*done = 0;
	if (!range_within(dst.v, n, K_PROGRAM_MAX))
		return K_ERR_BAD_ADDRESS;
	do {
		uint64_t got = 0;

		st = k_memory_read(m->handle, offset + *done, (void *)(dst.v + *done), n - *done,
				   &got);
		*done += got;
	} while (st == K_ERR_BAD_ADDRESS && touch_user(dst, true, *done, &stopped));
	return st;
}

k_status_t rt_memory_write_user(struct rt_memory *m, uint64_t offset, uaddr_t src, size_t n,
				size_t *done)
{
	uint64_t stopped = UINT64_MAX;
	k_status_t st;

	*done = 0;
	if (!range_within(src.v, n, K_PROGRAM_MAX))
		return K_ERR_BAD_ADDRESS;
	do {
		uint64_t put = 0;

		st = k_memory_write(m->handle, offset + *done, (const void *)(src.v + *done),
				    n - *done, &put);
		*done += put;
	} while (st == K_ERR_BAD_ADDRESS && touch_user(src, false, *done, &stopped));
	return st;
}

k_status_t rt_map(k_handle_t memory, uint64_t offset, uint64_t length, uint32_t prot, void **addr)
{
	struct k_map map = {
		.length = length,
		.prot = prot,
		.max_prot = prot,
		.flags = K_MAP_SHARED,
		.memory = memory,
		.offset = offset,
		.min = rt_base() + RT_HEAP + RT_HEAP_SIZE,
		.max = rt_base() + RT_HEAP + 4 * RT_HEAP_SIZE,
	};
	k_status_t st = k_space_map(0, &map);

	if (st == K_OK)
		*addr = (void *)map.addr;
	return st;
}

void rt_unmap(void *addr, uint64_t length)
{
	uint64_t reap;

	(void)!k_space_unmap(0, (uint64_t)addr, length, &reap);
}
