/* SPDX-License-Identifier: MIT */
/*
 * A disk: one namespace of a controller, and per queue of the link a pair of the
 * controller's queues.
 *
 *	disk.c	finding it, setting it up
 *	io.c	requests
 *	driver.c	the runtime's callbacks, and how a successor begins
 *
 * One thread does all of it, so that nothing is locked.
 *
 * DMA memory, in pages: the admin queues, a buffer for what the controller says of itself, two
 * pages for each pair of queues, and then SLOT bytes for each descriptor of the link: the
 * list of pages of a transfer, or the ranges of a discard.
 */
#pragma once

#include "controller.h"
#include "drv/drv.h"
#include "request.h"

enum { DISK_ADMIN_SQ, DISK_ADMIN_CQ, DISK_BUFFER, DISK_QUEUES };	/* pages of DMA memory */
enum { DISK_RING = 64, DISK_SLOT = 256 };
/* What one command moves at the most: its list of pages fits into a slot. */
#define DISK_TRANSFER	(128u * 1024)

/* Words of the record. */
enum {
	WORD_LAYOUT,			/* what lies in DMA memory and in this table: DISK_LAYOUT */
	WORD_HUNG_QUEUE, WORD_HUNG,	/* the request that ran into its deadline last: queue, counter */
	WORD_HUNG_TIMES,		/* ... so often in a row */
};
enum { DISK_LAYOUT = 1 };

/*
 * A command's identifier: the head of its request, some bits of the request's counter, by
 * which a late completion is told from one of a later request, and whether the request is
 * done when the command is.
 */
#define CID_HEAD(cid)	((cid) & 0xffu)
#define CID_IS_OF(cid, counter)	(((cid) >> 8 & 0x7f) == ((counter) & 0x7f))
#define CID_LAST	0x8000u

/* A request between its issue and its answer. */
struct flight {
	uint64_t counter;		/* 0: none */
	uint64_t since_ns;		/* when the device got the command */
	uint8_t *status;
	uint32_t done, now, total;	/* bytes: of earlier commands, of this one, of all */
	uint16_t cid;
	uint8_t type, tries;
	bool with_device;		/* ... or it waits for its next command */
};

struct io_queue {
	struct nvme_queue ring;
	struct flight *flights;		/* by head */
	struct vq_chain chain;		/* scratch */
	uint32_t active;		/* requests between issue and answer */
	uint32_t again;			/* ... which wait for their next command */
	bool stopped;			/* there may be more on the link: look after the next answer */
	/* A predecessor's requests, in their order; each when the one before is done. */
	bool issuing, in_order;
	uint64_t issued;		/* counter of the last one */
};

struct disk {
	struct drv *d;
	struct nvme_controller controller;
	struct nvme_identity identity;
	struct nvme_namespace ns;
	uint32_t max_transfer;
	uint32_t slots;			/* page of DMA memory where they begin */
	uint32_t queue_count;
	struct io_queue queue[LINK_QUEUES_MAX];
	k_handle_t timer;
	bool timer_runs;
	uint32_t errors;		/* that were logged */
};

/* Bit of the server bell that the timer rings. */
#define DISK_TICK	(1ull << 40)

void *disk_page(struct disk *k, uint32_t page, uint64_t *bus);

/* -- disk.c -- */
/* Room for all of it; NO_MEMORY, also if "needs dma" says too little. */
k_status_t disk_allocate(struct disk *k);
/* The controller is disabled: enable it, and make its queues.  Logs what is wrong. */
k_status_t disk_set_up(struct disk *k);
/* Say on the link what it is. */
void disk_describe(struct disk *k);

/* -- io.c -- */
/* Take requests from the link, and the device's further commands for those that have some. */
void io_serve(struct disk *k, uint32_t q);
/* Answer what the device has done, in all queues, and go on with what waited for that. */
void io_reap(struct disk *k);
/* A second has passed: does the device do what it should? */
void io_check(struct disk *k);
/*
 * The device is quiet: answer what the queues of the predecessor say that it has done; the rest will
 * be issued again, before anything new.
 */
void io_take_over(struct disk *k);
