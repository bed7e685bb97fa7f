/* SPDX-License-Identifier: MIT */
/*
 * Timers: a deadline that rings a bell.  The kernel's own timer does the work; this
 * is its owner.  Setting is serialised by a mutex; ringing happens in the timer's
 * interrupt.  Once closed (no handle is left) a timer is disarmed for good.
 */

#include "kernel/timer_object.h"

#include "kernel/bell.h"
#include "kernel/kmem.h"

static void timer_fired(struct ktimer *t)
{
	struct timer_object *timer = container_of(t, struct timer_object, timer);

	bell_ring(timer->bell, timer->bits);
}

k_status_t timer_object_create(struct group *group, struct bell *bell, uint64_t bits,
			       struct timer_object **out)
{
	struct timer_object *timer = kzalloc(sizeof(*timer));
	k_status_t st;

	if (!timer)
		return K_ERR_NO_MEMORY;
	st = object_init(&timer->object, K_TYPE_TIMER, group, sizeof(*timer));
	if (st != K_OK) {
		kfree(timer);
		return st;
	}
	object_get(&bell->object);
	timer->bell = bell;
	timer->bits = bits;
	ktimer_init(&timer->timer, timer_fired);
	kmutex_init(&timer->lock, LOCK_TIMER_OBJECT);
	*out = timer;
	return K_OK;
}

void timer_object_set(struct timer_object *timer, uint64_t deadline_ns, uint64_t slack_ns)
{
	kmutex_lock(&timer->lock);
	if (deadline_ns == K_DEADLINE_NEVER)
		ktimer_cancel_sync(&timer->timer);
	else
		ktimer_set(&timer->timer, deadline_ns, slack_ns);
	kmutex_unlock(&timer->lock);
}

void timer_object_close(struct object *object)
{
	timer_object_set(container_of(object, struct timer_object, object), K_DEADLINE_NEVER, 0);
}

void timer_object_destroy(struct object *object)
{
	struct timer_object *timer = container_of(object, struct timer_object, object);

	/* Somebody may have set it between the close and the last reference. */
	ktimer_cancel_sync(&timer->timer);
	object_put(&timer->bell->object);
	kfree(timer);
}
