/* SPDX-License-Identifier: MIT */
/*
 * The journal's own super block, its checksums, and where its blocks are.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"

static struct e4_j_super *super_of(const struct e4_journal *j)
{
	return (struct e4_j_super *)j->super;
}

uint64_t e4_journal_block(struct e4_journal *j, uint32_t n, uint32_t max, uint32_t *run)
{
	struct e4_map map;

	if (e4_map(j->inode, n, max, &map) || map.unwritten)
		return 0;
	if (run)
		*run = map.len;
	return map.block;
}

/* -- checksums */

static uint32_t super_csum(const struct e4_j_super *js)
{
	size_t at = offsetof(struct e4_j_super, checksum);
	uint32_t c = crc32c(~0u, js, at);

	c = e4_csum_u32(c, 0);
	return crc32c(c, (const uint8_t *)js + at + 4, sizeof(*js) - at - 4);
}

uint32_t e4_journal_tail_csum(const struct e4_journal *j, const uint8_t *block)
{
	return e4_csum_u32(crc32c(j->seed, block, j->s->block_size - 4), 0);
}

uint32_t e4_journal_data_csum(const struct e4_journal *j, uint32_t sequence, const uint8_t *block)
{
	uint8_t seq[4];

	put_be32(seq, sequence);
	return crc32c(crc32c(j->seed, seq, sizeof(seq)), block, j->s->block_size);
}

uint32_t e4_journal_commit_csum(const struct e4_journal *j, const uint8_t *block)
{
	size_t at = offsetof(struct e4_j_commit, checksum);
	uint32_t c = crc32c(j->seed, block, at);

	c = e4_csum_u32(c, 0);
	return crc32c(c, block + at + 4, j->s->block_size - at - 4);
}

uint32_t e4_journal_tag_size(const struct e4_journal *j)
{
	uint32_t n = sizeof(struct e4_j_tag);

	if (j->incompat & E4_J_INCOMPAT_CSUM_V3)
		return sizeof(struct e4_j_tag3);
	if (j->incompat & E4_J_INCOMPAT_CSUM_V2)
		n += 2;
	return j->incompat & E4_J_INCOMPAT_64BIT ? n : n - 4;
}

/* -- loading */

static int bad(struct e4_super *s, const char *what)
{
	return e4_corrupt(s, "journal: %s", what);
}

static int check_super(struct e4_journal *j)
{
	const struct e4_j_super *js = super_of(j);
	struct e4_super *s = j->s;
	uint32_t type = get_be32(js->header.type);

	if (get_be32(js->header.magic) != E4_J_MAGIC ||
	    (type != E4_J_SUPER_V1 && type != E4_J_SUPER_V2))
		return bad(s, "no super block");
	if (get_be32(js->blocksize) != s->block_size)
		return bad(s, "its blocks have another size");
	j->len = get_be32(js->maxlen);
	j->first = get_be32(js->first);
	if (j->len > j->inode->size >> s->block_bits || j->len < 1024)
		return bad(s, "wrong length");
	if (!j->first || j->first >= j->len)
		return bad(s, "wrong first block");
	j->start = get_be32(js->start);
	j->sequence = get_be32(js->sequence);
	if (j->start && (j->start < j->first || j->start >= j->len))
		return bad(s, "the log begins out of it");
	if (type == E4_J_SUPER_V2) {
		j->compat = get_be32(js->feature_compat);
		j->incompat = get_be32(js->feature_incompat);
		if (get_be32(js->feature_ro_compat) || (j->incompat & ~E4_J_INCOMPAT_KNOWN)) {
			rt_log(RT_LOG_ERR, "EXT4-fs (%s): journal has unsupported features (%x, %x)",
			       s->name, j->incompat, get_be32(js->feature_ro_compat));
			return -EOPNOTSUPP;
		}
	}
	j->csum = j->incompat & (E4_J_INCOMPAT_CSUM_V2 | E4_J_INCOMPAT_CSUM_V3);
	if (j->csum) {
		if (js->checksum_type != E4_J_CHECKSUM_CRC32C)
			return bad(s, "unknown kind of checksum");
		if (get_be32(js->checksum) != super_csum(js))
			return bad(s, "wrong checksum of its super block");
	}
	j->seed = crc32c(~0u, js->uuid, sizeof(js->uuid));
	return 0;
}

int e4_journal_load(struct e4_super *s, struct e4_journal **out)
{
	struct e4_journal *j = rt_zalloc(sizeof(*j));
	uint64_t block;
	int err;

	if (!j)
		return -ENOMEM;
	j->s = s;
	j->super = rt_alloc(s->block_size);
	if (!j->super) {
		rt_free(j);
		return -ENOMEM;
	}
	err = e4_iget(s->sb, get_le32(s->super->journal_inum), true, &j->inode);
	if (!err && (!lx_is_reg(j->inode) || !atomic_load(&j->inode->nlink)))
		err = bad(s, "its inode is not a file");
	block = err ? 0 : e4_journal_block(j, 0, 1, NULL);
	if (!err && !block)
		err = bad(s, "its first block is missing");
	if (!err)
		err = lx_blkdev_read_direct(s->dev, block << s->block_bits, j->super, s->block_size);
	if (!err)
		err = check_super(j);
	if (err) {
		e4_journal_free(j);
		return err;
	}
	*out = j;
	return 0;
}

void e4_journal_free(struct e4_journal *j)
{
	if (!j)
		return;
	if (j->inode)
		lx_inode_put(j->inode);
	while (j->logged.next && !list_is_empty(&j->logged))
		rt_free(list_pop_entry(&j->logged, struct e4_logged, link));
	rt_free(j->running);		/* one that nothing was done in */
	rt_free(j->staging);
	rt_free(j->super);
	rt_free(j);
}

void e4_journal_set_features(struct e4_journal *j)
{
	struct e4_j_super *js = super_of(j);
	struct e4_super *s = j->s;

	j->incompat |= E4_J_INCOMPAT_REVOKE;
	if (e4_has_incompat(s, E4_INCOMPAT_64BIT))
		j->incompat |= E4_J_INCOMPAT_64BIT;
	if (s->csum) {
		j->incompat |= E4_J_INCOMPAT_CSUM_V3;
		js->checksum_type = E4_J_CHECKSUM_CRC32C;
	} else {
		j->incompat &= ~E4_J_INCOMPAT_CSUM_V3;
	}
	/* one kind of checksum at a time */
	j->incompat &= ~E4_J_INCOMPAT_CSUM_V2;
	j->compat &= ~E4_J_COMPAT_CHECKSUM;
	j->csum = j->incompat & E4_J_INCOMPAT_CSUM_V3;
	put_be32(js->header.type, E4_J_SUPER_V2);
	put_be32(js->feature_compat, j->compat);
	put_be32(js->feature_incompat, j->incompat);
}

int e4_journal_write_super(struct e4_journal *j, uint32_t start, uint32_t sequence)
{
	struct e4_j_super *js = super_of(j);
	struct e4_super *s = j->s;
	int err;

	j->start = start;
	j->sequence = sequence;
	put_be32(js->start, start);
	put_be32(js->sequence, sequence);
	if (j->csum)
		put_be32(js->checksum, super_csum(js));
	err = lx_blkdev_write_direct(s->dev, e4_journal_block(j, 0, 1, NULL) << s->block_bits,
				     j->super, s->block_size);
	return err ? err : lx_blkdev_flush(s->dev);
}
