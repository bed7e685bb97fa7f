/* SPDX-License-Identifier: MIT */
/* See wire.h. */
#include "base/byteorder.h"
#include "fs/9p/wire.h"
#include "lx/vfs.h"

#define ERRNO_LAST 133u /* EHWPOISON: what Linux's servers can mean */

/* @n bytes at the cursor, which moves behind them; NULL: there are fewer. */
static uint8_t *take(struct p9_cursor *c, uint32_t n)
{
	uint8_t *p = c->p + c->at;

	if (c->bad || n > c->size - c->at) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return p;
}

void p9_put8(struct p9_cursor *c, uint8_t v)
{
	uint8_t *p = take(c, 1);

	if (p)
		*p = v;
}

void p9_put16(struct p9_cursor *c, uint16_t v)
{
	uint8_t *p = take(c, 2);

	if (p)
		put_le16(p, v);
}

void p9_put32(struct p9_cursor *c, uint32_t v)
{
	uint8_t *p = take(c, 4);

	if (p)
		put_le32(p, v);
}

void p9_put64(struct p9_cursor *c, uint64_t v)
{
	uint8_t *p = take(c, 8);

	if (p)
		put_le64(p, v);
}

void p9_put_string(struct p9_cursor *c, const char *s)
{
	size_t n = strlen(s);
	uint8_t *p;

	if (n > UINT16_MAX) {
		c->bad = true;
		return;
	}
	p9_put16(c, (uint16_t)n);
	p = take(c, (uint32_t)n);
	if (p)
		memcpy(p, s, n);
}

uint8_t p9_get8(struct p9_cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

uint16_t p9_get16(struct p9_cursor *c)
{
	const uint8_t *p = take(c, 2);

	return p ? get_le16(p) : 0;
}

uint32_t p9_get32(struct p9_cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? get_le32(p) : 0;
}

uint64_t p9_get64(struct p9_cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? get_le64(p) : 0;
}

struct p9_qid p9_get_qid(struct p9_cursor *c)
{
	struct p9_qid qid;

	qid.type = p9_get8(c);
	qid.version = p9_get32(c);
	qid.path = p9_get64(c);
	return qid;
}

const char *p9_get_string(struct p9_cursor *c, uint32_t *n)
{
	uint32_t len = p9_get16(c);
	const uint8_t *p = take(c, len);

	*n = p ? len : 0;
	return p ? (const char *)p : "";
}

void p9_put_header(void *p, uint32_t size, uint8_t type, uint16_t tag)
{
	struct p9_cursor c = p9_cursor(p, P9_HEADER);

	p9_put32(&c, size);
	p9_put8(&c, type);
	p9_put16(&c, tag);
}

int p9_check_header(const uint8_t p[P9_HEADER], uint32_t len, uint8_t type, uint16_t tag,
		    bool *failed)
{
	uint32_t size = get_le32(p);
	uint8_t is = p[4];

	if (len < P9_HEADER || size < P9_HEADER || size > len || size > INT32_MAX ||
	    get_le16(p + 5) != tag || (is != type + 1 && is != P9_RLERROR))
		return -EIO;
	*failed = is == P9_RLERROR;
	return (int)(size - P9_HEADER);
}

int p9_errno(uint32_t ecode)
{
	return ecode && ecode <= ERRNO_LAST ? -(int)ecode : -EIO;
}

bool p9_name_is_valid(const char *name, uint32_t n)
{
	return n && n <= LX_NAME_MAX && !memchr(name, '/', n) && !memchr(name, '\0', n);
}
