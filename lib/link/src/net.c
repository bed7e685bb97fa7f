/* SPDX-License-Identifier: MIT */
/* Network cards, see link/net.h and net_priv.h: opening them, and the thread. */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "net_priv.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/time.h"

/* The configuration: virtio 1.1, 5.1.4. */
enum { CONFIG_ADDRESS = 0, CONFIG_STATUS = 6, CONFIG_MTU = 10, CONFIG_LENGTH = 12 };
enum { STATUS_LINK_UP = 1 };
enum { MTU_USUAL = 1500, MTU_MIN = 68 };

/* From one look at the rings to the next, if the bell says nothing. */
#define LOOK_NS 2000000000ull

#define WANTED	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC | NET_F_GUEST_TSO4 | \
		 NET_F_GUEST_TSO6 | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_MRG_RXBUF |	\
		 NET_F_STATUS | NET_F_VERSION_1)

void net_accuse(struct net *n, const char *why)
{
	if (!atomic_exchange_explicit(&n->accused, true, memory_order_relaxed))
		link_accuse(n->link, why);
}

/* -- what the driver says of the device ------------------------------------------------------------ */

static uint32_t config_generation(const struct net *n)
{
	return atomic_load_explicit(&n->link->header->config_generation, memory_order_acquire);
}

static bool address_is_usable(const uint8_t *a)
{
	bool zero = !(a[0] | a[1] | a[2] | a[3] | a[4] | a[5]);

	return !zero && !(a[0] & 1);	/* not that of a group */
}

/* The most that one buffer holds, unless frames can lie in several. */
static uint32_t buffer_mtu(const struct net *n)
{
	if (n->features & NET_F_MRG_RXBUF)
		return NET_MTU_MAX;
	return n->rx.size - n->header_length - 18;
}

static void read_info(struct net *n)
{
	struct net_info *i = &n->info;
	uint8_t c[CONFIG_LENGTH];
	uint32_t mtu;

	link_config_read(n->link, 0, c, sizeof(c));
	mtu = get_le16(c + CONFIG_MTU);
	memcpy(i->address, c + CONFIG_ADDRESS, NET_ADDRESS);
	i->has_address = (n->features & NET_F_MAC) && address_is_usable(i->address);
	i->mtu_max = buffer_mtu(n);
	i->mtu = MTU_USUAL;
	if ((n->features & NET_F_MTU) && mtu >= MTU_MIN)
		i->mtu_max = i->mtu = MIN(i->mtu_max, mtu);
	i->can = n->features & NET_F_CSUM ? NET_CAN_CHECKSUM : 0;
	if (i->can && (n->features & NET_F_HOST_TSO4))
		i->can |= NET_CAN_TSO4;
	if (i->can && (n->features & NET_F_HOST_TSO6))
		i->can |= NET_CAN_TSO6;
	if (n->features & NET_F_GUEST_CSUM)
		i->can |= NET_CAN_VERIFY;
	if (n->features & (NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6))
		i->can |= NET_CAN_MERGE;
}

static bool says_up(const struct net *n)
{
	uint8_t c[CONFIG_LENGTH];

	if (!(n->features & NET_F_STATUS))
		return true;
	link_config_read(n->link, 0, c, sizeof(c));
	return get_le16(c + CONFIG_STATUS) & STATUS_LINK_UP;
}

/* -- the thread ----------------------------------------------------------------------------------------- */

/* NET_LINK_UP or NET_LINK_DOWN if the cable was moved. */
static uint32_t look_at_config(struct net *n)
{
	uint32_t generation = config_generation(n);
	bool up;

	if (generation == n->generation)
		return 0;
	n->generation = generation;
	up = says_up(n);
	if (up == n->is_up)
		return 0;
	WRITE_ONCE(n->is_up, up);
	return up ? NET_LINK_UP : NET_LINK_DOWN;
}

/* If init asks for new rings, no driver runs. */
static void renew(struct net *n)
{
	uint32_t epoch;

	if (!link_is_renewed(n->link, &epoch))
		return;
	/* Nobody touches the rings meanwhile, and what is wrong with the old ones is known. */
	atomic_store_explicit(&n->accused, true, memory_order_relaxed);
	net_rx_restart(n);
	net_tx_restart(n);
	atomic_store_explicit(&n->accused, false, memory_order_relaxed);
	link_renewed(n->link, epoch);
}

static uint32_t look_at_driver(struct net *n)
{
	uint32_t incarnation = link_incarnation(n->link);

	renew(n);
	if (incarnation == n->incarnation)
		return 0;
	n->incarnation = incarnation;
	return NET_RESTARTED;
}

/*
 * Until the bell rings.  A driver that answers and does not ring for it is told from one that is about
 * to by a second look.
 */
static void wait_for_bell(struct net *n)
{
	for (int looks = 0; looks < 2; looks++) {
		uint32_t seq = link_seq(n->link);

		if (link_wait_change(n->link, seq, rt_now_ns() + LOOK_NS, false) != K_ERR_TIMED_OUT ||
		    (!net_rx_is_ready(n) && !net_tx_is_ready(n)))
			return;
	}
	net_accuse(n, "it does not tell of its answers");
}

static void net_main(void *arg)
{
	struct net *n = arg;

	if (!n->is_up)
		n->ops->event(n->user, NET_LINK_DOWN);
	while (!link_is_dead(n->link)) {
		uint32_t events = look_at_driver(n) | look_at_config(n);
		bool more;

		if (events)
			n->ops->event(n->user, events);
		more = net_rx_look(n);
		if (net_tx_look(n))
			n->ops->writable(n->user);
		if (!more && !link_is_dead(n->link))
			wait_for_bell(n);
	}
	WRITE_ONCE(n->is_up, false);
	n->ops->event(n->user, NET_DEAD);
}

/* -- opening ---------------------------------------------------------------------------------------------- */

static k_status_t set_up(struct net *n)
{
	k_status_t st = K_OK;

	if (link_geometry(n->link)->queue_count < NET_QUEUES)
		return K_ERR_NOT_SUPPORTED;
	n->features = link_features(n->link);
	/* Devices from before virtio 1.0 leave the number of buffers out where it is always one. */
	n->header_length = n->features & (NET_F_VERSION_1 | NET_F_MRG_RXBUF) ? NET_HDR_LENGTH
									     : NET_HDR_BUFFERS;
	n->incarnation = link_incarnation(n->link);
	n->generation = config_generation(n);
	n->is_up = says_up(n);
	rt_mutex_init(&n->lock, n->link->rank);
	st = net_rx_init(n);
	if (st == K_OK)
		st = net_tx_init(n);
	if (st != K_OK)
		return st;
	read_info(n);
	net_rx_start(n);
	return rt_thread_create(net_main, n, NULL, 0, 0, net_name(n), &n->thread);
}

k_status_t net_open(struct link *l, const struct net_ops *ops, void *user, uint64_t deadline_ns,
		    struct net **out)
{
	k_status_t st = link_negotiate(l, WANTED, deadline_ns, false);
	struct net *n = NULL;

	if (st == K_OK) {
		n = rt_zalloc(sizeof(*n));
		st = n ? K_OK : K_ERR_NO_MEMORY;
	}
	if (st == K_OK) {
		n->link = l;
		n->ops = ops;
		n->user = user;
		*out = n;		/* before the first callback */
		st = set_up(n);
	}
	if (st == K_OK)
		return K_OK;
	*out = NULL;
	rt_free(n);
	link_close(l);
	return st;
}

const struct net_info *net_info(const struct net *n)
{
	return &n->info;
}

const char *net_name(const struct net *n)
{
	return link_geometry(n->link)->name;
}

uint32_t net_index(const struct net *n)
{
	return link_geometry(n->link)->index;
}

bool net_is_up(const struct net *n)
{
	return READ_ONCE(n->is_up);
}

bool net_is_dead(const struct net *n)
{
	return link_is_dead(n->link);
}
