/* SPDX-License-Identifier: MIT */
/*
 * Block devices over a link (virtio block device protocol).
 *
 * Either whole operations on the caller's memory, which sleep and copy:
 *
 *	st = blk_read(b, sector, buf, n);
 *
 * or requests whose payload is in link memory, without a copy of the library's:
 *
 *	st = blk_request_get(b, BLK_READ, sector, n, true, &r);	// may sleep for room
 *	blk_submit(b, r);
 *	... more requests ...
 *	st = blk_wait(b, r);			// sleeps, uninterruptible
 *	... k_memory_supply(file, offset, r->data, r->length) ...
 *	blk_request_put(b, r);
 *
 * A device may have several queues; each thread has one that its requests go to.
 *
 * The memory at r->data is shared with the driver: copy before you interpret it.
 * Requests are done in any order; BLK_FLUSH covers the writes that completed
 * before it was submitted.  Sectors have 512 bytes always; the addresses and
 * lengths have to be multiples of blk_block_size().
 *
 * Statuses: IO (the device or its driver failed, also: driver died), BEYOND_END,
 * ACCESS (writing to a read-only device), BAD_ARGUMENT (not aligned),
 * NOT_SUPPORTED (discard on a device that cannot), BAD_ADDRESS (the caller's copy failed).
 */
#pragma once

#include "base/list.h"
#include "link/link.h"

#define BLK_SECTOR	512u

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_GET_ID };

struct blk;

struct blk_request {
	/* For the user: constant from get to put. */
	enum blk_op op;
	uint64_t sector;
	uint32_t length;		/* bytes of payload */
	void *data;			/* in link memory, page aligned; NULL for FLUSH and DISCARD */

	/* The user's own. */
	void *user;

	/* The library's. */
	struct blk_queue *queue;	/* constant */
	_Atomic(uint32_t) state;	/* enum in blk_request.c */
	k_status_t status;		/* valid once done */
	uint16_t head;
	uint16_t refused;		/* answers that were against the protocol */
	uint64_t order;			/* of those in flight in its queue */
	uint32_t data_offset, data_pages;
	struct blk_request *next;
	struct list link;		/* of those whose threads follow: blk_request.c */
	bool followed;
	_Atomic(uint32_t) roused;	/* they sleep while it is 0 */
};

/* The largest payload of one request; blk_read and blk_write split what is larger. */
#define BLK_REQUEST_MAX	(128u * 1024)

/*
 * Take the block device on @l: sleeps until the driver is ready (at most until
 * @deadline_ns; TIMED_OUT).  The link belongs to it from then on.
 */
k_status_t blk_open(struct link *l, uint64_t deadline_ns, struct blk **out);
void blk_close(struct blk *b);

uint64_t blk_sectors(const struct blk *b);	/* capacity */
uint32_t blk_block_size(const struct blk *b);	/* logical: 512, 4096... */
bool blk_is_read_only(const struct blk *b);

/* What the device says of itself, made plausible; bytes, but for depth (requests). */
struct blk_limits {
	uint32_t logical_block, physical_block, io_min, io_opt, alignment;
	uint32_t discard_granularity;
	uint64_t discard_max;		/* 0: it cannot discard */
	uint32_t depth;
	bool volatile_cache;
};
void blk_limits(const struct blk *b, struct blk_limits *l);
bool blk_is_dead(const struct blk *b);
const char *blk_name(const struct blk *b);	/* "virtio-blk.0" */
uint32_t blk_index(const struct blk *b);	/* n-th block device of this personality: vda is 0 */

/* Whole operations.  @n is a multiple of the block size.  Sleep, uninterruptible. */
k_status_t blk_read(struct blk *b, uint64_t sector, void *buf, size_t n);
k_status_t blk_write(struct blk *b, uint64_t sector, const void *buf, size_t n);
/*
 * The same, read (BLK_READ) or written (BLK_WRITE) by @copy: it is called for one piece of @n bytes in
 * link memory after the other, in their order, to take them from there or put them there.  False ends
 * the transfer with BAD_ADDRESS; earlier pieces may have been written.  It must not sleep for a
 * request of @b: requests are held meanwhile.
 */
typedef bool blk_copy_fn(void *arg, void *data, size_t n);
k_status_t blk_transfer(struct blk *b, enum blk_op op, uint64_t sector, size_t n, blk_copy_fn *copy,
			void *arg);
k_status_t blk_flush(struct blk *b);		/* OK at once if the device has no cache */
k_status_t blk_discard(struct blk *b, uint64_t sector, uint64_t sectors);
/* The device's serial: at most 20 characters and a NUL. */
k_status_t blk_serial(struct blk *b, char id[21]);

/*
 * A request with room for @length bytes (at most BLK_REQUEST_MAX).  With @wait
 * sleeps until there is room in the link, else SHOULD_WAIT.  Arguments are
 * checked here, so that submitting cannot fail.
 */
k_status_t blk_request_get(struct blk *b, enum blk_op op, uint64_t sector, uint32_t length,
			   bool wait, struct blk_request **out);
void blk_submit(struct blk *b, struct blk_request *r);
/* Sleep until it has completed, and return how it ended. */
k_status_t blk_wait(struct blk *b, struct blk_request *r);
/* Give back a request that is not in flight. */
void blk_request_put(struct blk *b, struct blk_request *r);
