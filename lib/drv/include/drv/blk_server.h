/* SPDX-License-Identifier: MIT */
/*
 * Requests of a link to a disk on their way, for drivers that turn each into commands of
 * their own hardware.
 *
 * A request that one command cannot do (more than a command moves, or memory with gaps) is
 * done by several, one after the other; each is planned from the link's chain anew.  A command that
 * the device failed, and may do if asked again, is given to it some more times.
 *
 *	taken from the link	it stands in the in-flight table until it is answered
 *	with the device		from launch() on, until the driver says how the command ended
 *	waiting			for its next command, or for what plan() said LATER of
 *	answered
 *
 * A request that is late, and a device that breaks the protocol or fails, end this incarnation: the
 * next one begins with a reset, which is the only thing to do in all these cases.  A
 * request that was late under BLK_HUNG_MAX incarnations fails.
 *
 * Succession (docs/decisions/0006-adoption.md) is the driver's: it knows what its device was
 * given.  What it does not name by blk_server_adopt(), or answer, is issued again in its order.
 *
 * One thread does all of it, so that nothing is locked.
 */
#pragma once

#include "drv/blk_request.h"

#define BLK_SECOND	1000000000ull
/* init waits for 20 s before it ends a driver that is stuck. */
#define BLK_TIMEOUT_NS	(15 * BLK_SECOND)
enum { BLK_HUNG_MAX = 3, BLK_RETRIES = 5 };

/* Bit of the server bell that the timer rings: driver.own() calls blk_server_tick(). */
#define BLK_TICK	(1ull << 40)

/* Words of the record: the first is the driver's, for what lies in the rest and in DMA memory. */
enum {
	BLK_WORD_LAYOUT,
	BLK_WORD_HUNG_QUEUE, BLK_WORD_HUNG,	/* the request that was late last: queue, counter */
	BLK_WORD_HUNG_TIMES,			/* ... so often in a row */
	BLK_WORD_OWN,				/* from here on the driver's */
};

/* A request between its issue and its answer. */
struct blk_flight {
	uint64_t counter;		/* 0: none */
	uint64_t since_ns;		/* when the device got the command */
	uint8_t *status;
	uint32_t done, now, total;	/* bytes: of earlier commands, of this one, of all */
	uint16_t command;		/* the driver's name of it */
	uint8_t type, tries;
	bool with_device;		/* ... or it waits for its next command */
	bool alone;			/* the driver's: its commands go one at a time */
	bool durable;			/* the driver's: all is written, and to be made stay */
};

/* What a request turned into. */
enum blk_verdict {
	BLK_COMMAND,			/* a command, which launch() gives to the device */
	BLK_ANSWERED,			/* an answer, without the device */
	BLK_LATER,			/* a command, when something else has ended */
	BLK_PROTOCOL,			/* an end: the client broke the protocol */
};

struct blk_plan {
	uint32_t now, total;		/* bytes that the command moves; that the request does */
	uint8_t status;			/* ANSWERED: enum blk_status */
	uint32_t written;
	const char *why;		/* PROTOCOL */
};

struct blk_server;

struct blk_server_ops {
	/* Another command of queue @q has room. */
	bool (*has_room)(struct blk_server *s, uint32_t q);
	/*
	 * What is to be done for @r after its first f->done bytes.  @p is zeroed.  A command is
	 * launched before anything else is planned.
	 */
	enum blk_verdict (*plan)(struct blk_server *s, uint32_t q, const struct blk_request *r,
				 struct blk_flight *f, struct blk_plan *p);
	/* Make the planned command ready, and set f->command. */
	void (*launch)(struct blk_server *s, uint32_t q, uint16_t head, struct blk_flight *f);
	/* Show the device all that was launched. */
	void (*submit)(struct blk_server *s, uint32_t q);
	const char *device;		/* "the controller" */
};

struct blk_queue {
	struct blk_flight *flights;	/* by head */
	struct vq_chain chain;		/* scratch */
	uint32_t active;		/* requests between issue and answer */
	uint32_t again;			/* ... which wait for their next command */
	bool blocked;			/* ... and one of them for something else to end */
	bool stopped;			/* there may be more on the link: after the next answer */
	/* A predecessor's requests, in their order. */
	bool issuing;
	bool in_order;			/* ... each when the one before is done */
	uint64_t issued;		/* counter of the last one */
};

struct blk_server {
	/* Constant from blk_server_init() on. */
	struct drv *d;
	const struct blk_server_ops *ops;
	uint32_t queue_count;		/* of the link, until the driver says fewer */

	struct blk_queue queue[LINK_QUEUES_MAX];
	k_handle_t timer;
	bool timer_runs;
	uint32_t errors;		/* that were logged */
};

k_status_t blk_server_init(struct blk_server *s, struct drv *d, const struct blk_server_ops *ops)
	__attribute__((warn_unused_result));

/* Take requests from the link, and plan further commands for those that wait. */
void blk_server_serve(struct blk_server *s, uint32_t q);
/* Answers of queue @q were published and settled: go on with what waited for them. */
void blk_server_go_on(struct blk_server *s, uint32_t q);

/*
 * The command of the request at @head, with the device, is done: answer the request (not yet
 * published), or plan its next command at the next blk_server_serve().
 */
void blk_server_ended(struct blk_server *s, uint32_t q, uint16_t head);
/* ... failed, which is logged with @code; @again: it may do if it is asked again. */
void blk_server_failed(struct blk_server *s, uint32_t q, uint16_t head, uint32_t code, bool again);
/* ... is not with the device any more, by no fault of its own. */
void blk_server_returned(struct blk_server *s, uint32_t q, uint16_t head);

/* A second has passed; the driver has looked at its device.  A late request ends the driver. */
void blk_server_tick(struct blk_server *s);
/*
 * The device is of no use without a reset: the successor begins with one.  Unless
 * @rings_are_good, it does not believe what lies in memory.
 */
void blk_server_reset(struct blk_server *s, const char *why, bool rings_are_good)
	__attribute__((noreturn));

/* -- succession ------------------------------------------------------------------------------ */

/* Before all of the following: count what there is to take over. */
void blk_server_take_over(struct blk_server *s);
/* The request at @head if it has this counter; false: it is not in flight, or cannot be read. */
bool blk_server_find(struct blk_server *s, uint32_t q, uint16_t head, uint64_t counter,
		     struct blk_request *r);
/* A predecessor's command did all of @r: answer it, not yet published. */
void blk_server_finish(struct blk_server *s, uint32_t q, const struct blk_request *r);
/*
 * A predecessor's command for the request at @head, which has this counter, is with the device.  The
 * flight, whose progress the caller sets; NULL: there is no such request.
 */
struct blk_flight *blk_server_adopt(struct blk_server *s, uint32_t q, uint16_t head,
				    uint64_t counter);
/*
 * Issue again what the device does not have, before anything new; @in_order, after a reset: each when
 * the one before is done.
 */
void blk_server_issue_again(struct blk_server *s, bool in_order);
