/* SPDX-License-Identifier: MIT */
/* Fids: numbers, references, and their renewal in another session; see p9.h. */
#include "base/bitmap.h"
#include "base/byteorder.h"
#include "fs/9p/p9.h"

#define FIDS_FIRST 256u
#define WALK_DEPTH 256u /* directories between a file and the root, to find it again */

/* -- numbers ------------------------------------------------------------------------------- */

static bool grow_locked(struct p9_conn *c)
{
	uint32_t room = c->fid_room ? c->fid_room * 2 : FIDS_FIRST;
	uint64_t *map;

	if (room > P9_FIDS_MAX)
		return false;
	map = rt_zalloc(BITMAP_WORDS(room) * sizeof(uint64_t));
	if (!map)
		return false;
	if (c->fid_map)
		memcpy(map, c->fid_map, BITMAP_WORDS(c->fid_room) * sizeof(uint64_t));
	rt_free(c->fid_map);
	c->fid_map = map;
	c->fid_room = room;
	return true;
}

static bool take_number_locked(struct p9_conn *c, uint32_t *number)
{
	size_t n = bitmap_next_clear(c->fid_map, c->fid_room, c->fid_next);

	if (n == c->fid_room)
		n = bitmap_next_clear(c->fid_map, c->fid_room, 0);
	if (n == c->fid_room && !grow_locked(c))
		return false;
	bitmap_set(c->fid_map, n);
	c->fid_next = (uint32_t)n + 1 < c->fid_room ? (uint32_t)n + 1 : 0;
	*number = (uint32_t)n;
	return true;
}

struct p9_fid *p9_fid_new(struct p9_conn *c)
{
	struct p9_fid *f = rt_zalloc(sizeof(*f));
	bool ok;

	if (!f)
		return NULL;
	atomic_store(&f->refs, 1);
	f->conn = c;
	list_init(&f->link);
	rt_mutex_lock(&c->lock);
	ok = take_number_locked(c, &f->number);
	f->session = atomic_load(&c->session);
	rt_mutex_unlock(&c->lock);
	if (!ok) {
		rt_free(f);
		return NULL;
	}
	return f;
}

struct p9_fid *p9_fid_get(struct p9_fid *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

/* -- the end of fids ----------------------------------------------------------------------- */

/* Send its CLUNK.  False: there is no room for it now. */
static bool send_clunk_locked(struct p9_fid *f)
{
	struct p9link *link = f->conn->link;
	const uint32_t size = P9_HEADER + 4;

	if (p9link_get(link, size, P9_HEADER + 64, P9LINK_NO_WAIT, &f->clunk) != K_OK)
		return false;
	p9_put_header(f->clunk->t, size, P9_TCLUNK, f->clunk->tag);
	put_le32(f->clunk->t + P9_HEADER, f->number);
	p9link_start(link, f->clunk, size);
	return true;
}

/* Does the server know nothing of it any more?  True: it is off the list, and to be freed. */
static bool has_ended_locked(struct p9_fid *f)
{
	struct p9_conn *c = f->conn;

	if (f->clunk && p9link_poll(c->link, f->clunk)) {
		p9link_put(c->link, f->clunk);
		f->clunk = NULL;
	} else if (f->clunk || f->session == atomic_load(&c->session)) {
		return false;
	}
	bitmap_clear(c->fid_map, f->number);
	list_remove(&f->link);
	return true;
}

void p9_fids_tidy(struct p9_conn *c)
{
	struct p9_fid *f, *next;

	rt_mutex_lock(&c->lock);
	list_for_each_entry_safe(f, next, &c->clunks, link)
	{
		if (has_ended_locked(f))
			rt_free(f);
		else if (!f->clunk && !send_clunk_locked(f))
			break;
	}
	rt_mutex_unlock(&c->lock);
}

void p9_fid_put(struct p9_fid *f)
{
	struct p9_conn *c;

	if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	c = f->conn;
	rt_mutex_lock(&c->lock);
	list_add_last(&c->clunks, &f->link);
	if (f->session == atomic_load(&c->session))
		(void)send_clunk_locked(f);
	rt_mutex_unlock(&c->lock);
}

int p9_fid_close(struct p9_fid *f, int err)
{
	struct p9_conn *c = f->conn;
	struct p9_call m;

	if (err) {
		p9_fid_put(f);
		return err;
	}
	err = p9_call_begin(&m, f, P9_TCLUNK, 0, 0);
	if (!err)
		err = p9_call_send(&m);
	p9_call_end(&m);
	if (err == -EINTR || err == -EIO) {
		p9_fid_put(f); /* it may not have been told */
		return err;
	}
	rt_mutex_lock(&c->lock);
	bitmap_clear(c->fid_map, f->number);
	rt_mutex_unlock(&c->lock);
	rt_free(f);
	return err;
}

/* -- another session ------------------------------------------------------------------------- */

/* Its fid if that is good now, a reference; the root's always is. */
static struct p9_fid *good_fid(struct p9_conn *c, struct lx_inode *inode)
{
	struct p9_inode *pi = p9_inode_of(inode);
	struct p9_fid *f;

	rt_mutex_lock(&c->lock);
	f = pi->parent ? pi->fid : c->root;
	f = f && f->session == atomic_load(&c->session) ? p9_fid_get(f) : NULL;
	rt_mutex_unlock(&c->lock);
	return f;
}

/* Put @f into the place of an older one; the reference moves in. */
static void set_fid(struct p9_conn *c, struct lx_inode *inode, struct p9_fid *f)
{
	struct p9_inode *pi = p9_inode_of(inode);
	struct p9_fid *old;

	rt_mutex_lock(&c->lock);
	old = pi->fid;
	pi->fid = f;
	rt_mutex_unlock(&c->lock);
	p9_fid_put(old);
}

/* Where it was found last: a reference, and the name in @name. */
static struct lx_inode *place_of(struct p9_conn *c, struct lx_inode *inode,
				 char name[LX_NAME_MAX + 1])
{
	struct p9_inode *pi = p9_inode_of(inode);
	struct lx_inode *parent;

	rt_mutex_lock(&c->lock);
	parent = pi->parent ? lx_inode_get(pi->parent) : NULL;
	strlcpy(name, pi->name ? pi->name : "", LX_NAME_MAX + 1);
	rt_mutex_unlock(&c->lock);
	return parent;
}

/* Walk from @inode's directory, whose fid is good, to it: it has to be the same file. */
static int walk_again(struct p9_conn *c, struct lx_inode *inode)
{
	char name[LX_NAME_MAX + 1];
	struct lx_inode *parent = place_of(c, inode, name);
	struct p9_fid *from = parent ? good_fid(c, parent) : NULL, *f;
	struct p9_qid qid;
	int err = from && *name ? p9_walk(from, name, &f, &qid) : -EIO;

	if (!err && (qid.path != inode->ino || qid.type != p9_inode_of(inode)->qid_type)) {
		p9_fid_put(f);
		err = -EIO;
	}
	if (!err)
		set_fid(c, inode, f);
	p9_fid_put(from);
	if (parent)
		lx_inode_put(parent);
	return err == -ENOENT ? -EIO : err;
}

/* The highest directory above @inode, or itself, that has no good fid, but whose own directory has:
 * a reference. */
static struct lx_inode *next_to_walk(struct p9_conn *c, struct lx_inode *inode)
{
	char name[LX_NAME_MAX + 1];

	inode = lx_inode_get(inode);
	for (unsigned int depth = 0; depth < WALK_DEPTH; depth++) {
		struct lx_inode *parent = place_of(c, inode, name);
		struct p9_fid *f = parent ? good_fid(c, parent) : NULL;

		if (!parent || f) {
			p9_fid_put(f);
			if (parent)
				lx_inode_put(parent);
			return inode;
		}
		lx_inode_put(inode);
		inode = parent;
	}
	lx_inode_put(inode);
	return NULL;
}

int p9_inode_fid(struct lx_inode *inode, struct p9_fid **out)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	int err = p9_session_check(c);

	for (unsigned int steps = 0; !err; steps++) {
		struct lx_inode *step;

		*out = good_fid(c, inode);
		if (*out)
			return 0;
		step = steps < WALK_DEPTH ? next_to_walk(c, inode) : NULL;
		if (!step)
			return -EIO;
		err = walk_again(c, step);
		lx_inode_put(step);
	}
	return err;
}

int p9_open_fid(struct lx_inode *inode, uint32_t flags, struct p9_fid **out)
{
	struct p9_fid *at, *f;
	struct p9_qid qid;
	int err = p9_inode_fid(inode, &at);

	if (err)
		return err;
	err = p9_walk(at, NULL, &f, &qid);
	p9_fid_put(at);
	if (err)
		return err;
	err = p9_lopen(f, flags);
	if (err)
		p9_fid_put(f);
	else
		*out = f;
	return err;
}

int p9_handle_fid(struct p9_handle *h, struct p9_fid **out)
{
	struct p9_conn *c = p9_conn_of(h->inode->sb);
	struct p9_fid *f, *old;
	int err = p9_session_check(c);

	if (err)
		return err;
	rt_mutex_lock(&c->lock);
	f = p9_fid_get(h->fid);
	rt_mutex_unlock(&c->lock);
	if (f->session == atomic_load(&c->session)) {
		*out = f;
		return 0;
	}
	p9_fid_put(f);
	err = p9_open_fid(h->inode, h->flags, &f);
	if (err)
		return err;
	rt_mutex_lock(&c->lock);
	old = h->fid;
	h->fid = p9_fid_get(f);
	rt_mutex_unlock(&c->lock);
	p9_fid_put(old);
	*out = f;
	return 0;
}
