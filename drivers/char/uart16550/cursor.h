/* SPDX-License-Identifier: MIT */
/*
 * Where the driver is in a queue of the link: its current chain, and the next byte in it.
 * A successor goes on there: no byte is lost or passes twice, whatever the last
 * instruction was.
 *
 * Bytes pass the port in a kernel call, and the driver can be killed on the way back from
 * it.  So the call itself says that they did: its result goes into a word of the record,
 * and the kernel stores it before it lets the caller be killed.  The words are
 *
 *	COUNTER	the request that the cursor is at
 *	DONE	how far it is, and a note of the driver's about this place
 *	PLANNED	the same, when the bytes that are about to pass have done so
 *	PASSED	NOTHING, or the result of the call
 *
 * and the cursor is at PLANNED if something passed, else at DONE.  cursor_plan() sets
 * PLANNED; the call, PASSED; cursor_passed(), DONE, then PASSED to NOTHING.  Each is one
 * store, and each is a kill point.  A chain is shown to the client as soon as it is
 * answered, before the next one begins: the words tell of one chain only.
 */
#pragma once

#include "drv/drv.h"

enum { CURSOR_WORDS = 4 };		/* of the record */

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
	uint32_t note;
	bool adopting;			/* a predecessor's chains come first */
	uint64_t adopted;		/* counter of the last one */
};

/* Begin with what the predecessor left.  @words: CURSOR_WORDS of the record, for this cursor alone. */
void cursor_start(struct cursor *c, struct drv *d, uint32_t queue, bool receives, uint64_t *words);
/* Have a chain to work on; false: there is none.  Its pieces are checked when they are used. */
bool cursor_take(struct cursor *c, struct drv *d);
/* The rest of the current piece, *@n bytes; NULL: the chain is used up, or the link is broken now. */
uint8_t *cursor_piece(struct cursor *c, struct drv *d, uint32_t *n);
/*
 * The next @n > 0 bytes of the current piece are about to pass, after which c->note is to be
 * @note.  Returns where the kernel call has to put its result, which is not ~0.
 */
uint64_t *cursor_plan(struct cursor *c, uint32_t n, uint32_t note);
/* The call was made, perhaps by the predecessor, and its result is what cursor_passed() ends. */
bool cursor_is_passing(const struct cursor *c);
uint64_t cursor_result(const struct cursor *c);
/* What was planned is done with. */
void cursor_passed(struct cursor *c);
/* The chain is done: the client sees it, with @written bytes in it. */
void cursor_answer(struct cursor *c, struct drv *d, uint32_t written);
