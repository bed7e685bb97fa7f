/* SPDX-License-Identifier: MIT */
/*
 * The driver runtime: it owns the loop, a driver fills in callbacks.
 *
 * A driver is a process with one device and one link that it serves.  Its runtime
 * receives what init grants (abi/component.h), maps what is to be mapped, and calls
 * driver.start().  After that the link is READY, and callbacks come one at a time:
 *
 *	queue	the client made chains available in a queue
 *	irq	an interrupt that was bound came; acknowledged afterwards by the runtime
 *	opened	the client chose its features (d->features)
 *	own	bits of DRV_OWN_BITS rang: timers of the driver and the like
 *
 * The link's server bell carries all of it, so one thread waits in one place.
 * A client that breaks the protocol gets drv_break(), which ends the process: who is wrong, this
 * driver cannot judge.  If its successors say the same of a request, that fails; if they can do nothing
 * at all, init closes the link (supervise.c).
 *
 * A driver can die anywhere, and its successor goes on over the same link and record:
 * d->start.incarnation > 1 says so.  vq_device_adopted() names the requests that were taken
 * and not answered; what else a driver needs to know of its predecessor it keeps in the
 * record (forward.h does all of this for drivers of virtio devices).
 */
#pragma once

#include "abi/calls.h"
#include "abi/component.h"
#include "virtio/link_layout.h"
#include "virtio/record.h"

enum { DRV_IRQS = 8 };

/* Bits of d->bell that a driver may use for itself: driver.own() is called when they ring. */
#define DRV_OWN_BITS (0xffull << 40)

struct drv {
	/* Constant from start on. */
	struct component_start start;
	k_handle_t device, channel, client_bell, bell;
	k_handle_t dma_memory, control_memory, data_memory, record_memory;
	struct link_layout layout;
	struct record *record;		/* what a successor will know */
	void *control;			/* the link's control memory */
	void *data;			/* the link's payload, or NULL: not mapped */
	void *dma;			/* memory of "needs dma", or NULL */
	/* Bus addresses of their pages; NULL until drv_dma_map(). */
	uint64_t *control_bus, *data_bus, *dma_bus;

	/* The loop's. */
	struct vq_device queue[LINK_QUEUES_MAX];
	bool open;			/* the client has chosen */
	uint64_t features;		/* what the client chose */
	uint64_t offered;
	bool broken;			/* tests on the host: drv_break() */
	uint32_t irqs_bound;		/* mask */

	void *driver;			/* the driver's own */
};

struct driver {
	/* Find and prepare the device, set drv_offer(), drv_config().  Not OK: the process ends. */
	k_status_t (*start)(struct drv *d);
	void (*queue)(struct drv *d, uint32_t queue);
	void (*irq)(struct drv *d, uint32_t index);
	void (*opened)(struct drv *d);	/* may be NULL */
	void (*own)(struct drv *d, uint64_t bits);	/* may be NULL */
};

/* Defined by each driver. */
extern const struct driver driver;

/* -- for start() -------------------------------------------------------------------------- */

/* virtio feature bits that the link offers. */
void drv_offer(struct drv *d, uint64_t features);
/* The device's configuration space as the client sees it, also later when it changes. */
void drv_config(struct drv *d, const void *config, size_t n);
k_status_t drv_irq_bind(struct drv *d, uint32_t index);
/* Make link and DMA memory reachable for the device: fills the *_bus arrays. */
k_status_t drv_dma_map(struct drv *d);

/* How a predecessor's device is to be taken over: COMPONENT_ADOPT_*, 0: as the driver thinks best. */
uint32_t drv_adopt_flags(struct drv *d);
/*
 * A callback that waits for its device says so now and then: init ends a driver that seems to do the
 * same thing for 2 s of processor time or 15 s in all.  Not for a wait without an end.
 */
void drv_alive(struct drv *d);
/* The device lost its state: clients that keep state in it are told. */
void drv_was_reset(struct drv *d);

/* -- chains of the link ---------------------------------------------------------------------- */

/*
 * A pointer to [@addr, @addr + @n) of link memory; NULL if that is not all in the
 * slots of the control memory or in mapped data.
 */
void *drv_pointer(struct drv *d, uint64_t addr, uint64_t n);
/*
 * Turn a piece of link memory into pieces of bus addresses, at most @max; 0: it is
 * not all in the slots or in the data.
 */
unsigned int drv_bus_segments(struct drv *d, const struct vq_segment *s, struct vq_segment *out,
			      unsigned int max);

/*
 * Say which request is being worked on, so that it is known if it should be fatal.
 * False: it was, to three incarnations in a row; answer it with an error.
 */
bool drv_work_on(struct drv *d, uint32_t queue, uint16_t head);
void drv_work_done(struct drv *d);
/* The device has been silent about that request, again and again: it is not given it any more, and answered
 * with an error. */
bool drv_is_overdue(const struct drv *d, uint32_t queue, uint16_t head);

/* Show the client what was answered in @queue, and ring its bell if it wants that. */
void drv_publish(struct drv *d, uint32_t queue);
/* The client broke the protocol.  Does not return, but in tests on the host, which set d->broken. */
void drv_break(struct drv *d, const char *why);

/* The value of the command line's "COMPONENT.NAME=VALUE"; false: not given. */
bool drv_option(struct drv *d, const char *name, char *value, size_t size);

/* Log with the instance's name before it. */
void drv_log(struct drv *d, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
