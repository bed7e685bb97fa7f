/* SPDX-License-Identifier: MIT */
/*
 * Memory and strings: the functions of the C library by the same names and
 * meanings, for code that runs without one.  The compiler calls the first four
 * on its own.  They are loops of 8-byte moves, unrolled: "rep movsb" costs ten
 * times as much under emulation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);

/*
 * Without a C library the compiler does not take these names for what they are: say so.
 * Copies of a few bytes, where the size is constant, become moves instead of calls.
 */
#if !__STDC_HOSTED__
#define memcpy(dst, src, n)	__builtin_memcpy(dst, src, n)
#define memset(dst, c, n)	__builtin_memset(dst, c, n)
#define memcmp(a, b, n)		__builtin_memcmp(a, b, n)
#endif

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);
size_t strspn(const char *s, const char *accept);
size_t strcspn(const char *s, const char *reject);

/*
 * Copy @src, cut so that it fits into @size bytes with its NUL; nothing if @size
 * is 0.  Returns strlen(src): a result >= size says that it was cut.
 */
size_t strlcpy(char *dst, const char *src, size_t size);
/* The same at the end of the string that is in @dst. */
size_t strlcat(char *dst, const char *src, size_t size);

/* Whether @s begins with @prefix. */
static inline _Bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline _Bool str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
