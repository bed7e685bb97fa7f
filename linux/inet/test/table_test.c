/* SPDX-License-Identifier: MIT */
/*
 * Sockets of inet below any protocol, with threads: the lock and its backlog lose nothing and
 * keep the order; tables that grow while they are used; ports that have one owner.
 */
#include "test/host/rig_test.h"

#include <linux/in.h>

#include "inet/socket.h"

/* -- what is not there: IP, protocols, options */

int inet_route_output(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out)
{
	return -ENETUNREACH;
}

bool inet_dst_is_valid(struct inet *inet, const struct inet_dst *d)
{
	return false;
}

void inet_dst_release(struct inet_dst *d)
{
}

uint8_t inet_addr_type(struct inet *inet, const struct inet_addr *a, int ifindex)
{
	return 2;			/* RTN_LOCAL: everything is ours */
}

void inet_extra_free(struct inet_sock *is)
{
}

void inet_leave_groups(struct inet_sock *is)
{
}

void tcp_entry_free(struct inet_entry *e)
{
	rt_free(e);
}

void socket_init_in(struct lx_socket *s, struct lx_netns *ns, const struct lx_socket_ops *ops,
		    int family, int type, int protocol)
{
	s->ops = ops;
	s->ns = lx_netns_get(ns);
	atomic_init(&s->sndbuf, SOCKET_BUF_DEFAULT);
	atomic_init(&s->rcvbuf, SOCKET_BUF_DEFAULT);
}

void socket_fini(struct lx_socket *s)
{
	lx_netns_put(s->ns);
}

static void destroy(struct inet_sock *is)
{
}

static struct lx_netns *begin(void)
{
	static bool started;
	struct inet *inet;

	if (!started) {
		rig_start();
		CHECK_EQ(lx_net_init(), 0);
	}
	started = true;
	rig_reset();
	inet = lx_init_netns->inet;
	memset(&inet->secret, 0x5a, sizeof(inet->secret));
	atomic_store(&inet->conf.port_range, 40999u << 16 | 40000u);
	CHECK_EQ(inet_tables_create(inet), 0);
	return lx_init_netns;
}

static void end(struct lx_netns *ns)
{
	CHECK_EQ(atomic_load(&ns->inet->tables->connections.entries), 0);
	CHECK_EQ(atomic_load(&ns->inet->tables->ports.entries), 0);
	inet_tables_destroy(ns->inet);
}

static const struct inet_sock_ops plain_ops = { .destroy = destroy };

static void make_socket(struct inet_sock *is, const struct inet_sock_ops *ops,
			enum inet_space space)
{
	static const struct lx_socket_ops no_calls;

	inet_sock_init_in(is, lx_init_netns, 0, &no_calls, ops, SOCK_DGRAM, IPPROTO_UDP, space);
}

/* -- the lock */

#define DRIVERS	3u
#define EACH	2000u

struct receiver {
	struct inet_sock is;		/* first; plain memory: it is never freed by a reference */
	uint32_t next[DRIVERS];
	uint32_t packets, events;
	bool is_disordered, was_unlocked;
};

static struct receiver *receiver;
static _Atomic(uint32_t) dropped, running;

static void take_packet(struct inet_sock *is, struct lx_pbuf *p)
{
	struct receiver *r = container_of(is, struct receiver, is);
	uint32_t who = p->hash >> 24, nr = p->hash & 0xffffff;

	r->was_unlocked |= !rt_mutex_held(&is->lock);
	r->is_disordered |= nr < r->next[who];
	r->next[who] = nr + 1;
	r->packets++;
	lx_pbuf_free(p);
}

static void take_event(struct inet_sock *is, uint32_t bits)
{
	struct receiver *r = container_of(is, struct receiver, is);

	r->was_unlocked |= !rt_mutex_held(&is->lock);
	r->events |= bits;
}

static void drive(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct lx_pbuf *p = lx_pbuf_alloc(lx_init_netns->pool, 0, 16);

		CHECK(p != NULL);
		p->hash = who << 24 | i;
		if (!inet_sock_receive(&receiver->is, p))
			atomic_fetch_add(&dropped, 1);
	}
	inet_sock_signal(&receiver->is, 1u << who);
	atomic_fetch_sub(&running, 1);
}

TEST(backlog_loses_nothing_and_keeps_the_order)
{
	static const struct inet_sock_ops ops = { .receive = take_packet, .event = take_event,
		.destroy = destroy };
	struct lx_netns *ns = begin();
	struct lx_task *task[DRIVERS];

	receiver = rt_zalloc(sizeof(*receiver));
	make_socket(&receiver->is, &ops, INET_PORTS_UDP);
	atomic_store(&receiver->is.base.rcvbuf, INT32_MAX);
	atomic_store(&running, DRIVERS);
	for (uintptr_t i = 0; i < DRIVERS; i++)
		task[i] = rig_task(drive, (void *)i);
	while (atomic_load(&running)) {
		inet_sock_lock(&receiver->is);
		inet_sock_unlock(&receiver->is);
	}
	for (unsigned int i = 0; i < DRIVERS; i++)
		rig_join(task[i]);
	/* nobody has to come and look for what was left */
	CHECK_EQ(receiver->packets, DRIVERS * EACH);
	CHECK_EQ(receiver->events, (1u << DRIVERS) - 1);
	CHECK_EQ(dropped, 0);
	CHECK(!receiver->is_disordered);
	CHECK(!receiver->was_unlocked);
	CHECK_EQ(atomic_load(&receiver->is.backlog.pending), 0);
	inet_sock_release(&receiver->is);	/* the last reference: it is freed */
	end(ns);
}

TEST(backlog_is_bounded)
{
	static const struct inet_sock_ops ops = { .receive = take_packet, .event = take_event,
		.destroy = destroy };
	struct lx_netns *ns = begin();
	unsigned int taken = 0;

	receiver = rt_zalloc(sizeof(*receiver));
	make_socket(&receiver->is, &ops, INET_PORTS_UDP);
	atomic_store(&receiver->is.base.rcvbuf, 4096);
	atomic_store(&receiver->is.base.sndbuf, 4096);
	inet_sock_lock(&receiver->is);
	while (taken < 1000) {
		struct lx_pbuf *p = lx_pbuf_alloc(ns->pool, 0, 1000);

		p->hash = taken;
		if (!inet_sock_receive(&receiver->is, p))
			break;
		taken++;
	}
	CHECK(taken >= 4 && taken <= 9);
	CHECK_EQ(receiver->packets, 0);
	inet_sock_unlock(&receiver->is);
	CHECK_EQ(receiver->packets, taken);
	inet_sock_release(&receiver->is);
	CHECK_EQ(lx_pbuf_pool_used(ns->pool), 0);
	end(ns);
}

/* -- tables */

#define ENTRIES	3000u

static struct inet_entry *make_entry(uint32_t who, uint32_t i)
{
	struct inet_entry *e = rt_zalloc(sizeof(*e));

	CHECK(e != NULL);
	atomic_init(&e->refs, 1);
	e->kind = INET_TIME_WAIT;
	e->protocol = IPPROTO_TCP;
	e->key = (struct inet_tuple){ .local = inet_addr_v4(who), .remote = inet_addr_v4(i),
		.local_port = 1 };
	return e;
}

static struct inet_entry *find(struct inet_tables *t, const struct inet_tuple *key)
{
	return inet_connection_find(t, inet_connection_hash(t, key, IPPROTO_TCP), key, IPPROTO_TCP,
				    1);
}

/* Each thread has keys of its own; all of them make the one table grow. */
static void fill_table(void *arg)
{
	struct inet_tables *t = lx_init_netns->inet->tables;
	struct inet_entry **mine = rt_alloc(ENTRIES * sizeof(*mine));
	uint32_t who = (uint32_t)(uintptr_t)arg + 1;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		mine[i] = make_entry(who, i);
		CHECK(inet_connection_insert(t, mine[i]));
		CHECK(!inet_connection_insert(t, mine[i]));
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct inet_entry *e = find(t, &mine[i]->key), *heir;

		CHECK(e == mine[i]);
		inet_entry_put(e);
		if (i % 3)
			continue;
		heir = make_entry(who, i);
		CHECK(inet_connection_replace(t, mine[i], heir));
		CHECK(!inet_connection_replace(t, mine[i], heir));
		inet_entry_put(mine[i]);
		mine[i] = heir;
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct inet_tuple key = mine[i]->key;

		CHECK(inet_connection_remove(t, mine[i]));
		CHECK(!inet_connection_remove(t, mine[i]));
		inet_entry_put(mine[i]);
		CHECK(find(t, &key) == NULL);
	}
	rt_free(mine);
}

TEST(connections_are_found_while_the_table_grows)
{
	struct lx_netns *ns = begin();
	struct lx_task *task[DRIVERS];

	for (uintptr_t i = 0; i < DRIVERS; i++)
		task[i] = rig_task(fill_table, (void *)i);
	for (unsigned int i = 0; i < DRIVERS; i++)
		rig_join(task[i]);
	CHECK(ns->inet->tables->connections.mask + 1 >= ENTRIES);
	end(ns);
}

/* -- ports */

static _Atomic(uint32_t) winners[100];

static void bind_all(void *arg)
{
	const struct inet_addr any = { .q = { 0, 0 } };

	for (uint32_t i = 0; i < 100; i++) {
		struct inet_sock *is = rt_zalloc(sizeof(*is));

		make_socket(is, &plain_ops, INET_PORTS_UDP);
		inet_sock_lock(is);
		if (!inet_port_bind(is, &any, (uint16_t)(2000 + i)))
			atomic_fetch_add(&winners[i], 1);
		else
			CHECK_EQ(inet_port_bind(is, &any, 0), 0);
		CHECK(inet_local_port(is) != 0);
		inet_sock_unlock(is);
		/* kept until all have tried: the test's list */
		((struct inet_sock **)arg)[i] = is;
	}
}

TEST(port_has_one_owner)
{
	static struct inet_sock *sockets[DRIVERS][100];
	struct lx_netns *ns = begin();
	struct lx_task *task[DRIVERS];

	for (unsigned int i = 0; i < DRIVERS; i++)
		task[i] = rig_task(bind_all, sockets[i]);
	for (unsigned int i = 0; i < DRIVERS; i++)
		rig_join(task[i]);
	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(atomic_load(&winners[i]), 1);
	CHECK_EQ(atomic_load(&ns->inet->tables->ports.entries), DRIVERS * 100);
	for (unsigned int i = 0; i < DRIVERS; i++)
		for (unsigned int j = 0; j < 100; j++)
			inet_sock_release(sockets[i][j]);
	end(ns);
}

/* Connections share a port that no bind() has, as long as their other ends differ. */
TEST(connections_share_ports)
{
	struct lx_netns *ns = begin();
	struct inet_sock *is[1500], *bound = rt_zalloc(sizeof(*bound));
	struct inet_tables *t = ns->inet->tables;

	make_socket(bound, &plain_ops, INET_PORTS_TCP);
	inet_sock_lock(bound);
	CHECK_EQ(inet_port_bind(bound, &(struct inet_addr){ .q = { 0, 0 } }, 40000), 0);
	inet_sock_unlock(bound);
	for (unsigned int i = 0; i < 1500; i++) {
		is[i] = rt_zalloc(sizeof(*is[i]));
		make_socket(is[i], &plain_ops, INET_PORTS_TCP);
		inet_sock_lock(is[i]);
		is[i]->owner.entry.key = (struct inet_tuple){ .local = inet_addr_v4(BE32(0x7f000001)),
			.remote = inet_addr_v4(BE32(0x7f000001 + i % 2)), .remote_port = BE16(80) };
		CHECK_EQ(inet_port_connect(is[i], NULL), 0);
		CHECK(inet_local_port(is[i]) != 40000);
		inet_sock_unlock(is[i]);
	}
	CHECK_EQ(atomic_load(&t->connections.entries), 1500);
	CHECK(atomic_load(&t->ports.entries) <= 1000);
	for (unsigned int i = 0; i < 1500; i++)
		inet_sock_release(is[i]);
	inet_sock_release(bound);
	end(ns);
}
