/* SPDX-License-Identifier: MIT */
/*
 * Character devices by number.  Registered at the start of the system, never
 * removed: the list only grows at its end.
 */
#include "base/format.h"
#include "vfs/vfs_priv.h"

struct chrdev {
	struct list link;
	uint32_t major, first, count;
	const char *name;
	const struct lx_file_ops *ops;
};

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct list all = LIST_INIT(all);

int lx_chrdev_register(uint32_t major, uint32_t first_minor, uint32_t count, const char *name,
		       const struct lx_file_ops *ops)
{
	struct chrdev *c = rt_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct chrdev){ .major = major, .first = first_minor, .count = count, .name = name,
			      .ops = ops };
	rt_mutex_lock(&lock);
	list_add_last(&all, &c->link);
	rt_mutex_unlock(&lock);
	return 0;
}

const struct lx_file_ops *lx_chrdev_find(lx_dev_t dev)
{
	const struct lx_file_ops *ops = NULL;
	uint32_t minor = LX_MINOR(dev);
	struct chrdev *c;

	rt_mutex_lock(&lock);
	list_for_each_entry(c, &all, link) {
		if (c->major == LX_MAJOR(dev) && minor >= c->first && minor - c->first < c->count) {
			ops = c->ops;
			break;
		}
	}
	rt_mutex_unlock(&lock);
	return ops;
}

size_t lx_chrdev_show(char *buf, size_t size)
{
	struct chrdev *c, *before;
	size_t n = 0;

	rt_mutex_lock(&lock);
	for (uint32_t major = 0; major < 512; major++) {
		list_for_each_entry(c, &all, link) {
			bool shown = false;

			if (c->major != major)
				continue;
			list_for_each_entry(before, &all, link) {
				if (before == c)
					break;
				shown |= before->major == major && str_equal(before->name, c->name);
			}
			if (!shown)
				n += (size_t)scnprintf(buf + n, size - n, "%3u %s\n", major, c->name);
		}
	}
	rt_mutex_unlock(&lock);
	return n;
}
