/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of programs.  The kernel's region tree is the only record of
 * what is mapped; lx_mm keeps what Linux knows besides: brk, argument area, exe.
 */
#pragma once

#include "lx/types.h"

struct lx_mm {
	_Atomic(uint32_t) refs;
	_Atomic(uint32_t) users;	/* tasks that run in it */
	k_handle_t space;		/* constant, owned */
	struct rt_mutex lock;		/* rank LX_LOCK_MM: brk, layout, sequences of kernel calls that belong together */
	uint64_t start_brk, brk;
	uint64_t start_code, end_code, start_data, end_data, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t mmap_top;		/* gaps are looked for below it, top down */
	uint64_t vdso;			/* base, or 0 */
	uint64_t locked_bytes, def_flags;	/* K_MAP_* that new mappings get (mlockall) */
	struct lx_file *exe;		/* a reference, writers denied */
	uint64_t saved_auxv[48];
	bool dumpable;
	_Atomic(uint32_t) membarrier;	/* registered commands */
	_Atomic(bool) sysv_shm;		/* has, or once had, segments attached: lx/ipc.h */
};

/* k_region.tag: what a region is, for /proc/PID/maps. */
enum lx_map_tag {
	LX_TAG_NONE, LX_TAG_HEAP, LX_TAG_STACK, LX_TAG_VDSO, LX_TAG_VVAR, LX_TAG_SHARED_ANON,
	LX_TAG_SYSV_SHM,
};

/*
 * What connects regions of the kernel with an open file: the cookie of a kernel
 * backing is the address of one of these.  It holds a reference to the file from
 * its creation until the kernel says that no region is left.
 */
struct lx_backing {
	struct lx_file *file;
	k_handle_t handle;
	bool mapped;			/* was mapped once, so the kernel will report it: file->lock */
};

/* The file behind k_region.cookie of a region that @mm has now: a reference, or NULL. */
struct lx_file *lx_backing_file(uint64_t cookie);

struct lx_mm *lx_mm_create(void);		/* NULL: no memory */
struct lx_mm *lx_mm_clone(struct lx_mm *mm);	/* fork */
struct lx_mm *lx_mm_get(struct lx_mm *mm);
void lx_mm_put(struct lx_mm *mm);
/* A task (running or never born) that counted in mm->users uses it no more: puts its reference. */
void lx_mm_leave(struct lx_task *self, struct lx_mm *mm);
/* Make @mm the caller's (a reference moves in); the old one is put. */
void lx_mm_use(struct lx_task *self, struct lx_mm *mm);

/*
 * What an mmap operation of a file is asked to do.  It says which memory object
 * and offset back the region by setting memory (borrowed) or leaving 0 for
 * anonymous memory, and may take bits from max_prot.
 */
struct lx_mmap {
	/* in */
	uint64_t addr, length, offset;
	uint32_t prot, flags;		/* PROT_*, MAP_* of Linux */
	/* in and out */
	uint32_t max_prot;		/* K_PROT_* */
	/* out */
	k_handle_t memory;
	enum lx_map_tag tag;
};

/* mmap(2) from within, into any mm (exec): the address or a negative errno. */
int64_t lx_mmap_file(struct lx_task *self, struct lx_mm *mm, struct lx_file *f, uint64_t addr,
		     uint64_t length, uint32_t prot, uint32_t flags, uint64_t offset);
/* Is so much private memory refused (vm.overcommit_memory)? */
bool lx_overcommits(uint64_t bytes);
/* The program's fault: 0, or the signal has been sent. */
void lx_fault(struct lx_task *self);
void lx_exception(struct lx_task *self);
/* FPE_* of a pending x87 (16) or SSE (19) exception of the caller's program. */
int lx_fpu_exception_code(struct lx_task *self, uint32_t vector);
/* RLIMIT_STACK of the program of @t is @limit now. */
void lx_stack_limit_changed(struct lx_task *t, uint64_t limit);
/* Drop what the kernel says that nobody maps any more. */
void lx_backing_reap(void);

/* -- copies that may have pages supplied by files: never with a lock of rank LX_LOCK_MM or above held */
int lx_copy_from_user(void *dst, uaddr_t src, size_t n);	/* 0 or -EFAULT */
int lx_copy_to_user(uaddr_t dst, const void *src, size_t n);
int lx_clear_user(uaddr_t dst, size_t n);
/* A string with its NUL into dst[size]: the length, -EFAULT, or -ENAMETOOLONG. */
int64_t lx_string_from_user(char *dst, uaddr_t src, size_t size);
/*
 * An extensible structure of @usize bytes at @src into ours of @size: what is
 * missing is zero; -E2BIG if it has more than we know and that is not zero.
 */
int lx_copy_struct_from_user(void *dst, size_t size, uaddr_t src, size_t usize);
/* Make [addr, addr+n) accessible for reading or writing, as far as it can be: 0 or -EFAULT at the first byte. */
int lx_fault_in(struct lx_task *self, uaddr_t addr, size_t n, bool write);
/* Another program's memory (ptrace, /proc/PID/mem): bytes done, or -EFAULT/-EIO if none. */
int64_t lx_mm_access(struct lx_mm *mm, uint64_t addr, void *buf, size_t n, bool write);

/*
 * An allocation failed: get memory back from the page cache, or by ending the largest
 * program (mm/oom.c).  @for_cache: it was for a page of a file, for which others may go
 * down to the last.  True: try again, unless a fatal signal is pending; false: there is
 * nothing to end.  No lock above LX_LOCK_FPOS held.  @why is for the log.
 */
bool lx_out_of_memory(const char *why, bool for_cache);
/*
 * The same for what failed with -ENOMEM and can be tried again: false, too, when a fatal
 * signal is pending, or when it failed again and again although there is memory (a limit,
 * a size that cannot be had).  @tries: 0 at first.
 */
bool lx_find_memory(const char *why, bool for_cache, unsigned int *tries);
/*
 * A fault of @self's program made it wait @waited_ns for pages of a file, @refaults of which had been
 * there not long ago.  Ends the largest program if this has been all that happens (mm/thrash.c).  As above.
 */
void lx_refaulted(struct lx_task *self, uint64_t refaults, uint64_t waited_ns);
int lx_oom_score(struct lx_group *g);	/* /proc/PID/oom_score */
uint64_t lx_oom_kills(void);		/* ever */
uint64_t lx_major_faults(void);		/* of all programs, ever */
