/* SPDX-License-Identifier: MIT */
/*
 * The slot of a PCI Express port: what an operator and a card do to it, and what follows
 * (PCI Express base specification 3.0, 6.7; registers: 7.8.9 to 7.8.11).
 *
 *	EMPTY		without power, or with nothing in it
 *	OCCUPIED	its card is used
 *	ASKED		the attention button was pressed: the power indicator blinks for delay_ns,
 *			in which a second press takes it back
 *	EMPTYING	users of the card were told that it is to go, or has gone
 *
 *	EMPTY		a card comes, or the button is pressed while there is one: [plugged]
 *	OCCUPIED	the button: ASKED.  The card goes: EMPTYING [gone]
 *	ASKED		the button: OCCUPIED.  Time is up: EMPTYING [eject].  The card goes: EMPTYING [gone]
 *	EMPTYING	nobody uses it [slot_free()]: power off, EMPTY.  The card goes: [gone]
 *
 * Nothing is remembered but in the registers: a successor reads them and is where its predecessor was.  One
 * that blinks is ASKED, anew; whoever was told twice that a card is to go says twice that it is free.
 *
 * Commands: each write of the control register is one, and the next waits until the slot says that it is
 * complete, or for a second.  What is written then is what is wanted by then.
 *
 * The registers may be nonsense, or all ones because the port itself has gone: then nothing happens.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SLOT_DELAY_NS	5000000000ull	/* of ASKED: as the specification wants it */

enum slot_state { SLOT_EMPTY, SLOT_OCCUPIED, SLOT_ASKED, SLOT_EMPTYING };

enum slot_news { SLOT_EJECT, SLOT_GONE, SLOT_PLUGGED };

struct slot_ops {
	/* Registers of configuration space, of 16 and 32 bits; all ones if nothing answers. */
	uint32_t (*read)(void *user, uint32_t offset, uint32_t width);
	void (*write)(void *user, uint32_t offset, uint16_t value);
	uint64_t (*now_ns)(void *user);
	/* slot_time() is to be called then; another time replaces it. */
	void (*set_timer)(void *user, uint64_t when_ns);
	void (*tell)(void *user, enum slot_news news);
	void (*log)(void *user, const char *what);
};

struct slot {
	const struct slot_ops *ops;
	void *user;
	uint32_t at;			/* of the PCI Express capability */
	uint32_t capabilities, link_capabilities;
	uint64_t delay_ns;
	enum slot_state state;
	uint64_t asked_until_ns;	/* ASKED */
	uint16_t wanted, written;	/* of the control register */
	uint64_t busy_until_ns;		/* a command is under way; 0: none */
};

/*
 * Look for a slot that can be emptied while the system runs, and begin with it where it is.  False: the
 * function has none.  @succeeds: a predecessor saw to it, and has not seen what is pending now.
 */
bool slot_start(struct slot *s, const struct slot_ops *ops, void *user, uint64_t delay_ns, bool succeeds);
/* The interrupt came. */
void slot_event(struct slot *s);
/* The time that was set has come. */
void slot_time(struct slot *s);
/* Nobody uses what is in it, or was. */
void slot_free(struct slot *s);
/* For tests: its card vanishes while it is used. */
void slot_cut(struct slot *s);
