/* SPDX-License-Identifier: MIT */
/*
 * Indexed directories: reading.
 *
 * The index is a tree over hashes of names.  Its root lies in the first block
 * behind "." and "..", nodes in blocks of their own, and what it leads to are
 * ordinary blocks of names.  An entry (hash, block) is about the names from its
 * hash up to the next entry's; a hash whose lowest bit is set says that names of
 * the hash before it go on in this block.
 *
 * Positions of a listing are hashes, so that it stays right when blocks are split
 * meanwhile: 0 ".", 1 "..", then (hash, minor hash) + 2.  Directories of one block, which
 * get an index with the next one, are listed in this order, too: so a listing under way stays right.
 */
#include "fs/ext4/dir.h"

#define BLOCK_MASK	0x0fffffffu
#define POS_FIRST	2
#define POS_END		((lx_off_t)0x7fffffff << 32)

static int bad(struct lx_inode *dir, const char *what)
{
	return e4_corrupt(e4_super_of(dir), "index of directory %u: %s", e4_inode(dir)->ino, what);
}

bool e4_dir_indexed(const struct lx_inode *dir)
{
	return (e4_inode(dir)->flags & E4_FL_INDEX) &&
	       (e4_super_of(dir)->compat & E4_COMPAT_DIR_INDEX);
}

/* -- nodes */

static uint32_t entries_offset(bool root)
{
	return root ? E4_DX_ROOT_INFO + sizeof(struct e4_dx_info) : E4_DX_NODE_ENTRIES;
}

uint32_t e4_dx_limit(const struct e4_super *s, bool root)
{
	return (s->block_size - entries_offset(root) - (s->csum ? E4_DX_TAIL : 0)) /
	       sizeof(struct e4_dx_entry);
}

/* Limit and count lie where the first entry's hash would be. */
static uint32_t count_of(const struct e4_super *s, const struct e4_dx_entry *entries, bool root)
{
	return MIN((uint32_t)get_le16((const uint8_t *)entries + 2), e4_dx_limit(s, root));
}

uint32_t e4_dx_count(const struct e4_super *s, const struct e4_dx_path *p, unsigned int level)
{
	return count_of(s, p->entries[level], level == 0);
}

static uint8_t *tail_of(const struct e4_super *s, uint8_t *data, bool root)
{
	return data + entries_offset(root) + e4_dx_limit(s, root) * sizeof(struct e4_dx_entry);
}

static uint32_t node_csum(struct lx_inode *dir, uint8_t *data, bool root)
{
	struct e4_super *s = e4_super_of(dir);
	uint32_t off = entries_offset(root), c;
	uint32_t n = count_of(s, (struct e4_dx_entry *)(data + off), root);

	c = crc32c(e4_inode(dir)->csum_seed, data, off + n * sizeof(struct e4_dx_entry));
	c = crc32c(c, tail_of(s, data, root), 4);
	return e4_csum_u32(c, 0);
}

void e4_dx_set_csum(struct lx_inode *dir, uint8_t *data, bool root)
{
	if (e4_super_of(dir)->csum)
		put_le32(tail_of(e4_super_of(dir), data, root) + 4, node_csum(dir, data, root));
}

static int check_node(struct lx_inode *dir, uint8_t *data, bool root)
{
	struct e4_super *s = e4_super_of(dir);
	const uint8_t *first = data + entries_offset(root);
	const struct e4_dirent *dead = (const struct e4_dirent *)data;

	if (!root && (get_le32(dead->inode) || get_le16(dead->rec_len) != s->block_size))
		return bad(dir, "a node does not look like one");
	if (get_le16(first) != e4_dx_limit(s, root) || !get_le16(first + 2) ||
	    get_le16(first + 2) > get_le16(first))
		return bad(dir, "a node has too many entries");
	if (s->csum && get_le32(tail_of(s, data, root) + 4) != node_csum(dir, data, root)) {
		bad(dir, "wrong checksum");
		return -EBADMSG;
	}
	return 0;
}

static int read_node(struct lx_inode *dir, uint32_t lblock, bool root, struct e4_buf **out)
{
	struct e4_buf *b;
	int err = e4_read_block(dir, lblock, &b);

	if (err)
		return err;
	if (atomic_load(&b->kind) != E4_DX) {
		err = check_node(dir, b->data, root);
		if (err) {
			e4_buf_put(b);
			return err;
		}
		atomic_store(&b->kind, E4_DX);
	}
	*out = b;
	return 0;
}

/* -- walking */

void e4_dx_put(struct e4_dx_path *p)
{
	for (unsigned int i = 0; i < p->levels; i++)
		e4_buf_put(p->buf[i]);
	p->levels = 0;
}

static int push(struct lx_inode *dir, uint32_t lblock, struct e4_dx_path *p)
{
	bool root = !p->levels;
	struct e4_buf *b;
	int err = read_node(dir, lblock, root, &b);

	if (err)
		return err;
	p->buf[p->levels] = b;
	p->entries[p->levels] = (struct e4_dx_entry *)(b->data + entries_offset(root));
	p->at[p->levels++] = 0;
	return 0;
}

/* The entry whose names include @hash. */
static uint32_t bisect(const struct e4_dx_entry *entries, uint32_t count, uint32_t hash)
{
	uint32_t lo = 1, hi = count;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (get_le32(entries[mid].hash) > hash)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo - 1;
}

static uint32_t child(const struct e4_dx_path *p, unsigned int level)
{
	return get_le32(p->entries[level][p->at[level]].block) & BLOCK_MASK;
}

uint32_t e4_dx_leaf(const struct e4_dx_path *p)
{
	return child(p, p->levels - 1);
}

int e4_dx_walk(struct lx_inode *dir, const struct e4_name *name, struct e4_hash *hash,
	       struct e4_dx_path *p)
{
	struct e4_super *s = e4_super_of(dir);
	const struct e4_dx_info *info;
	unsigned int below;
	int err;

	p->levels = 0;
	err = push(dir, 0, p);
	if (err)
		return err;
	info = (const struct e4_dx_info *)(p->buf[0]->data + E4_DX_ROOT_INFO);
	below = info->levels;
	if (info->info_length != sizeof(*info) || (info->unused_flags & 1) ||
	    below > (e4_has_incompat(s, E4_INCOMPAT_LARGEDIR) ? 2u : 1u))
		return bad(dir, "the root is not as it should be");
	p->version = info->hash_version;
	if (p->version <= 2 && s->hash_unsigned)
		p->version += 3;
	if (name) {
		err = e4_name_hash(s, p->version, name->s, name->len, hash);
		if (err)
			return bad(dir, "unknown hash");
	}
	for (;;) {
		unsigned int l = p->levels - 1;

		p->at[l] = bisect(p->entries[l], e4_dx_count(s, p, l), hash->major);
		if (p->levels > below)
			break;
		err = push(dir, child(p, l), p);
		if (err)
			return err;
	}
	if (e4_dx_leaf(p) >= e4_dir_blocks(dir) || !e4_dx_leaf(p))
		return bad(dir, "it leads out of the directory");
	return 0;
}

int e4_dx_next(struct lx_inode *dir, struct e4_dx_path *p, uint32_t *hash)
{
	struct e4_super *s = e4_super_of(dir);
	unsigned int levels = p->levels, l = levels;

	/* up to where there is a next one */
	while (l && p->at[l - 1] + 1 >= e4_dx_count(s, p, l - 1))
		l--;
	if (!l)
		return 0;
	p->at[l - 1]++;
	*hash = get_le32(p->entries[l - 1][p->at[l - 1]].hash);
	while (p->levels > l)
		e4_buf_put(p->buf[--p->levels]);
	while (p->levels < levels) {
		int err = push(dir, child(p, p->levels - 1), p);

		if (err)
			return err;
	}
	if (e4_dx_leaf(p) >= e4_dir_blocks(dir) || !e4_dx_leaf(p))
		return bad(dir, "it leads out of the directory");
	return 1;
}

int e4_dx_find(struct lx_inode *dir, const struct e4_name *name, bool keep, struct e4_found *found)
{
	struct e4_super *s = e4_super_of(dir);
	struct e4_dx_path p;
	struct e4_hash hash;
	uint32_t next, steps = 0;
	int err;

	if (name->len <= 2 && name->s[0] == '.' && name->s[name->len - 1] == '.') {
		*found = (struct e4_found){ .ino = e4_inode(dir)->ino, .type = 2 };
		return name->len == 1 ? 0 : e4_dir_parent(dir, &found->ino);
	}
	err = e4_dx_walk(dir, name, &hash, &p);
	while (!err) {
		struct e4_buf *b;

		err = e4_dir_block(dir, e4_dx_leaf(&p), &b);
		if (err)
			break;
		err = e4_dir_found(b, e4_dx_leaf(&p), e4_dir_search(s, b, name), keep, found);
		if (err != -ENOENT)
			break;
		err = e4_dx_next(dir, &p, &next);
		if (err < 0)
			break;
		/* on into the next block only if the same hash goes on there */
		if (!err || (next & ~1u) != hash.major || ++steps > e4_dir_blocks(dir)) {
			err = -ENOENT;
			break;
		}
		err = 0;
	}
	e4_dx_put(&p);
	return err;
}

/* -- listing */

struct entry {
	uint64_t key;			/* position */
	uint32_t ino;
	uint8_t type, len;
	uint32_t name;			/* in list.names */
};

struct list_of {
	struct entry *entries;
	char *names;
	uint32_t count, names_used, blocks;
};

static bool is_dot(const struct e4_dirent *d)
{
	return d->name[0] == '.' && (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'));
}

/* Add the names of a leaf, or the only block, whose positions are not before @from. */
static int gather(struct lx_inode *dir, uint32_t lblock, unsigned int version, uint64_t from, struct list_of *l)
{
	struct e4_super *s = e4_super_of(dir);
	uint32_t room = e4_dir_room(s), most = s->block_size / E4_DIRENT_SIZE(1);
	struct entry *entries;
	struct e4_buf *b;
	char *names;
	int err = e4_dir_block(dir, lblock, &b);

	if (err)
		return err;
	l->blocks++;
	entries = rt_realloc(l->entries, (size_t)l->blocks * most * sizeof(*entries));
	if (entries)
		l->entries = entries;
	names = entries ? rt_realloc(l->names, (size_t)l->blocks * s->block_size) : NULL;
	if (names)
		l->names = names;
	else
		err = -ENOMEM;
	for (uint32_t off = 0; !err && off < room;) {
		const struct e4_dirent *d = (const struct e4_dirent *)(b->data + off);
		struct e4_hash h;
		uint64_t key;

		if (!e4_dirent_ok(s, b->data, off)) {
			err = -EUCLEAN;
			break;
		}
		off += get_le16(d->rec_len);
		if (!get_le32(d->inode) || is_dot(d))
			continue;
		err = e4_name_hash(s, version, d->name, d->name_len, &h);
		key = ((uint64_t)(h.major >> 1) << 32 | h.minor) + POS_FIRST;
		if (err || key < from)
			continue;
		l->entries[l->count++] = (struct entry){ key, get_le32(d->inode), d->file_type,
							 d->name_len, l->names_used };
		memcpy(l->names + l->names_used, d->name, d->name_len);
		l->names_used += d->name_len;
	}
	e4_buf_put(b);
	return err;
}

/* A block's worth, mostly in no order: shell sort. */
static void sort(struct entry *e, uint32_t n)
{
	for (uint32_t gap = n / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11) {
		for (uint32_t i = gap; i < n; i++) {
			struct entry x = e[i];
			uint32_t j = i;

			for (; j >= gap && e[j - gap].key > x.key; j -= gap)
				e[j] = e[j - gap];
			e[j] = x;
		}
	}
}

/* Report what was gathered: false when the buffer is full. */
static bool report(struct e4_super *s, struct list_of *l, struct lx_dir_emit *ctx)
{
	sort(l->entries, l->count);
	for (uint32_t i = 0; i < l->count; i++) {
		struct entry *e = &l->entries[i];

		ctx->pos = (lx_off_t)e->key;
		if (!ctx->emit(ctx, l->names + e->name, e->len, e->ino, e4_dtype(s, e->type)))
			return false;
		ctx->pos++;
	}
	l->count = l->names_used = l->blocks = 0;
	return true;
}

static int dots(struct lx_inode *dir, struct lx_dir_emit *ctx, bool *full)
{
	uint32_t parent;
	int err;

	*full = true;
	if (ctx->pos == 0) {
		if (!ctx->emit(ctx, ".", 1, e4_inode(dir)->ino, 4))
			return 0;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		err = e4_dir_parent(dir, &parent);
		if (err || !ctx->emit(ctx, "..", 2, parent, 4))
			return err;
		ctx->pos = POS_FIRST;
	}
	*full = false;
	return 0;
}

bool e4_dir_hash_order(const struct lx_inode *dir)
{
	struct e4_super *s = e4_super_of(dir);
	struct e4_hash h;

	return e4_dir_indexed(dir) ||
	       ((s->compat & E4_COMPAT_DIR_INDEX) && (e4_inode(dir)->flags & E4_FL_EXTENTS) &&
		e4_dir_blocks(dir) == 1 && !e4_name_hash(s, s->def_hash, "", 0, &h));
}

static int iterate_block(struct lx_inode *dir, struct lx_dir_emit *ctx)
{
	struct e4_super *s = e4_super_of(dir);
	struct list_of l = { 0 };
	int err = gather(dir, 0, s->def_hash, (uint64_t)ctx->pos, &l);

	if (!err && report(s, &l, ctx))
		ctx->pos = POS_END;
	rt_free(l.entries);
	rt_free(l.names);
	return err;
}

int e4_dx_iterate(struct lx_inode *dir, struct lx_dir_emit *ctx)
{
	struct e4_super *s = e4_super_of(dir);
	struct list_of l = { 0 };
	struct e4_dx_path p = { .levels = 0 };
	struct e4_hash from = { 0 };
	uint32_t next = 0, steps = 0;
	bool full;
	int err = dots(dir, ctx, &full);

	if (err || full || ctx->pos >= POS_END)
		return err;
	if (!e4_dir_indexed(dir))
		return iterate_block(dir, ctx);
	from.major = (uint32_t)((uint64_t)(ctx->pos - POS_FIRST) >> 32) << 1;
	err = e4_dx_walk(dir, NULL, &from, &p);
	while (!err) {
		err = gather(dir, e4_dx_leaf(&p), p.version, (uint64_t)ctx->pos, &l);
		if (err)
			break;
		err = e4_dx_next(dir, &p, &next);
		if (err < 0)
			break;
		if (err && ++steps > e4_dir_blocks(dir)) {
			err = bad(dir, "a loop");
			break;
		}
		/* names of one hash are reported together, also if they fill several blocks */
		if (err && (next & 1)) {
			err = 0;
			continue;
		}
		if (!report(s, &l, ctx)) {
			err = 0;
			break;
		}
		if (!err) {
			ctx->pos = POS_END;
			break;
		}
		err = 0;
	}
	e4_dx_put(&p);
	rt_free(l.entries);
	rt_free(l.names);
	return err;
}
