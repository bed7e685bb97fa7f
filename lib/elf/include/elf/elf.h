/* SPDX-License-Identifier: MIT */
/*
 * ELF64 program images: validation, and the program headers.
 *
 * For whoever loads programs: the kernel (init), init (components) and the
 * personality (execve).  Input is hostile: every accessor checks its argument, no
 * field is used before it was checked, and sums cannot overflow.  Nothing here
 * allocates.  The image's bytes must not change while they are looked at; a
 * loader whose source can (a file that is mapped by others) copies the headers
 * first: elf_header_parse() wants only the first 64 bytes, elf_segment_parse()
 * one program header.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER_SIZE		64u
#define ELF_PHDR_SIZE		56u
#define ELF_PHDRS_MAX		(65536u / ELF_PHDR_SIZE)	/* as Linux: they fit in 64 KiB */

#define ELF_EXEC		2u	/* struct elf_header.type */
#define ELF_DYN			3u
#define ELF_MACHINE_X86_64	62u
#define ELF_MACHINE_AARCH64	183u

#define ELF_SEGMENT_LOAD	1u	/* struct elf_segment.type */
#define ELF_SEGMENT_DYNAMIC	2u
#define ELF_SEGMENT_INTERP	3u
#define ELF_SEGMENT_NOTE	4u
#define ELF_SEGMENT_PHDR	6u
#define ELF_SEGMENT_TLS		7u
#define ELF_SEGMENT_GNU_STACK	0x6474e551u
#define ELF_SEGMENT_GNU_RELRO	0x6474e552u
#define ELF_SEGMENT_GNU_PROPERTY 0x6474e553u

#define ELF_FLAG_X		1u	/* struct elf_segment.flags */
#define ELF_FLAG_W		2u
#define ELF_FLAG_R		4u

struct elf_header {
	uint16_t type;			/* ELF_EXEC or ELF_DYN */
	uint16_t machine;
	uint64_t entry;
	uint64_t phoff;
	uint32_t phnum;			/* 1 .. ELF_PHDRS_MAX */
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

enum elf_result {
	ELF_OK,
	ELF_TRUNCATED,			/* fewer bytes than the headers say */
	ELF_NOT_ELF,			/* no ELF magic */
	ELF_UNSUPPORTED,		/* class, byte order, version, type or sizes of another kind */
	ELF_INVALID,			/* fields that contradict each other */
};

/* Decode the first @n bytes (at least ELF_HEADER_SIZE) of an image. */
enum elf_result elf_header_parse(const void *data, size_t n, struct elf_header *h);

/* Decode one program header of ELF_PHDR_SIZE bytes.  Any values are possible. */
void elf_segment_parse(const void *data, struct elf_segment *s);

/*
 * Decode and check the LOAD segments of a whole image in memory: filesz <= memsz,
 * [offset, offset + filesz) within @n, addresses ascending and not overlapping,
 * within [@min, @max), vaddr and offset equal modulo @page.  *@low, *@high get the
 * extent, rounded to pages.  For components and init; execve has Linux's laxer rules.
 */
enum elf_result elf_image_check(const void *data, size_t n, uint64_t page, uint64_t min,
				uint64_t max, struct elf_header *h, uint64_t *low, uint64_t *high);
/* Program header @i < h->phnum of an image that elf_image_check accepted. */
void elf_image_segment(const void *data, const struct elf_header *h, uint32_t i,
		       struct elf_segment *s);

const char *elf_result_text(enum elf_result r);
