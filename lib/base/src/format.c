/* SPDX-License-Identifier: MIT */
/*
 * printf formats, see base/format.h.  One pass: literal text is copied, each
 * conversion is decoded into a struct spec, its argument is fetched, and the
 * text is emitted with its padding.  Output beyond the buffer is counted only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"
#include "base/string.h"
#include "base/util.h"

struct out {
	char *buf;
	size_t size;		/* capacity, with the NUL */
	size_t len;		/* of the whole text so far, also of what did not fit */
};

struct spec {
	bool left, zero, plus, space, alternate, upper;
	int width;		/* 0: none */
	int precision;		/* -1: none */
	int length;		/* -2 hh, -1 h, 0 int, 1 long and everything of its size */
};

static void put_char(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_text(struct out *o, const char *s, size_t n)
{
	if (o->len + 1 < o->size)
		memcpy(o->buf + o->len, s, MIN(n, o->size - 1 - o->len));
	o->len += n;
}

static void put_repeat(struct out *o, char c, int n)
{
	while (n-- > 0)
		put_char(o, c);
}

/* @s of @n bytes, padded with blanks to the width. */
static void put_padded(struct out *o, const struct spec *sp, const char *s, size_t n)
{
	int pad = sp->width > (int)n ? sp->width - (int)n : 0;

	if (!sp->left)
		put_repeat(o, ' ', pad);
	put_text(o, s, n);
	if (sp->left)
		put_repeat(o, ' ', pad);
}

static void put_number(struct out *o, const struct spec *sp, uint64_t v, unsigned int base,
		       const char *prefix)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char buf[24];
	char *p = buf + sizeof(buf);
	int n, zeros, pad, prefix_len = (int)strlen(prefix);

	for (; v; v /= base)
		*--p = digits[v % base];
	n = (int)(buf + sizeof(buf) - p);
	zeros = sp->precision < 0 ? !n : sp->precision - n;
	if (zeros < 0)
		zeros = 0;
	if (base == 8 && sp->alternate && !zeros && (!n || *p != '0'))
		zeros = 1;
	pad = sp->width - n - zeros - prefix_len;
	if (sp->zero && !sp->left && sp->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!sp->left)
		put_repeat(o, ' ', pad);
	put_text(o, prefix, (size_t)prefix_len);
	put_repeat(o, '0', zeros);
	put_text(o, p, (size_t)n);
	if (sp->left)
		put_repeat(o, ' ', pad);
}

static void put_signed(struct out *o, const struct spec *sp, int64_t v)
{
	const char *prefix = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

	put_number(o, sp, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, prefix);
}

static int64_t signed_of_length(int64_t v, int length)
{
	switch (length) {
	case -2:
		return (signed char)v;
	case -1:
		return (short)v;
	default:
		return v;
	}
}

static uint64_t unsigned_of_length(uint64_t v, int length)
{
	switch (length) {
	case -2:
		return (unsigned char)v;
	case -1:
		return (unsigned short)v;
	default:
		return v;
	}
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = "(null)";
	put_padded(o, sp, s, sp->precision < 0 ? strlen(s) : strnlen(s, (size_t)sp->precision));
}

static const char *scan_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			sp->left = true;
			break;
		case '0':
			sp->zero = true;
			break;
		case '+':
			sp->plus = true;
			break;
		case ' ':
			sp->space = true;
			break;
		case '#':
			sp->alternate = true;
			break;
		default:
			return f;
		}
	}
}

#define WIDTH_MAX 4096	/* of widths and precisions: what is larger is cut to it */

static const char *scan_count(const char *f, int *value)
{
	int v = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		v = MIN(v * 10 + (*f - '0'), WIDTH_MAX);
	*value = v;
	return f;
}

static const char *scan_length(const char *f, struct spec *sp)
{
	switch (*f) {
	case 'h':
		sp->length = f[1] == 'h' ? -2 : -1;
		return f + (f[1] == 'h' ? 2 : 1);
	case 'l':
		sp->length = 1;
		return f + (f[1] == 'l' ? 2 : 1);
	case 'z':
	case 't':
	case 'j':
		sp->length = 1;
		return f + 1;
	default:
		return f;
	}
}

_Static_assert(sizeof(long) == 8 && sizeof(long long) == 8 && sizeof(size_t) == 8,
	       "lengths l, ll, z, t and j are fetched alike");

/* va_list goes by pointer through a structure: it may be an array type. */
struct args {
	va_list ap;
};

static const char *scan_spec(const char *f, struct spec *sp, struct args *a)
{
	*sp = (struct spec){ .precision = -1 };
	f = scan_flags(f, sp);
	if (*f == '*') {
		sp->width = va_arg(a->ap, int);
		f++;
		if (sp->width < 0) {
			sp->left = true;
			sp->width = sp->width < -WIDTH_MAX ? WIDTH_MAX : -sp->width;
		}
		sp->width = MIN(sp->width, WIDTH_MAX);
	} else {
		f = scan_count(f, &sp->width);
	}
	if (*f == '.') {
		if (f[1] == '*') {
			sp->precision = va_arg(a->ap, int);
			if (sp->precision < 0)
				sp->precision = -1;
			f += 2;
		} else {
			f = scan_count(f + 1, &sp->precision);
		}
	}
	return scan_length(f, sp);
}

/* Emit the conversion @c; false if there is none of that name. */
static bool convert(struct out *o, char c, struct spec *sp, struct args *a)
{
	uint64_t v;
	char one;

	switch (c) {
	case 'd':
	case 'i':
		put_signed(o, sp, signed_of_length(sp->length > 0 ? va_arg(a->ap, long)
								   : va_arg(a->ap, int),
						   sp->length));
		return true;
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		v = sp->length > 0 ? va_arg(a->ap, unsigned long) : va_arg(a->ap, unsigned int);
		v = unsigned_of_length(v, sp->length);
		sp->upper = c == 'X';
		put_number(o, sp, v, c == 'u' ? 10 : c == 'o' ? 8 : 16,
			   sp->alternate && v && c == 'x' ? "0x" :
			   sp->alternate && v && c == 'X' ? "0X" : "");
		return true;
	case 'p':
		put_number(o, sp, (uint64_t)(uintptr_t)va_arg(a->ap, void *), 16, "0x");
		return true;
	case 's':
		put_string(o, sp, va_arg(a->ap, const char *));
		return true;
	case 'c':
		one = (char)va_arg(a->ap, int);
		put_padded(o, sp, &one, 1);
		return true;
	case '%':
		put_char(o, '%');
		return true;
	default:
		return false;
	}
}

int vsnprintf(char *dst, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = dst, .size = size };
	struct args a;
	struct spec sp;

	va_copy(a.ap, ap);
	while (*fmt) {
		const char *start = fmt;

		while (*fmt && *fmt != '%')
			fmt++;
		put_text(&o, start, (size_t)(fmt - start));
		if (!*fmt)
			break;
		start = fmt;
		fmt = scan_spec(fmt + 1, &sp, &a);
		if (*fmt && convert(&o, *fmt, &sp, &a)) {
			fmt++;
			continue;
		}
		put_text(&o, start, (size_t)(fmt - start));
	}
	va_end(a.ap);
	if (size)
		dst[MIN(o.len, size - 1)] = '\0';
	return (int)o.len;
}

int snprintf(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	return n;
}
