/* SPDX-License-Identifier: MIT */
/*
 * An adapter with one disk, in memory of this program: a bus address is an address of it.  It
 * does what commands say, counts what no driver may do, and can be told to lie.
 */
#pragma once

#include "command.h"
#include "hba.h"

enum { PRETEND_BYTES = 1 << 19 };
/* Where its log of queued errors, and its status, put an error of the medium. */
#define PRETEND_UNCORRECTABLE	0x40u

struct pretend {
	/* What it is like. */
	uint32_t port, ports;		/* where the disk is; mask of all */
	uint32_t block_shift, depth;	/* 0: it does not queue */
	bool has_fua, has_trim, has_cache, has_log, no_64bit;
	bool keeps_bits;		/* a stopped port keeps PxSACT, as QEMU's does before 8.1 */
	bool clears_failed;		/* PxCI of a command that failed, the same */
	bool silent;			/* takes commands and does not complete them */
	bool reverse;			/* completes what it has in the opposite order */
	bool stuck;			/* a port that only a reset of everything stops */
	bool never_stops, never_ready, no_disk, optical, gone;
	bool firmware_owns, firmware_keeps;
	uint64_t bad_block;		/* UINT64_MAX: none */
	uint32_t bad_times;		/* that many times it fails; UINT32_MAX: always */
	enum { LOG_TRUE, LOG_BAD_SUM, LOG_OTHER_TAG, LOG_NOT_OF_QUEUE } log_lie;
	uint32_t stray;			/* bits of PxSACT that it sets by itself */

	/* What it did. */
	uint32_t commands[256], violations, resets, whole_resets, most_at_once, unsafe_writes;

	/* Its state. */
	uint32_t ghc, bohc, is;
	uint32_t clb, clbu, fb, fbu, pis, pie, cmd, tfd, sctl, serr, sact, ci;
	uint32_t waiting;		/* slots of queued commands that it has */
	bool failed;			/* after an error of a queued one */
	uint8_t failed_tag;
	uint8_t medium[PRETEND_BYTES];
};
extern struct pretend pretend;

/* A healthy one with its disk at port 2. */
void pretend_begin(uint32_t block_shift, uint32_t depth);
uint32_t pretend_read(void *user, uint32_t offset);
void pretend_write(void *user, uint32_t offset, uint32_t v);
/* Complete what it has, if it is not silent. */
void pretend_work(void);
/* Fill the 512 bytes of IDENTIFY DEVICE. */
void pretend_identify(uint8_t *at);
