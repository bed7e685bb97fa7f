/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller: its registers (NVM Express base specification 1.4, 3.1), its admin
 * queue, and the way from whatever state it is in to one in which it serves our queues.
 *
 *	open		its capabilities are known, and it can be driven
 *	disabled	(7.3.2) it writes no memory, and its queues are void
 *	enabled		the admin queue works
 *
 * Everything that is read is the device's word: nothing is waited for without a bound, and
 * a register that reads as all ones is a device that is gone.
 *
 * Statuses: IO: it failed, or is gone; TIMED_OUT: it did not do it in time;
 * NOT_SUPPORTED: it is not what this driver can drive, nvme_controller.why says a reason.
 */
#pragma once

#include "drv/registers.h"
#include "identify.h"
#include "queue.h"

enum { NVME_ADMIN_SIZE = 16 };		/* entries of the admin queues */

struct nvme_controller {
	const struct drv_window *window;	/* constant from nvme_open() on, and all to why */
	uint32_t stride;		/* bytes between doorbells */
	uint32_t queue_max;		/* entries of the largest queue, at least 2 */
	uint64_t ready_ns;		/* a change of CC.EN is done by then */
	uint32_t version;
	const char *why;		/* of the last NOT_SUPPORTED */

	struct nvme_queue admin;
	uint16_t cid;			/* of the last admin command */
	uint16_t status;		/* ... that completed, as the device said it */
};

/* Read the capabilities.  The device is left as it is. */
k_status_t nvme_open(struct nvme_controller *c, const struct drv_window *window)
	__attribute__((warn_unused_result));
/* The window has to reach so far for the doorbells of queues 0 to @queues. */
uint64_t nvme_window_length(const struct nvme_controller *c, uint32_t queues);

k_status_t nvme_disable(struct nvme_controller *c) __attribute__((warn_unused_result));
/* The admin queues, a zeroed page each, lie at @sq and @cq, for the device at the bus addresses. */
k_status_t nvme_enable(struct nvme_controller *c, void *sq, uint64_t sq_bus, void *cq,
		       uint64_t cq_bus) __attribute__((warn_unused_result));
/* It is enabled, ready, and has not failed. */
bool nvme_is_well(const struct nvme_controller *c);

/* Do an admin command, whose identifier is set here; it may take some seconds.  @result: or NULL. */
k_status_t nvme_admin(struct nvme_controller *c, struct nvme_command command, uint32_t *result)
	__attribute__((warn_unused_result));
/*
 * Ask for @queues pairs of I/O queues; *@granted: as many are there, at least 1.  Then
 * make them.
 */
k_status_t nvme_queues(struct nvme_controller *c, uint32_t queues, uint32_t *granted)
	__attribute__((warn_unused_result));
k_status_t nvme_make_queue(struct nvme_controller *c, const struct nvme_queue *q, uint64_t sq_bus,
			   uint64_t cq_bus, uint16_t vector) __attribute__((warn_unused_result));

/* Tell the device what was added, and what was taken; nothing if it knows. */
void nvme_submit(const struct nvme_controller *c, struct nvme_queue *q);
void nvme_settle(const struct nvme_controller *c, struct nvme_queue *q);
