/* SPDX-License-Identifier: MIT */
/*
 * Kernel calls: how one gets from the registers of a system call, or from a k_*
 * function called inside the kernel image, to its handler kcall_NAME
 * (kernel/kcalls.h, generated from abi/kernel/calls.tbl).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"
#include "base/util.h"

struct new_handle;
struct process;
struct thread;

struct call_entry {
	k_status_t (*call)(struct thread *self, const uint64_t args[6]);
	const char *name;
};

extern const struct call_entry call_table[];

/* "concord.calls": log (level debug) the calls that were refused as mistaken. */
void calls_configure(const char *command_line);

/* A system call of a component or of a personality that is a process.  Any number is fine. */
k_status_t kcall_dispatch(uint64_t number, const uint64_t args[6]);

/* Bytes of the caller: in its memory, or (called inside the kernel image) in the kernel's. */
struct kbytes {
	uint64_t addr;
	uint64_t length;
	bool user;
};

static inline struct kbytes kbytes_user(uint64_t addr, uint64_t length)
{
	return (struct kbytes){ .addr = addr, .length = length, .user = true };
}

static inline struct kbytes kbytes_kernel(const void *p, uint64_t length)
{
	return (struct kbytes){ .addr = (uint64_t)(uintptr_t)p, .length = length };
}

/* Memory at an address that the calling process named inside a structure. */
struct kbytes kbytes_of(struct thread *self, uint64_t addr, uint64_t length);

/* Copy @n bytes at @offset; the range lies within the length.  False: inaccessible. */
bool kbytes_read(const struct kbytes *bytes, uint64_t offset, void *dst, size_t n) MUST_CHECK;
bool kbytes_write(const struct kbytes *bytes, uint64_t offset, const void *src, size_t n) MUST_CHECK;

/* A name for an object: at most @size - 1 printable bytes, the rest of @dst zero. */
k_status_t kbytes_name(const struct kbytes *bytes, char *dst, size_t size) MUST_CHECK;
/* Whether @name ends within @size bytes and is printable. */
bool name_is_valid(const char *name, size_t size);

/* For the generated trampolines. */
bool call_copy_in(void *dst, uint64_t addr, size_t n) MUST_CHECK;
/* Returns @status, or BAD_ADDRESS in the place of OK. */
k_status_t call_copy_out(uint64_t addr, const void *src, size_t n, k_status_t status);
/* Install the objects in their reserved slots if @status is OK, else give the slots back. */
k_status_t call_install_user(struct process *process, struct new_handle *fresh, uint32_t count,
			     const uint64_t *addrs, k_status_t status);
k_status_t call_install_kernel(struct process *process, struct new_handle *fresh, uint32_t count,
			       k_handle_t *const *slots, k_status_t status);
