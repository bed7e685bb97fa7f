/* SPDX-License-Identifier: MIT */
/*
 * ELF programs: checks, mapping, and the stack that a program starts with.
 *
 * The rules are Linux's, which are laxer than those for our own images: segments
 * may come in any shape that mmap accepts, and what mmap refuses kills the program
 * after the point of no return.
 *
 * Address layout of a new program, from the top:
 *
 *	stack		below K_PROGRAM_MAX - random (up to 16 GiB)
 *	mmap area	top down from a random gap below the stack's limit: the
 *			interpreter, vDSO, libraries
 *	...
 *	heap		after the program's own segments, plus up to 32 MiB at random
 *	program		ET_DYN: 2/3 of the address space, plus random; ET_EXEC: as linked
 */

#include <asm/auxvec.h>
#include <asm/mman.h>
#include <linux/mman.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/resource.h>

#include "abi/calls.h"
#include "elf/elf.h"
#include "exec/exec_impl.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vdso.h"
#include "lx/vfs.h"
#include "rt/random.h"

#define TASK_SIZE	K_PROGRAM_MAX
#define STACK_RANDOM	(0x3fffffull << K_PAGE_SHIFT)	/* 16 GiB */
#define MMAP_RANDOM_BITS 28
#define BRK_RANDOM	(0x02000000ull)
#define GAP_MIN		(128ull << 20)
#define GAP_MAX		(TASK_SIZE / 6 * 5)
#define DYN_BASE	(TASK_SIZE / 3 * 2)
#define STACK_EXTRA	(128u << 10)
#define MAX_PHDRS_SIZE	65536u

#define NO_RANDOMIZE	0x0040000	/* ADDR_NO_RANDOMIZE */

_Atomic(uint32_t) lx_randomize_va_space = 2;

static uint64_t page_down(uint64_t n)
{
	return n & ~(uint64_t)(K_PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t n)
{
	return page_down(n + K_PAGE_SIZE - 1);
}

/* What chance decides about a program, drawn at once. */
struct chance {
	uint64_t stack, libraries, program, heap, stack_pointer;
	uint8_t bytes[16];		/* AT_RANDOM */
};

static bool randomize(const struct lx_task *self)
{
	return atomic_load(&lx_randomize_va_space) && !(self->personality & NO_RANDOMIZE);
}

/* -- checks --------------------------------------------------------------------------- */

static void segment(const struct elf_program *p, uint32_t i, struct elf_segment *s)
{
	elf_segment_parse((const uint8_t *)p->phdrs + (size_t)i * ELF_PHDR_SIZE, s);
}

/* The extent of the LOAD segments. */
static int measure(struct elf_program *p)
{
	struct elf_segment s;
	uint64_t end;
	bool any = false;
	uint32_t i;

	p->low = UINT64_MAX;
	p->align = K_PAGE_SIZE;
	for (i = 0; i < p->phnum; i++) {
		segment(p, i, &s);
		if (s.type != ELF_SEGMENT_LOAD)
			continue;
		/* What cannot be mapped is refused while it can be reported. */
		if (s.filesz > s.memsz || __builtin_add_overflow(s.vaddr, s.memsz, &end) ||
		    end > TASK_SIZE || s.vaddr % K_PAGE_SIZE != s.offset % K_PAGE_SIZE)
			return -EINVAL;
		if (IS_POWER_OF_2(s.align) && s.align > p->align)
			p->align = s.align;
		p->low = MIN(p->low, page_down(s.vaddr));
		p->high = MAX(p->high, page_up(end));
		any = true;
	}
	return any ? 0 : -ENOEXEC;
}

static int parse(struct lx_file *f, const uint8_t *header, size_t n, struct elf_program *p)
{
	struct elf_header h;
	size_t size;
	int64_t got;

	if (elf_header_parse(header, n, &h) != ELF_OK || h.machine != ELF_MACHINE_X86_64)
		return -ENOEXEC;
	if (h.type != ELF_EXEC && h.type != ELF_DYN)
		return -ENOEXEC;
	size = (size_t)h.phnum * ELF_PHDR_SIZE;
	if (!size || size > MAX_PHDRS_SIZE)
		return -ENOEXEC;
	p->phdrs = rt_alloc(size);
	if (!p->phdrs)
		return -ENOMEM;
	got = lx_file_read_kernel(f, p->phdrs, size, (lx_off_t)h.phoff);
	if (got != (int64_t)size)
		return got < 0 ? (int)got : -EIO;
	p->file = f;
	p->entry = h.entry;
	p->phoff = h.phoff;
	p->phnum = h.phnum;
	p->dynamic = h.type == ELF_DYN;
	return measure(p);
}

static int read_interp_name(struct exec *e, const struct elf_segment *s, char **out)
{
	int64_t got;
	char *name = NULL;

	if (s->filesz < 2 || s->filesz > LX_PATH_MAX)
		return -ENOEXEC;
	name = rt_alloc(s->filesz);
	if (!name)
		return -ENOMEM;
	got = lx_file_read_kernel(e->file, name, s->filesz, (lx_off_t)s->offset);
	if (got != (int64_t)s->filesz || name[s->filesz - 1]) {
		rt_free(name);
		return got < 0 ? (int)got : got != (int64_t)s->filesz ? -EIO : -ENOEXEC;
	}
	*out = name;
	return 0;
}

static int open_interp(struct lx_task *self, struct exec *e, const struct elf_segment *s,
		       struct elf_program *interp)
{
	uint8_t header[ELF_HEADER_SIZE];
	struct lx_file *f;
	int64_t got;
	char *name = NULL;
	int err;

	err = read_interp_name(e, s, &name);
	if (err)
		return err;
	err = lx_open_exec(self, AT_FDCWD, name, 0, &f);
	rt_free(name);
	if (err)
		return err;
	interp->file = f;
	got = lx_file_read_kernel(f, header, sizeof(header), 0);
	if (got != (int64_t)sizeof(header))
		return got < 0 ? (int)got : -EIO;
	err = parse(f, header, sizeof(header), interp);
	return err == -ENOEXEC ? -ELIBBAD : err;
}

int exec_elf_parse(struct lx_task *self, struct exec *e, struct elf_image *image)
{
	struct elf_segment s;
	bool has_interp = false;
	uint32_t i;
	int err;

	err = parse(e->file, e->header, sizeof(e->header), &image->program);
	image->program.file = e->file;
	for (i = 0; !err && i < image->program.phnum; i++) {
		segment(&image->program, i, &s);
		if (s.type == ELF_SEGMENT_INTERP && !has_interp) {
			has_interp = true;
			err = open_interp(self, e, &s, &image->interp);
		} else if (s.type == ELF_SEGMENT_GNU_STACK) {
			image->exec_stack = s.flags & ELF_FLAG_X;
		}
	}
	return err;
}

void exec_elf_free(struct elf_image *image)
{
	if (image->interp.file)
		lx_file_put(image->interp.file);
	rt_free(image->interp.phdrs);
	rt_free(image->program.phdrs);
}

/* -- mapping -------------------------------------------------------------------------------- */

static int map_zeros(struct lx_task *self, struct lx_mm *mm, uint64_t start, uint64_t end,
		     uint32_t prot)
{
	int64_t at;

	if (start >= end)
		return 0;
	at = lx_mmap_file(self, mm, NULL, start, end - start, prot,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	return at < 0 ? (int)at : 0;
}

static int map_segment(struct lx_task *self, struct exec *e, struct lx_file *f,
		       const struct elf_segment *s, uint64_t bias)
{
	uint32_t prot = (s->flags & ELF_FLAG_R ? PROT_READ : 0) |
			(s->flags & ELF_FLAG_W ? PROT_WRITE : 0) |
			(s->flags & ELF_FLAG_X ? PROT_EXEC : 0);
	uint64_t vaddr = s->vaddr + bias, start = page_down(vaddr), offset = vaddr - start;
	uint64_t file_end = vaddr + s->filesz, end = page_up(vaddr + s->memsz), zeros = start;
	int64_t at;

	if (s->filesz) {
		at = lx_mmap_file(self, e->mm, f, start, s->filesz + offset, prot,
				  MAP_PRIVATE | MAP_FIXED_NOREPLACE, s->offset - offset);
		if (at < 0)
			return (int)at;
		zeros = page_up(file_end);
		/* The rest of the last page belongs to what is zero; failing that is no error. */
		if (s->memsz > s->filesz && zeros > file_end && (prot & PROT_WRITE))
			(void)lx_clear_user(uaddr(file_end), zeros - file_end);
	}
	return map_zeros(self, e->mm, zeros, end, prot);
}

static int map_program(struct lx_task *self, struct exec *e, const struct elf_program *p,
		       uint64_t bias)
{
	struct elf_segment s;
	uint32_t i;
	int err;

	for (i = 0; i < p->phnum; i++) {
		segment(p, i, &s);
		if (s.type != ELF_SEGMENT_LOAD || !s.memsz)
			continue;
		err = map_segment(self, e, p->file, &s, bias);
		if (err)
			return err;
	}
	return 0;
}

static void choose_layout(struct lx_task *self, struct lx_mm *mm, const struct chance *chance,
			  uint64_t *stack_top)
{
	uint64_t gap = lx_rlimit(self, RLIMIT_STACK), pad = 256 * K_PAGE_SIZE, random = 0;

	*stack_top = TASK_SIZE;
	if (randomize(self)) {
		pad += STACK_RANDOM + K_PAGE_SIZE;
		*stack_top -= page_down(chance->stack & STACK_RANDOM);
		random = (chance->libraries & ((1ull << MMAP_RANDOM_BITS) - 1)) << K_PAGE_SHIFT;
	}
	if (gap + pad > gap)
		gap += pad;
	mm->mmap_top = page_down(TASK_SIZE - CLAMP(gap, GAP_MIN, GAP_MAX) - random);
}

static uint64_t program_bias(struct lx_task *self, const struct lx_mm *mm,
			     const struct elf_image *image, const struct chance *chance)
{
	const struct elf_program *p = &image->program;
	uint64_t base;

	if (!p->dynamic)
		return 0;
	if (!image->interp.file) {
		/* A loader run as a program, or a static one: where libraries go. */
		base = mm->mmap_top - (p->high - p->low);
	} else {
		base = DYN_BASE;
		if (randomize(self))
			base += (chance->program & ((1ull << MMAP_RANDOM_BITS) - 1)) << K_PAGE_SHIFT;
	}
	return (base & ~(p->align - 1)) - p->low;
}

static void note_segments(struct lx_mm *mm, const struct elf_program *p, uint64_t bias)
{
	struct elf_segment s;
	uint32_t i;

	mm->start_code = UINT64_MAX;
	for (i = 0; i < p->phnum; i++) {
		segment(p, i, &s);
		if (s.type != ELF_SEGMENT_LOAD)
			continue;
		if (s.flags & ELF_FLAG_X) {
			mm->start_code = MIN(mm->start_code, s.vaddr + bias);
			mm->end_code = MAX(mm->end_code, s.vaddr + bias + s.filesz);
		}
		mm->start_data = MAX(mm->start_data, s.vaddr + bias);
		mm->end_data = MAX(mm->end_data, s.vaddr + bias + s.filesz);
		mm->brk = MAX(mm->brk, s.vaddr + bias + s.memsz);
	}
	if (mm->start_code == UINT64_MAX)
		mm->start_code = 0;
}

static void place_heap(struct lx_task *self, struct lx_mm *mm, const struct elf_image *image,
		       const struct chance *chance)
{
	if (image->program.dynamic && !image->interp.file)
		mm->brk = DYN_BASE;	/* not among the libraries */
	mm->brk = page_up(mm->brk);
	if (randomize(self) && atomic_load(&lx_randomize_va_space) > 1)
		mm->brk += page_down(chance->heap % BRK_RANDOM);
	mm->start_brk = mm->brk;
}

/* Where the program header table is in memory: in the segment that covers it. */
static uint64_t phdr_address(const struct elf_program *p, uint64_t bias)
{
	struct elf_segment s;
	uint32_t i;

	for (i = 0; i < p->phnum; i++) {
		segment(p, i, &s);
		if (s.type == ELF_SEGMENT_LOAD && s.offset <= p->phoff &&
		    p->phoff < s.offset + s.filesz)
			return p->phoff - s.offset + s.vaddr + bias;
	}
	return 0;
}

/* -- the stack ------------------------------------------------------------------------------------ */

static int map_stack(struct lx_task *self, struct lx_mm *mm, uint64_t top, uint64_t used,
		     bool executable)
{
	uint64_t limit = lx_rlimit(self, RLIMIT_STACK), length = page_up(used + STACK_EXTRA);
	struct k_map map;

	if (limit > GAP_MAX)
		limit = GAP_MAX;
	if (page_up(used) > limit)
		return -ENOMEM;
	length = MIN(length, page_down(MAX(limit, page_up(used))));
	map = (struct k_map){
		.addr = top - length,
		.length = length,
		.prot = K_PROT_READ | K_PROT_WRITE | (executable ? K_PROT_EXEC : 0),
		.max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC,
		.flags = K_MAP_FIXED | K_MAP_GROWS_DOWN,
		.limit = page_down(limit),
		.tag = LX_TAG_STACK,
	};
	return lx_errno(k_space_map(mm->space, &map));
}

struct words {
	uint64_t *at;
	uint64_t *auxv;
};

static void aux(struct words *w, uint64_t key, uint64_t value)
{
	*w->at++ = key;
	*w->at++ = value;
}

/* Pointers to @count strings at *@addr, and a NULL. */
static void pointers(struct words *w, const char **s, uint64_t *addr, unsigned int count)
{
	while (count--) {
		size_t n = strlen(*s) + 1;

		*w->at++ = *addr;
		*addr += n;
		*s += n;
	}
	*w->at++ = 0;
}

#define AUX_MAX 24

/*
 * The stack from the top: 8 zero bytes, the strings, "x86_64", 16 random bytes,
 * then, 16-byte aligned, argc, argv[], envp[], auxv[].
 */
static int build_stack(struct lx_task *self, struct exec *e, const struct elf_image *image,
		       const struct chance *chance, uint64_t top, uint64_t bias,
		       uint64_t interp_base)
{
	static const char platform[] = "x86_64";
	const struct elf_program *p = &image->program;
	const struct lx_cred *c = self->cred;
	struct lx_mm *mm = e->mm;
	uint64_t strings = top - 8 - e->length, execfn = top - 8 - (strlen(e->path) + 1);
	uint64_t platform_at, random_at, sp, addr = strings;
	size_t words = 1 + e->argc + 1 + e->envc + 1 + 2 * AUX_MAX;
	const char *s = e->strings;
	struct words w;
	uint64_t *buf;
	int err;

	sp = strings;
	if (randomize(self))
		sp -= chance->stack_pointer % 8192;
	sp &= ~15ull;
	platform_at = sp - sizeof(platform);
	random_at = platform_at - sizeof(chance->bytes);
	sp = (random_at - words * 8) & ~15ull;

	buf = rt_zalloc(words * 8);
	if (!buf)
		return -ENOMEM;
	err = map_stack(self, mm, top, top - sp, image->exec_stack);
	if (err)
		goto out;

	w.at = buf;
	*w.at++ = e->argc;
	mm->arg_start = addr;
	pointers(&w, &s, &addr, e->argc);
	mm->arg_end = mm->env_start = addr;
	pointers(&w, &s, &addr, e->envc);
	mm->env_end = addr;
	mm->start_stack = sp;

	w.auxv = w.at;
	if (mm->vdso)
		aux(&w, AT_SYSINFO_EHDR, mm->vdso);
	aux(&w, AT_MINSIGSTKSZ, lx_signal_frame_size());
	aux(&w, AT_HWCAP, lx_system.info.features[0]);
	aux(&w, AT_PAGESZ, K_PAGE_SIZE);
	aux(&w, AT_CLKTCK, 100);
	aux(&w, AT_PHDR, phdr_address(p, bias));
	aux(&w, AT_PHENT, ELF_PHDR_SIZE);
	aux(&w, AT_PHNUM, p->phnum);
	aux(&w, AT_BASE, interp_base);
	aux(&w, AT_FLAGS, 0);
	aux(&w, AT_ENTRY, p->entry + bias);
	aux(&w, AT_UID, c->uid);
	aux(&w, AT_EUID, c->euid);
	aux(&w, AT_GID, c->gid);
	aux(&w, AT_EGID, c->egid);
	aux(&w, AT_SECURE, e->secure);
	aux(&w, AT_RANDOM, random_at);
	aux(&w, AT_HWCAP2, 0);
	aux(&w, AT_EXECFN, execfn);
	aux(&w, AT_PLATFORM, platform_at);
	aux(&w, AT_NULL, 0);
	memcpy(mm->saved_auxv, w.auxv, (size_t)(w.at - w.auxv) * 8);

	if (lx_copy_to_user(uaddr(strings), e->strings, e->length) ||
	    lx_copy_to_user(uaddr(platform_at), platform, sizeof(platform)) ||
	    lx_copy_to_user(uaddr(random_at), chance->bytes, sizeof(chance->bytes)) ||
	    lx_copy_to_user(uaddr(sp), buf, (size_t)(w.at - buf) * 8))
		err = -EFAULT;
	e->stack = sp;
out:
	rt_free(buf);
	return err;
}

int exec_elf_load(struct lx_task *self, struct exec *e, const struct elf_image *image)
{
	const struct elf_program *p = &image->program, *interp = &image->interp;
	struct lx_mm *mm = e->mm;
	uint64_t top, bias, interp_bias = 0;
	struct chance chance;
	int err;

	rt_random(&chance, sizeof(chance));
	choose_layout(self, mm, &chance, &top);
	bias = program_bias(self, mm, image, &chance);
	e->entry = p->entry + bias;
	note_segments(mm, p, bias);
	err = map_program(self, e, p, bias);
	if (err)
		return err;
	if (interp->file) {
		interp_bias = 0;
		if (interp->dynamic)
			interp_bias = ((mm->mmap_top - (interp->high - interp->low)) &
				       ~(interp->align - 1)) - interp->low;
		err = map_program(self, e, interp, interp_bias);
		if (err)
			return err;
		e->entry = interp->entry + interp_bias;
	}
	if (e->entry >= TASK_SIZE)
		return -EINVAL;
	place_heap(self, mm, image, &chance);
	lx_vdso_map(mm);
	mm->exe = lx_file_get(e->file);
	return build_stack(self, e, image, &chance, top, bias,
			   interp->file ? interp_bias + interp->low : 0);
}
