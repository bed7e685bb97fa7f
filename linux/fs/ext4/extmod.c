/* SPDX-License-Identifier: MIT */
/*
 * Extent trees: changing.
 *
 * A change walks to its leaf.  If the leaf is full, one step makes the tree roomier
 * (the lowest full node below one with room is split, or the tree grows by a level),
 * and the walk begins again: every step is simple, and there are few.
 */
#include "fs/ext4/extpath.h"

static void add_blocks(struct lx_inode *inode, int64_t n)
{
	inode->blocks += (uint64_t)(n * (int64_t)(e4_super_of(inode)->block_size / 512));
}

/* -- entries */

static void insert_at(struct e4_level *l, int i, const struct e4_ext *x)
{
	uint32_t n = e4_level_entries(l);

	memmove(e4_level_entry(l, i + 1), e4_level_entry(l, i), (n - (uint32_t)i) * sizeof(*x));
	*e4_level_entry(l, i) = *x;
	e4_level_set_entries(l, n + 1);
}

static void remove_at(struct e4_level *l, int i)
{
	uint32_t n = e4_level_entries(l);

	memmove(e4_level_entry(l, i), e4_level_entry(l, i + 1), (n - 1 - (uint32_t)i) * sizeof(struct e4_ext));
	e4_level_set_entries(l, n - 1);
}

static void set_ext(struct e4_ext *x, uint32_t lblock, uint32_t n, uint64_t block, bool unwritten)
{
	put_le32(x->block, lblock);
	put_le16(x->len, (uint16_t)(unwritten ? n + E4_EXT_INIT_MAX : n));
	put_le32(x->start_lo, (uint32_t)block);
	put_le16(x->start_hi, (uint16_t)(block >> 32));
}

static void set_index(struct e4_ext *x, uint32_t lblock, uint64_t block)
{
	struct e4_ext_index *i = (struct e4_ext_index *)x;

	put_le32(i->block, lblock);
	put_le32(i->leaf_lo, (uint32_t)block);
	put_le16(i->leaf_hi, (uint16_t)(block >> 32));
	put_le16(i->unused, 0);
}

static uint32_t longest(bool unwritten)
{
	return unwritten ? E4_EXT_INIT_MAX - 1 : E4_EXT_INIT_MAX;
}

/* Does b go on where a ends? */
static bool joins(const struct e4_ext *a, const struct e4_ext *b)
{
	uint32_t len = e4_ext_len(a);

	return e4_ext_unwritten(a) == e4_ext_unwritten(b) &&
	       get_le32(a->block) + len == get_le32(b->block) &&
	       e4_ext_start(a) + len == e4_ext_start(b) &&
	       len + e4_ext_len(b) <= longest(e4_ext_unwritten(a));
}

static void lengthen(struct e4_ext *x, uint32_t n)
{
	put_le16(x->len, (uint16_t)(get_le16(x->len) + n));
}

/* Put @x behind entry @at of the leaf, into a neighbour if it joins; false: no room. */
static bool add_to_leaf(struct e4_level *l, int at, const struct e4_ext *x)
{
	struct e4_ext *left = at >= 0 ? e4_level_entry(l, at) : NULL;
	struct e4_ext *right = (uint32_t)(at + 1) < e4_level_entries(l) ? e4_level_entry(l, at + 1) : NULL;

	if (left && joins(left, x)) {
		lengthen(left, e4_ext_len(x));
		if (right && joins(left, right)) {
			lengthen(left, e4_ext_len(right));
			remove_at(l, at + 1);
		}
		return true;
	}
	if (right && joins(x, right)) {
		set_ext(right, get_le32(x->block), e4_ext_len(x) + e4_ext_len(right), e4_ext_start(x),
			e4_ext_unwritten(x));
		return true;
	}
	if (e4_level_entries(l) >= e4_level_room(l))
		return false;
	insert_at(l, at + 1, x);
	return true;
}

/* -- making room */

static void init_node(struct e4_level *l, unsigned int depth)
{
	struct e4_ext_header *h = e4_level_head(l);

	put_le16(h->magic, E4_EXT_MAGIC);
	put_le16(h->entries, 0);
	put_le16(h->max, (uint16_t)e4_ext_room(l->bytes));
	put_le16(h->depth, (uint16_t)depth);
	put_le32(h->generation, 0);
}

void e4_ext_init(struct e4_inode *e)
{
	struct e4_level root = { .node = e->block, .bytes = sizeof(e->block) };

	memset(e->block, 0, sizeof(e->block));
	init_node(&root, 0);
	e->flags |= E4_FL_EXTENTS;
}

static int new_node(struct e4_path *p, unsigned int depth, struct e4_level *l)
{
	int err = e4_alloc_meta(p->h, e4_inode_goal(p->inode), &l->buf);

	if (err)
		return err;
	atomic_store(&l->buf->kind, E4_EXTENTS);
	l->node = l->buf->data;
	l->bytes = e4_super_of(p->inode)->block_size;
	init_node(l, depth);
	add_blocks(p->inode, 1);
	return 0;
}

/* The root's entries go into a block, to which the root leads. */
static int grow(struct e4_path *p)
{
	struct e4_level *root = &p->l[0], below = { 0 };
	int err;

	if (p->depth >= E4_EXT_MAX_DEPTH)
		return -ENOSPC;
	err = new_node(p, p->depth, &below);
	if (err)
		return err;
	memcpy(e4_level_entry(&below, 0), e4_level_entry(root, 0), e4_level_entries(root) * sizeof(struct e4_ext));
	e4_level_set_entries(&below, e4_level_entries(root));
	e4_ext_set_csum(p->inode, below.node);
	init_node(root, p->depth + 1);
	set_index(e4_level_entry(root, 0), get_le32(e4_level_entry(&below, 0)->block), below.buf->block);
	e4_level_set_entries(root, 1);
	e4_buf_put(below.buf);
	return 0;
}

/* Split the full node at level @i, whose parent has room; @lblock is to be added. */
static int split(struct e4_path *p, unsigned int i, uint32_t lblock)
{
	struct e4_level *l = &p->l[i], *up = &p->l[i - 1], right = { 0 };
	bool leaf = i == p->depth;
	uint32_t n = e4_level_entries(l), from = n / 2;
	struct e4_ext key;
	int err;

	/* who appends leaves full nodes behind; a leaf may begin empty, an index may not */
	if ((uint32_t)l->at + 1 == n)
		from = leaf ? n : n - 1;
	err = e4_path_join(p, i);
	if (!err)
		err = e4_path_join(p, i - 1);
	if (!err)
		err = new_node(p, p->depth - i, &right);
	if (err)
		return err;
	memcpy(e4_level_entry(&right, 0), e4_level_entry(l, (int)from), (n - from) * sizeof(struct e4_ext));
	e4_level_set_entries(&right, n - from);
	e4_level_set_entries(l, from);
	set_index(&key, from < n ? get_le32(e4_level_entry(&right, 0)->block) : lblock, right.buf->block);
	insert_at(up, up->at + 1, &key);
	e4_ext_set_csum(p->inode, right.node);
	e4_path_seal(p, i);
	e4_path_seal(p, i - 1);
	e4_buf_put(right.buf);
	return 0;
}

static int make_room(struct e4_path *p, uint32_t lblock)
{
	unsigned int i = p->depth;

	while (i && e4_level_entries(&p->l[i - 1]) >= e4_level_room(&p->l[i - 1]))
		i--;
	return i ? split(p, i, lblock) : grow(p);
}

/* -- inserting */

static int insert_one(struct e4_handle *h, struct lx_inode *inode, const struct e4_ext *x)
{
	uint32_t lblock = get_le32(x->block);

	for (unsigned int turn = 0; turn < 2 * E4_EXT_MAX_DEPTH + 2; turn++) {
		struct e4_path p;
		int err = e4_path_walk(h, inode, lblock, &p);
		bool done = false;

		if (err)
			return err;
		err = e4_path_join(&p, p.depth);
		if (!err)
			done = add_to_leaf(&p.l[p.depth], p.l[p.depth].at, x);
		if (done) {
			e4_path_seal(&p, p.depth);
			err = e4_path_fix_keys(&p, p.depth);
		} else if (!err) {
			err = make_room(&p, lblock);
		}
		e4_path_put(&p);
		if (err || done)
			return err;
	}
	return e4_ext_bad(inode, "no room can be made");
}

int e4_ext_insert(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n,
		  uint64_t block, bool unwritten)
{
	while (n) {
		uint32_t part = MIN(n, longest(unwritten));
		struct e4_ext x;
		int err;

		set_ext(&x, lblock, part, block, unwritten);
		err = insert_one(h, inode, &x);
		if (err)
			return err;
		add_blocks(inode, part);
		lblock += part;
		block += part;
		n -= part;
	}
	return 0;
}

/*
 * There was no room for an extent that was to follow from parting another one: @x covers all that was cut off,
 * where it was, so that it joins what is left of that, which takes no room.
 */
static int put_back(struct e4_handle *h, struct lx_inode *inode, const struct e4_ext *x)
{
	if (insert_one(h, inode, x))
		h->spoiled = true;
	return -ENOSPC;
}

/* -- removing */

/* The node at level @i is empty: free it, and what becomes empty above. */
static int drop_empty(struct e4_path *p, unsigned int i)
{
	for (; i && !e4_level_entries(&p->l[i]); i--) {
		struct e4_level *up = &p->l[i - 1];
		int err = e4_free_blocks(p->h, p->l[i].buf->block, 1, true);

		if (!err)
			err = e4_path_join(p, i - 1);
		if (err)
			return err;
		add_blocks(p->inode, -1);
		remove_at(up, up->at);
		e4_path_seal(p, i - 1);
		if (e4_level_entries(up) && !up->at)
			return e4_path_fix_keys(p, i - 1);
	}
	if (!i && !e4_level_entries(&p->l[0]))
		init_node(&p->l[0], 0);
	return 0;
}

/*
 * Take [a, b), which lies in the extent at the end of @p, out of it; a part behind
 * it is returned in *@tail (length 0: none).
 */
static int cut(struct e4_path *p, uint32_t a, uint32_t b, struct e4_ext *tail)
{
	struct e4_level *l = &p->l[p->depth];
	struct e4_ext *x = e4_level_entry(l, l->at), old = *x;
	uint32_t first = get_le32(x->block), end = first + e4_ext_len(x);
	bool unwritten = e4_ext_unwritten(x);
	int err = e4_path_join(p, p->depth);

	put_le16(tail->len, 0);
	if (err)
		return err;
	if (a == first && b == end) {
		remove_at(l, l->at);
		e4_path_seal(p, p->depth);
		if (!e4_level_entries(l))
			return drop_empty(p, p->depth);
		return l->at ? 0 : e4_path_fix_keys(p, p->depth);
	}
	if (a == first) {
		set_ext(x, b, end - b, e4_ext_start(&old) + (b - first), unwritten);
		e4_path_seal(p, p->depth);
		return l->at ? 0 : e4_path_fix_keys(p, p->depth);
	}
	if (b < end)
		set_ext(tail, b, end - b, e4_ext_start(&old) + (b - first), unwritten);
	set_ext(x, first, a - first, e4_ext_start(&old), unwritten);
	e4_path_seal(p, p->depth);
	return 0;
}

static uint32_t credits_to_free(const struct e4_super *s, uint32_t n, unsigned int depth)
{
	return 2 * (n / s->blocks_per_group + 2) + 5 * depth + 12;
}

/* Take [a, b) out of the extent at the end of @p, which is put.  -ENOSPC: everything is as it was. */
static int take_out(struct e4_path *p, uint32_t a, uint32_t b)
{
	struct e4_level *l = &p->l[p->depth];
	struct e4_ext *x = e4_level_entry(l, l->at), tail, all;
	uint32_t first = get_le32(x->block), end = first + e4_ext_len(x);
	int err;

	set_ext(&all, a, end - a, e4_ext_start(x) + (a - first), e4_ext_unwritten(x));
	err = cut(p, a, b, &tail);
	e4_path_put(p);
	if (err || !get_le16(tail.len))
		return err;
	err = insert_one(p->h, p->inode, &tail);
	return err == -ENOSPC ? put_back(p->h, p->inode, &all) : err;
}

/* The last extent that begins before @to, if it reaches into the range: 1; else 0. */
static int remove_last(struct e4_handle *h, struct lx_inode *inode, uint32_t from, uint64_t *to)
{
	struct e4_super *s = h->s;
	uint64_t block, end;
	struct e4_ext *x;
	uint32_t a, b;
	struct e4_path p;
	int err = e4_path_walk(h, inode, (uint32_t)(*to - 1), &p);

	if (err)
		return err;
	if (p.l[p.depth].at < 0) {
		e4_path_put(&p);
		return 0;
	}
	x = e4_level_entry(&p.l[p.depth], p.l[p.depth].at);
	end = (uint64_t)get_le32(x->block) + e4_ext_len(x);
	if (end <= from) {
		e4_path_put(&p);
		return 0;
	}
	a = MAX(from, get_le32(x->block));
	b = (uint32_t)MIN(end, *to);
	block = e4_ext_start(x) + (a - get_le32(x->block));
	if (!e4_extend(h, credits_to_free(s, b - a, p.depth) + E4_CREDITS_INSERT)) {
		e4_path_put(&p);
		return -EAGAIN;
	}
	err = take_out(&p, a, b);
	if (!err)
		err = e4_free_blocks(h, block, b - a, !lx_is_reg(inode));
	if (err)
		return err;
	add_blocks(inode, -(int64_t)(b - a));
	*to = a;
	return 1;
}

int e4_ext_remove(struct e4_handle *h, struct lx_inode *inode, uint32_t from, uint64_t *to)
{
	int ret = 1;

	if (!(e4_inode(inode)->flags & E4_FL_EXTENTS))
		return e4_ind_remove(h, inode, from, to);
	while (ret > 0 && *to > from)
		ret = remove_last(h, inode, from, to);
	return ret < 0 ? ret : 0;
}

/* -- converting */

int e4_ext_convert(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, uint32_t n)
{
	struct e4_ext written, unwritten, *x;
	struct e4_path p;
	int err = e4_path_walk(h, inode, lblock, &p);
	struct e4_level *l;

	if (err)
		return err;
	l = &p.l[p.depth];
	x = l->at >= 0 ? e4_level_entry(l, l->at) : NULL;
	if (!x || !e4_ext_unwritten(x) || lblock + n > get_le32(x->block) + e4_ext_len(x)) {
		e4_path_put(&p);
		return e4_ext_bad(inode, "an unwritten extent has gone");
	}
	set_ext(&written, lblock, n, e4_ext_start(x) + (lblock - get_le32(x->block)), false);
	set_ext(&unwritten, lblock, n, e4_ext_start(&written), true);
	err = take_out(&p, lblock, lblock + n);
	if (err)
		return err;
	err = insert_one(h, inode, &written);
	return err == -ENOSPC ? put_back(h, inode, &unwritten) : err;
}

/* -- parting */

int e4_ext_part(struct e4_handle *h, struct lx_inode *inode, uint32_t at, uint32_t n)
{
	struct e4_ext tail, none, *x;
	struct e4_level *l;
	struct e4_path p;
	uint64_t end = 0;
	int err = e4_path_walk(h, inode, at, &p);

	if (err)
		return err;
	l = &p.l[p.depth];
	x = l->at >= 0 ? e4_level_entry(l, l->at) : NULL;
	if (x)
		end = (uint64_t)get_le32(x->block) + e4_ext_len(x);
	if (!x || get_le32(x->block) >= at || end <= at) {
		e4_path_put(&p);
		return 0;
	}
	set_ext(&tail, at + n, (uint32_t)(end - at), e4_ext_start(x) + (at - get_le32(x->block)), e4_ext_unwritten(x));
	err = cut(&p, at, (uint32_t)end, &none);
	e4_path_put(&p);
	if (!err)
		err = insert_one(h, inode, &tail);
	if (err != -ENOSPC)
		return err;
	put_le32(tail.block, at);
	return put_back(h, inode, &tail);
}
