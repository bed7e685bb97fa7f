/* SPDX-License-Identifier: MIT */
#include "net/netdev_priv.h"

int netdev_sysfs_add(struct lx_netdev *dev)
{
	return 0;
}

void netdev_sysfs_remove(struct lx_netdev *dev)
{
}
