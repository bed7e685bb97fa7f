/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

int char_hex_value(char c)
{
	if (char_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static unsigned int digit_value(char c)
{
	if (char_is_digit(c))
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned int)(c - 'A') + 10;
	return 99;
}

size_t parse_u64(const char *s, size_t n, unsigned int base, uint64_t *value)
{
	uint64_t v = 0;
	size_t i = 0, first;

	if (base == 0) {
		base = 10;
		if (n >= 3 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') &&
		    char_hex_value(s[2]) >= 0) {
			base = 16;
			i = 2;
		} else if (n >= 2 && s[0] == '0' && digit_value(s[1]) < 8) {
			base = 8;
			i = 1;
		}
	}
	for (first = i; i < n && digit_value(s[i]) < base; i++)
		if (!mul_u64(v, base, &v) || !add_u64(v, digit_value(s[i]), &v))
			return 0;
	if (i == first)
		return 0;
	*value = v;
	return i;
}

size_t parse_i64(const char *s, size_t n, unsigned int base, int64_t *value)
{
	bool negative = n && s[0] == '-';
	size_t sign = n && (s[0] == '-' || s[0] == '+');
	size_t used;
	uint64_t v;

	used = parse_u64(s + sign, n - sign, base, &v);
	if (!used || v > (uint64_t)INT64_MAX + negative)
		return 0;
	*value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return used + sign;
}

size_t parse_size(const char *s, size_t n, uint64_t *value)
{
	static const char units[] = "kmgt";
	uint64_t v;
	size_t used = parse_u64(s, n, 0, &v);

	if (!used)
		return 0;
	for (unsigned int i = 0; used < n && units[i]; i++) {
		if ((s[used] | 0x20) != units[i])
			continue;
		if (!mul_u64(v, BIT(10 * (i + 1)), &v))
			return 0;
		used++;
		break;
	}
	*value = v;
	return used;
}

bool parse_u64_all(const char *s, uint64_t *value)
{
	uint64_t v;
	size_t n = 0;

	while (s[n])
		n++;
	if (!n || parse_u64(s, n, 0, &v) != n)
		return false;
	*value = v;
	return true;
}
