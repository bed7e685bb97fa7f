/* SPDX-License-Identifier: MIT */
/*
 * Channels: the control plane.
 *
 * Two ends, each with a queue of messages that the other end sent.  A message is
 * bytes and handles; the handles leave the sender's table and, while they are under
 * way, are names held by the message.  Queues are bounded, so a sender can be told
 * LIMIT, never made to wait.
 *
 * A call is a message with a transaction number, and a caller that waits at its own
 * end until a message with that number is sent back, or the other end closes.  A
 * caller that gives up takes its message back if nobody has received it yet;
 * answers that nobody waits for are dropped.
 *
 * Invariants, under the pair's lock (check_end()):
 *
 *   (1) Threads wait to receive at an end only while its queue is empty.
 *   (2) queued is the length of the queue, at most CHANNEL_QUEUE_MAX (messages that
 *       were put back excepted: each of them had its place before).
 *   (3) A closed end has an empty queue, no receivers, and no callers at either end.
 *
 * Waiters live on their threads' stacks.  They are woken with the lock held and take
 * the lock before they leave, as with bells.  An end that is sent through a channel
 * in a circle keeps itself alive; the direct circle, an end through its own pair, is
 * refused by the call.
 */

#include "kernel/channel.h"

#include "kernel/bell.h"
#include "kernel/group.h"
#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

struct channel_waiter {
	struct thread *thread;		/* constant */
	uint64_t txid;			/* constant; callers only */
	struct list link;		/* the pair's lock, and all below */
	bool done;
	struct message *message;	/* with done: what came, or NULL: closed */
};

static struct channel *peer_of(const struct channel *c)
{
	return &c->pair->end[c == &c->pair->end[0]];
}

static void check_end(const struct channel *c)
{
	assert_spin_held(&c->pair->lock);
	kassert_checks(list_is_empty(&c->receivers) || list_is_empty(&c->queue));
	kassert_checks(list_is_empty(&c->queue) == !c->queued);
	kassert_checks(!c->closed || (!c->queued && list_is_empty(&c->receivers) &&
				      list_is_empty(&c->callers)));
}

/* -- messages ---------------------------------------------------------------------------- */

k_status_t message_create(struct group *group, uint64_t length, struct message **out)
{
	struct message *message;
	size_t size = sizeof(*message) + length;

	if (length > K_MESSAGE_MAX_BYTES)
		return K_ERR_TOO_BIG;
	if (group && !group_charge_bytes(group, size))
		return K_ERR_NO_MEMORY;
	message = kmalloc(size);
	if (!message) {
		if (group)
			group_uncharge_bytes(group, size);
		return K_ERR_NO_MEMORY;
	}
	*message = (struct message){ .group = group, .length = (uint32_t)length };
	list_init(&message->link);
	if (group)
		object_get(&group->object);
	*out = message;
	return K_OK;
}

void message_destroy(struct message *message)
{
	struct group *group = message->group;
	size_t size = sizeof(*message) + message->length;

	for (uint32_t i = 0; i < message->handle_count; i++)
		object_name_put(message->handles[i].object);
	kfree(message);
	if (group) {
		group_uncharge_bytes(group, size);
		object_put(&group->object);
	}
}

static void destroy_messages(struct list *messages)
{
	struct message *m;

	while ((m = list_pop_entry(messages, struct message, link)))
		message_destroy(m);
}

/* -- life -------------------------------------------------------------------------------- */

static void init_end(struct channel *c, struct channel_pair *pair)
{
	c->pair = pair;
	list_init(&c->queue);
	list_init(&c->receivers);
	list_init(&c->callers);
}

k_status_t channel_create(struct group *group, struct channel *ends[2])
{
	struct channel_pair *pair = kzalloc(sizeof(*pair));
	k_status_t st;

	if (!pair)
		return K_ERR_NO_MEMORY;
	spinlock_init(&pair->lock, LOCK_CHANNEL);
	atomic_init(&pair->ends, 2);
	init_end(&pair->end[0], pair);
	init_end(&pair->end[1], pair);
	st = object_init(&pair->end[0].object, K_TYPE_CHANNEL, group, sizeof(*pair) / 2);
	if (st != K_OK)
		goto free_pair;
	st = object_init(&pair->end[1].object, K_TYPE_CHANNEL, group, sizeof(*pair) / 2);
	if (st != K_OK)
		goto abandon_first;
	ends[0] = &pair->end[0];
	ends[1] = &pair->end[1];
	return K_OK;

abandon_first:
	object_abandon(&pair->end[0].object);
free_pair:
	kfree(pair);
	return st;
}

/* Let everybody on @waiters go; they find the message they were given, or none. */
static void release_waiters(struct list *waiters)
{
	struct channel_waiter *w;

	while ((w = list_pop_entry(waiters, struct channel_waiter, link))) {
		w->done = true;
		sched_wake(w->thread);
	}
}

static void ring(struct channel *c)
{
	if (c->bell)
		bell_ring(c->bell, c->bell_bits);
}

void channel_close(struct object *object)
{
	struct channel *c = container_of(object, struct channel, object), *peer = peer_of(c);
	struct list messages = LIST_INIT(messages);
	struct bell *bell;
	arch_irqflags_t flags;

	flags = spin_lock_irqsave(&c->pair->lock);
	c->closed = true;
	bell = c->bell;
	c->bell = NULL;
	list_splice_last(&messages, &c->queue);
	c->queued = 0;
	release_waiters(&c->receivers);
	release_waiters(&c->callers);
	release_waiters(&peer->receivers);
	release_waiters(&peer->callers);
	ring(peer);
	check_end(c);
	check_end(peer);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	destroy_messages(&messages);
	if (bell)
		object_put(&bell->object);
}

void channel_destroy(struct object *object)
{
	struct channel *c = container_of(object, struct channel, object);
	struct channel_pair *pair = c->pair;

	/* An end that never had a handle was not closed; its peer may still wait. */
	if (!c->closed || c->bell)
		channel_close(object);
	/* acq_rel: whoever frees the pair sees what the other end's last user did */
	if (atomic_fetch_sub_explicit(&pair->ends, 1, memory_order_acq_rel) == 1)
		kfree(pair);
}

uint64_t channel_related(struct object *object)
{
	return peer_of(container_of(object, struct channel, object))->object.koid;
}

/* -- sending ------------------------------------------------------------------------------- */

static void grant(struct channel_waiter *w, struct message *message, bool caller_will_sleep)
{
	list_remove(&w->link);
	w->message = message;
	w->done = true;
	if (caller_will_sleep)
		sched_wake_sync(w->thread);
	else
		sched_wake(w->thread);
}

/* Give @message to somebody who waits at @to, or queue it. */
static k_status_t deliver(struct channel *to, struct message *message, bool caller_will_sleep)
{
	struct channel_waiter *w = list_first_entry(&to->receivers, struct channel_waiter, link);

	if (to->closed)
		return K_ERR_CLOSED;
	if (w) {
		grant(w, message, caller_will_sleep);
		return K_OK;
	}
	if (to->queued >= CHANNEL_QUEUE_MAX)
		return K_ERR_LIMIT;
	list_add_last(&to->queue, &message->link);
	to->queued++;
	ring(to);
	return K_OK;
}

static struct channel_waiter *find_caller(struct channel *c, uint64_t txid)
{
	struct channel_waiter *w;

	list_for_each_entry(w, &c->callers, link)
		if (w->txid == txid)
			return w;
	return NULL;
}

k_status_t channel_send(struct channel *c, struct message *message)
{
	struct channel *peer = peer_of(c);
	struct channel_waiter *caller = NULL;
	bool is_answer = message->txid;
	k_status_t st = K_OK;
	arch_irqflags_t flags;

	flags = spin_lock_irqsave(&c->pair->lock);
	if (!is_answer) {
		st = deliver(peer, message, false);
	} else if (peer->closed) {
		st = K_ERR_CLOSED;
	} else {
		caller = find_caller(peer, message->txid);
		if (caller)
			grant(caller, message, false);
	}
	check_end(peer);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	if (st == K_OK && is_answer && !caller)
		message_destroy(message);
	return st;
}

/* -- receiving ------------------------------------------------------------------------------ */

/*
 * Sleep until @w is done.  Called with the pair locked and @w on a list; returns in
 * the same state, with @w on no list.
 */
static k_status_t wait_done(struct channel *c, struct channel_waiter *w, uint64_t deadline_ns,
			    arch_irqflags_t *flags)
{
	k_status_t st;

	do {
		sched_prepare(BLOCK_KILLABLE | BLOCK_KICKABLE);
		spin_unlock_irqrestore(&c->pair->lock, *flags);
		st = sched_block(deadline_ns);
		*flags = spin_lock_irqsave(&c->pair->lock);
		/* An OK that is not done is a left-over of an earlier wait. */
	} while (st == K_OK && !w->done);
	list_remove(&w->link);
	if (w->done)
		st = w->message ? K_OK : K_ERR_CLOSED;
	return st;
}

k_status_t channel_recv(struct channel *c, uint64_t deadline_ns, struct message **message)
{
	struct channel_waiter w = { .thread = current_thread() };
	arch_irqflags_t flags;
	k_status_t st = K_OK;

	flags = spin_lock_irqsave(&c->pair->lock);
	w.message = list_pop_entry(&c->queue, struct message, link);
	if (w.message) {
		c->queued--;
	} else if (c->closed || peer_of(c)->closed) {
		st = K_ERR_CLOSED;
	} else if (deadline_ns == 0) {
		st = K_ERR_SHOULD_WAIT;
	} else {
		list_add_last(&c->receivers, &w.link);
		st = wait_done(c, &w, deadline_ns, &flags);
	}
	check_end(c);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	if (st == K_OK)
		*message = w.message;
	return st;
}

void channel_unrecv(struct channel *c, struct message *message)
{
	struct channel_waiter *w;
	arch_irqflags_t flags;
	bool closed;

	flags = spin_lock_irqsave(&c->pair->lock);
	w = list_first_entry(&c->receivers, struct channel_waiter, link);
	closed = c->closed;
	if (w) {
		grant(w, message, false);
	} else if (!closed) {
		list_add_first(&c->queue, &message->link);
		c->queued++;
	}
	check_end(c);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	if (closed)
		message_destroy(message);
}

/* -- calling ---------------------------------------------------------------------------------- */

/* The call's message, if it is still in the queue: nobody will see it. */
static struct message *withdraw(struct channel *to, uint64_t txid)
{
	struct message *m;

	list_for_each_entry(m, &to->queue, link) {
		if (m->txid == txid) {
			list_remove(&m->link);
			to->queued--;
			return m;
		}
	}
	return NULL;
}

k_status_t channel_call(struct channel *c, struct message *message, uint64_t deadline_ns,
			struct message **reply, bool *sent)
{
	struct channel *peer = peer_of(c);
	struct channel_waiter w = { .thread = current_thread() };
	struct message *withdrawn = NULL;
	arch_irqflags_t flags;
	k_status_t st;

	flags = spin_lock_irqsave(&c->pair->lock);
	w.txid = message->txid = ++c->next_txid;
	st = c->closed ? K_ERR_CLOSED : deliver(peer, message, true);
	*sent = st == K_OK;
	if (*sent) {
		list_add_last(&c->callers, &w.link);
		st = wait_done(c, &w, deadline_ns, &flags);
		if (st != K_OK)
			withdrawn = withdraw(peer, w.txid);
	}
	check_end(c);
	check_end(peer);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	if (withdrawn)
		message_destroy(withdrawn);
	if (st == K_OK)
		*reply = w.message;
	return st;
}

/* -- watching --------------------------------------------------------------------------------- */

void channel_watch(struct channel *c, struct bell *bell, uint64_t bits)
{
	struct bell *old;
	arch_irqflags_t flags;

	if (bell)
		object_get(&bell->object);
	flags = spin_lock_irqsave(&c->pair->lock);
	old = c->bell;
	c->bell = bell;
	c->bell_bits = bits;
	if (c->queued || peer_of(c)->closed)
		ring(c);
	spin_unlock_irqrestore(&c->pair->lock, flags);
	if (old)
		object_put(&old->object);
}
