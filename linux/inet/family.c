/* SPDX-License-Identifier: MIT */
/* AF_INET: which protocol a socket is of. */
#include <linux/in.h>

#include "inet/socket.h"

int inet_socket_create(int type, int protocol, struct lx_socket **out)
{
	if (protocol < 0 || protocol >= IPPROTO_MAX)
		return -EINVAL;
	switch (type) {
	case SOCK_STREAM:
		return protocol && protocol != IPPROTO_TCP ? -EPROTONOSUPPORT : tcp_create(type, IPPROTO_TCP, out);
	case SOCK_DGRAM:
		if (protocol == IPPROTO_ICMP)
			return ping_create(type, protocol, out);
		return protocol && protocol != IPPROTO_UDP ? -EPROTONOSUPPORT : udp_create(type, IPPROTO_UDP, out);
	case SOCK_RAW:
		return protocol ? raw_create(type, protocol, out) : -EPROTONOSUPPORT;
	}
	return -ESOCKTNOSUPPORT;
}
