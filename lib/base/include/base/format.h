/* SPDX-License-Identifier: MIT */
/*
 * printf formats into memory.
 *
 * Conversions: d i u o x X c s p %; flags - 0 + space #; width and precision as
 * numbers or *; lengths hh h l ll z t j.  No floating point, no %n.  Any other
 * conversion is copied as it stands.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/*
 * Write at most @size bytes with the NUL; return the length that the whole text
 * has, as the C library's functions of the same names.
 */
int vsnprintf(char *dst, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));
int snprintf(char *dst, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, but return the bytes written without the NUL: at most size - 1. */
int vscnprintf(char *dst, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));
int scnprintf(char *dst, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
