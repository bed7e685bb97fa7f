/* SPDX-License-Identifier: MIT */
/*
 * Kill points: builds with checks can have a driver die between any two of its ring
 * operations, for tests that try all of them.  What is counted lies in the record, so that
 * it goes on over incarnations.
 *
 * Words of the command line:
 *	COMPONENT.die=N		at the N-th operation, once
 *	COMPONENT.die=sweep	the client makes rounds, by changing its round word
 *				(abi/link.h): in its n-th round the driver dies at the
 *				n-th operation of the round
 *	COMPONENT.die=sweep2	the same, and the successor dies, too, at one of its
 *				first operations (another one in each round)
 *	COMPONENT.die=sector:N	each time it works on a request for that sector (virtio-blk)
 *	COMPONENT.die=silent:N	not, but from its N-th notification on the first incarnation does
 *				not tell the device of anything any more
 *	COMPONENT.die=deaf:N	not, but from the N-th time on nothing is shown to the device any more, by its
 *				successors neither, until one is to fail a request that is overdue (drivers
 *				of virtio devices)
 *	COMPONENT.die=blame:N	not; the first incarnation calls the N-th request it is given against the
 *				protocol (drivers of virtio devices)
 *	COMPONENT.die=nonsense:N	not; the first incarnation answers its N-th with a number that the
 *				client did not give it, and goes on
 *	COMPONENT.die=quiet:N	not; the first incarnation does not ring for its answers from the N-th
 *				time on
 *	COMPONENT.die=astray:N	not; the first incarnation writes its used rings elsewhere from the N-th
 *				time on that it shows answers
 *	COMPONENT.die=mute:N	not; the first incarnation answers from its N-th on without a status
 *				(virtio-blk)
 */
#pragma once

#include "drv/drv.h"

/* Read the words.  Called by the runtime. */
void drv_die_start(struct drv *d);
/* An operation on a ring took place, or the next one is about to. */
void drv_step(void);
/* The sector of "sector:N", or UINT64_MAX. */
uint64_t drv_die_sector(void);
/* What "blame:", "nonsense:" and "mute:", "quiet:" are about took place; the N-th is meant. */
bool drv_blames(void);
bool drv_talks_nonsense(void);
bool drv_is_mute(void);
bool drv_is_quiet(void);
/* "astray:": called before answers of @queue are shown. */
void drv_go_astray(struct drv *d, uint32_t queue);
/* A request is overdue. */
void drv_hears(void);
/* What was put into a ring of the device is not to be shown to it. */
bool drv_is_deaf(void);
/* The device is about to be notified, and is not to be. */
bool drv_is_silent(void);
