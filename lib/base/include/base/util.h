/* SPDX-License-Identifier: MIT */
/*
 * Small macros that everything uses.  All are constant expressions where their
 * arguments are, and evaluate each argument once unless they say otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The structure of type @type whose @member lies at @ptr. */
#define container_of(ptr, type, member)                                                            \
	((type *)((char *)(ptr) - offsetof(type, member) +                                         \
		  0 * sizeof((ptr) == &((type *)0)->member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Each use names its variables anew, so that they can be nested. */
#define MIN(a, b) MIN_NAMED(a, b, PASTE(min_a_, __COUNTER__), PASTE(min_b_, __COUNTER__))
#define MAX(a, b) MAX_NAMED(a, b, PASTE(max_a_, __COUNTER__), PASTE(max_b_, __COUNTER__))
#define MIN_NAMED(a, b, x, y)                                                                      \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x < y ? x : y;                                                                     \
	})
#define MAX_NAMED(a, b, x, y)                                                                      \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x > y ? x : y;                                                                     \
	})
#define PASTE(a, b)	PASTE_EXPANDED(a, b)
#define PASTE_EXPANDED(a, b) a##b
#define CLAMP(v, lo, hi) MIN(MAX(v, lo), hi)

/* @align is a power of two; it is evaluated twice, and takes the type of @v. */
#define ALIGN_DOWN(v, align)	((v) & ~((__typeof__(v))(align) - 1))
#define ALIGN_UP(v, align)	ALIGN_DOWN((v) + ((__typeof__(v))(align) - 1), align)
#define IS_ALIGNED(v, align)	(((v) & ((__typeof__(v))(align) - 1)) == 0)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))	/* evaluates @d twice */
#define IS_POWER_OF_2(v)	((v) && !((v) & ((v) - 1)))	/* evaluates @v thrice */

#define BIT(n) (1ull << (n))

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define UNUSED		__attribute__((unused))
#define FALLTHROUGH	__attribute__((fallthrough))
#define PACKED		__attribute__((packed))
#define NORETURN	__attribute__((noreturn))
#define MUST_CHECK	__attribute__((warn_unused_result))

/*
 * One relaxed access to an ordinary variable of at most 8 bytes: not torn, repeated or
 * guessed by the compiler.  For a field that is read without the lock under which it is
 * written; the writer uses WRITE_ONCE then.
 */
#define READ_ONCE(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* log2, rounded down; @v is not 0. */
static inline unsigned int log2_u64(uint64_t v)
{
	return 63 - (unsigned int)__builtin_clzll(v);
}

/* log2, rounded up; 0 for 0 and 1. */
static inline unsigned int log2_up_u64(uint64_t v)
{
	return v <= 1 ? 0 : log2_u64(v - 1) + 1;
}

/* Bits set.  (The compiler's builtin may be a call into a library that is not there.) */
static inline unsigned int popcount_u64(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned int)(v * 0x0101010101010101ull >> 56);
}

/* a + b, a * b without overflow; false (and *@sum untouched) where there would be one. */
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	uint64_t r;

	if (__builtin_add_overflow(a, b, &r))
		return false;
	*sum = r;
	return true;
}

static inline bool mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
	uint64_t r;

	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*product = r;
	return true;
}

/* Whether [start, start + length) lies within [0, size): no overflow possible. */
static inline bool range_within(uint64_t start, uint64_t length, uint64_t size)
{
	return start <= size && length <= size - start;
}
