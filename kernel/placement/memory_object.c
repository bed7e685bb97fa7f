/* SPDX-License-Identifier: MIT */
/*
 * rt_memory_* inside the kernel image: the object itself, reached through the
 * direct map.
 */

#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/kmem.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"
#include "rt/memory.h"

#include "abi/calls.h"

static struct memory *memory_of(const struct rt_memory *m)
{
	return m->priv;
}

static k_status_t get(k_handle_t handle, uint32_t rights, struct memory **out)
{
	struct object *object;
	k_status_t st = handle_get(current_thread()->process, handle, K_TYPE_MEMORY, rights,
				   &object);

	if (st == K_OK)
		*out = container_of(object, struct memory, object);
	return st;
}

k_status_t rt_memory_create(struct rt_memory *m, k_handle_t group, uint64_t size, uint32_t flags)
{
	k_handle_t handle;
	k_status_t st = k_memory_create(group, size, flags, &handle);

	if (st != K_OK)
		return st;
	st = rt_memory_open(m, handle);
	if (st != K_OK)
		(void)!k_handle_close(handle);
	return st;
}

k_status_t rt_memory_open(struct rt_memory *m, k_handle_t handle)
{
	struct memory *memory;
	k_status_t st = get(handle, K_RIGHT_READ, &memory);

	if (st == K_OK)
		*m = (struct rt_memory){ .handle = handle, .priv = memory };
	return st;
}

void rt_memory_close(struct rt_memory *m)
{
	object_put(&memory_of(m)->object);
	(void)!k_handle_close(m->handle);
	*m = (struct rt_memory){ 0 };
}

k_status_t rt_memory_resize(struct rt_memory *m, uint64_t size)
{
	return memory_resize(memory_of(m), size);
}

k_status_t rt_memory_read(struct rt_memory *m, uint64_t offset, void *dst, size_t n, size_t *done)
{
	return memory_read(memory_of(m), offset, dst, n, false, done);
}

k_status_t rt_memory_write(struct rt_memory *m, uint64_t offset, const void *src, size_t n,
			   size_t *done)
{
	return memory_write(memory_of(m), offset, src, n, false, done);
}

k_status_t rt_memory_read_user(struct rt_memory *m, uint64_t offset, uaddr_t dst, size_t n,
			       size_t *done)
{
	*done = 0;
	if (!user_range_ok(dst.v, n))
		return K_ERR_BAD_ADDRESS;
	return memory_read(memory_of(m), offset, (void *)(uintptr_t)dst.v, n, true, done);
}

k_status_t rt_memory_write_user(struct rt_memory *m, uint64_t offset, uaddr_t src, size_t n,
				size_t *done)
{
	*done = 0;
	if (!user_range_ok(src.v, n))
		return K_ERR_BAD_ADDRESS;
	return memory_write(memory_of(m), offset, (const void *)(uintptr_t)src.v, n, true, done);
}

k_status_t rt_map(k_handle_t handle, uint64_t offset, uint64_t length, uint32_t prot, void **addr)
{
	struct memory *memory;
	k_status_t st = get(handle, K_RIGHT_READ | K_RIGHT_MAP |
				    (prot & K_PROT_WRITE ? K_RIGHT_WRITE : 0), &memory);

	if (st != K_OK)
		return st;
	st = kernel_map_memory(memory, offset, length, prot & (K_PROT_READ | K_PROT_WRITE), addr);
	object_put(&memory->object);
	return st;
}

void rt_unmap(void *addr, uint64_t length)
{
	kernel_unmap(addr);
}
