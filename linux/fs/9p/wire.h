/* SPDX-License-Identifier: MIT */
/*
 * The bytes of 9P messages: numbers are little endian, strings have a length of two bytes
 * before them (intro(5) of the Plan 9 manual; protocol.md of diod for 9P2000.L).
 *
 * A cursor writes into a message or reads from an answer.  Whatever does not fit makes it
 * bad: then writes do nothing, reads give zeros, and one look in the end is enough.  What is
 * read must be ours alone: an answer is copied out of shared memory first.
 */
#pragma once

#include "lx/types.h"

/* Types of messages; an answer is its message's type + 1. */
enum p9_type {
	P9_RLERROR = 7, P9_TSTATFS = 8, P9_TLOPEN = 12, P9_TLCREATE = 14, P9_TSYMLINK = 16,
	P9_TMKNOD = 18, P9_TRENAME = 20, P9_TREADLINK = 22, P9_TGETATTR = 24, P9_TSETATTR = 26,
	P9_TXATTRWALK = 30, P9_TXATTRCREATE = 32, P9_TREADDIR = 40, P9_TFSYNC = 50, P9_TLINK = 70,
	P9_TMKDIR = 72, P9_TRENAMEAT = 74, P9_TUNLINKAT = 76, P9_TVERSION = 100, P9_TATTACH = 104,
	P9_TFLUSH = 108, P9_TWALK = 110, P9_TREAD = 116, P9_TWRITE = 118, P9_TCLUNK = 120,
};

#define P9_NOTAG	0xffffu
#define P9_NOFID	0xffffffffu
#define P9_HEADER	7u		/* size[4] type[1] tag[2] */
#define P9_IO_HEADER	24u		/* of READ, WRITE and READDIR, at most */
#define P9_WALK_MAX	16u		/* names in one WALK */

#define P9_QID_SIZE	13u
#define P9_QID_DIR	0x80u
#define P9_QID_SYMLINK	0x02u

struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

struct p9_cursor {
	uint8_t *p;
	uint32_t size, at;
	bool bad;
};

static inline struct p9_cursor p9_cursor(void *p, uint32_t size)
{
	return (struct p9_cursor){ .p = p, .size = size };
}

void p9_put8(struct p9_cursor *c, uint8_t v);
void p9_put16(struct p9_cursor *c, uint16_t v);
void p9_put32(struct p9_cursor *c, uint32_t v);
void p9_put64(struct p9_cursor *c, uint64_t v);
void p9_put_string(struct p9_cursor *c, const char *s);
static inline uint32_t p9_string_size(const char *s)
{
	return 2 + (uint32_t)strlen(s);
}

uint8_t p9_get8(struct p9_cursor *c);
uint16_t p9_get16(struct p9_cursor *c);
uint32_t p9_get32(struct p9_cursor *c);
uint64_t p9_get64(struct p9_cursor *c);
struct p9_qid p9_get_qid(struct p9_cursor *c);
/* Points into the message, without a NUL; *@n bytes.  Bad: "". */
const char *p9_get_string(struct p9_cursor *c, uint32_t *n);

/* The header of a message of @size bytes that begins at @p. */
void p9_put_header(void *p, uint32_t size, uint8_t type, uint16_t tag);
/*
 * Look at the header @p of an answer of @len bytes to a message of @type with @tag.  How many bytes
 * follow it; -EIO: it is no answer to that.  *@failed: it is an RLERROR.
 */
int p9_check_header(const uint8_t p[P9_HEADER], uint32_t len, uint8_t type, uint16_t tag,
		    bool *failed);
/* What an RLERROR's number is to a program: a negative errno.  Nonsense: -EIO. */
int p9_errno(uint32_t ecode);
/* Whether a name from the server can be one: not empty, no '/', no NUL, not too long. */
bool p9_name_is_valid(const char *name, uint32_t n);
