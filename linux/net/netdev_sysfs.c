/* SPDX-License-Identifier: MIT */
/*
 * Network devices in /sys: a folder, and links to it from class/net, each of them seen in its own
 * network only.  Files, modes and formats are those of Linux 6.1
 * (Documentation/ABI/testing/sysfs-class-net says what they mean).
 *
 * The files of a device have one structure, which has a reference to it until nobody reads any of
 * them any more.
 */
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_link.h>

#include "base/format.h"
#include "base/parse.h"
#include "fs/pseudo/pseudo.h"
#include "fs/sysfs/sysfs.h"
#include "lx/ns.h"
#include "lx/task.h"
#include "net/netdev_priv.h"

struct attr {
	const char *name;
	lx_mode_t mode;
	int (*show)(struct pseudo_buf *out, struct lx_netdev *dev);
	const char *text;		/* without show: always this */
	int (*store)(struct lx_netdev *dev, uint64_t v);	/* config_lock held; NULL: -EOPNOTSUPP */
};

/* What a file's functions get. */
struct ref {
	struct files *files;
	const struct attr *attr;	/* or NULL: a counter */
	unsigned int counter;		/* its place in struct rtnl_link_stats64 */
};

struct files {
	struct lx_netdev *dev;		/* a reference */
	_Atomic(uint32_t) refs;		/* nodes, and whoever adds them */
	struct ref ref[];
};

typedef unsigned long long ull;

/* -- what they show */

static int show_number(struct pseudo_buf *out, ull n)
{
	pseudo_printf(out, "%llu\n", n);
	return 0;
}

static int show_bytes(struct pseudo_buf *out, const struct lx_netdev *dev, uint64_t address)
{
	for (unsigned int i = 0; i < dev->addr_len; i++)
		pseudo_printf(out, "%s%02x", i ? ":" : "", (unsigned int)(address >> 8 * i & 0xff));
	pseudo_puts(out, "\n");
	return 0;
}

static int show_address(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_bytes(out, dev, atomic_load(&dev->address));
}

static int show_broadcast(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_bytes(out, dev, dev->broadcast);
}

static int show_addr_len(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, dev->addr_len);
}

static int show_mtu(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, atomic_load(&dev->mtu));
}

static int show_flags(struct pseudo_buf *out, struct lx_netdev *dev)
{
	pseudo_printf(out, "0x%x\n", (unsigned int)atomic_load(&dev->flags));
	return 0;
}

static int show_ifindex(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, (ull)dev->ifindex);
}

static int show_type(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, dev->type);
}

static int show_tx_queue_len(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, atomic_load(&dev->tx_queue_len));
}

static int show_operstate(struct pseudo_buf *out, struct lx_netdev *dev)
{
	static const char *const names[] = {
		[IF_OPER_UNKNOWN] = "unknown", [IF_OPER_NOTPRESENT] = "notpresent",
		[IF_OPER_DOWN] = "down", [IF_OPER_LOWERLAYERDOWN] = "lowerlayerdown",
		[IF_OPER_TESTING] = "testing", [IF_OPER_DORMANT] = "dormant", [IF_OPER_UP] = "up",
	};

	pseudo_printf(out, "%s\n", names[lx_netdev_operstate(dev)]);
	return 0;
}

/* Those about the link say nothing while the device is down. */
static int show_carrier(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return lx_netdev_is_up(dev) ? show_number(out, lx_netdev_has_carrier(dev)) : -EINVAL;
}

static int show_no_if_up(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return lx_netdev_is_up(dev) ? show_number(out, 0) : -EINVAL;
}

static bool link_settings(struct lx_netdev *dev, uint32_t *speed, uint8_t *duplex)
{
	bool known;

	rt_mutex_lock(&dev->ns->config_lock);
	known = lx_netdev_is_up(dev) && dev->ops->link_settings &&
		dev->ops->link_settings(dev, speed, duplex);
	rt_mutex_unlock(&dev->ns->config_lock);
	return known;
}

static int show_speed(struct pseudo_buf *out, struct lx_netdev *dev)
{
	uint32_t speed;
	uint8_t duplex;

	return link_settings(dev, &speed, &duplex) ? show_number(out, speed) : -EINVAL;
}

static int show_duplex(struct pseudo_buf *out, struct lx_netdev *dev)
{
	uint32_t speed;
	uint8_t duplex;

	if (!link_settings(dev, &speed, &duplex))
		return -EINVAL;
	pseudo_puts(out, duplex == LX_DUPLEX_FULL ? "full\n" : duplex == LX_DUPLEX_HALF ? "half\n" : "unknown\n");
	return 0;
}

static int show_carrier_changes(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, atomic_load(&dev->carrier_changes));
}

/* It begins without one, and changes every time. */
static int show_carrier_up(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, (atomic_load(&dev->carrier_changes) + 1) / 2);
}

static int show_carrier_down(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, atomic_load(&dev->carrier_changes) / 2);
}

/* lo has its name from the kernel, others have names that were counted. */
static int show_name_type(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return show_number(out, dev->is_virtual ? 2 : 1);
}

static int show_unsupported(struct pseudo_buf *out, struct lx_netdev *dev)
{
	return -EOPNOTSUPP;
}

static int show_uevent(struct pseudo_buf *out, struct lx_netdev *dev)
{
	char name[LX_IFNAMSIZ];

	rt_read_lock(&dev->ns->devices_lock);
	memcpy(name, dev->name, sizeof(name));
	rt_read_unlock(&dev->ns->devices_lock);
	pseudo_printf(out, "INTERFACE=%s\nIFINDEX=%d\n", name, dev->ifindex);
	return 0;
}

/* -- what can be written */

static int store_mtu(struct lx_netdev *dev, uint64_t v)
{
	return lx_netdev_change_mtu(dev, (int)v);	/* what is too much is cut off, as on Linux */
}

static int store_flags(struct lx_netdev *dev, uint64_t v)
{
	return lx_netdev_change_flags(dev, (uint32_t)v, UINT32_MAX);
}

static int store_tx_queue_len(struct lx_netdev *dev, uint64_t v)
{
	return v > INT32_MAX ? -ERANGE : lx_netdev_change_tx_queue_len(dev, (int)v);
}

static const struct attr attrs[] = {
	{ "addr_assign_type", 0444, NULL, "0\n", NULL },
	{ "addr_len", 0444, show_addr_len, NULL, NULL },
	{ "address", 0444, show_address, NULL, NULL },
	{ "broadcast", 0444, show_broadcast, NULL, NULL },
	{ "carrier", 0644, show_carrier, NULL, NULL },
	{ "carrier_changes", 0444, show_carrier_changes, NULL, NULL },
	{ "carrier_down_count", 0444, show_carrier_down, NULL, NULL },
	{ "carrier_up_count", 0444, show_carrier_up, NULL, NULL },
	{ "dev_id", 0444, NULL, "0x0\n", NULL },
	{ "dev_port", 0444, NULL, "0\n", NULL },
	{ "dormant", 0444, show_no_if_up, NULL, NULL },
	{ "duplex", 0444, show_duplex, NULL, NULL },
	{ "flags", 0644, show_flags, NULL, store_flags },
	{ "gro_flush_timeout", 0644, NULL, "0\n", NULL },
	{ "ifalias", 0644, NULL, "", NULL },
	{ "ifindex", 0444, show_ifindex, NULL, NULL },
	{ "iflink", 0444, show_ifindex, NULL, NULL },
	{ "link_mode", 0444, NULL, "0\n", NULL },
	{ "mtu", 0644, show_mtu, NULL, store_mtu },
	{ "name_assign_type", 0444, show_name_type, NULL, NULL },
	{ "napi_defer_hard_irqs", 0644, NULL, "0\n", NULL },
	{ "netdev_group", 0644, NULL, "0\n", NULL },
	{ "operstate", 0444, show_operstate, NULL, NULL },
	{ "phys_port_id", 0444, show_unsupported, NULL, NULL },
	{ "phys_port_name", 0444, show_unsupported, NULL, NULL },
	{ "phys_switch_id", 0444, show_unsupported, NULL, NULL },
	{ "proto_down", 0644, NULL, "0\n", NULL },
	{ "speed", 0444, show_speed, NULL, NULL },
	{ "testing", 0444, show_no_if_up, NULL, NULL },
	{ "threaded", 0644, NULL, "0\n", NULL },
	{ "tx_queue_len", 0644, show_tx_queue_len, NULL, store_tx_queue_len },
	{ "type", 0444, show_type, NULL, NULL },
	{ "uevent", 0644, show_uevent, NULL, NULL },
};

#define COUNTER(name)	{ #name, offsetof(struct rtnl_link_stats64, name) }
static const struct { const char *name; size_t offset; } counters[] = {
	COUNTER(collisions), COUNTER(multicast), COUNTER(rx_bytes), COUNTER(rx_compressed),
	COUNTER(rx_crc_errors), COUNTER(rx_dropped), COUNTER(rx_errors), COUNTER(rx_fifo_errors),
	COUNTER(rx_frame_errors), COUNTER(rx_length_errors), COUNTER(rx_missed_errors),
	COUNTER(rx_nohandler), COUNTER(rx_over_errors), COUNTER(rx_packets), COUNTER(tx_aborted_errors),
	COUNTER(tx_bytes), COUNTER(tx_carrier_errors), COUNTER(tx_compressed), COUNTER(tx_dropped),
	COUNTER(tx_errors), COUNTER(tx_fifo_errors), COUNTER(tx_heartbeat_errors), COUNTER(tx_packets),
	COUNTER(tx_window_errors),
};

#define NR_FILES	(ARRAY_SIZE(attrs) + ARRAY_SIZE(counters))

/* -- files */

static void files_put(struct files *f)
{
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	lx_netdev_put(f->dev);
	rt_free(f);
}

static void put(void *arg)
{
	struct ref *r = arg;

	files_put(r->files);
}

static int show(struct pseudo_buf *out, void *arg)
{
	const struct ref *r = arg;
	struct lx_netdev *dev = r->files->dev;
	struct rtnl_link_stats64 stats;
	uint64_t n;

	/* as any answer, it may be of a moment ago */
	if (!READ_ONCE(dev->registered))
		return -ENODEV;
	if (r->attr && r->attr->show)
		return r->attr->show(out, dev);
	if (r->attr) {
		pseudo_puts(out, r->attr->text);
		return 0;
	}
	lx_netdev_stats(dev, &stats);
	memcpy(&n, (const uint8_t *)&stats + counters[r->counter].offset, sizeof(n));
	return show_number(out, n);
}

static int store(const char *text, size_t n, void *arg)
{
	const struct ref *r = arg;
	struct lx_netdev *dev = r->files->dev;
	size_t len;
	uint64_t v;
	int err;

	if (!lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	/* asking for the event of its coming again: nobody listens */
	if (str_equal(r->attr->name, "uevent"))
		return 0;
	if (!r->attr->store)
		return -EOPNOTSUPP;
	len = parse_u64(text, n, 0, &v);
	while (len && len < n && char_is_space(text[len]))
		len++;
	if (!len || len != n)
		return -EINVAL;
	rt_mutex_lock(&dev->ns->config_lock);
	err = dev->registered ? r->attr->store(dev, v) : -ENODEV;
	rt_mutex_unlock(&dev->ns->config_lock);
	return err;
}

static int add_file(struct files *f, struct ref *r, const char *path, lx_mode_t mode)
{
	const struct pseudo_node node = {
		.owner = f->dev->ns, .mode = mode, .show = show, .store = mode & 0200 ? store : NULL,
		.arg = r, .put = put,
	};
	int err;

	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	err = pseudo_add(lx_sysfs_tree, path, &node);
	if (err)
		files_put(f);
	return err;
}

static int add_files(struct files *f, const char *folder)
{
	struct ref *r = f->ref;
	char path[160];
	int err = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(attrs) && !err; i++, r++) {
		*r = (struct ref){ f, &attrs[i], 0 };
		scnprintf(path, sizeof(path), "%s/%s", folder, attrs[i].name);
		err = add_file(f, r, path, attrs[i].mode);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(counters) && !err; i++, r++) {
		*r = (struct ref){ f, NULL, i };
		scnprintf(path, sizeof(path), "%s/statistics/%s", folder, counters[i].name);
		err = add_file(f, r, path, 0444);
	}
	return err;
}

/* -- folders and links */

static void folder_of(const struct lx_netdev *dev, char *buf, size_t size)
{
	if (dev->parent)
		scnprintf(buf, size, "devices/%s/net/%s", dev->parent, dev->name);
	else
		scnprintf(buf, size, "devices/virtual/net/%s", dev->name);
}

/* The folder itself is the namespace's own; what is in it needs no owner, but says it for the way. */
static int add_folder(struct lx_netdev *dev, const char *folder)
{
	const struct pseudo_node node = { .owner = dev->ns };

	return pseudo_add(lx_sysfs_tree, folder, &node);
}

static int add_queues(struct lx_netdev *dev, const char *folder)
{
	unsigned int n = dev->is_virtual ? 1 : dev->nr_queues;
	char path[160];
	int err = 0;

	for (unsigned int i = 0; i < 2 * n && !err; i++) {
		scnprintf(path, sizeof(path), "%s/queues/%s-%u", folder, i & 1 ? "tx" : "rx", i / 2);
		err = add_folder(dev, path);
	}
	return err;
}

static int add_links(struct lx_netdev *dev, const char *folder)
{
	char path[160], target[160];
	int err;

	scnprintf(path, sizeof(path), "%s/subsystem", folder);
	err = pseudo_symlink_owned(lx_sysfs_tree, path, "../../../../class/net", dev->ns);
	if (!err && dev->parent) {
		scnprintf(path, sizeof(path), "%s/device", folder);
		scnprintf(target, sizeof(target), "../../../%s", dev->parent);
		err = pseudo_symlink_owned(lx_sysfs_tree, path, target, dev->ns);
	}
	if (err)
		return err;
	scnprintf(path, sizeof(path), "class/net/%s", dev->name);
	scnprintf(target, sizeof(target), "../../%s", folder);
	return pseudo_symlink_owned(lx_sysfs_tree, path, target, dev->ns);
}

int netdev_sysfs_add(struct lx_netdev *dev)
{
	struct files *f = rt_alloc(sizeof(*f) + NR_FILES * sizeof(f->ref[0]));
	char folder[128], path[160];
	int err;

	if (!f)
		return -ENOMEM;
	f->dev = lx_netdev_get(dev);
	atomic_init(&f->refs, 1);
	folder_of(dev, folder, sizeof(folder));
	err = add_folder(dev, folder);
	if (!err)
		err = add_files(f, folder);
	scnprintf(path, sizeof(path), "%s/power", folder);
	if (!err)
		err = add_folder(dev, path);
	if (!err)
		err = add_queues(dev, folder);
	if (!err)
		err = add_links(dev, folder);
	if (err)
		netdev_sysfs_remove(dev);
	files_put(f);
	return err;
}

void netdev_sysfs_remove(struct lx_netdev *dev)
{
	char path[160];

	scnprintf(path, sizeof(path), "class/net/%s", dev->name);
	pseudo_remove_owned(lx_sysfs_tree, path, dev->ns);
	folder_of(dev, path, sizeof(path));
	pseudo_remove_owned(lx_sysfs_tree, path, dev->ns);
}

/* -- whose devices a mount shows */

static void *owner_get(void)
{
	const struct lx_nsproxy *proxy = lx_self()->ns;

	return proxy && proxy->net != lx_init_netns ? lx_netns_get(proxy->net) : NULL;
}

static void owner_put(void *owner)
{
	lx_netns_put(owner);
}

void netdev_sysfs_init(void)
{
	static const struct sysfs_owners owners = { owner_get, owner_put };

	pseudo_set_owner(lx_sysfs_tree, lx_init_netns);
	lx_sysfs_set_owners(&owners);
}
