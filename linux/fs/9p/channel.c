/* SPDX-License-Identifier: MIT */
/* 9P servers by their tags.  They come, and do not go; a mount has one for itself, as on Linux. */
#include "fs/9p/p9.h"

struct channel {
	struct list link;      /* lock */
	struct p9link *server; /* constant */
	bool taken;	       /* lock */
};

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct list channels = LIST_INIT(channels);

void lx_9p_channel_add(struct p9link *server)
{
	struct channel *ch = rt_zalloc(sizeof(*ch));

	if (!ch) {
		p9link_close(server);
		return;
	}
	ch->server = server;
	rt_mutex_lock(&lock);
	list_add_last(&channels, &ch->link);
	rt_mutex_unlock(&lock);
}

int p9_channel_take(const char *tag, struct p9link **out)
{
	struct channel *ch;
	int err = -ENOENT;

	rt_mutex_lock(&lock);
	list_for_each_entry(ch, &channels, link)
	{
		if (!str_equal(p9link_tag(ch->server), tag))
			continue;
		err = ch->taken ? -EBUSY : 0;
		if (!err) {
			ch->taken = true;
			*out = ch->server;
			break;
		}
	}
	rt_mutex_unlock(&lock);
	return err;
}

void p9_channel_give_back(struct p9link *server)
{
	struct channel *ch;

	rt_mutex_lock(&lock);
	list_for_each_entry(ch, &channels, link) if (ch->server == server) ch->taken = false;
	rt_mutex_unlock(&lock);
}
