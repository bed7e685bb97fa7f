/* SPDX-License-Identifier: MIT */
/*
 * Reader of cpio archives in the "newc" format (initramfs, the boot bundle).
 *
 * Hostile input gives CPIO_INVALID, never an access outside the archive.  As
 * Linux accepts them, several archives may follow each other, with zeros
 * between them; compressed ones are not looked into (CPIO_INVALID says at which
 * offset: see inflate/inflate.h).  Nothing is allocated: names and data point
 * into the archive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpio_reader {
	const uint8_t *data;
	size_t length;
	size_t offset;			/* of the next header: what was read so far lies before */
	bool after_trailer;
};

struct cpio_entry {
	const char *name;		/* NUL-terminated, inside the archive; not empty */
	size_t name_length;
	const uint8_t *data;
	uint32_t size;			/* of data: file contents, or a symbolic link's target */
	uint32_t ino, mode, uid, gid, nlink, mtime;
	uint32_t dev_major, dev_minor;	/* of the file system it came from (hard links) */
	uint32_t rdev_major, rdev_minor;
};

enum cpio_result {
	CPIO_ENTRY,			/* *e is the next entry */
	CPIO_END,			/* nothing but zeros follows */
	CPIO_INVALID,			/* no archive at reader->offset */
};

void cpio_open(struct cpio_reader *r, const void *data, size_t length);

/* "TRAILER!!!" entries are not reported. */
enum cpio_result cpio_next(struct cpio_reader *r, struct cpio_entry *e);

/* The entry of that name (leading "./" and "/" ignored on both sides). */
bool cpio_find(const void *data, size_t length, const char *name, struct cpio_entry *e);
