/* SPDX-License-Identifier: MIT */
/*
 * Network cards of drivers behind links: the card of the n-th instance of its driver is eth<n>.
 *
 * A frame is copied once on its way out, into link memory, and once on its way in, from there
 * into a packet (link/net.h); checksums and segmentation are passed on.  The library's thread
 * calls room(), received() and so on; the core calls the ops.  None of these waits for the
 * other: a queue that is full is stopped, and goes on when the card tells of room.
 *
 * A driver that dies is followed by another without a word of it here.  One that is gone for good
 * looks like a cable that is out.
 */
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "link/net.h"
#include "lx/link_dev.h"
#include "lx/netdev.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/random.h"

/* Bytes that a packet of one block has at most, and that larger ones have in their first piece. */
#define SINGLE_MAX	2048u
#define LINEAR		256u
/* Pieces of a packet for which no memory is needed while it is sent. */
#define PIECES		32u

#define CARDS_MAX	1000u

/* Of a struct lx_netdev: private data. */
struct link_dev {
	struct lx_netdev *dev;
	struct net *net;		/* constant before it is registered */
	_Atomic(bool) is_registered;	/* stays */
};

static struct lx_netdev_stats *stats_of(struct lx_netdev *dev)
{
	return &dev->queue[0].stats;
}

/* -- out ------------------------------------------------------------------------------------------ */

static int link_dev_open(struct lx_netdev *dev)
{
	return 0;
}

/* What is in the ring was sent as far as anybody here is concerned. */
static void link_dev_stop(struct lx_netdev *dev)
{
}

/* The card gets what is for any address, and knows of none. */
static int link_dev_set_address(struct lx_netdev *dev, const uint8_t *address)
{
	return 0;
}

static bool read_wishes(const struct lx_pbuf *p, struct net_offload *o)
{
	*o = (struct net_offload){ 0 };
	if (p->csum == LX_CSUM_PARTIAL) {
		int32_t start = lx_pbuf_offset(p, p->csum_at);

		if (start < 0 || start > (int32_t)UINT16_MAX)
			return false;
		o->needs_checksum = true;
		o->csum_start = (uint16_t)start;
		o->csum_offset = p->csum_offset;
	}
	switch (p->gso) {
	case LX_GSO_NONE:
		return true;
	case LX_GSO_TCPV4:
		o->gso = NET_GSO_TCPV4;
		break;
	case LX_GSO_TCPV6:
		o->gso = NET_GSO_TCPV6;
		break;
	default:
		return false;
	}
	o->gso_size = p->gso_size;
	o->header_length = p->gso_header;
	return true;
}

static k_status_t send_pieces(struct net *net, const struct lx_pbuf *p, struct net_piece *pieces,
			      const struct net_offload *o, bool more)
{
	for (uint16_t i = 0; i < p->nr_pieces; i++)
		pieces[i] = (struct net_piece){ p->piece[i].data, p->piece[i].len };
	return net_send(net, pieces, p->nr_pieces, o, more);
}

static k_status_t send(struct net *net, const struct lx_pbuf *p, bool more)
{
	struct net_piece here[PIECES], *pieces = here;
	struct net_offload o;
	k_status_t st;

	if (!read_wishes(p, &o))
		return K_ERR_BAD_ARGUMENT;
	if (p->nr_pieces > PIECES)
		pieces = rt_alloc(p->nr_pieces * sizeof(*pieces));
	st = pieces ? send_pieces(net, p, pieces, &o, more) : K_ERR_NO_MEMORY;
	if (pieces != here)
		rt_free(pieces);
	return st;
}

static void link_dev_xmit(struct lx_netdev *dev, unsigned int q, struct lx_pbuf *p, bool more)
{
	struct link_dev *l = lx_netdev_private(dev);
	struct lx_netdev_stats *stats = stats_of(dev);
	uint32_t length = p->len;

	switch (send(l->net, p, more)) {
	case K_OK:
		lx_netdev_count(&stats->tx_packets, 1);
		lx_netdev_count(&stats->tx_bytes, length);
		break;
	case K_ERR_BAD_ARGUMENT:
		lx_netdev_count(&stats->tx_errors, 1);
		break;
	case K_ERR_CLOSED:
		lx_netdev_count(&stats->tx_carrier_errors, 1);
		FALLTHROUGH;
	default:
		lx_netdev_count(&stats->tx_dropped, 1);
	}
	lx_pbuf_free(p);
	if (!net_has_room(l->net))
		lx_netdev_stop_queue(dev, q);
}

static const struct lx_netdev_ops ops = {
	.open = link_dev_open, .stop = link_dev_stop, .xmit = link_dev_xmit,
	.set_address = link_dev_set_address,
};

/* -- in: the library's thread ------------------------------------------------------------------------ */

static struct lx_pbuf *make_packet(struct lx_netdev *dev, size_t length)
{
	struct lx_pbuf *p;

	if (length > SINGLE_MAX)
		return lx_pbuf_alloc_large(dev->ns->pool, LX_PBUF_RX_HEADROOM, LINEAR, (uint32_t)length);
	p = lx_pbuf_alloc(dev->ns->pool, LX_PBUF_RX_HEADROOM, (uint32_t)length);
	if (p)
		(void)lx_pbuf_put(p, (uint32_t)length);
	return p;
}

static unsigned int room(void *user, const struct net_offload *o, size_t length,
			 struct net_piece *pieces, void **frame)
{
	struct link_dev *l = user;
	struct lx_pbuf *p = NULL;

	if (!atomic_load_explicit(&l->is_registered, memory_order_acquire) || !lx_netdev_is_up(l->dev))
		return 0;
	p = make_packet(l->dev, length);
	if (!p || p->nr_pieces > NET_PIECES) {
		lx_netdev_count(&stats_of(l->dev)->rx_dropped, 1);
		lx_pbuf_free(p);
		return 0;
	}
	for (uint16_t i = 0; i < p->nr_pieces; i++)
		pieces[i] = (struct net_piece){ p->piece[i].data, p->piece[i].len };
	*frame = p;
	return p->nr_pieces;
}

static void received(void *user, void *frame, size_t length, const struct net_offload *o)
{
	static const uint8_t gso[] = { [NET_GSO_NONE] = LX_GSO_NONE, [NET_GSO_TCPV4] = LX_GSO_TCPV4,
				       [NET_GSO_TCPV6] = LX_GSO_TCPV6 };
	struct link_dev *l = user;
	struct lx_pbuf *p = frame;

	if (o->needs_checksum)
		/* within the packet: the library has seen to it */
		(void)lx_pbuf_set_csum(p, o->csum_start, o->csum_offset);
	else if (o->is_verified)
		p->csum = LX_CSUM_VERIFIED;
	p->gso = gso[o->gso];
	p->gso_size = o->gso_size;
	lx_netdev_receive(l->dev, 0, p);
}

static void spoiled(void *user)
{
	struct link_dev *l = user;

	lx_netdev_count(&stats_of(l->dev)->rx_errors, 1);
	lx_netdev_count(&stats_of(l->dev)->rx_frame_errors, 1);
}

static void writable(void *user)
{
	struct link_dev *l = user;

	if (atomic_load_explicit(&l->is_registered, memory_order_acquire))
		lx_netdev_wake_queue(l->dev, 0);
}

/* The cable, as the card has it last: by whichever of two threads comes later. */
static void follow_carrier(struct link_dev *l)
{
	bool up;

	do {
		up = net_is_up(l->net);
		lx_netdev_set_carrier(l->dev, up);
	} while (net_is_up(l->net) != up);
}

static void event(void *user, uint32_t events)
{
	struct link_dev *l = user;

	if (events & NET_DEAD)
		rt_log(RT_LOG_ERR, "linux: %s is gone: its driver does not come back", l->dev->name);
	/* Seen here, or by who registers and looks at the cable afterwards. */
	if (!atomic_load(&l->is_registered))
		return;
	if (events & (NET_LINK_UP | NET_LINK_DOWN | NET_DEAD))
		follow_carrier(l);
	if (events & NET_DEAD)		/* what waits for room is dropped */
		lx_netdev_wake_queue(l->dev, 0);
}

/* -- arrival ------------------------------------------------------------------------------------------ */

static const struct net_ops net_ops = {
	.room = room, .received = received, .spoiled = spoiled, .writable = writable, .event = event,
};

static uint32_t features_of(const struct net_info *info)
{
	uint32_t features = 0;

	if (info->can & NET_CAN_CHECKSUM)
		features |= LX_NETDEV_CSUM;
	if (info->can & NET_CAN_TSO4)
		features |= LX_NETDEV_TSO4;
	if (info->can & NET_CAN_TSO6)
		features |= LX_NETDEV_TSO6;
	if (info->can & NET_CAN_VERIFY)
		features |= LX_NETDEV_RX_CSUM;
	if (info->can & NET_CAN_MERGE)
		features |= LX_NETDEV_LRO;
	return features;
}

static void describe(struct lx_netdev *dev, const struct net *net)
{
	const struct net_info *info = net_info(net);
	uint8_t address[LX_NETDEV_ADDR] = { 0 };

	memcpy(address, info->address, NET_ADDRESS);
	if (!info->has_address) {
		rt_random(address, NET_ADDRESS);
		address[0] = (uint8_t)((address[0] & 0xfc) | 2);	/* of one machine, made up */
	}
	lx_netdev_set_address(dev, address);
	dev->features = features_of(info);
	dev->mtu_max = info->mtu_max;
	atomic_store_explicit(&dev->mtu, info->mtu, memory_order_relaxed);
	dev->parent = net_name(net);
}

/*
 * Cards are counted by the instance of their driver ("virtio-net.0"), which init numbers in the
 * order of the bus; they open in any order.
 */
static unsigned int instance(const struct net *net)
{
	const char *dot = strrchr(net_name(net), '.');
	uint64_t n;

	return dot && parse_u64_all(dot + 1, &n) && n < CARDS_MAX ? (unsigned int)n : 0;
}

/* Two drivers can have an instance of that number: the next one that is free. */
static int register_card(struct link_dev *l)
{
	int err = -EEXIST;

	for (unsigned int n = instance(l->net); err == -EEXIST && n < CARDS_MAX; n++) {
		snprintf(l->dev->name, sizeof(l->dev->name), "eth%u", n);
		err = lx_netdev_register(lx_init_netns, l->dev);
	}
	return err;
}

static int announce(struct link_dev *l)
{
	int err;

	describe(l->dev, l->net);
	err = register_card(l);
	if (err)
		return err;
	atomic_store(&l->is_registered, true);
	follow_carrier(l);
	return 0;
}

void lx_link_dev_add(struct link *link)
{
	struct lx_netdev *dev = lx_netdev_alloc("eth%d", &ops, sizeof(struct link_dev), 1);
	char name[sizeof(link_geometry(link)->name)];
	struct link_dev *l;
	k_status_t st;
	int err;

	strlcpy(name, link_geometry(link)->name, sizeof(name));
	if (!dev) {
		rt_log(RT_LOG_ERR, "linux: no memory for %s", name);
		link_close(link);
		return;
	}
	l = lx_netdev_private(dev);
	l->dev = dev;
	st = net_open(link, &net_ops, l, K_DEADLINE_NEVER, &l->net);
	if (st != K_OK) {
		/* One that is closed is of a driver that found nothing, or of which init has spoken. */
		if (st != K_ERR_CLOSED)
			rt_log(RT_LOG_ERR, "linux: %s cannot be opened: %d", name, st);
		lx_netdev_put(dev);
		return;
	}
	err = announce(l);
	/* The card stays, and so does what its thread knows. */
	if (err)
		rt_log(RT_LOG_ERR, "linux: %s cannot be registered: %d", name, err);
}
