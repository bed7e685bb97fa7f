/* SPDX-License-Identifier: MIT */
/*
 * Ways to the leaves of extent trees, see extpath.h.
 */
#include "fs/ext4/extpath.h"

int e4_ext_bad(struct lx_inode *inode, const char *what)
{
	return e4_corrupt(e4_super_of(inode), "extent tree of inode %u: %s", e4_inode(inode)->ino, what);
}

void e4_path_put(struct e4_path *p)
{
	for (unsigned int i = 1; i <= p->depth && i <= E4_EXT_MAX_DEPTH; i++)
		e4_buf_put(p->l[i].buf);
}

/* To the leaf that @lblock belongs into; e4_path_put() after success. */
int e4_path_walk(struct e4_handle *h, struct lx_inode *inode, uint32_t lblock, struct e4_path *p)
{
	struct e4_inode *e = e4_inode(inode);

	*p = (struct e4_path){ .h = h, .inode = inode };
	p->l[0] = (struct e4_level){ .node = e->block, .bytes = sizeof(e->block) };
	p->depth = get_le16(e4_level_head(&p->l[0])->depth);
	if (p->depth > E4_EXT_MAX_DEPTH)
		return e4_ext_bad(inode, "too deep");
	for (unsigned int i = 0; i <= p->depth; i++) {
		struct e4_level *l = &p->l[i];
		int err;

		l->at = e4_ext_search(l->node, l->bytes, lblock);
		if (i == p->depth)
			break;
		l->at = MAX(l->at, 0);
		err = e4_level_entries(l) ? e4_ext_node(inode, e4_index_block((struct e4_ext_index *)
								     e4_level_entry(l, l->at)),
					       p->depth - i - 1, &l[1].buf)
				 : e4_ext_bad(inode, "an index node is empty");
		if (err) {
			p->depth = i;
			e4_path_put(p);
			return err;
		}
		l[1].node = l[1].buf->data;
		l[1].bytes = e4_super_of(inode)->block_size;
	}
	return 0;
}

int e4_path_join(struct e4_path *p, unsigned int i)
{
	return p->l[i].buf ? e4_change(p->h, p->l[i].buf) : 0;
}

void e4_path_seal(struct e4_path *p, unsigned int i)
{
	if (p->l[i].buf)
		e4_ext_set_csum(p->inode, p->l[i].node);
}

int e4_path_fix_keys(struct e4_path *p, unsigned int i)
{
	while (i-- > 0) {
		struct e4_level *l = &p->l[i];
		struct e4_ext *key = e4_level_entry(l, l->at);
		int err;

		if (get_le32(key->block) == get_le32(e4_level_entry(&p->l[i + 1], 0)->block))
			break;
		err = e4_path_join(p, i);
		if (err)
			return err;
		memcpy(key->block, e4_level_entry(&p->l[i + 1], 0)->block, 4);
		e4_path_seal(p, i);
		if (l->at)
			break;
	}
	return 0;
}
