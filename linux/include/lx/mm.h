/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of programs.  The kernel's region tree is the only record of
 * what is mapped; lx_mm keeps what Linux knows besides: brk, argument area, exe.
 */
#pragma once

#include "lx/types.h"

struct lx_mm {
	_Atomic(uint32_t) refs;
	k_handle_t space;		/* constant, owned */
	struct rt_mutex lock;		/* rank LX_LOCK_MM: brk, layout, sequences of kernel calls that belong together */
	uint64_t start_brk, brk;
	uint64_t start_code, end_code, start_data, end_data, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t mmap_top;		/* gaps are looked for below it, top down */
	uint64_t vdso;			/* base, or 0 */
	uint64_t locked_bytes, def_flags;
	struct lx_file *exe;		/* a reference */
	uint64_t saved_auxv[48];
	bool dumpable;
};

struct lx_mm *lx_mm_get(struct lx_mm *mm);
void lx_mm_put(struct lx_mm *mm);

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
};

/* -- copies that may have pages supplied by files: never with a lock of rank LX_LOCK_MM or above held */
int lx_copy_from_user(void *dst, uaddr_t src, size_t n);	/* 0 or -EFAULT */
int lx_copy_to_user(uaddr_t dst, const void *src, size_t n);
int lx_clear_user(uaddr_t dst, size_t n);
/* Make [addr, addr+n) accessible for reading or writing, as far as it can be: 0 or -EFAULT at the first byte. */
int lx_fault_in(struct lx_task *self, uaddr_t addr, size_t n, bool write);
