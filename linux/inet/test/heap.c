/* SPDX-License-Identifier: MIT */
/* What packets need of the rest of the personality: a heap, which may refuse, and no programs. */
#include <stdlib.h>

#include "inet/test/heap.h"
#include "lx/iter.h"
#include "rt/memory.h"

unsigned int heap_refuse_one_in;
long heap_used;
uint64_t heap_random = 88172645463325252ull;

void *rt_alloc(size_t size)
{
	char *p;

	heap_random ^= heap_random << 13;
	heap_random ^= heap_random >> 7;
	heap_random ^= heap_random << 17;
	if (heap_refuse_one_in && heap_random % heap_refuse_one_in == 0)
		return NULL;
	p = malloc(size + 16);
	heap_used++;
	return p + 16;
}

void *rt_zalloc(size_t size)
{
	void *p = rt_alloc(size);

	if (p)
		__builtin_memset(p, 0, size);
	return p;
}

void rt_free(void *p)
{
	if (!p)
		return;
	heap_used--;
	free((char *)p - 16);
}

size_t lx_iter_put(struct lx_iter *to, const void *buf, size_t n)
{
	(void)to, (void)buf, (void)n;
	return 0;
}

size_t lx_iter_get(struct lx_iter *from, void *buf, size_t n)
{
	(void)from, (void)buf, (void)n;
	return 0;
}
