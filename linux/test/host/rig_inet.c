/* SPDX-License-Identifier: MIT */
/* Of the protocols, for tests of what lies below them: there are none. */
#include "inet/rtnl.h"
#include "inet/sysctl.h"
#include "inet/inet.h"
#include "net/net_priv.h"

struct inet *inet_create(struct lx_netns *ns)
{
	static struct inet none;

	return &none;
}

int inet_sysctl_init(void)
{
	return 0;
}

void inet_destroy(struct inet *inet)
{
}

bool inet_receive(struct lx_netdev *dev, struct lx_pbuf *p)
{
	return false;
}

long inet_list_addresses(struct lx_netns *ns, uaddr_t arg)
{
	return -EOPNOTSUPP;
}

#define NO_REQUEST(name) \
	int name(const struct netlink_request *r) \
	{ \
		return -EOPNOTSUPP; \
	}

NO_REQUEST(rtnl_new_address)
NO_REQUEST(rtnl_del_address)
NO_REQUEST(rtnl_dump_addresses)
NO_REQUEST(rtnl_new_route)
NO_REQUEST(rtnl_del_route)
NO_REQUEST(rtnl_get_route)
NO_REQUEST(rtnl_dump_routes)
NO_REQUEST(rtnl_new_neighbour)
NO_REQUEST(rtnl_del_neighbour)
NO_REQUEST(rtnl_get_neighbour)
NO_REQUEST(rtnl_dump_neighbours)
NO_REQUEST(sock_diag_request)

int inet_socket_create(int type, int protocol, struct lx_socket **out)
{
	return -EAFNOSUPPORT;
}

long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	return -ENOTTY;
}
