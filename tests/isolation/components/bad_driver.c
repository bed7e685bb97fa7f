/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk, but for a fault that BAD says: programs for updates that have to be taken back.
 *
 *	FAULT	writes to address 0 before anything else
 *	HANG	loops in start()
 *	LATE	serves, and writes to address 0 when the client calls for the 5th time
 *	SILENT	says that it serves, and does not
 */
#include "drv/forward.h"

enum { FAULT, HANG, LATE, SILENT };

static void hang(void)
{
	for (volatile int forever = 1; forever;)
		;
}

static void fault(void)
{
	volatile uintptr_t nowhere = 0;

	*(volatile int *)nowhere = 1;
}

static k_status_t bad_start(struct drv *d, struct forward *f, const struct forward_ops *ops,
			    uint64_t features, uint32_t depth)
{
	if (BAD == FAULT)
		fault();
	if (BAD == HANG)
		hang();
	return forward_start(d, f, ops, features, depth);
}

static void bad_queue(struct forward *f, uint32_t queue)
{
	static unsigned int calls;

	if (BAD == LATE && ++calls == 5)
		fault();
	if (BAD != SILENT)
		forward_queue(f, queue);
}

static void bad_irq(struct forward *f)
{
	if (BAD != SILENT)
		forward_irq(f);
}

#define forward_start bad_start
#define forward_queue bad_queue
#define forward_irq bad_irq
#include "../../../drivers/block/virtio-blk/driver.c"
