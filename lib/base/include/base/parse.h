/* SPDX-License-Identifier: MIT */
/*
 * Numbers out of text, and characters by class (ASCII only).
 */
#pragma once

#include "base/util.h"

static inline bool char_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool char_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool char_is_print(char c)
{
	return c >= ' ' && c <= '~';
}

/* The value of a hexadecimal digit, or -1. */
int char_hex_value(char c);

/*
 * An unsigned number at the start of @s, of at most @n characters: in base
 * 2..36, or in base 0: decimal, 0x hexadecimal, 0 octal.  Returns how many
 * characters it took: 0 if there is no number or it does not fit 64 bits;
 * *@value is then untouched.  No signs, no blanks.
 */
size_t parse_u64(const char *s, size_t n, unsigned int base, uint64_t *value);
/* The same with an optional sign before it. */
size_t parse_i64(const char *s, size_t n, unsigned int base, int64_t *value);
/* parse_u64 with base 0 and an optional K, M, G or T (either case) after it. */
size_t parse_size(const char *s, size_t n, uint64_t *value);
/* The whole of the string is a number. */
bool parse_u64_all(const char *s, uint64_t *value);
