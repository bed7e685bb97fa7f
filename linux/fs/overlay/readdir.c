/* SPDX-License-Identifier: MIT */
/*
 * Listing merged directories.
 *
 * The layers are gathered, from the top, when a listing begins; names that were
 * seen (or covered by a whiteout) are not taken again.  The list stays with the
 * open file until it is rewound, so positions, which are indices in it, hold.
 */
#include "base/hash.h"
#include "fs/overlay/overlay.h"

struct name {
	struct name *next_in_bucket;
	uint64_t ino;
	uint32_t hash, len;
	uint8_t type;
	bool whiteout;
	char text[];
};

#define BUCKETS 256u

struct listing {
	struct name **names;
	size_t count, room;
	struct name *buckets[BUCKETS];
};

struct gather {
	struct lx_dir_emit emit;
	struct listing *list;
	struct lx_dentry *dir;		/* of the layer */
	unsigned int layer;
	bool upper;
	int err;
};

static void free_listing(struct listing *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		rt_free(l->names[i]);
	rt_free(l->names);
	rt_free(l);
}

static struct name *find(struct listing *l, const char *text, size_t len, uint32_t hash)
{
	struct name *n;

	for (n = l->buckets[hash % BUCKETS]; n; n = n->next_in_bucket)
		if (n->hash == hash && n->len == len && !memcmp(n->text, text, len))
			return n;
	return NULL;
}

static struct name *add(struct listing *l, const char *text, size_t len, uint32_t hash)
{
	struct name *n;

	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct name **p = rt_realloc(l->names, room * sizeof(*p));

		if (!p)
			return NULL;
		l->names = p;
		l->room = room;
	}
	n = rt_zalloc(sizeof(*n) + len);
	if (!n)
		return NULL;
	n->hash = hash;
	n->len = (uint32_t)len;
	memcpy(n->text, text, len);
	n->next_in_bucket = l->buckets[hash % BUCKETS];
	l->buckets[hash % BUCKETS] = n;
	l->names[l->count++] = n;
	return n;
}

static bool gather_one(struct lx_dir_emit *e, const char *text, size_t len, uint64_t ino,
		       unsigned int type)
{
	struct gather *g = container_of(e, struct gather, emit);
	uint32_t hash = (uint32_t)hash_bytes(text, len, 0);
	struct name *n;

	if ((len == 1 && text[0] == '.') || (len == 2 && text[0] == '.' && text[1] == '.'))
		return true;
	if (find(g->list, text, len, hash))
		return true;
	n = add(g->list, text, len, hash);
	if (!n) {
		g->err = -ENOMEM;
		return false;
	}
	n->ino = ovl_ino(ino, g->layer);
	n->type = (uint8_t)type;
	return true;
}

/* What only the inodes of the upper layer tell: whiteouts, and where files came from. */
static int look_closer(struct listing *l, struct lx_dentry *dir)
{
	for (size_t i = 0; i < l->count; i++) {
		struct name *n = l->names[i];
		struct lx_dentry *d;
		struct lx_inode *real;
		int err = lx_lookup_one(lx_self(), dir, n->text, n->len, &d);

		if (err)
			return err;
		real = lx_d_inode(d);
		n->whiteout = !real || ovl_is_whiteout(real);
		if (!n->whiteout)
			n->ino = ovl_upper_ino(real);
		lx_dentry_put(d);
	}
	return 0;
}

static int gather_layer(struct listing *l, struct lx_dentry *dir, unsigned int layer)
{
	struct gather g = { .emit.emit = gather_one, .list = l, .layer = layer };
	struct lx_inode *real = lx_d_inode(dir);
	struct lx_file shadow = { .inode = real };
	int err;

	if (!real->fops || !real->fops->iterate)
		return -ENOTDIR;
	rt_mutex_lock_nested(&real->lock);
	err = real->fops->iterate(&shadow, &g.emit);
	rt_mutex_unlock(&real->lock);
	return err ? err : g.err;
}

/* The overlay's directory is locked: nothing changes in its layers. */
static int make_listing(struct lx_inode *dir, struct listing **out)
{
	struct ovl_inode *oi = ovl_inode(dir);
	struct listing *l = rt_zalloc(sizeof(*l));
	int err = l ? 0 : -ENOMEM;

	if (!err && ovl_upper(dir)) {
		err = gather_layer(l, ovl_upper(dir), OVL_UPPER_LAYER);
		if (!err)
			err = look_closer(l, ovl_upper(dir));
	}
	for (unsigned int i = 0; !err && i < oi->nr_lower; i++) {
		size_t before = l->count;

		err = gather_layer(l, oi->lowers[i].dentry, oi->lowers[i].layer);
		/* whiteouts in lower layers hide what is below those */
		for (size_t k = before; !err && k < l->count; k++) {
			struct lx_dentry *d;

			if (l->names[k]->type != 2)
				continue;
			err = lx_lookup_one(lx_self(), oi->lowers[i].dentry, l->names[k]->text,
					    l->names[k]->len, &d);
			if (!err) {
				l->names[k]->whiteout = lx_d_negative(d) ||
							ovl_is_whiteout(lx_d_inode(d));
				lx_dentry_put(d);
			}
		}
	}
	if (err) {
		free_listing(l);
		return err;
	}
	*out = l;
	return 0;
}

int ovl_check_empty(struct lx_inode *dir)
{
	struct listing *l;
	int err = make_listing(dir, &l);

	if (err)
		return err;
	for (size_t i = 0; i < l->count && !err; i++)
		if (!l->names[i]->whiteout)
			err = -ENOTEMPTY;
	free_listing(l);
	return err;
}

static int ovl_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct lx_inode *dir = f->inode;
	struct listing *l = f->private;
	int err;

	if (!l || !ctx->pos) {
		err = make_listing(dir, &l);
		if (err)
			return err;
		free_listing(f->private);
		f->private = l;
	}
	if (ctx->pos < 2) {
		struct lx_dentry *parent = lx_dentry_parent_get(f->path.dentry);
		uint64_t ino = ovl_inode(lx_d_inode(parent))->ino;

		lx_dentry_put(parent);
		if (!lx_dir_emit_dots(ctx, ovl_inode(dir)->ino, ino))
			return 0;
	}
	for (; (size_t)(ctx->pos - 2) < l->count; ctx->pos++) {
		struct name *n = l->names[ctx->pos - 2];

		if (!n->whiteout && !ctx->emit(ctx, n->text, n->len, n->ino, n->type))
			break;
	}
	return 0;
}

static void ovl_dir_release(struct lx_file *f)
{
	free_listing(f->private);
}

const struct lx_file_ops ovl_dir_fops = {
	.iterate = ovl_iterate,
	.llseek = lx_dir_llseek,
	.release = ovl_dir_release,
	.fsync = ovl_fsync,
};
