/* SPDX-License-Identifier: MIT */
/*
 * A card: its registers and rings, and the link's two queues, of the same numbers.
 *
 *	io.c		from the link to the rings, and back
 *	adopt.c		how an incarnation begins
 *
 * A frame's way is that of any request (docs/decisions/0006-adoption.md); where a death leaves it:
 *
 *	taken		in the in-flight table, and in no ring: issued again
 *	added		in the ring, not shown: the same, over it
 *	shown		the tail register says so: the device has it
 *	done		its descriptor says so: answered (again)
 *	answered	published on the link: its descriptor is skipped
 *	settled		on record: its descriptor may be used again
 */
#pragma once

#include "frame.h"
#include "ring.h"

/* DMA memory: the rings, a page each; zeroes, and what belongs to frames that are sent. */
enum { CARD_ZEROES = NIC_RINGS * K_PAGE_SIZE, CARD_EXTRA = CARD_ZEROES + 64,
       CARD_DMA = CARD_EXTRA + LINK_QUEUE_SIZE_MAX * sizeof(struct frame_extra) };

/* Bit of the server bell: driver.own() calls io_go_on(). */
#define CARD_GO_ON	(1ull << 40)

/* Words of the record; the first says that the rest and DMA memory are as this driver has them. */
enum { WORD_LAYOUT };
#define CARD_LAYOUT	0x65313030302d3031ull

struct card_queue {
	struct vq_chain chain;		/* taken, and waiting for room in the ring */
	bool waiting;
	/* A predecessor's: requests that the device does not have, in their order. */
	bool issuing;
	uint64_t issued;		/* counter of the last one */
	bool with_device[LINK_QUEUE_SIZE_MAX];	/* by head */
};

struct card {
	struct drv *d;			/* constant, and the rings' memory and bus addresses */
	uint64_t rings_bus[NIC_RINGS];

	struct nic nic;
	struct ring ring[NIC_RINGS];
	struct card_queue queue[NIC_RINGS];
	uint32_t shown[NIC_RINGS];	/* tail registers */
	bool has_context;		/* the device has a context, the last of the ring to send */
	uint8_t sum_from, sum_at;	/* ... this one */
	bool hears_of_sent;		/* NIC_SENT is listened to */
};

/* io.c */
void io_serve(struct card *k, uint32_t queue);	/* take requests from the link */
uint32_t io_reap(struct card *k, uint32_t queue);	/* answer what is done; how many */
void io_look(struct card *k);			/* both rings; go on with what waited for them */
void io_go_on(struct card *k);			/* CARD_GO_ON */

/* adopt.c */
k_status_t card_allocate(struct card *k) __attribute__((warn_unused_result));
/* The device works for the link then.  BAD_STATE: it is to be taken over live, and cannot be. */
k_status_t card_start(struct card *k) __attribute__((warn_unused_result));
/* Tell the client what there is to know of the card; also when the cable was moved. */
void card_describe(struct card *k);
