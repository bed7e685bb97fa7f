/* SPDX-License-Identifier: MIT */
/* Our memory and string functions against the C library's. */
#include <stdint.h>

#include "unit/unit.h"

void *base_memcpy(void *, const void *, size_t);
void *base_memmove(void *, const void *, size_t);
void *base_memset(void *, int, size_t);
int base_memcmp(const void *, const void *, size_t);
void *base_memchr(const void *, int, size_t);
size_t base_strlen(const char *);
size_t base_strnlen(const char *, size_t);
int base_strcmp(const char *, const char *);
int base_strncmp(const char *, const char *, size_t);
char *base_strchr(const char *, int);
char *base_strrchr(const char *, int);
char *base_strstr(const char *, const char *);
size_t base_strspn(const char *, const char *);
size_t base_strcspn(const char *, const char *);
size_t strlcpy(char *dst, const char *src, size_t size);
size_t strlcat(char *dst, const char *src, size_t size);

static int sign(int v)
{
	return v < 0 ? -1 : v > 0;
}

TEST(memory_functions_agree)
{
	unsigned char a[512], b[512], c[512];

	for (int round = 0; round < 20000; round++) {
		size_t n = unit_random() % 200, from = unit_random() % 200, to = unit_random() % 200;

		for (size_t i = 0; i < sizeof(a); i++)
			a[i] = b[i] = (unsigned char)unit_random();
		memmove(a + to, a + from, n);
		CHECK(base_memmove(b + to, b + from, n) == b + to);
		CHECK(memcmp(a, b, sizeof(a)) == 0);
		memset(c, 0, sizeof(c));
		CHECK(base_memcpy(c + to, a + from, n) == c + to);
		CHECK(memcmp(c + to, a + from, n) == 0 && !c[to + n]);
		base_memset(b + to, (int)round, n);
		memset(a + to, (int)round, n);
		CHECK(memcmp(a, b, sizeof(a)) == 0);
		if (n)
			b[to + unit_random() % n] ^= (unsigned char)unit_random() & 1;
		CHECK_EQ(sign(base_memcmp(a + to, b + to, n)), sign(memcmp(a + to, b + to, n)));
		CHECK(base_memchr(a + from, a[0], n) == memchr(a + from, a[0], n));
	}
}

TEST(string_functions_agree)
{
	char a[64], b[64];

	for (int round = 0; round < 50000; round++) {
		size_t la = unit_random() % 20, lb = unit_random() % 4, off = unit_random() % 9;
		char *s = a + off;
		int c = 'a' + (int)(unit_random() % 3);

		for (size_t i = 0; i < la; i++)
			s[i] = 'a' + (char)(unit_random() % 2);
		for (size_t i = 0; i < lb; i++)
			b[i] = 'a' + (char)(unit_random() % 2);
		s[la] = b[lb] = 0;
		CHECK_EQ(base_strlen(s), la);
		CHECK_EQ(base_strnlen(s, 5), strnlen(s, 5));
		CHECK_EQ(sign(base_strcmp(s, b)), sign(strcmp(s, b)));
		CHECK_EQ(sign(base_strncmp(s, b, lb)), sign(strncmp(s, b, lb)));
		CHECK(base_strchr(s, c) == strchr(s, c));
		CHECK(base_strchr(s, 0) == strchr(s, 0));
		CHECK(base_strrchr(s, c) == strrchr(s, c));
		CHECK(base_strstr(s, b) == strstr(s, b));
		CHECK_EQ(base_strspn(s, b), strspn(s, b));
		CHECK_EQ(base_strcspn(s, b), strcspn(s, b));
	}
}

TEST(strlcpy_cuts_and_terminates)
{
	char d[4] = "xyz";

	CHECK_EQ(strlcpy(d, "hello", sizeof(d)), 5);
	CHECK_STR(d, "hel");
	CHECK_EQ(strlcpy(d, "a", sizeof(d)), 1);
	CHECK_EQ(strlcat(d, "bcde", sizeof(d)), 5);
	CHECK_STR(d, "abc");
	CHECK_EQ(strlcpy(d, "q", 0), 1);
	CHECK_STR(d, "abc");
}
