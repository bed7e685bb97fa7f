/* SPDX-License-Identifier: MIT */
/*
 * A disk: one namespace of a controller, and per queue of the link a pair of the
 * controller's queues.
 *
 *	disk.c	finding it, setting it up
 *	io.c	requests as commands
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
#include "drv/blk_server.h"

enum { DISK_ADMIN_SQ, DISK_ADMIN_CQ, DISK_BUFFER, DISK_QUEUES };	/* pages of DMA memory */
enum { DISK_RING = 64, DISK_SLOT = 256 };
/* What one command moves at the most: its list of pages fits into a slot. */
#define DISK_TRANSFER	(128u * 1024)

/* Word BLK_WORD_LAYOUT of the record. */
enum { DISK_LAYOUT = 1 };

/*
 * A command's identifier: the head of its request, some bits of the request's counter, by
 * which a late completion is told from one of a later request, and whether the request is
 * done when the command is.
 */
#define CID_HEAD(cid)	((cid) & 0xffu)
#define CID_IS_OF(cid, counter)	(((cid) >> 8 & 0x7f) == ((counter) & 0x7f))
#define CID_LAST	0x8000u

struct disk {
	struct drv *d;
	struct blk_server server;
	struct nvme_controller controller;
	struct nvme_identity identity;
	struct nvme_namespace ns;
	uint32_t max_transfer;
	uint32_t slots;			/* page of DMA memory where they begin */
	struct nvme_queue ring[LINK_QUEUES_MAX];
	struct nvme_command command;	/* that is planned */
};

void *disk_page(struct disk *k, uint32_t page, uint64_t *bus);

/* -- disk.c -- */
/* Room for all of it; NO_MEMORY, also if "needs dma" says too little. */
k_status_t disk_allocate(struct disk *k);
/* The controller is disabled: enable it, and make its queues.  Logs what is wrong. */
k_status_t disk_set_up(struct disk *k);
/* Say on the link what it is. */
void disk_describe(struct disk *k);

/* -- io.c -- */
/* How requests become commands. */
extern const struct blk_server_ops disk_ops;
/* Answer what the device has done, in all queues, and go on with what waited for that. */
void io_reap(struct disk *k);
/* A second has passed: does the device do what it should? */
void io_check(struct disk *k);
/*
 * The device is quiet: answer what the queues of the predecessor say that it has done; the rest will
 * be issued again, before anything new.
 */
void io_take_over(struct disk *k);
