/* SPDX-License-Identifier: MIT */
/*
 * Core files: an ELF image of a program that a signal ended, for debuggers.
 *
 * The other threads of the process are parked first (lx_core_park), so that their
 * registers stay where they are; when the file is written, all of them exit.
 *
 * What is written: anonymous and private writable memory; of other mappings only
 * the page with an ELF header, by which a debugger recognises the file.  Pages that
 * were never touched become holes.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "abi/calls.h"
#include "base/format.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/regs.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "lx/xstate.h"
#include "rt/log.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

char lx_core_pattern[128] = "core";

#define CHUNK		65536u
#define NOTE_ALIGN	4u

struct prstatus {
	struct { int32_t signo, code, err; } info;
	int16_t cursig;
	uint64_t sigpend, sighold;
	int32_t pid, ppid, pgrp, sid;
	int64_t utime[2], stime[2], cutime[2], cstime[2];
	uint64_t regs[LX_NR_REGS];
	int32_t fpvalid;
};

struct prpsinfo {
	char state, sname, zomb, nice;
	uint64_t flag;
	uint32_t uid, gid;
	int32_t pid, ppid, pgrp, sid;
	char fname[16], psargs[80];
};

_Static_assert(sizeof(struct prstatus) == 336 && sizeof(struct prpsinfo) == 136, "Linux's layout");

/* The file as it grows. */
struct core {
	struct lx_file *f;
	uint64_t pos, limit;
	int err;
	/* Notes are collected here first: their size has to be known. */
	uint8_t *notes;
	size_t used, capacity;
};

/* -- parking ---------------------------------------------------------------------------- */

void lx_core_uncount_locked(struct lx_task *t)
{
	struct lx_group *g = t->group;

	if (!t->core_counted)
		return;
	t->core_counted = false;
	if (--g->core_count == 0 && g->core_task)
		lx_task_wake(g->core_task);
}

/* The process is being dumped by another thread: hold still until it is done. */
void lx_core_park(struct lx_task *self)
{
	struct lx_group *g = self->group;
	bool dumping;

	for (;;) {
		lx_wait_prepare(self);
		rt_mutex_lock(&g->lock);
		dumping = (g->flags & LX_GROUP_CORE_DUMP) && g->core_task != self;
		if (dumping)
			lx_core_uncount_locked(self);
		rt_mutex_unlock(&g->lock);
		if (!dumping)
			return;
		(void)!rt_wait(&self->wake_word, 0, K_DEADLINE_NEVER, false);
	}
}

static bool park_others(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_task *t;

	rt_mutex_lock(&g->lock);
	if (g->flags & (LX_GROUP_EXITING | LX_GROUP_CORE_DUMP) || g->exec_task) {
		rt_mutex_unlock(&g->lock);
		return false;
	}
	g->flags |= LX_GROUP_CORE_DUMP;
	g->core_task = self;
	g->core_count = 0;
	list_for_each_entry(t, &g->tasks, group_link) {
		if (t == self || t->exiting)
			continue;
		t->core_counted = true;
		g->core_count++;
		lx_task_notify(t, LX_ATTN_EXIT);
		lx_task_wake(t);
	}
	rt_mutex_unlock(&g->lock);
	for (;;) {
		bool done;

		lx_wait_prepare(self);
		rt_mutex_lock(&g->lock);
		done = g->core_count == 0;
		rt_mutex_unlock(&g->lock);
		if (done)
			return true;
		(void)!rt_wait(&self->wake_word, 0, K_DEADLINE_NEVER, false);
	}
}

static void end_all(struct lx_task *self, int code)
{
	struct lx_group *g = self->group;
	struct lx_task *t;

	rt_mutex_lock(&g->lock);
	g->flags &= ~LX_GROUP_CORE_DUMP;
	g->core_task = NULL;
	lx_group_kill_locked(g, code);
	list_for_each_entry(t, &g->tasks, group_link)
		lx_task_wake(t);
	rt_mutex_unlock(&g->lock);
}

/* -- writing ------------------------------------------------------------------------------ */

static void put(struct core *c, const void *data, size_t n)
{
	int64_t done;

	if (c->err)
		return;
	if (c->pos + n > c->limit) {
		c->err = -EFBIG;
		return;
	}
	done = lx_file_write_kernel(c->f, data, n, (lx_off_t)c->pos);
	if (done != (int64_t)n)
		c->err = done < 0 ? (int)done : -ENOSPC;
	c->pos += n;
}

static void *note(struct core *c, const char *name, uint32_t type, size_t size)
{
	size_t name_size = strlen(name) + 1;
	size_t need = 12 + ALIGN_UP(name_size, NOTE_ALIGN) + ALIGN_UP(size, NOTE_ALIGN);
	Elf64_Nhdr h = { .n_namesz = (uint32_t)name_size, .n_descsz = (uint32_t)size, .n_type = type };
	uint8_t *at;

	if (c->used + need > c->capacity) {
		size_t capacity = MAX(c->capacity * 2, c->used + need);
		uint8_t *bigger = rt_realloc(c->notes, capacity);

		if (!bigger) {
			c->err = -ENOMEM;
			return NULL;
		}
		c->notes = bigger;
		c->capacity = capacity;
	}
	at = c->notes + c->used;
	memset(at, 0, need);
	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), name, name_size);
	c->used += need;
	return at + sizeof(h) + ALIGN_UP(name_size, NOTE_ALIGN);
}

static void timeval(int64_t tv[2], uint64_t ns)
{
	tv[0] = (int64_t)(ns / 1000000000);
	tv[1] = (int64_t)(ns % 1000000000 / 1000);
}

static void note_thread(struct core *c, struct lx_task *t, const struct lx_siginfo *info)
{
	struct lx_group *g = t->group;
	struct lx_rusage_sum sum;
	struct prstatus p = { 0 };
	void *at;

	if (!t->frame)
		return;			/* has not run yet */
	p.info.signo = p.cursig = (int16_t)info->signo;
	p.sigpend = t->pending.set;
	p.sighold = t->blocked;
	p.pid = t->tid;
	p.ppid = lx_group_ppid(g);
	p.pgrp = g->pgid;
	p.sid = g->sid;
	lx_task_usage(t, &sum);
	timeval(p.utime, sum.utime_ns);
	timeval(p.stime, sum.stime_ns);
	lx_regs_get(t, p.regs);
	p.fpvalid = 1;
	at = note(c, "CORE", NT_PRSTATUS, sizeof(p));
	if (at)
		memcpy(at, &p, sizeof(p));
}

static void note_fpu(struct core *c, struct lx_task *t)
{
	uint8_t buf[LX_XSTATE_MAX] __attribute__((aligned(64)));
	void *at;

	if (lx_xstate_get(t, buf))
		return;
	at = note(c, "CORE", NT_PRFPREG, 512);
	if (at)
		memcpy(at, buf, 512);
	at = note(c, "LINUX", NT_X86_XSTATE, lx_xstate_size());
	if (at)
		memcpy(at, buf, lx_xstate_size());
}

static void note_process(struct core *c, struct lx_task *self, const struct lx_siginfo *info)
{
	struct lx_group *g = self->group;
	struct lx_mm *mm = self->mm;
	struct prpsinfo *p = note(c, "CORE", NT_PRPSINFO, sizeof(*p));
	size_t n, i;
	void *at;

	if (!p)
		return;
	p->sname = 'R';
	p->nice = (char)self->nice;
	p->uid = self->cred->uid;
	p->gid = self->cred->gid;
	p->pid = g->pid;
	p->pgrp = g->pgid;
	p->sid = g->sid;
	memcpy(p->fname, self->comm, sizeof(p->fname));
	n = MIN(mm->arg_end - mm->arg_start, sizeof(p->psargs) - 1);
	n -= rt_copy_from_user(p->psargs, uaddr(mm->arg_start), n);
	for (i = 0; i + 1 < n; i++)
		if (!p->psargs[i])
			p->psargs[i] = ' ';
	at = note(c, "CORE", NT_SIGINFO, 128);
	if (at)
		lx_siginfo_export(info, at);
	for (n = 0; n + 1 < ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[n]; n += 2)
		;
	at = note(c, "CORE", NT_AUXV, (n + 2) * 8);
	if (at)
		memcpy(at, mm->saved_auxv, (n + 2) * 8);
}

/* -- regions -------------------------------------------------------------------------------- */

static bool next_region(struct lx_mm *mm, uint64_t at, struct k_region *r)
{
	return k_space_query(mm->space, at, K_QUERY_PAGES, r) == K_OK;
}

static uint64_t dump_size(struct lx_mm *mm, const struct k_region *r)
{
	uint8_t magic[4];

	if (r->flags & K_MAP_DONT_DUMP || r->tag == LX_TAG_VVAR)
		return 0;
	if (r->tag == LX_TAG_VDSO)
		return r->end - r->start;
	if (!r->memory_koid || r->tag == LX_TAG_SHARED_ANON)
		return r->end - r->start;
	if (!(r->flags & K_MAP_SHARED) && ((r->prot & K_PROT_WRITE) || r->private_pages))
		return r->end - r->start;
	if (r->offset == 0 && (r->prot & K_PROT_READ) &&
	    lx_mm_access(mm, r->start, magic, sizeof(magic), false) == (int64_t)sizeof(magic) &&
	    !memcmp(magic, ELFMAG, SELFMAG))
		return K_PAGE_SIZE;
	return 0;
}

/* NT_FILE: which files are mapped where. */
static void note_files(struct core *c, struct lx_mm *mm)
{
	struct lx_path root = { 0 };
	char *names, *path, buf[512];
	uint64_t *entries, count = 0, max, at;
	size_t names_size = 0, names_max;
	struct k_region r;
	uint8_t *desc;

	for (at = 0, max = 0; next_region(mm, at, &r); at = r.end)
		max += r.cookie != 0;
	names_max = max * 128 + 4096;
	entries = rt_alloc((max + 1) * 24);
	names = rt_alloc(names_max);
	for (at = 0; entries && names && count < max && next_region(mm, at, &r); at = r.end) {
		struct lx_file *f = lx_backing_file(r.cookie);

		if (!f)
			continue;
		path = lx_path_string(&f->path, &root, buf, sizeof(buf));
		if (path && names_size + strlen(path) + 1 <= names_max) {
			entries[count * 3] = r.start;
			entries[count * 3 + 1] = r.end;
			entries[count * 3 + 2] = r.offset / K_PAGE_SIZE;
			count++;
			strlcpy(names + names_size, path, names_max - names_size);
			names_size += strlen(path) + 1;
		}
		lx_file_put(f);
	}
	desc = count ? note(c, "CORE", NT_FILE, 16 + count * 24 + names_size) : NULL;
	if (desc) {
		uint64_t head[2] = { count, K_PAGE_SIZE };

		memcpy(desc, head, sizeof(head));
		memcpy(desc + 16, entries, count * 24);
		memcpy(desc + 16 + count * 24, names, names_size);
	}
	rt_free(entries);
	rt_free(names);
}

static unsigned int count_regions(struct lx_mm *mm)
{
	struct k_region r;
	unsigned int n = 0;
	uint64_t at;

	for (at = 0; next_region(mm, at, &r); at = r.end)
		n++;
	return n;
}

static void put_headers(struct core *c, struct lx_mm *mm, unsigned int regions)
{
	Elf64_Ehdr e = { .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT };
	Elf64_Phdr p = { .p_type = PT_NOTE };
	uint64_t offset = sizeof(e) + (regions + 1) * sizeof(p), at;
	struct k_region r;
	unsigned int i;

	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_ident[EI_DATA] = ELFDATA2LSB;
	e.e_ident[EI_VERSION] = EV_CURRENT;
	e.e_phoff = e.e_ehsize = sizeof(e);
	e.e_phentsize = sizeof(p);
	e.e_phnum = (uint16_t)(regions + 1);
	put(c, &e, sizeof(e));
	p.p_offset = offset;
	p.p_filesz = c->used;
	p.p_align = NOTE_ALIGN;
	put(c, &p, sizeof(p));
	offset = ALIGN_UP(offset + c->used, (uint64_t)K_PAGE_SIZE);
	for (i = 0, at = 0; i < regions && next_region(mm, at, &r); i++, at = r.end) {
		p = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_offset = offset, .p_vaddr = r.start,
			.p_memsz = r.end - r.start, .p_filesz = dump_size(mm, &r),
			.p_align = K_PAGE_SIZE,
			.p_flags = (r.prot & K_PROT_READ ? PF_R : 0) |
				   (r.prot & K_PROT_WRITE ? PF_W : 0) |
				   (r.prot & K_PROT_EXEC ? PF_X : 0),
		};
		put(c, &p, sizeof(p));
		offset += p.p_filesz;
	}
	put(c, c->notes, c->used);
	c->pos = ALIGN_UP(c->pos, (uint64_t)K_PAGE_SIZE);
}

static bool all_zero(const uint64_t *p, size_t words)
{
	while (words--)
		if (*p++)
			return false;
	return true;
}

static void put_memory(struct core *c, struct lx_mm *mm, uint64_t start, uint64_t size, uint8_t *buf)
{
	while (size && !c->err) {
		size_t n = MIN(size, CHUNK), i;
		int64_t got = lx_mm_access(mm, start, buf, n, false);

		/* What cannot be read, or is zero, is a hole. */
		if (got < 0)
			got = 0;
		for (i = 0; i < (size_t)got && !c->err; i += K_PAGE_SIZE) {
			if (all_zero((uint64_t *)(void *)(buf + i), K_PAGE_SIZE / 8))
				c->pos += K_PAGE_SIZE;
			else
				put(c, buf + i, K_PAGE_SIZE);
		}
		if ((size_t)got < n) {
			n = MAX((size_t)got, (size_t)K_PAGE_SIZE);
			c->pos += n - (size_t)got;
		}
		start += n;
		size -= n;
		if (lx_fatal_signal_pending(lx_self()))
			c->err = -EINTR;
	}
}

static void dump(struct lx_task *self, struct core *c, const struct lx_siginfo *info)
{
	struct lx_mm *mm = self->mm;
	unsigned int regions = MIN(count_regions(mm), 65000u), i;
	uint8_t *buf = rt_alloc(CHUNK);
	struct lx_task *t;
	struct k_region r;
	uint64_t at;

	if (!buf) {
		c->err = -ENOMEM;
		return;
	}
	note_thread(c, self, info);
	note_process(c, self, info);
	note_files(c, mm);
	note_fpu(c, self);
	/* The list cannot change: everybody is parked. */
	list_for_each_entry(t, &self->group->tasks, group_link) {
		if (t == self || t->exiting)
			continue;
		note_thread(c, t, info);
		note_fpu(c, t);
	}
	put_headers(c, mm, regions);
	for (i = 0, at = 0; i < regions && !c->err && next_region(mm, at, &r); i++, at = r.end)
		put_memory(c, mm, r.start, dump_size(mm, &r), buf);
	if (!c->err && c->pos && c->pos > (uint64_t)atomic_load(&c->f->inode->size)) {
		c->pos--;
		put(c, "", 1);		/* the end may be a hole */
	}
	rt_free(buf);
}

/* core_pattern with its % specifiers. */
static void core_name(struct lx_task *self, int sig, char *out, size_t size)
{
	const char *p = lx_core_pattern;
	size_t n = 0;

	while (*p && n + 24 < size) {
		if (*p != '%' || !p[1]) {
			out[n++] = *p++;
			continue;
		}
		switch (p[1]) {
		case '%':
			out[n++] = '%';
			break;
		case 'p':
			n += (size_t)scnprintf(out + n, size - n, "%d", self->group->pid);
			break;
		case 'i':
			n += (size_t)scnprintf(out + n, size - n, "%d", self->tid);
			break;
		case 's':
			n += (size_t)scnprintf(out + n, size - n, "%d", sig);
			break;
		case 'u':
			n += (size_t)scnprintf(out + n, size - n, "%u", self->cred->uid);
			break;
		case 'e':
			n += (size_t)scnprintf(out + n, size - n, "%s", self->comm);
			break;
		}
		p += 2;
	}
	out[n] = '\0';
}

static struct lx_file *open_core(struct lx_task *self, int sig)
{
	char name[256];
	struct lx_file *f;

	core_name(self, sig, name, sizeof(name));
	if (!name[0] || name[0] == '|')
		return NULL;		/* pipes to a helper: not supported */
	if (lx_open_at(self, AT_FDCWD, name, O_CREAT | O_RDWR | O_NOFOLLOW | O_TRUNC, 0600, &f))
		return NULL;
	if (!S_ISREG(f->inode->mode) || atomic_load(&f->inode->nlink) != 1 ||
	    f->inode->uid != self->cred->fsuid) {
		lx_file_put(f);
		return NULL;
	}
	return f;
}

bool lx_core_dump(struct lx_task *self, const struct lx_siginfo *info)
{
	struct core c = { .limit = lx_rlimit(self, RLIMIT_CORE) };
	bool written;

	if (!self->mm || !self->mm->dumpable || c.limit < K_PAGE_SIZE)
		return false;
	if (!park_others(self))
		return false;
	c.f = open_core(self, info->signo);
	if (c.f) {
		dump(self, &c, info);
		lx_file_put(c.f);
	}
	rt_free(c.notes);
	written = c.f && (!c.err || c.err == -EFBIG);
	end_all(self, info->signo | (written ? 0x80 : 0));
	return written;
}

/* -- the log ---------------------------------------------------------------------------------- */

void lx_print_fatal_signal(struct lx_task *self, const struct lx_siginfo *info)
{
	const struct k_user_frame *f = self->frame;

	/* As Linux with show_unhandled_signals: faults only. */
	if (info->signo != SIGSEGV && info->signo != SIGBUS && info->signo != SIGILL)
		return;
	if (info->code <= 0)
		return;
	rt_log(RT_LOG_INFO, "%s[%d]: SIG%s at %llx ip %llx sp %llx error %llx", self->comm, self->tid,
	       lx_signal_name(info->signo), (unsigned long long)info->fault.addr,
	       (unsigned long long)f->rip, (unsigned long long)f->rsp,
	       (unsigned long long)f->error_code);
}
