/* SPDX-License-Identifier: MIT */
/*
 * The bytes of memory objects (rt/memory.h), by kernel calls: each copies between
 * the object and a buffer of ours.  Copies from and to the program go through a
 * buffer on the stack, so that a fault in the program's memory stops them at an
 * exact count.
 */
#include "abi/calls.h"
#include "base/util.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "thread_priv.h"

enum { BOUNCE = 4096 };

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

k_status_t rt_memory_read_user(struct rt_memory *m, uint64_t offset, uaddr_t dst, size_t n,
			       size_t *done)
{
	uint8_t bounce[BOUNCE];
	k_status_t st = K_OK;

	for (*done = 0; n && st == K_OK;) {
		size_t got, left;

		st = rt_memory_read(m, offset, bounce, MIN(n, sizeof(bounce)), &got);
		left = rt_copy_to_user(dst, bounce, got);
		*done += got - left;
		if (left)
			return K_ERR_BAD_ADDRESS;
		if (!got)
			break;
		offset += got;
		dst = uaddr_add(dst, got);
		n -= got;
	}
	return st;
}

k_status_t rt_memory_write_user(struct rt_memory *m, uint64_t offset, uaddr_t src, size_t n,
				size_t *done)
{
	uint8_t bounce[BOUNCE];
	k_status_t st = K_OK;

	for (*done = 0; n && st == K_OK;) {
		size_t piece = MIN(n, sizeof(bounce));
		size_t left = rt_copy_from_user(bounce, src, piece);
		size_t put = 0;

		if (left < piece)
			st = rt_memory_write(m, offset, bounce, piece - left, &put);
		*done += put;
		if (st == K_OK && left)
			return K_ERR_BAD_ADDRESS;
		if (!put)
			break;
		offset += put;
		src = uaddr_add(src, put);
		n -= put;
	}
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
	(void)!k_space_unmap(0, (uint64_t)addr, length);
}
