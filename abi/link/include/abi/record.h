/* SPDX-License-Identifier: MIT */
/*
 * The record of an instance: what outlives an incarnation of a driver, beside the
 * memory of its link and its device.  init makes it and reads it, the driver maps
 * it; neither the client nor the device can.  docs/decisions/0006-adoption.md argues why
 * what lies here is enough.  No logic here.
 *
 * Only one incarnation writes it at a time, and the next one reads what was
 * written up to the instruction at which that one ended: stores are ordered by
 * signal fences, not against other processors.
 *
 * Layout (virtio/record.h computes it), n queues of size q as in the link:
 *
 *   0				struct record
 *   then, aligned to 64	n in-flight tables of q entries (struct record_inflight)
 *   then, aligned to 64	n device-ring tables of RECORD_RING_MAX entries
 *				(struct record_ring)
 */
#pragma once

#include <stdint.h>

#define RECORD_VERSION		1u
#define RECORD_RING_MAX		256u	/* descriptors of a device's ring */
#define RECORD_PIECES		24u
#define RECORD_WORDS		8u

enum record_phase {
	RECORD_FRESH,			/* as init leaves it */
	RECORD_SETUP,			/* the device is being reset or set up: its rings are void */
	RECORD_LIVE,			/* the device works on the rings that are described here */
};

/* How an incarnation came to its device. */
enum record_adoption {
	RECORD_NOTHING,			/* not ready yet */
	RECORD_STARTED,			/* there was nothing to adopt */
	RECORD_ADOPTED,			/* it took the live rings over */
	RECORD_RESET,			/* it reset the device and issued again what was in flight */
};

struct record {
	/* init's. */
	uint32_t version;
	uint32_t deaths;		/* incarnations that ended */

	/* The driver's, and constant from LIVE on until it is SETUP again. */
	uint32_t phase;
	uint32_t queue_count;		/* rings that were made */
	uint64_t features;		/* that the device was told */
	/* Pieces of DMA memory in the order in which they were taken. */
	uint32_t piece_count;
	uint32_t pad0;
	struct record_piece {
		uint64_t offset, length;
	} pieces[RECORD_PIECES];

	/* The driver's, for init to look at. */
	_Atomic(uint64_t) beat;		/* odd: at work; even: waiting */
	_Atomic(uint64_t) answered;	/* requests, by all incarnations */
	_Atomic(uint32_t) adoption;	/* enum record_adoption, of this incarnation */
	uint32_t adopted, issued, finished;	/* requests: with the device; given to it (again);
						 * found completed */
	/* The request that is being worked on: 0, or queue << 16 | head + 1.  The suspect, if it dies. */
	_Atomic(uint32_t) current;
	uint32_t pad1;

	/* Drivers without rings of the device keep here what they need. */
	uint64_t words[RECORD_WORDS];

	/* Kill points, in builds with checks (drv/die.h). */
	uint32_t die_round, die_target, die_count, die_done;
};

/*
 * Requests that the server has taken and not yet answered.  One entry per
 * descriptor (head of a chain).  Taking sets counter, then inflight, before the
 * request is acted upon.  Answering a batch: entries linked through next,
 * batch_head set; used_next set, which makes it final; the link's used index
 * published; the batch's inflight cleared; used_idx set.  A successor that finds
 * used_next and used_idx different does the rest again: nothing is read back from
 * memory that the client can write.
 */
struct record_inflight {
	uint16_t batch_head;		/* first entry of the batch being published */
	uint16_t used_idx;		/* of the link's used ring: all before is published and cleared */
	uint16_t used_next;		/* ... is being published */
	uint16_t pad;
	uint64_t counter;		/* of the request taken last */
	struct record_request {
		uint8_t inflight;
		uint8_t fatal;		/* incarnations in a row that ended working on it; init's */
		uint8_t overdue;	/* the device was silent about it for too long: it fails; init's */
		uint8_t pad[3];
		uint16_t next;		/* the batch's next; the head's own number ends it */
		uint64_t counter;	/* order in which they were taken; never used twice */
	} requests[];
};

/*
 * A ring of the device's, as its driver filled it.  An entry belongs to a
 * descriptor that heads a chain.  It is written, then added is counted, before the
 * ring's available index moves past it; it is valid while the in-flight table has a
 * request of the same counter at .head.  A successor first takes away (counter 0) the
 * entries that the available index had not reached: the device never saw those.
 */
struct record_ring {
	uint32_t size;			/* descriptors; 0: no ring */
	uint16_t used_idx;		/* of the device's used ring: all before is answered on the link */
	uint16_t pad;
	uint64_t added;			/* chains put into the available ring; low 16 bits: its index */
	struct record_chain {
		uint64_t counter;	/* 0: none */
		uint64_t position;	/* value of added when it was put there */
		uint16_t head;		/* of the link's chain */
		uint16_t count;		/* descriptors of the device's chain */
		uint32_t pad;
	} chains[RECORD_RING_MAX];
};
