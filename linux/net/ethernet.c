/* SPDX-License-Identifier: MIT */
/* The header of Ethernet (IEEE 802.3): destination, source, type or length. */
#include <linux/if_ether.h>

#include "base/byteorder.h"
#include "net/netdev_priv.h"

static bool same_address(uint64_t a, const uint8_t *b)
{
	for (unsigned int i = 0; i < 6; i++)
		if ((uint8_t)(a >> 8 * i) != b[i])
			return false;
	return true;
}

static enum lx_pkttype addressee(const struct lx_netdev *dev, const uint8_t *dst)
{
	if (same_address(atomic_load_explicit(&dev->address, memory_order_relaxed), dst))
		return LX_PKT_HOST;
	if (!(dst[0] & 1))
		return LX_PKT_OTHERHOST;
	return same_address(dev->broadcast, dst) ? LX_PKT_BROADCAST : LX_PKT_MULTICAST;
}

int ethernet_set_address(struct lx_netdev *dev, const uint8_t *address)
{
	static const uint8_t nobody[6];

	return address[0] & 1 || !memcmp(address, nobody, 6) ? -EADDRNOTAVAIL : 0;
}

uint16_t ethernet_protocol(const uint8_t *header, const uint8_t *payload)
{
	uint16_t type = (uint16_t)(header[12] << 8 | header[13]);

	if (type >= ETH_P_802_3_MIN)
		return type;
	/* a length: what follows is LLC, or, from old Novell stations, nothing at all */
	return payload && payload[0] == 0xff && payload[1] == 0xff ? ETH_P_802_3 : ETH_P_802_2;
}

bool ethernet_receive(const struct lx_netdev *dev, struct lx_pbuf *p)
{
	const uint8_t *header;

	if (lx_pbuf_linear(p) < ETHERNET_HEADER && lx_pbuf_pull_up(p, ETHERNET_HEADER))
		return false;
	header = lx_pbuf_data(p);
	p->link_at = lx_pbuf_place(p);
	p->pkttype = addressee(dev, header);
	p->protocol = ethernet_protocol(header, lx_pbuf_linear(p) >= ETHERNET_HEADER + 2 ?
					header + ETHERNET_HEADER : NULL);
	lx_pbuf_pull(p, ETHERNET_HEADER);
	p->network_at = p->transport_at = lx_pbuf_place(p);
	return true;
}

int lx_netdev_push_header(struct lx_netdev *dev, struct lx_pbuf *p, uint16_t protocol,
			  const uint8_t *dst, const uint8_t *src)
{
	uint8_t own[LX_NETDEV_ADDR];
	uint8_t *header;

	if (lx_pbuf_headroom(p) < ETHERNET_HEADER)
		return -ENOMEM;
	if (!lx_pbuf_is_private(p) && lx_pbuf_pull_up(p, lx_pbuf_linear(p)))
		return -ENOMEM;
	if (!src) {
		lx_netdev_address(dev, own);
		src = own;
	}
	p->network_at = lx_pbuf_place(p);
	header = lx_pbuf_push(p, ETHERNET_HEADER);
	p->link_at = lx_pbuf_place(p);
	memcpy(header, dst, 6);
	memcpy(header + 6, src, 6);
	/* those two are no types: the field is the length, which these frames had on Linux always */
	if (protocol == ETH_P_802_3 || protocol == ETH_P_802_2)
		put_be16(header + 12, (uint16_t)(p->len - ETHERNET_HEADER));
	else
		put_be16(header + 12, protocol);
	p->protocol = protocol;
	return 0;
}
