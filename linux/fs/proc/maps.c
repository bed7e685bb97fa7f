/* SPDX-License-Identifier: MIT */
/*
 * proc: address spaces (maps, smaps, mem).  The kernel's region tree is asked
 * region by region; nothing is held between two of them.
 */
#include <linux/fs.h>

#include "abi/calls.h"
#include "base/format.h"
#include "fs/proc/pid.h"
#include "lx/iter.h"
#include "lx/mm.h"

#define KIB(pages) ((unsigned long long)(pages) * (K_PAGE_SIZE / 1024))

static const char *tag_name(const struct k_region *r)
{
	switch (r->tag) {
	case LX_TAG_HEAP:
		return "[heap]";
	case LX_TAG_STACK:
		return "[stack]";
	case LX_TAG_VDSO:
		return "[vdso]";
	case LX_TAG_VVAR:
		return "[vvar]";
	case LX_TAG_SHARED_ANON:
		return "/dev/zero (deleted)";
	default:
		return NULL;
	}
}

static void show_region(struct pseudo_buf *b, const struct k_region *r, const struct lx_path *root,
			char *pathbuf)
{
	struct lx_file *f = r->cookie ? lx_backing_file(r->cookie) : NULL;
	struct lx_kstat st = { 0 };
	const char *name = NULL;
	size_t start = b->len;

	if (f) {
		lx_getattr(&f->path, &st);
		name = lx_path_string(&f->path, root, pathbuf, LX_PATH_MAX);
	} else {
		name = tag_name(r);
	}
	pseudo_printf(b, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)r->start,
		      (unsigned long long)r->end, r->prot & K_PROT_READ ? 'r' : '-',
		      r->prot & K_PROT_WRITE ? 'w' : '-', r->prot & K_PROT_EXEC ? 'x' : '-',
		      (r->flags & K_MAP_SHARED) && r->tag != LX_TAG_VVAR ? 's' : 'p',
		      (unsigned long long)(f || r->memory_koid ? r->offset : 0), LX_MAJOR(st.dev),
		      LX_MINOR(st.dev), (unsigned long long)st.ino);
	if (name) {
		while (b->len - start < 73 && !b->failed)
			pseudo_puts(b, " ");
		/* a newline in a name would look like the next region */
		for (const char *p = name; *p; p++) {
			if (*p == '\n')
				pseudo_puts(b, "\\012");
			else
				pseudo_bytes(b, p, 1);
		}
	}
	pseudo_puts(b, "\n");
	if (f)
		lx_file_put(f);
}

struct totals {
	uint64_t rss, pss, shared_clean, shared_dirty, private_clean, private_dirty, anon;
};

static void count_region(const struct k_region *r, struct totals *t)
{
	uint64_t file = r->resident_pages - MIN(r->private_pages, r->resident_pages);
	uint64_t dirty = MIN(r->dirty_pages, file);

	t->rss += r->resident_pages;
	t->pss += r->resident_pages;
	t->anon += r->private_pages;
	t->private_dirty += r->private_pages;
	t->shared_dirty += dirty;
	t->shared_clean += file - dirty;
}

static void show_totals(struct pseudo_buf *b, const struct totals *t, bool rollup)
{
	pseudo_printf(b, "Rss:            %8llu kB\nPss:            %8llu kB\n"
		      "Pss_Dirty:      %8llu kB\n", KIB(t->rss), KIB(t->pss),
		      KIB(t->private_dirty + t->shared_dirty));
	if (rollup)
		pseudo_printf(b, "Pss_Anon:       %8llu kB\nPss_File:       %8llu kB\n"
			      "Pss_Shmem:      %8u kB\n", KIB(t->anon),
			      KIB(t->shared_clean + t->shared_dirty), 0);
	pseudo_printf(b, "Shared_Clean:   %8llu kB\nShared_Dirty:   %8llu kB\n"
		      "Private_Clean:  %8llu kB\nPrivate_Dirty:  %8llu kB\n"
		      "Referenced:     %8llu kB\nAnonymous:      %8llu kB\n"
		      "LazyFree:              0 kB\nAnonHugePages:         0 kB\n"
		      "ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\n"
		      "Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
		      "Swap:                  0 kB\nSwapPss:               0 kB\n",
		      KIB(t->shared_clean), KIB(t->shared_dirty), KIB(t->private_clean),
		      KIB(t->private_dirty), KIB(t->rss), KIB(t->anon));
	pseudo_puts(b, "Locked:                0 kB\n");
}

static void show_flags(struct pseudo_buf *b, const struct k_region *r)
{
	static const struct { uint32_t bit; const char *text; } prot[] = {
		{ K_PROT_READ, "rd " }, { K_PROT_WRITE, "wr " }, { K_PROT_EXEC, "ex " },
	}, may[] = {
		{ K_PROT_READ, "mr " }, { K_PROT_WRITE, "mw " }, { K_PROT_EXEC, "me " },
	}, flags[] = {
		{ K_MAP_GROWS_DOWN, "gd " }, { K_MAP_LOCKED, "lo " }, { K_MAP_DONT_FORK, "dc " },
		{ K_MAP_DONT_DUMP, "dd " }, { K_MAP_WIPE_ON_FORK, "wf " }, { K_MAP_NO_RESERVE, "nr " },
	};

	pseudo_puts(b, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(prot); i++)
		if (r->prot & prot[i].bit)
			pseudo_puts(b, prot[i].text);
	if (r->flags & K_MAP_SHARED)
		pseudo_puts(b, "sh ");
	for (size_t i = 0; i < ARRAY_SIZE(may); i++)
		if (r->max_prot & may[i].bit)
			pseudo_puts(b, may[i].text);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (r->flags & flags[i].bit)
			pseudo_puts(b, flags[i].text);
	pseudo_puts(b, "\n");
}

enum style { MAPS, SMAPS, ROLLUP };

static int show(struct pseudo_buf *b, const struct pid_subject *s, enum style style)
{
	struct lx_mm *mm = lx_task_mm_get(s->task);
	struct totals all = { 0 };
	uint64_t addr = 0, first = 0, last = 0;
	uint32_t what = style == MAPS ? 0 : K_QUERY_PAGES;
	struct lx_path root;
	struct k_region r;
	char *path;

	if (!mm)
		return 0;		/* a kernel task, or a zombie: empty */
	path = rt_alloc(LX_PATH_MAX);
	if (!path) {
		lx_mm_put(mm);
		return -ENOMEM;
	}
	lx_fs_paths(lx_self()->fs, &root, NULL);
	while (addr < K_PROGRAM_MAX && k_space_query(mm->space, addr, what, &r) == K_OK) {
		struct totals one = { 0 };

		if (!first)
			first = r.start;
		last = r.end;
		count_region(&r, style == ROLLUP ? &all : &one);
		if (style != ROLLUP)
			show_region(b, &r, &root, path);
		if (style == SMAPS) {
			pseudo_printf(b, "Size:           %8llu kB\nKernelPageSize:        4 kB\n"
				      "MMUPageSize:           4 kB\n",
				      KIB((r.end - r.start) / K_PAGE_SIZE));
			show_totals(b, &one, false);
			pseudo_puts(b, "THPeligible:    0\n");
			show_flags(b, &r);
		}
		if (r.end <= addr)
			break;
		addr = r.end;
	}
	if (style == ROLLUP) {
		pseudo_printf(b, "%08llx-%08llx ---p 00000000 00:00 0                    "
			      "              [rollup]\n", (unsigned long long)first,
			      (unsigned long long)last);
		show_totals(b, &all, true);
	}
	lx_path_put(&root);
	rt_free(path);
	lx_mm_put(mm);
	return 0;
}

int pid_show_maps(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show(b, s, MAPS);
}

int pid_show_smaps(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show(b, s, SMAPS);
}

int pid_show_smaps_rollup(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show(b, s, ROLLUP);
}

/* -- mem: the address space as it was when the file was opened */

static int mem_open(struct lx_inode *inode, struct lx_file *f)
{
	struct pid_subject s;
	int err = pid_subject_get(inode, &s);

	if (err)
		return err;
	err = pid_may_look(&s);
	if (!err)
		f->private = lx_task_mm_get(s.task);
	pid_subject_put(&s);
	return err;
}

static void mem_release(struct lx_file *f)
{
	if (f->private)
		lx_mm_put(f->private);
}

static int64_t mem_access(struct lx_file *f, struct lx_iter *it, lx_off_t *pos, bool write)
{
	char *buf;
	int64_t total = 0, n = 0;

	if (!f->private)
		return 0;
	buf = rt_alloc(K_PAGE_SIZE);
	if (!buf)
		return -ENOMEM;
	while (it->count) {
		size_t len = MIN(it->count, K_PAGE_SIZE - ((uint64_t)*pos & (K_PAGE_SIZE - 1))), got;

		if (write) {
			got = lx_iter_get(it, buf, len);
			if (!got) {
				n = lx_iter_fault_in(it, false);
				if (n)
					break;
				continue;
			}
			n = lx_mm_access(f->private, (uint64_t)*pos, buf, got, true);
			if (n < (int64_t)got)
				lx_iter_revert(it, got - (size_t)MAX(n, (int64_t)0));
		} else {
			n = lx_mm_access(f->private, (uint64_t)*pos, buf, len, false);
			if (n > 0) {
				got = lx_iter_put(it, buf, (size_t)n);
				if (!got && lx_iter_fault_in(it, true)) {
					n = -EFAULT;
					break;
				}
				n = (int64_t)got;
				if (!got)
					continue;
			}
		}
		if (n <= 0)
			break;
		*pos += n;
		total += n;
	}
	rt_free(buf);
	if (total)
		return total;
	return n < 0 ? (n == -EFAULT ? -EIO : n) : n;
}

static int64_t mem_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return mem_access(f, to, pos, false);
}

static int64_t mem_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	return mem_access(f, from, pos, true);
}

/* Addresses are positions: up to the end of the program's half and beyond. */
static lx_off_t mem_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	if (whence == 1)
		off += atomic_load(&f->pos);
	else if (whence != 0)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

const struct lx_file_ops pid_mem_fops = {
	.open = mem_open,
	.read = mem_read,
	.write = mem_write,
	.llseek = mem_llseek,
	.release = mem_release,
};
