/* SPDX-License-Identifier: MIT */
/*
 * A card in memory of this program, where a bus address is an address: it does what registers and
 * descriptors say, at once, or when it is told to; or lies.
 */
#pragma once

#include "card.h"

enum { PRETEND_FRAMES = 64, PRETEND_BYTES = 2048 };

struct pretend_frame {
	uint32_t length;
	uint8_t bytes[PRETEND_BYTES];
};

extern struct pretend {
	uint32_t regs[NIC_WINDOW / 4];
	uint8_t address[NIC_ADDRESS];
	/* The context, and the frame that is gathered. */
	uint8_t sum_from, sum_at;
	struct pretend_frame now;

	/* What it is like. */
	bool gone;			/* all registers read as ones */
	bool resets;			/* as the manual says; else only the bit clears itself */
	bool stuck;			/* the bit of the reset stays */
	bool no_eeprom;
	bool slow;			/* it sends nothing until pretend_send() */
	bool deaf;			/* control registers do not take what is written */
	uint32_t lie_length;		/* of what it receives, if not 0 */
	uint32_t lie_status;		/* bits of the status that it turns round */

	/* The last frames that it sent, by number; how many; and contexts that it was given. */
	struct pretend_frame sent[PRETEND_FRAMES];
	uint32_t frames, contexts;
	uint32_t while_quiet;		/* descriptors that it was shown while it was to be quiet */
} pretend;

uint32_t pretend_read(void *user, uint32_t offset);
void pretend_write(void *user, uint32_t offset, uint32_t value);

/* As it is when the power comes: with an address in EEPROM and registers. */
void pretend_begin(void);
/* Send what it was shown, @frames at most. */
void pretend_send(uint32_t frames);
/* A frame comes; false: it was lost, for want of a buffer. */
bool pretend_receive(const uint8_t *bytes, uint32_t length);
void pretend_plug(bool in);
