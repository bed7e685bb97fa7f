/* SPDX-License-Identifier: MIT */
/*
 * Where the driver is in a queue of the link: its current chain, and the next byte in it.
 * How far the chain is done stands in words of the record, so that a successor goes on
 * in the middle of it.
 */
#pragma once

#include "drv/drv.h"

enum { CURSOR_WORDS = 2 };		/* of the record */

struct cursor {
	/* Constant after cursor_start(). */
	uint32_t queue;
	bool receives;			/* bytes go into the chains */
	uint64_t *words;

	struct vq_segment segments[LINK_QUEUE_SIZE_MAX];
	struct vq_chain chain;
	bool busy;			/* there is one */
	uint32_t segment, offset;	/* next byte */
	uint32_t done;			/* bytes in all */
	bool adopting;			/* a predecessor's chains come first */
	uint64_t adopted;		/* counter of the last one */
};

/* Begin with what the predecessor left.  @words: CURSOR_WORDS of the record, for this cursor alone. */
void cursor_start(struct cursor *c, struct drv *d, uint32_t queue, bool receives, uint64_t *words);
/* Have a chain to work on; false: there is none.  Its pieces are checked when they are used. */
bool cursor_take(struct cursor *c, struct drv *d);
/* The rest of the current piece, *@n bytes; NULL: the chain is used up, or the link is broken now. */
uint8_t *cursor_piece(struct cursor *c, struct drv *d, uint32_t *n);
/* @n bytes of the current piece have passed. */
void cursor_advance(struct cursor *c, uint32_t n);
/* The chain is done: @written bytes are in it.  To be published by the caller. */
void cursor_answer(struct cursor *c, struct drv *d, uint32_t written);
