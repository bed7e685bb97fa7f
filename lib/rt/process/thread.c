/* SPDX-License-Identifier: MIT */
/*
 * Threads of a process: blocks of stack and frame page (rt/layout.h).
 *
 * Block n lies at RT_STACKS + n * RT_BLOCK, is mapped when it is first used, and
 * stays mapped.  Free blocks form a list through their rt_thread.  A thread that
 * ends puts its own block there itself as its last act, in rt_thread_exit's
 * assembly: after that it uses registers only, so that the next owner may have the
 * stack at once.  Putting is a compare-and-swap by anybody; taking happens under
 * take_lock, so that one taker at a time makes the list free of the ABA problem.
 */
#include "abi/calls.h"
#include "base/string.h"
#include "base/util.h"
#include "rt/lock.h"
#include "rt/process.h"
#include "rt/thread.h"
#include "thread_priv.h"

static struct rt_mutex take_lock = RT_MUTEX_INIT(0);
static _Atomic(struct rt_thread *) free_blocks;
static uint64_t next_block = 1;		/* take_lock; 0 is the first thread's */

void *rt_self(void)
{
	return rt_thread_own()->self;
}

void rt_set_self(void *self)
{
	rt_thread_own()->self = self;
}

struct rt_held *rt_held(void)
{
	return &rt_thread_own()->held;
}

void *rt_thread_token(void)
{
	return rt_thread_own();
}

static struct k_user_frame *frame_of(struct rt_thread *t)
{
	return (struct k_user_frame *)((uint64_t)t - RT_THREAD + RT_FRAME);
}

struct k_user_frame *rt_frame(void)
{
	return frame_of(rt_thread_own());
}

uint64_t rt_stack_left(void)
{
	return ((uint64_t)__builtin_frame_address(0) & (RT_BLOCK - 1)) - RT_GUARD;
}

/* Map the next block.  take_lock is held. */
static k_status_t block_map(struct rt_thread **out)
{
	uint64_t block = rt_base() + RT_STACKS + next_block * RT_BLOCK;
	struct k_map map = {
		.addr = block + RT_GUARD,
		.length = RT_BLOCK - RT_GUARD,
		.prot = K_PROT_READ | K_PROT_WRITE,
		.max_prot = K_PROT_READ | K_PROT_WRITE,
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE,
	};
	k_status_t st;

	if (next_block >= RT_STACKS_SIZE / RT_BLOCK)
		return K_ERR_LIMIT;
	st = k_space_map(0, &map);
	if (st != K_OK)
		return st == K_ERR_NO_MEMORY ? st : K_ERR_LIMIT;
	next_block++;
	*out = (struct rt_thread *)(block + RT_THREAD);
	return K_OK;
}

static k_status_t block_take(struct rt_thread **out)
{
	struct rt_thread *t;
	k_status_t st = K_OK;

	rt_mutex_lock(&take_lock);
	/* acquire: pairs with the compare-and-swap of the thread that ended */
	t = atomic_load_explicit(&free_blocks, memory_order_acquire);
	while (t && !atomic_compare_exchange_weak_explicit(&free_blocks, &t, t->next_free,
							   memory_order_acquire,
							   memory_order_acquire))
		;
	if (!t)
		st = block_map(&t);
	rt_mutex_unlock(&take_lock);
	if (st == K_OK)
		*out = t;
	return st;
}

/* For a block on which no thread runs. */
static void block_put(struct rt_thread *t)
{
	t->next_free = atomic_load_explicit(&free_blocks, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&free_blocks, &t->next_free, t,
						      memory_order_release,
						      memory_order_relaxed))
		;
}

static void thread_main(uint64_t arg)
{
	struct rt_thread *t = (struct rt_thread *)arg;

	t->fn(t->self);
	rt_thread_exit();
}

k_status_t rt_thread_create(void (*fn)(void *self), void *self, const struct k_user_frame *frame,
			    k_handle_t space, uint32_t flags, const char *name,
			    _Atomic(k_handle_t) *thread)
{
	struct k_thread_start start = { .entry = (uint64_t)thread_main, .flags = flags,
					.space = space };
	struct rt_thread *t;
	k_status_t st = block_take(&t);

	if (st != K_OK)
		return st;
	t->self = self;
	t->fn = fn;
	t->held.count = 0;
	t->held.refused = false;
	if (frame)
		*frame_of(t) = *frame;
	else
		memset(frame_of(t), 0, sizeof(struct k_user_frame));
	start.arg = (uint64_t)t;
	/* As after a call instruction: the stack pointer is 8 below a multiple of 16. */
	start.stack_top = (uint64_t)frame_of(t) - 8;
	*(uint64_t *)start.stack_top = 0;
	start.frame = (uint64_t)frame_of(t);
	strlcpy(start.name, name, sizeof(start.name));
	/* The kernel writes the number in one access, and then starts the thread. */
	st = k_thread_create(0, &start, (k_handle_t *)thread);
	if (st != K_OK) {
		block_put(t);
		return st == K_ERR_NO_MEMORY ? st : K_ERR_LIMIT;
	}
	return K_OK;
}

/* Put the block on the list and end, without touching the stack in between. */
void rt_thread_exit(void)
{
	struct rt_thread *t = rt_thread_own();

	if ((uint64_t)t < rt_base() + RT_STACKS + RT_BLOCK ||
	    (uint64_t)t >= rt_base() + RT_STACKS + RT_STACKS_SIZE)
		k_thread_exit();	/* the first thread's block is not put back */
	__asm__ volatile("	movq	(%[head]), %%rax\n"
			 "1:	movq	%%rax, (%[t])\n"
			 "	lock cmpxchgq %[t], (%[head])\n"
			 "	jne	1b\n"
			 "	movl	%[call], %%eax\n"
			 "	syscall\n"
			 "	ud2\n"
			 :
			 : [head] "r"(&free_blocks), [t] "r"(t), [call] "i"(K_CALL_THREAD_EXIT)
			 : "rax", "memory");
	__builtin_unreachable();
}
_Static_assert(offsetof(struct rt_thread, next_free) == 0, "rt_thread_exit links through it");
_Static_assert(sizeof(struct k_user_frame) <= RT_THREAD - RT_FRAME, "the frame fits");
_Static_assert(sizeof(struct rt_thread) <= RT_BLOCK - RT_THREAD, "the record fits");
