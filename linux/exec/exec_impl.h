/* SPDX-License-Identifier: MIT */
/* Shared by the files of linux/exec. */
#pragma once

#include "lx/types.h"

struct lx_file;
struct lx_cred;
struct lx_mm;

#define EXEC_HEADER 256		/* bytes of the file that decide what it is */

/* One execve under way. */
struct exec {
	struct lx_file *file;		/* what runs; a reference, writers denied */
	char *path;			/* as the program named it: AT_EXECFN, comm */
	char *script;			/* NULL, or the script that named file as its interpreter */
	uint8_t header[EXEC_HEADER];	/* of file, zero-filled */
	bool path_lost;			/* path is /dev/fd/N and will be closed: no scripts */

	/*
	 * Strings as they will stand in memory, one after the other with their NULs:
	 * what scripts put in front, argv without what they took away, envp, path.
	 */
	char *strings;
	size_t length, capacity, limit;
	size_t env_start;		/* offset in strings */
	unsigned int argc, envc;

	struct lx_cred *cred;		/* of the new program */
	bool secure;			/* AT_SECURE */

	/* Filled in by the loader. */
	struct lx_mm *mm;		/* the new one; the caller's after the point of no return */
	uint64_t entry, stack;
};

/* Decoded and checked before the point of no return. */
struct elf_program {
	struct lx_file *file;
	uint64_t entry;
	uint64_t phoff;
	uint32_t phnum;
	bool dynamic;			/* ET_DYN: goes where we say */
	uint64_t low, high;		/* extent of LOAD segments, page-rounded */
	uint64_t align;			/* largest alignment of a LOAD segment */
	void *phdrs;			/* rt_alloc */
};

struct elf_image {
	struct elf_program program, interp;	/* interp.file NULL: none */
	bool exec_stack;
};

/* 0, or -ENOEXEC and what else Linux says. */
int exec_elf_parse(struct lx_task *self, struct exec *e, struct elf_image *image);
void exec_elf_free(struct elf_image *image);
/* After the point of no return: map it and build the stack. */
int exec_elf_load(struct lx_task *self, struct exec *e, const struct elf_image *image);

/* Is the header that of a script?  Then replaces e->file by its interpreter: 0; -ENOEXEC: none. */
int exec_script(struct lx_task *self, struct exec *e);
/* Read e->header from e->file. */
int exec_read_header(struct exec *e);
/* Put a string in front of the others, or add one at the end. */
int exec_prepend(struct exec *e, const char *s);
int exec_append(struct exec *e, const char *s, size_t n);
