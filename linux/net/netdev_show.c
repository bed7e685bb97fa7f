/* SPDX-License-Identifier: MIT */
/* What /proc/net shows of devices and packet sockets (proc(5)). */
#include <linux/if_link.h>

#include "fs/pseudo/pseudo.h"
#include "lx/net.h"
#include "net/packet.h"

typedef unsigned long long ull;

static void show_device(struct pseudo_buf *b, struct lx_netdev *dev)
{
	struct rtnl_link_stats64 s;
	char name[LX_IFNAMSIZ];

	rt_read_lock(&dev->ns->devices_lock);
	memcpy(name, dev->name, sizeof(name));
	rt_read_unlock(&dev->ns->devices_lock);
	lx_netdev_stats(dev, &s);
	pseudo_printf(b, "%6s: %7llu %7llu %4llu %4llu %4llu %5llu %10llu %9llu "
		      "%8llu %7llu %4llu %4llu %4llu %5llu %7llu %10llu\n", name,
		      (ull)s.rx_bytes, (ull)s.rx_packets, (ull)s.rx_errors,
		      (ull)(s.rx_dropped + s.rx_missed_errors), (ull)s.rx_fifo_errors,
		      (ull)(s.rx_length_errors + s.rx_over_errors + s.rx_crc_errors + s.rx_frame_errors),
		      (ull)s.rx_compressed, (ull)s.multicast, (ull)s.tx_bytes, (ull)s.tx_packets,
		      (ull)s.tx_errors, (ull)s.tx_dropped, (ull)s.tx_fifo_errors, (ull)s.collisions,
		      (ull)(s.tx_carrier_errors + s.tx_aborted_errors + s.tx_window_errors +
			    s.tx_heartbeat_errors), (ull)s.tx_compressed);
}

void lx_net_show_devices(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct lx_netdev *dev;
	int index = 0;

	pseudo_puts(b, "Inter-|   Receive                                                |  Transmit\n"
		       " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		       "packets errs drop fifo colls carrier compressed\n");
	while ((dev = lx_netdev_after(ns, index))) {
		index = dev->ifindex;
		show_device(b, dev);
		lx_netdev_put(dev);
	}
}

void lx_net_show_packet_sockets(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct packet_sock *ps;

	pseudo_puts(b, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
	rt_mutex_lock(&ns->config_lock);
	/* where it is in memory is nobody's business */
	list_for_each_entry(ps, &ns->packet_sockets, ns_link)
		pseudo_printf(b, "%016x %-6u %-4d %04x   %-5d %1d %-6u %-6u %-6llu\n", 0u,
			      (unsigned int)atomic_load(&ps->refs), ps->base.type, ps->protocol, ps->ifindex,
			      ps->is_tapping, (unsigned int)atomic_load(&ps->rmem),
			      ps->uid, (ull)atomic_load(&ps->ino));
	rt_mutex_unlock(&ns->config_lock);
}
