/* SPDX-License-Identifier: MIT */
/*
 * Memory and strings, see base/string.h.
 *
 * Moves go through 8-byte words that may alias anything and need no alignment;
 * the machines we run on load and store unaligned words at no cost worth a
 * branch.  This file is compiled with -fno-builtin and without loop
 * recognition, or the compiler would turn memcpy's loop into a call of memcpy.
 */
#include "base/string.h"
#include "base/util.h"

#if !__STDC_HOSTED__
#undef memcpy
#undef memset
#undef memcmp
#endif

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) half_t;

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	for (; n >= 64; n -= 64, d += 64, s += 64) {
		word_t *dw = (word_t *)d;
		const word_t *sw = (const word_t *)s;
		uint64_t a = sw[0], b = sw[1], c = sw[2], e = sw[3];

		dw[0] = a;
		dw[1] = b;
		dw[2] = c;
		dw[3] = e;
		a = sw[4];
		b = sw[5];
		c = sw[6];
		e = sw[7];
		dw[4] = a;
		dw[5] = b;
		dw[6] = c;
		dw[7] = e;
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(word_t *)d = *(const word_t *)s;
	if (n >= 4) {
		*(half_t *)d = *(const half_t *)s;
		n -= 4, d += 4, s += 4;
	}
	while (n--)
		*d++ = *s++;
	return dst;
}

/* The same from the end, for a destination above an overlapping source. */
static void move_backward(unsigned char *d, const unsigned char *s, size_t n)
{
	d += n;
	s += n;
	for (; n >= 32; n -= 32) {
		uint64_t a, b, c, e;

		d -= 32;
		s -= 32;
		a = ((const word_t *)s)[0];
		b = ((const word_t *)s)[1];
		c = ((const word_t *)s)[2];
		e = ((const word_t *)s)[3];
		((word_t *)d)[0] = a;
		((word_t *)d)[1] = b;
		((word_t *)d)[2] = c;
		((word_t *)d)[3] = e;
	}
	for (; n >= 8; n -= 8) {
		d -= 8;
		s -= 8;
		*(word_t *)d = *(const word_t *)s;
	}
	while (n--)
		*--d = *--s;
}

static void move_forward(unsigned char *d, const unsigned char *s, size_t n)
{
	for (; n >= 32; n -= 32, d += 32, s += 32) {
		uint64_t a = ((const word_t *)s)[0], b = ((const word_t *)s)[1];
		uint64_t c = ((const word_t *)s)[2], e = ((const word_t *)s)[3];

		((word_t *)d)[0] = a;
		((word_t *)d)[1] = b;
		((word_t *)d)[2] = c;
		((word_t *)d)[3] = e;
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(word_t *)d = *(const word_t *)s;
	while (n--)
		*d++ = *s++;
}

/* Loads of a step come before its stores, so an overlap by less than a step is fine both ways. */
void *memmove(void *dst, const void *src, size_t n)
{
	uintptr_t ahead = (uintptr_t)dst - (uintptr_t)src;

	if (ahead >= n)		/* also when dst lies below src */
		move_forward(dst, src, n);
	else if (ahead)
		move_backward(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	unsigned char *d = dst;
	uint64_t v = (unsigned char)c * 0x0101010101010101ull;

	for (; n >= 64; n -= 64, d += 64) {
		word_t *w = (word_t *)d;

		w[0] = v;
		w[1] = v;
		w[2] = v;
		w[3] = v;
		w[4] = v;
		w[5] = v;
		w[6] = v;
		w[7] = v;
	}
	for (; n >= 8; n -= 8, d += 8)
		*(word_t *)d = v;
	while (n--)
		*d++ = (unsigned char)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	while (n >= 8 && *(const word_t *)p == *(const word_t *)q)
		n -= 8, p += 8, q += 8;
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)p;
	return NULL;
}

/* Whether one of the eight bytes of @v is zero. */
static inline bool has_zero_byte(uint64_t v)
{
	return (v - 0x0101010101010101ull) & ~v & 0x8080808080808080ull;
}

/* Aligned words never cross a page, so reading past the NUL within one is safe. */
__attribute__((no_sanitize("address"))) size_t strlen(const char *s)
{
	const char *p = s;

	for (; (uintptr_t)p & 7; p++)
		if (!*p)
			return (size_t)(p - s);
	while (!has_zero_byte(*(const word_t *)p))
		p += 8;
	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i])
		i++;
	return i;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)found;
	}
}

char *strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	for (; *s || !n; s++)
		if (strncmp(s, needle, n) == 0)
			return (char *)s;
	return NULL;
}

size_t strspn(const char *s, const char *accept)
{
	size_t n = 0;

	while (s[n] && strchr(accept, s[n]))
		n++;
	return n;
}

size_t strcspn(const char *s, const char *reject)
{
	size_t n = 0;

	while (s[n] && !strchr(reject, s[n]))
		n++;
	return n;
}
