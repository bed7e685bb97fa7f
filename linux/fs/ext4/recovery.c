/* SPDX-License-Identifier: MIT */
/*
 * Recovery: bring the transactions in the log to their places.
 *
 * Three passes over the log: SCAN finds its end, which is the first transaction
 * without a good commit block; REVOKE collects which blocks were freed, so that
 * older copies of them must not be written over what is there now; REPLAY writes.
 * A crash in the middle is harmless: the log is there until the end, and the next
 * recovery does the same again.
 */
#include "block/block.h"
#include "fs/ext4/journal.h"

enum pass { SCAN, REVOKE, REPLAY };

struct revoked {
	uint64_t block;			/* 0: a free slot */
	uint32_t sequence;
};

struct recovery {
	struct e4_journal *j;
	enum pass pass;
	uint32_t end;			/* the first sequence number that is not to be replayed */
	uint8_t *block, *data;		/* block size each */
	struct revoked *table;		/* open hashing: size is a power of two */
	uint32_t table_size, table_used;
	uint32_t replayed;
};

/* Is a after b?  Sequence numbers wrap. */
static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static int read_log(struct recovery *r, uint32_t n, uint8_t *buf)
{
	struct e4_super *s = r->j->s;
	uint64_t block = e4_journal_block(r->j, n, 1, NULL);

	if (!block)
		return e4_corrupt(s, "journal: block %u is missing", n);
	return lx_blkdev_read_direct(s->dev, block << s->block_bits, buf, s->block_size);
}

/* -- revoked blocks */

static struct revoked *slot_of(struct recovery *r, uint64_t block)
{
	uint32_t i = (uint32_t)hash_u64(block, 0) & (r->table_size - 1);

	while (r->table[i].block && r->table[i].block != block)
		i = (i + 1) & (r->table_size - 1);
	return &r->table[i];
}

static int grow(struct recovery *r)
{
	struct revoked *old = r->table;
	uint32_t size = r->table_size;

	r->table_size = size ? size * 2 : 256;
	r->table = rt_zalloc(r->table_size * sizeof(*r->table));
	if (!r->table) {
		r->table = old;
		r->table_size = size;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < size; i++)
		if (old[i].block)
			*slot_of(r, old[i].block) = old[i];
	rt_free(old);
	return 0;
}

static int revoke(struct recovery *r, uint64_t block, uint32_t sequence)
{
	struct revoked *v;
	int err = r->table_used * 2 >= r->table_size ? grow(r) : 0;

	if (err || !block)
		return err;
	v = slot_of(r, block);
	if (!v->block) {
		*v = (struct revoked){ block, sequence };
		r->table_used++;
	} else if (after(sequence, v->sequence)) {
		v->sequence = sequence;
	}
	return 0;
}

static bool is_revoked(struct recovery *r, uint64_t block, uint32_t sequence)
{
	const struct revoked *v = r->table_size ? slot_of(r, block) : NULL;

	return v && v->block && !after(sequence, v->sequence);
}

static int revoke_block(struct recovery *r, uint32_t sequence)
{
	struct e4_journal *j = r->j;
	uint32_t step = j->incompat & E4_J_INCOMPAT_64BIT ? 8 : 4;
	uint32_t end = get_be32(((struct e4_j_revoke *)r->block)->bytes);
	uint32_t room = j->s->block_size - (j->csum ? 4 : 0);
	int err = 0;

	if (j->csum && get_be32(r->block + room) != e4_journal_tail_csum(j, r->block)) {
		e4_corrupt(j->s, "journal: wrong checksum of a revoke block");
		return -EIO;
	}
	if (end > room)
		return e4_corrupt(j->s, "journal: a revoke block is too long");
	for (uint32_t at = sizeof(struct e4_j_revoke); !err && at + step <= end; at += step)
		err = revoke(r, step == 8 ? get_be64(r->block + at) : get_be32(r->block + at), sequence);
	return err;
}

/* -- descriptor blocks */

struct tag {
	uint64_t block;
	uint32_t flags, csum;
};

/* The tag at *@at, which moves behind it; false: the block ends before it. */
static bool next_tag(const struct recovery *r, uint32_t *at, struct tag *t)
{
	struct e4_journal *j = r->j;
	uint32_t size = e4_journal_tag_size(j), end = j->s->block_size - (j->csum ? 4 : 0);
	const uint8_t *p = r->block + *at;

	if (*at + size > end)
		return false;
	t->block = get_be32(p);
	if (j->incompat & E4_J_INCOMPAT_CSUM_V3) {
		const struct e4_j_tag3 *t3 = (const struct e4_j_tag3 *)p;

		t->flags = get_be32(t3->flags);
		t->csum = get_be32(t3->checksum);
		if (j->incompat & E4_J_INCOMPAT_64BIT)
			t->block |= (uint64_t)get_be32(t3->block_hi) << 32;
	} else {
		const struct e4_j_tag *t1 = (const struct e4_j_tag *)p;

		t->flags = get_be16(t1->flags);
		t->csum = get_be16(t1->checksum);
		if (j->incompat & E4_J_INCOMPAT_64BIT)
			t->block |= (uint64_t)get_be32(t1->block_hi) << 32;
	}
	*at += size + (t->flags & E4_J_TAG_SAME_UUID ? 0 : 16);
	return true;
}

static bool data_csum_ok(const struct recovery *r, uint32_t sequence, const struct tag *t)
{
	uint32_t is;

	if (!r->j->csum)
		return true;
	is = e4_journal_data_csum(r->j, sequence, r->data);
	return t->csum == (r->j->incompat & E4_J_INCOMPAT_CSUM_V3 ? is : is & 0xffff);
}

static int replay_block(struct recovery *r, uint32_t log, uint32_t sequence, const struct tag *t)
{
	struct e4_super *s = r->j->s;
	int err;

	if (is_revoked(r, t->block, sequence))
		return 0;
	if (!range_within(t->block, 1, s->blocks))
		return e4_corrupt(s, "journal: a block out of the file system");
	err = read_log(r, log, r->data);
	if (err)
		return err;
	if (!data_csum_ok(r, sequence, t)) {
		e4_corrupt(s, "journal: wrong checksum of a block");
		return -EIO;
	}
	if (t->flags & E4_J_TAG_ESCAPED)
		put_be32(r->data, E4_J_MAGIC);
	r->replayed++;
	return lx_blkdev_write_direct(s->dev, t->block << s->block_bits, r->data, s->block_size);
}

/* The blocks that a descriptor at *@log announces; *@log moves behind them. */
static int descriptor(struct recovery *r, uint32_t *log, uint32_t sequence, uint32_t *budget)
{
	uint32_t at = sizeof(struct e4_j_header);
	struct tag t = { 0 };
	int err = 0;

	while (!err && !(t.flags & E4_J_TAG_LAST) && next_tag(r, &at, &t)) {
		if (!(*budget)--)
			return e4_corrupt(r->j->s, "journal: the log is longer than the journal");
		if (r->pass == REPLAY)
			err = replay_block(r, *log, sequence, &t);
		*log = e4_journal_next(r->j, *log);
	}
	return err;
}

/* -- passes */

static bool block_csum_ok(const struct recovery *r, uint32_t type)
{
	struct e4_journal *j = r->j;

	if (!j->csum)
		return true;
	if (type == E4_J_COMMIT)
		return get_be32(((struct e4_j_commit *)r->block)->checksum[0]) ==
		       e4_journal_commit_csum(j, r->block);
	return get_be32(r->block + j->s->block_size - 4) == e4_journal_tail_csum(j, r->block);
}

/*
 * The log ends at a block of transaction @sequence that is not what was written: it was on its way when the
 * power went.  Unless that transaction or a later one was committed, in the rest of the log, from @log on: then
 * what somebody was told is on the disk would be lost, and that is not ours to decide.
 */
static int check_uncommitted(struct recovery *r, uint32_t log, uint32_t sequence, uint32_t blocks)
{
	const struct e4_j_header *h = (const struct e4_j_header *)r->block;
	int err = 0;

	for (; !err && blocks; blocks--, log = e4_journal_next(r->j, log)) {
		err = read_log(r, log, r->block);
		if (!err && get_be32(h->magic) == E4_J_MAGIC && get_be32(h->type) == E4_J_COMMIT &&
		    !after(sequence, get_be32(h->sequence)) && block_csum_ok(r, E4_J_COMMIT))
			err = e4_corrupt(r->j->s, "journal: transaction %u is damaged, and %u was committed",
					 sequence, get_be32(h->sequence));
	}
	return err;
}

static int run_pass(struct recovery *r)
{
	struct e4_journal *j = r->j;
	uint32_t log = j->start, sequence = j->sequence, budget = j->len;
	int err = 0;

	while (!err && (r->pass == SCAN || sequence != r->end)) {
		const struct e4_j_header *h = (const struct e4_j_header *)r->block;
		uint32_t type;

		if (!budget--)
			break;		/* once around */
		err = read_log(r, log, r->block);
		if (err)
			break;
		type = get_be32(h->type);
		if (get_be32(h->magic) != E4_J_MAGIC || get_be32(h->sequence) != sequence)
			break;
		log = e4_journal_next(j, log);
		switch (type) {
		case E4_J_DESCRIPTOR:
			if (!block_csum_ok(r, type)) {
				if (r->pass != SCAN)
					return -EIO;
				err = check_uncommitted(r, log, sequence, budget);
				goto end;
			}
			err = descriptor(r, &log, sequence, &budget);
			break;
		case E4_J_COMMIT:
			if (r->pass == SCAN && !block_csum_ok(r, type)) {
				err = check_uncommitted(r, log, sequence, budget);
				goto end;
			}
			sequence++;
			break;
		case E4_J_REVOKE:
			if (r->pass == REVOKE)
				err = revoke_block(r, sequence);
			break;
		default:
			goto end;
		}
	}
end:
	if (r->pass == SCAN)
		r->end = sequence;
	else if (!err && sequence != r->end)
		err = -EIO;		/* it read differently the second time */
	return err;
}

int e4_journal_recover(struct e4_journal *j)
{
	struct recovery r = { .j = j };
	struct e4_super *s = j->s;
	uint32_t begin = j->sequence;
	int err = 0;

	if (!j->start)
		return 0;
	r.block = rt_alloc(s->block_size);
	r.data = rt_alloc(s->block_size);
	if (!r.block || !r.data)
		err = -ENOMEM;
	for (r.pass = SCAN; !err && r.pass <= REPLAY; r.pass++)
		err = run_pass(&r);
	/* everything is in its place before the log goes */
	if (!err)
		err = lx_blkdev_flush(s->dev);
	if (!err)
		err = e4_journal_write_super(j, 0, r.end + 1);
	if (!err)
		rt_log(RT_LOG_INFO, "EXT4-fs (%s): recovery complete (%u transactions, %u blocks)",
		       s->name, r.end - begin, r.replayed);
	rt_free(r.block);
	rt_free(r.data);
	rt_free(r.table);
	return err;
}
