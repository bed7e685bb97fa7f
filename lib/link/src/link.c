/* SPDX-License-Identifier: MIT */
/*
 * What all classes of links share, see link/link.h.
 *
 * Waiting: any number of threads wait for requests of one link.  One of them, the
 * poller, sleeps on the bell; the others sleep on seq.  When the poller wakes it
 * bumps seq, which wakes the others, who look whether their own request is done,
 * and one of those that go on waiting becomes the next poller.  A waiter reads seq
 * before it looks at its request, so that news in between ends its sleep at once;
 * the bell keeps its bits until somebody takes them, so that the poller cannot miss
 * any either.
 */
#include "base/string.h"
#include "base/util.h"
#include "link_priv.h"
#include "rt/log.h"
#include "rt/memory.h"

static void close_handle(k_handle_t h)
{
	if (h)
		(void)!k_handle_close(h);
}

static k_status_t map_memory(struct link *l)
{
	const uint32_t rw = K_PROT_READ | K_PROT_WRITE;
	void *control, *data;
	k_status_t st;

	st = rt_map(l->control_memory, 0, l->layout.length, rw, &control);
	if (st != K_OK)
		return st;
	st = rt_map(l->data_memory, 0, l->geometry.data_length, rw, &data);
	if (st != K_OK) {
		rt_unmap(control, l->layout.length);
		return st;
	}
	l->header = control;
	l->data = data;
	return K_OK;
}

static void close_handles(const struct link *l)
{
	close_handle(l->control_memory);
	close_handle(l->data_memory);
	close_handle(l->client_bell);
	close_handle(l->server_bell);
}

k_status_t link_open(const struct link_geometry *geometry, const k_handle_t *handles,
		     uint32_t rank, struct link **out)
{
	struct link tmp = {
		.geometry = *geometry, .rank = rank,
		.control_memory = handles[LINUX_LINK_CONTROL],
		.data_memory = handles[LINUX_LINK_DATA],
		.client_bell = handles[LINUX_LINK_CLIENT_BELL],
		.server_bell = handles[LINUX_LINK_SERVER_BELL],
	};
	struct link *l = NULL;
	k_status_t st = K_ERR_NOT_SUPPORTED;

	tmp.geometry.name[sizeof(tmp.geometry.name) - 1] = '\0';
	if (link_layout_make(&tmp.geometry, &tmp.layout) && tmp.geometry.data_length) {
		l = rt_alloc(sizeof(*l));
		st = l ? map_memory(&tmp) : K_ERR_NO_MEMORY;
	}
	if (st != K_OK) {
		close_handles(&tmp);
		rt_free(l);
		return st;
	}
	*l = tmp;
	*out = l;
	return K_OK;
}

void link_close(struct link *l)
{
	atomic_store_explicit(&l->header->client_state, LINK_CLIENT_CLOSED, memory_order_release);
	(void)!k_bell_ring(l->server_bell, LINK_BELL_STATE);
	rt_unmap(l->header, l->layout.length);
	rt_unmap(l->data, l->geometry.data_length);
	close_handles(l);
	rt_free(l);
}

const struct link_geometry *link_geometry(const struct link *l)
{
	return &l->geometry;
}

uint64_t link_features(const struct link *l)
{
	return atomic_load_explicit(&l->negotiated, memory_order_acquire) ? l->features : 0;
}

bool link_is_dead(const struct link *l)
{
	uint32_t state;

	if (atomic_load_explicit(&l->dead, memory_order_relaxed))
		return true;
	state = atomic_load_explicit(&l->header->server_state, memory_order_acquire);
	return state == LINK_SERVER_CLOSED;
}

uint32_t link_incarnation(const struct link *l)
{
	return *(const volatile uint32_t *)&l->header->incarnation;
}

uint32_t link_resets(const struct link *l)
{
	/* acquire: pairs with the server's release; what it answers afterwards comes later */
	return atomic_load_explicit(&l->header->resets, memory_order_acquire);
}

void link_round(struct link *l, uint32_t round)
{
	atomic_store_explicit(&l->header->round, round, memory_order_relaxed);
}

void link_kill(struct link *l, const char *why)
{
	if (atomic_exchange_explicit(&l->dead, true, memory_order_release))
		return;
	rt_log(RT_LOG_ERR, "%s: the driver broke the protocol: %s", l->geometry.name, why);
	link_changed(l);
}

void link_accuse(struct link *l, const char *why)
{
	rt_log(RT_LOG_ERR, "%s: the driver broke the protocol: %s", l->geometry.name, why);
	/* init looks at it, and tells us by the bell */
	atomic_fetch_add_explicit(&l->header->accusations, 1, memory_order_relaxed);
}

bool link_is_renewed(const struct link *l, uint32_t *epoch)
{
	/* acquire: pairs with init's message to us; the old server has ended */
	*epoch = atomic_load_explicit(&l->header->epoch, memory_order_acquire);
	return *epoch != l->epoch;
}

void link_renewed(struct link *l, uint32_t epoch)
{
	l->epoch = epoch;
	/* release: pairs with init's look; the rings come first */
	atomic_store_explicit(&l->header->client_epoch, epoch, memory_order_release);
	(void)!k_bell_ring(l->server_bell, LINK_BELL_STATE);
}

/* -- negotiation ------------------------------------------------------------------------------ */

static bool server_is_ready(const struct link *l)
{
	/* acquire: pairs with the server's release; features and configuration come first */
	return atomic_load_explicit(&l->header->server_state, memory_order_acquire) ==
	       LINK_SERVER_READY;
}

k_status_t link_negotiate(struct link *l, uint64_t wanted, uint64_t deadline_ns,
			  bool interruptible)
{
	for (;;) {
		uint32_t seq = link_seq(l);
		k_status_t st;

		if (link_is_dead(l))
			return K_ERR_CLOSED;
		if (server_is_ready(l))
			break;
		st = link_wait_change(l, seq, deadline_ns, interruptible);
		if (st != K_OK)
			return st;
	}
	l->features = *(volatile uint64_t *)&l->header->server_features & wanted;
	l->header->client_features = l->features;
	atomic_store_explicit(&l->negotiated, true, memory_order_release);
	/* release: pairs with the server's acquire; the features come first */
	atomic_store_explicit(&l->header->client_state, LINK_CLIENT_OPEN, memory_order_release);
	(void)!k_bell_ring(l->server_bell, LINK_BELL_STATE);
	return K_OK;
}

/* A server that changes it all the time gets a torn copy taken, not our time. */
void link_config_read(struct link *l, size_t offset, void *dst, size_t n)
{
	uint8_t copy[LINK_CONFIG_MAX];
	uint32_t before;

	memset(dst, 0, n);
	if (offset >= sizeof(copy))
		return;
	for (int tries = 0; tries < 1000; tries++) {
		before = atomic_load_explicit(&l->header->config_generation, memory_order_acquire);
		memcpy(copy, (const void *)l->header->config, sizeof(copy));
		atomic_thread_fence(memory_order_acquire);
		if (!(before & 1) &&
		    atomic_load_explicit(&l->header->config_generation, memory_order_relaxed) ==
		    before)
			break;
	}
	memcpy(dst, copy + offset, MIN(n, sizeof(copy) - offset));
}

/* -- queues -------------------------------------------------------------------------------------- */

void link_queue_init(struct link *l, uint32_t i, struct vq_driver *q, struct vq_driver_slot *slots)
{
	struct vring ring = link_layout_ring(&l->layout, l->header, i);

	vq_driver_init(q, &ring, slots);
}

void link_publish(struct link *l, uint32_t i, struct vq_driver *q)
{
	if (vq_driver_publish(q))
		(void)!k_bell_ring(l->server_bell, BIT(i));
}

uint64_t link_slot(const struct link *l, uint32_t queue, uint32_t descriptor)
{
	return link_layout_slot(&l->layout, queue, descriptor);
}

void *link_slot_pointer(const struct link *l, uint32_t queue, uint32_t descriptor)
{
	return (char *)l->header + link_slot(l, queue, descriptor);
}

/* -- waiting ---------------------------------------------------------------------------------------- */

void link_changed(struct link *l)
{
	atomic_fetch_add_explicit(&l->seq, 1, memory_order_release);
	/* With the fence of a sleeper between counting itself and waiting: it sees seq, or we it. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&l->sleepers, memory_order_relaxed))
		rt_wake(&l->seq, UINT32_MAX);
}

k_status_t link_sleep(struct link *l, uint32_t seq, uint64_t deadline_ns, bool interruptible)
{
	k_status_t st;

	atomic_fetch_add_explicit(&l->sleepers, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	st = rt_wait(&l->seq, seq, deadline_ns, interruptible);
	atomic_fetch_sub_explicit(&l->sleepers, 1, memory_order_relaxed);
	return st == K_ERR_CHANGED ? K_OK : st;
}

k_status_t link_wait_change(struct link *l, uint32_t seq, uint64_t deadline_ns,
			    bool interruptible)
{
	uint32_t none = 0;
	uint64_t bits;
	k_status_t st;

	if (link_seq(l) != seq)
		return K_OK;
	if (!atomic_compare_exchange_strong_explicit(&l->poller, &none, 1, memory_order_acquire,
						     memory_order_relaxed))
		return link_sleep(l, seq, deadline_ns, interruptible);
	/* A poller that left between our look at seq and now has changed it. */
	st = K_OK;
	if (link_seq(l) == seq)
		st = k_bell_wait(l->client_bell, ~0ull, deadline_ns,
				 interruptible ? K_WAIT_INTERRUPTIBLE : 0, &bits);
	if (st == K_ERR_TIMED_OUT)
		atomic_fetch_add_explicit(&l->looks, 1, memory_order_relaxed);
	atomic_store_explicit(&l->poller, 0, memory_order_release);
	link_changed(l);
	return st;
}

/* -- init's messages ------------------------------------------------------------------------------------ */

/* Put the handles of a LINUX_START, which come packed, at their places. */
static void spread_handles(uint32_t granted, k_handle_t *handles, uint32_t count)
{
	k_handle_t got[K_MESSAGE_MAX_HANDLES];
	uint32_t next = 0;

	memcpy(got, handles, sizeof(got));
	memset(handles, 0, sizeof(got));
	for (uint32_t i = 0; i < K_MESSAGE_MAX_HANDLES; i++)
		if ((granted >> i & 1) && next < count)
			handles[i] = got[next++];
}

static bool message_is_complete(const union linux_message *m, uint32_t length, uint32_t handles)
{
	switch (length < sizeof(m->kind) ? 0 : m->kind) {
	case LINUX_START:
		return length >= sizeof(m->start);
	case LINUX_LINK:
		return length >= sizeof(m->link) && handles == LINUX_LINK_HANDLES;
	case LINUX_SETTLED:
		return true;
	case LINUX_LINK_REMOVE:
		return length >= sizeof(m->removal);
	default:
		return false;
	}
}

k_status_t link_bus_receive(k_handle_t channel, union linux_message *message,
			    k_handle_t *handles, uint64_t deadline_ns)
{
	for (;;) {
		struct k_message m = { .data = (uint64_t)message, .length = sizeof(*message),
				       .handles = (uint64_t)handles,
				       .handle_count = K_MESSAGE_MAX_HANDLES };
		k_status_t st;

		memset(message, 0, sizeof(*message));
		memset(handles, 0, K_MESSAGE_MAX_HANDLES * sizeof(*handles));
		st = k_channel_recv(channel, &m, deadline_ns);
		if (st != K_OK)
			return st;
		if (message_is_complete(message, m.length, m.handle_count)) {
			if (message->kind == LINUX_START)
				spread_handles(message->start.granted, handles, m.handle_count);
			return K_OK;
		}
		for (uint32_t i = 0; i < m.handle_count; i++)
			close_handle(handles[i]);
	}
}
