/* SPDX-License-Identifier: MIT */
/*
 * Indexed directories: changing.  As with extent trees, a full leaf or node is split
 * in one step, and the walk begins again.
 */
#include "fs/ext4/dir.h"
#include "fs/ext4/journal.h"

static int bad(struct lx_inode *dir, const char *what)
{
	return e4_corrupt(e4_super_of(dir), "index of directory %u: %s", e4_inode(dir)->ino, what);
}

/* -- nodes */

static uint8_t *count_field(struct e4_dx_entry *entries)
{
	return (uint8_t *)entries + 2;
}

static void init_node(const struct e4_super *s, struct e4_dx_entry *entries, bool root)
{
	put_le16(entries, (uint16_t)e4_dx_limit(s, root));
	put_le16(count_field(entries), 1);
}

/* Behind the entry that the path goes through. */
static void insert(const struct e4_super *s, struct e4_dx_path *p, unsigned int l, uint32_t hash,
		   uint32_t lblock)
{
	struct e4_dx_entry *e = p->entries[l];
	uint32_t n = e4_dx_count(s, p, l), at = p->at[l] + 1;

	memmove(e + at + 1, e + at, (n - at) * sizeof(*e));
	put_le32(e[at].hash, hash);
	put_le32(e[at].block, lblock);
	put_le16(count_field(e), (uint16_t)(n + 1));
}

static bool full(const struct e4_super *s, const struct e4_dx_path *p, unsigned int l)
{
	return e4_dx_count(s, p, l) >= e4_dx_limit(s, l == 0);
}

static int append_node(struct e4_handle *h, struct lx_inode *dir, uint32_t *lblock,
		       struct e4_buf **out, struct e4_dx_entry **entries)
{
	struct e4_super *s = h->s;
	int err = e4_dir_append(h, dir, lblock, out);

	if (err)
		return err;
	memset((*out)->data, 0, s->block_size);
	put_le16(((struct e4_dirent *)(*out)->data)->rec_len, (uint16_t)s->block_size);
	*entries = (struct e4_dx_entry *)((*out)->data + E4_DX_NODE_ENTRIES);
	init_node(s, *entries, false);
	atomic_store(&(*out)->kind, E4_DX);
	return 0;
}

/* The root is full: its entries go into a node, to which it leads. */
static int grow(struct e4_handle *h, struct lx_inode *dir, struct e4_dx_path *p)
{
	struct e4_super *s = h->s;
	struct e4_dx_info *info = (struct e4_dx_info *)(p->buf[0]->data + E4_DX_ROOT_INFO);
	uint32_t n = e4_dx_count(s, p, 0), lblock;
	struct e4_dx_entry *entries;
	struct e4_buf *b;
	int err;

	if (info->levels >= (e4_has_incompat(s, E4_INCOMPAT_LARGEDIR) ? 2 : 1)) {
		rt_log(RT_LOG_WARNING, "EXT4-fs (%s): directory %u index full", s->name,
		       e4_inode(dir)->ino);
		return -ENOSPC;
	}
	err = append_node(h, dir, &lblock, &b, &entries);
	if (!err)
		err = e4_change(h, p->buf[0]);
	if (err)
		return err;
	memcpy(entries, p->entries[0], n * sizeof(*entries));
	put_le16(entries, (uint16_t)e4_dx_limit(s, false));
	e4_dx_set_csum(dir, b->data, false);
	e4_buf_put(b);
	put_le16(count_field(p->entries[0]), 1);
	put_le32(p->entries[0][0].block, lblock);
	info->levels++;
	e4_dx_set_csum(dir, p->buf[0]->data, true);
	return 0;
}

/* The node at level @l is full, the one above is not. */
static int split_node(struct e4_handle *h, struct lx_inode *dir, struct e4_dx_path *p, unsigned int l)
{
	struct e4_super *s = h->s;
	uint32_t n = e4_dx_count(s, p, l), from = n / 2, lblock, hash;
	struct e4_dx_entry *entries;
	struct e4_buf *b;
	int err = append_node(h, dir, &lblock, &b, &entries);

	if (err)
		return err;
	err = e4_change(h, p->buf[l]);
	if (!err)
		err = e4_change(h, p->buf[l - 1]);
	if (!err) {
		hash = get_le32(p->entries[l][from].hash);
		memcpy(entries, p->entries[l] + from, (n - from) * sizeof(*entries));
		init_node(s, entries, false);
		put_le16(count_field(entries), (uint16_t)(n - from));
		put_le16(count_field(p->entries[l]), (uint16_t)from);
		insert(s, p, l - 1, hash, lblock);
		e4_dx_set_csum(dir, b->data, false);
		e4_dx_set_csum(dir, p->buf[l]->data, false);
		e4_dx_set_csum(dir, p->buf[l - 1]->data, l == 1);
	}
	e4_buf_put(b);
	return err;
}

/* -- leaves */

struct slot {
	uint32_t hash;
	uint16_t off, size;		/* size: what the entry needs */
};

/* The entries of a leaf in the order of their hashes: how many. */
static int sorted(struct lx_inode *dir, const struct e4_dx_path *p, const struct e4_buf *b,
		  struct slot *slots)
{
	struct e4_super *s = e4_super_of(dir);
	int n = 0;

	for (uint32_t off = 0; off < e4_dir_room(s);) {
		const struct e4_dirent *d = (const struct e4_dirent *)(b->data + off);
		struct e4_hash hash;
		int i;

		if (!e4_dirent_ok(s, b->data, off))
			return bad(dir, "bad entry");
		if (get_le32(d->inode)) {
			if (e4_name_hash(s, p->version, d->name, d->name_len, &hash))
				return bad(dir, "unknown hash");
			for (i = n++; i && slots[i - 1].hash > hash.major; i--)
				slots[i] = slots[i - 1];
			slots[i] = (struct slot){ hash.major, (uint16_t)off,
						  (uint16_t)E4_DIRENT_SIZE(d->name_len) };
		}
		off += get_le16(d->rec_len);
	}
	return n;
}

/* Entries [from, to) of @data, packed into the block; the last one takes the rest. */
static void pack(struct lx_inode *dir, struct e4_buf *b, const uint8_t *data,
		 const struct slot *slots, int from, int to)
{
	uint32_t room = e4_dir_room(e4_super_of(dir)), at = 0;

	e4_dir_init_block(dir, b);
	for (int i = from; i < to; i++) {
		struct e4_dirent *d = (struct e4_dirent *)(b->data + at);
		uint32_t len = i + 1 < to ? slots[i].size : room - at;

		memcpy(d, data + slots[i].off, slots[i].size);
		put_le16(d->rec_len, (uint16_t)len);
		at += slots[i].size;
	}
	e4_dir_set_csum(dir, b->data);
}

/* How many entries stay in the first block when it is split in halves by size. */
static int keep(const struct slot *slots, int n, uint32_t room)
{
	uint32_t size = 0;
	int i = 0;

	while (i < n - 1 && size + slots[i].size <= room / 2)
		size += slots[i++].size;
	return MAX(i, 1);
}

static int split_leaf(struct e4_handle *h, struct lx_inode *dir, struct e4_dx_path *p, struct e4_buf *b)
{
	struct e4_super *s = h->s;
	unsigned int l = p->levels - 1;
	struct slot *slots = rt_alloc(s->block_size / 12 * sizeof(*slots) + s->block_size);
	uint8_t *copy = slots ? (uint8_t *)(slots + s->block_size / 12) : NULL;
	struct e4_buf *right = NULL;
	uint32_t lblock, hash;
	int n, stay, err = slots ? 0 : -ENOMEM;

	if (err)
		return err;
	n = sorted(dir, p, b, slots);
	if (n < 2)
		err = n < 0 ? n : bad(dir, "a full leaf without entries");
	if (!err)
		err = e4_dir_append(h, dir, &lblock, &right);
	if (!err)
		err = e4_change(h, b);
	if (!err)
		err = e4_change(h, p->buf[l]);
	if (!err) {
		memcpy(copy, b->data, s->block_size);
		stay = keep(slots, n, e4_dir_room(s));
		hash = slots[stay].hash;
		if (hash == slots[stay - 1].hash)
			hash |= 1;	/* names of one hash in both */
		pack(dir, right, copy, slots, stay, n);
		pack(dir, b, copy, slots, 0, stay);
		insert(s, p, l, hash, lblock);
		e4_dx_set_csum(dir, p->buf[l]->data, l == 0);
	}
	e4_buf_put(right);
	rt_free(slots);
	return err;
}

static int make_room(struct e4_handle *h, struct lx_inode *dir, struct e4_dx_path *p, struct e4_buf *leaf)
{
	unsigned int l = p->levels;

	/* the lowest level that has room, and split what is below it */
	while (l && full(h->s, p, l - 1))
		l--;
	if (!l)
		return grow(h, dir, p);
	return l == p->levels ? split_leaf(h, dir, p, leaf) : split_node(h, dir, p, l);
}

int e4_dx_add(struct e4_handle *h, struct lx_inode *dir, const struct e4_name *name, uint32_t ino,
	      uint8_t type)
{
	for (unsigned int turn = 0; turn < 8; turn++) {
		struct e4_dx_path p;
		struct e4_hash hash;
		struct e4_buf *b = NULL;
		int err = e4_dx_walk(dir, name, &hash, &p);

		if (!err)
			err = e4_dir_block(dir, e4_dx_leaf(&p), &b);
		if (!err) {
			err = e4_dir_add_to(h, dir, b, name, ino, type);
			if (err == -ENOSPC) {
				err = make_room(h, dir, &p, b);
				err = err ? err : -EAGAIN;
			}
		}
		e4_buf_put(b);
		e4_dx_put(&p);
		if (err != -EAGAIN)
			return err;
	}
	return bad(dir, "no room can be made");
}

int e4_dx_make(struct e4_handle *h, struct lx_inode *dir)
{
	struct e4_super *s = h->s;
	struct e4_inode *e = e4_inode(dir);
	struct e4_dirent *dotdot, *d;
	struct e4_dx_entry *entries;
	struct e4_dx_info *info;
	struct e4_buf *root, *leaf;
	uint32_t lblock, parent, room = e4_dir_room(s), from, len;
	int err = e4_dir_parent(dir, &parent);

	if (!err)
		err = e4_dir_block(dir, 0, &root);
	if (err)
		return err;
	dotdot = (struct e4_dirent *)(root->data + 12);
	from = 12 + get_le16(dotdot->rec_len);
	err = from < room && s->def_hash <= 2 ? e4_dir_append(h, dir, &lblock, &leaf) : -ENOSPC;
	if (!err) {
		err = e4_change(h, root);
		if (err)
			e4_buf_put(leaf);
	}
	if (err) {
		e4_buf_put(root);
		return err;
	}
	/* the names behind ".." move, the last one takes what is left */
	memcpy(leaf->data, root->data + from, room - from);
	for (uint32_t off = 0;; off += len) {
		d = (struct e4_dirent *)(leaf->data + off);
		len = get_le16(d->rec_len);
		if (off + len >= room - from) {
			put_le16(d->rec_len, (uint16_t)(room - off));
			break;
		}
	}
	e4_dir_set_csum(dir, leaf->data);
	e4_buf_put(leaf);

	memset(root->data + E4_DX_ROOT_INFO, 0, s->block_size - E4_DX_ROOT_INFO);
	put_le16(dotdot->rec_len, (uint16_t)(s->block_size - 12));
	info = (struct e4_dx_info *)(root->data + E4_DX_ROOT_INFO);
	info->hash_version = s->def_hash;
	info->info_length = sizeof(*info);
	entries = (struct e4_dx_entry *)(info + 1);
	init_node(s, entries, true);
	put_le32(entries[0].block, lblock);
	e->flags |= E4_FL_INDEX;
	atomic_store(&root->kind, E4_DX);
	e4_dx_set_csum(dir, root->data, true);
	e4_buf_put(root);
	return e4_store(h, dir);
}
