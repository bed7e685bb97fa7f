/* SPDX-License-Identifier: MIT */
/*
 * The end of the kernel: an invariant of its own is broken.  Never for anything
 * that a process, a driver or a device can cause.
 *
 * panic() stops the other CPUs, takes the early console back, prints the reason,
 * the registers and a symbolised backtrace, and then does what the command line
 * says: panic=N reboots after N seconds (negative: at once); otherwise, with
 * concord.debugexit, QEMU ends with status 99 (port 0xf4, value 0x31), and without
 * it the machine halts.
 */
#pragma once

#include <stdint.h>

#include "base/util.h"

struct arch_regs;

NORETURN void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, printing the registers of a trap. */
NORETURN void panic_regs(const struct arch_regs *regs, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define kassert(cond) \
	do { \
		if (unlikely(!(cond))) \
			panic("%s:%d: assertion failed: %s", __FILE_NAME__, __LINE__, #cond); \
	} while (0)

/* Costly or very frequent assertions: only in builds with checks. */
#define kassert_checks(cond) \
	do { \
		if (CONFIG_CHECKS) \
			kassert(cond); \
	} while (0)

#ifndef __FILE_NAME__	/* clang has it, gcc from 12 */
#define __FILE_NAME__ __FILE__
#endif

/* The function that holds @addr and the offset in it; NULL if unknown. */
const char *symbol_lookup(uint64_t addr, uint64_t *offset);

/* Set from the command line. */
void panic_configure(const char *command_line);
