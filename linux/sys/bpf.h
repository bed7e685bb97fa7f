/* SPDX-License-Identifier: MIT */
/*
 * Programs of the classic packet filter machine, as seccomp(2) lets them be: they see 64 bytes of
 * data as words of 32 bits and answer with a number.
 */
#pragma once

#include <linux/filter.h>

#include "lx/types.h"

#define BPF_MAX_INSNS 4096u

/*
 * May @insns run?  Afterwards it ends after at most @n steps, on every way, and reads nothing
 * outside of its data and nothing of its memory that it has not written: true.
 */
bool bpf_check(const struct sock_filter *insns, unsigned int n, unsigned int data_size);

/* The answer of a checked program on @data. */
uint32_t bpf_run(const struct sock_filter *insns, const uint32_t *data, unsigned int data_size);
