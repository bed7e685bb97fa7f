/* SPDX-License-Identifier: MIT */
/*
 * Reader of "newc" archives, see cpio/cpio.h.
 *
 * An entry is a header of 110 ASCII characters, the name with its NUL, padding
 * to 4, the data, padding to 4.  Padding counts from the start of the archive's
 * first byte, which for concatenated archives is a multiple of 4 too, as each
 * ends with padding.
 */
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "cpio/cpio.h"

enum { HEADER = 110, FIELDS = 13 };

/* Numbers of the header's fields, eight hexadecimal digits each, after the magic. */
enum { INO, MODE, UID, GID, NLINK, MTIME, FILESIZE, DEV_MAJOR, DEV_MINOR, RDEV_MAJOR, RDEV_MINOR,
       NAMESIZE, CHECK };

void cpio_open(struct cpio_reader *r, const void *data, size_t length)
{
	*r = (struct cpio_reader){ .data = data, .length = length };
}

static bool parse_fields(const uint8_t *p, uint32_t *field)
{
	for (int f = 0; f < FIELDS; f++) {
		uint32_t v = 0;

		for (int i = 0; i < 8; i++) {
			int digit = char_hex_value((char)p[6 + f * 8 + i]);

			if (digit < 0)
				return false;
			v = v << 4 | (uint32_t)digit;
		}
		field[f] = v;
	}
	return true;
}

/* Decode the entry at @at.  False: there is none.  *@next: where the following one starts. */
static bool parse_entry(const struct cpio_reader *r, size_t at, struct cpio_entry *e,
			size_t *next)
{
	const uint8_t *p = r->data + at;
	uint32_t f[FIELDS];
	size_t body;

	if (r->length - at < HEADER ||
	    (memcmp(p, "070701", 6) != 0 && memcmp(p, "070702", 6) != 0) || !parse_fields(p, f))
		return false;
	if (f[NAMESIZE] < 2 || f[NAMESIZE] > 4096 ||
	    !range_within(at + HEADER, f[NAMESIZE], r->length) ||
	    p[HEADER + f[NAMESIZE] - 1] != '\0')
		return false;
	body = ALIGN_UP(at + HEADER + f[NAMESIZE], 4);
	if (!range_within(body, f[FILESIZE], r->length))
		return false;
	*e = (struct cpio_entry){
		.name = (const char *)p + HEADER,
		.name_length = strlen((const char *)p + HEADER),
		.data = r->data + body,
		.size = f[FILESIZE],
		.ino = f[INO],
		.mode = f[MODE],
		.uid = f[UID],
		.gid = f[GID],
		.nlink = f[NLINK],
		.mtime = f[MTIME],
		.dev_major = f[DEV_MAJOR],
		.dev_minor = f[DEV_MINOR],
		.rdev_major = f[RDEV_MAJOR],
		.rdev_minor = f[RDEV_MINOR],
	};
	*next = MIN(ALIGN_UP(body + f[FILESIZE], 4), r->length);
	return e->name_length > 0;
}

/* Zeros are padding after a trailer, and where no entry was read yet. */
static void skip_zeros(struct cpio_reader *r)
{
	while (r->offset < r->length && r->data[r->offset] == 0)
		r->offset++;
}

enum cpio_result cpio_next(struct cpio_reader *r, struct cpio_entry *e)
{
	size_t next;

	for (;;) {
		if (r->after_trailer || r->offset == 0)
			skip_zeros(r);
		if (r->offset == r->length)
			return CPIO_END;
		if (!parse_entry(r, r->offset, e, &next))
			return CPIO_INVALID;
		r->offset = next;
		r->after_trailer = str_equal(e->name, "TRAILER!!!");
		if (!r->after_trailer)
			return CPIO_ENTRY;
	}
}

static const char *plain_name(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
	}
}

bool cpio_find(const void *data, size_t length, const char *name, struct cpio_entry *e)
{
	struct cpio_reader r;

	cpio_open(&r, data, length);
	while (cpio_next(&r, e) == CPIO_ENTRY)
		if (str_equal(plain_name(e->name), plain_name(name)))
			return true;
	return false;
}
