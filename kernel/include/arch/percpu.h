/* SPDX-License-Identifier: MIT */
/*
 * Access to this CPU's struct cpu in single instructions, and the
 * architecture's part of it.
 *
 * arch_impl/percpu.h provides struct arch_cpu and, inline, each atomic with regard
 * to interrupts and migration:
 *   arch_percpu_read64(offset), arch_percpu_read32(offset)
 *   arch_percpu_read64_stable(offset)	for what migration does not change
 *   arch_percpu_inc32(offset), arch_percpu_and32(offset, mask)
 *   bool arch_percpu_dec32_is_zero(offset)
 */
#pragma once

#include "arch_impl/percpu.h"
