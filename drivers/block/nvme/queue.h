/* SPDX-License-Identifier: MIT */
/*
 * A pair of a submission and a completion queue (NVM Express base specification 1.4, 4.1 and
 * 4.6), without its doorbells: memory alone.
 *
 * The device is hostile.  A completion's dwords are read once, its phase first; a queue number
 * or head pointer that is none breaks the pair for good, and what command the identifier
 * names is checked by who gave it.  How many commands are on their way is counted here and
 * never learned from the device: with at most size - 1 of them, neither ring can overflow
 * whatever the device says of its head.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "command.h"

struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint32_t sq;			/* 15:0 head of the submission queue, 31:16 its number */
	uint32_t status;		/* 15:0 identifier, 16 phase, 31:17 status */
};
_Static_assert(sizeof(struct nvme_cqe) == 16, "size of a completion queue entry");

struct nvme_completion {
	uint32_t result;
	uint16_t cid;
	uint16_t status;		/* 7:0 code, 10:8 type, 14 do not retry; 0: done */
};
#define NVME_STATUS_DNR	(1u << 14)

struct nvme_queue {
	/* Constant from nvme_queue_init() on. */
	uint16_t id;
	uint32_t size;			/* entries of each; a power of two up to 4096 */
	struct nvme_command *sq;
	const volatile struct nvme_cqe *cq;

	/* Who drives it. */
	uint16_t tail;			/* of the submission queue: where the next one goes */
	uint16_t shown;			/* ... as the device was last told */
	uint16_t position;		/* completions taken, modulo 65536 */
	uint16_t settled;		/* ... as the device was last told */
	uint32_t in_flight;
	const char *broken;		/* reason, or NULL */
};

/*
 * @sq and @cq have room for @size entries.  @position: 0, with both zeroed by the
 * caller; or, to read what the device left in a queue of a predecessor, where that one was.
 */
void nvme_queue_init(struct nvme_queue *q, uint16_t id, uint32_t size, void *sq, const void *cq,
		     uint16_t position);
/* Put a command into the ring: the device sees it when its doorbell rings.  False: no room. */
bool nvme_queue_add(struct nvme_queue *q, const struct nvme_command *c);
/* The next completion; false: none, or broken. */
bool nvme_queue_take(struct nvme_queue *q, struct nvme_completion *c);
/* What the completion doorbell is to say after that. */
uint32_t nvme_queue_head(const struct nvme_queue *q);
