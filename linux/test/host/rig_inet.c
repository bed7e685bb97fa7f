/* SPDX-License-Identifier: MIT */
/* Of the protocols, for tests of what lies below them: there are none. */
#include "inet/inet.h"

struct inet *inet_create(struct lx_netns *ns)
{
	static struct inet none;

	return &none;
}

void inet_destroy(struct inet *inet)
{
}

bool inet_receive(struct lx_netdev *dev, struct lx_pbuf *p)
{
	return false;
}

long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	return -ENOTTY;
}
