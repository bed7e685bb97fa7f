/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: what the name of a directory's entry leads to, also when it
 * leads to nothing (a negative dentry, whose inode is NULL).
 *
 * A dentry is found by (parent, name) in a hash table whose buckets share a few
 * locks.  It is *used* while its count is not zero.  When the count drops to
 * zero it stays, hashed, for the next walk, and is on one of the lru lists; the
 * shrinker takes the cold ones away when there are more than the limit.
 *
 * Invariants:
 *
 *   (1) A hashed dentry's parent, name and hash change only under the locks of
 *       the bucket that it is in and of the one that it goes to, and the names
 *       lock.  Whoever holds either kind may read them.
 *   (2) A count of zero becomes DEAD only under the dentry's lru lock, and only
 *       DEAD dentries are freed: whoever drops a count to zero under that lock
 *       may look at the dentry until it lets go of it.
 *   (3) A dentry found in the hash is taken by turning count n into n + 1 unless
 *       it is DEAD; a dead one is as good as absent.
 *   (4) The inode goes from NULL to its value once and never changes.  Removing a
 *       name unhashes its dentry: a walk that has it sees what it saw.
 *   (5) A dentry holds its parent, so the counts of directories on the way to a
 *       cached dentry are not zero: putting them needs no lock.
 *
 * Lock order, all of rank LX_LOCK_DENTRY: names, buckets (by index), tree, lru.
 */
#include "base/hash.h"
#include "base/hlist.h"
#include "lx/ref.h"
#include "rt/random.h"
#include "vfs/vfs_priv.h"

#define HASH_BITS	12
#define BUCKETS		(1u << HASH_BITS)
#define LOCKS		64u
#define COUNT_DEAD	0x80000000u

static struct {
	struct hlist buckets[BUCKETS];
	struct rt_mutex locks[LOCKS];		/* of the buckets with index % LOCKS */
	struct rt_mutex names;			/* see (1) */
	struct rt_mutex tree;			/* children lists */
	struct lru {
		struct rt_mutex lock;
		struct list list;		/* oldest first */
	} lru[LOCKS];
	uint32_t seed;
	_Atomic(uint64_t) unused;		/* on the lru lists, about */
	_Atomic(uint64_t) total;
	_Atomic(uint64_t) limit;		/* of unused */
	_Atomic(uint32_t) hand;			/* the lru list that the shrinker looks at next */
	_Atomic(bool) shrinking;		/* one at a time: putting a victim's parent may ask again */
} dcache;

void lx_dcache_init(void)
{
	for (unsigned int i = 0; i < LOCKS; i++) {
		rt_mutex_init(&dcache.locks[i], LX_LOCK_DENTRY);
		rt_mutex_init(&dcache.lru[i].lock, LX_LOCK_DENTRY);
		list_init(&dcache.lru[i].list);
	}
	rt_mutex_init(&dcache.names, LX_LOCK_DENTRY);
	rt_mutex_init(&dcache.tree, LX_LOCK_DENTRY);
	rt_random(&dcache.seed, sizeof(dcache.seed));
	atomic_store(&dcache.limit, 8192);
}

void lx_dcache_set_limit(uint64_t dentries)
{
	atomic_store(&dcache.limit, MAX(dentries, (uint64_t)256));
}

uint64_t lx_dcache_count(void)
{
	return atomic_load_explicit(&dcache.total, memory_order_relaxed);
}

uint32_t lx_name_hash(const char *name, uint32_t len)
{
	uint32_t h = dcache.seed;

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x01000193u;
	return h;
}

static uint32_t bucket_of(const struct lx_dentry *parent, uint32_t hash)
{
	uint64_t v = ((uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15ull + hash;

	return (uint32_t)((v * 0xd6e8feb86659fd93ull) >> (64 - HASH_BITS));
}

static struct lru *lru_of(const struct lx_dentry *d)
{
	return &dcache.lru[((uintptr_t)d >> 6 ^ (uintptr_t)d >> 12) % LOCKS];
}

void lx_names_lock(void)
{
	rt_mutex_lock_nested(&dcache.names);
}

void lx_names_unlock(void)
{
	rt_mutex_unlock(&dcache.names);
}

static bool try_get(struct lx_dentry *d)
{
	uint32_t refs = atomic_load_explicit(&d->refs, memory_order_relaxed);

	do {
		if (refs & COUNT_DEAD)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&d->refs, &refs, refs + 1,
							memory_order_acquire,
							memory_order_relaxed));
	return true;
}

/* Long and short names of the same bytes compare equal; most names are short. */
static bool same_name(const struct lx_dentry *d, const struct lx_qstr *q)
{
	if (d->name_len != q->len)
		return false;
	for (uint32_t i = 0; i < q->len; i++)
		if (d->name[i] != q->name[i])
			return false;
	return true;
}

struct lx_dentry *lx_dcache_lookup(struct lx_dentry *parent, const struct lx_qstr *q)
{
	uint32_t b = bucket_of(parent, q->hash);
	struct rt_mutex *lock = &dcache.locks[b % LOCKS];
	struct lx_dentry *d;

	rt_mutex_lock_nested(lock);
	hlist_for_each_entry(d, &dcache.buckets[b], hash_link) {
		if (d->hash == q->hash && d->parent == parent && same_name(d, q) && try_get(d))
			break;
	}
	rt_mutex_unlock(lock);
	if (d && !(lx_d_flags(d) & LX_DENTRY_REFERENCED))
		atomic_fetch_or_explicit(&d->dflags, LX_DENTRY_REFERENCED, memory_order_relaxed);
	return d;
}

static struct lx_dentry *alloc_dentry(struct lx_super *sb, const char *name, uint32_t len)
{
	struct lx_dentry *d = rt_zalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->name = d->iname;
	if (len >= LX_DENTRY_INLINE) {
		d->name = rt_alloc(len + 1);
		if (!d->name) {
			rt_free(d);
			return NULL;
		}
	}
	memcpy(d->name, name, len);
	d->name[len] = '\0';
	d->name_len = len;
	d->sb = sb;
	atomic_store_explicit(&d->refs, 1, memory_order_relaxed);
	list_init(&d->children);
	list_init(&d->child_link);
	list_init(&d->lru);
	atomic_fetch_add_explicit(&dcache.total, 1, memory_order_relaxed);
	return d;
}

static void free_dentry(struct lx_dentry *d)
{
	atomic_fetch_sub_explicit(&dcache.total, 1, memory_order_relaxed);
	if (d->name != d->iname)
		rt_free(d->name);
	rt_free(d);
}

struct lx_dentry *lx_dentry_alloc(struct lx_dentry *parent, const struct lx_qstr *q)
{
	struct lx_dentry *d = alloc_dentry(parent->sb, q->name, q->len);

	if (!d)
		return NULL;
	d->hash = q->hash;
	d->parent = lx_dentry_get(parent);
	rt_mutex_lock_nested(&dcache.tree);
	list_add_last(&parent->children, &d->child_link);
	rt_mutex_unlock(&dcache.tree);
	return d;
}

static struct lx_dentry *alloc_single(struct lx_super *sb, const char *name,
				      struct lx_inode *inode, uint32_t flags)
{
	struct lx_dentry *d = inode ? alloc_dentry(sb, name, (uint32_t)strlen(name)) : NULL;

	if (!d) {
		if (inode)
			lx_inode_put(inode);
		return NULL;
	}
	d->parent = d;
	atomic_store_explicit(&d->dflags, flags, memory_order_relaxed);
	atomic_store_explicit(&d->inode, inode, memory_order_release);
	return d;
}

struct lx_dentry *lx_dentry_alloc_root(struct lx_super *sb, struct lx_inode *inode)
{
	return alloc_single(sb, "/", inode, 0);
}

struct lx_dentry *lx_dentry_alloc_pseudo(struct lx_super *sb, const char *name,
					 struct lx_inode *inode)
{
	return alloc_single(sb, name, inode, LX_DENTRY_PSEUDO);
}

void lx_dentry_instantiate(struct lx_dentry *d, struct lx_inode *inode)
{
	/* release: whoever sees the inode sees it filled in */
	atomic_store_explicit(&d->inode, inode, memory_order_release);
}

void lx_dentry_hash(struct lx_dentry *d)
{
	uint32_t b = bucket_of(d->parent, d->hash);

	rt_mutex_lock_nested(&dcache.locks[b % LOCKS]);
	hlist_add(&dcache.buckets[b], &d->hash_link);
	atomic_fetch_or_explicit(&d->dflags, LX_DENTRY_HASHED, memory_order_relaxed);
	rt_mutex_unlock(&dcache.locks[b % LOCKS]);
}

/* The caller keeps the parent and name still: it holds the names lock, or the last reference. */
static void unhash_still(struct lx_dentry *d)
{
	uint32_t b = bucket_of(d->parent, d->hash);

	rt_mutex_lock_nested(&dcache.locks[b % LOCKS]);
	hlist_remove(&d->hash_link);
	atomic_fetch_and_explicit(&d->dflags, ~LX_DENTRY_HASHED, memory_order_relaxed);
	rt_mutex_unlock(&dcache.locks[b % LOCKS]);
}

void lx_dentry_unhash(struct lx_dentry *d)
{
	if (!(lx_d_flags(d) & LX_DENTRY_HASHED))
		return;
	lx_names_lock();
	unhash_still(d);
	lx_names_unlock();
}

struct lx_dentry *lx_dentry_get(struct lx_dentry *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

/* @d is DEAD and off the lru: free it; returns the parent, whose reference is now the caller's. */
static struct lx_dentry *kill(struct lx_dentry *d)
{
	struct lx_dentry *parent = d->parent != d ? d->parent : NULL;
	struct lx_inode *inode = lx_d_inode(d);

	if (lx_d_flags(d) & LX_DENTRY_HASHED)
		unhash_still(d);
	if (parent) {
		rt_mutex_lock_nested(&dcache.tree);
		list_remove(&d->child_link);
		rt_mutex_unlock(&dcache.tree);
	}
	free_dentry(d);
	if (inode)
		lx_inode_put(inode);
	return parent;
}

/*
 * Under the lru lock, with a count of zero: keep @d for later (false), or make it
 * dead (true).
 */
static bool retire(struct lx_dentry *d, struct lru *lru)
{
	uint32_t flags = lx_d_flags(d), zero = 0;

	if ((flags & LX_DENTRY_HASHED) && !(flags & LX_DENTRY_NOCACHE)) {
		if (!(flags & LX_DENTRY_LRU)) {
			atomic_fetch_or_explicit(&d->dflags, LX_DENTRY_LRU, memory_order_relaxed);
			list_add_last(&lru->list, &d->lru);
			atomic_fetch_add_explicit(&dcache.unused, 1, memory_order_relaxed);
		}
		return false;
	}
	if (!atomic_compare_exchange_strong(&d->refs, &zero, COUNT_DEAD))
		return false;		/* somebody found it in the hash meanwhile */
	if (flags & LX_DENTRY_LRU) {
		list_remove(&d->lru);
		atomic_fetch_sub_explicit(&dcache.unused, 1, memory_order_relaxed);
	}
	return true;
}

void lx_dentry_put(struct lx_dentry *d)
{
	while (d) {
		struct lru *lru;
		bool dead = false;

		if (likely(lx_ref_drop_shared(&d->refs)))
			return;
		lru = lru_of(d);
		rt_mutex_lock_nested(&lru->lock);
		if (atomic_fetch_sub(&d->refs, 1) == 1)
			dead = retire(d, lru);
		rt_mutex_unlock(&lru->lock);
		d = dead ? kill(d) : NULL;
	}
	if (unlikely(atomic_load_explicit(&dcache.unused, memory_order_relaxed) >
		     atomic_load_explicit(&dcache.limit, memory_order_relaxed)))
		lx_dcache_shrink(64);
}

/*
 * Look at up to @scan dentries of @lru, oldest first, and kill those of @sb (NULL:
 * of all) that were not used lately, or all that are unused if @hard.  Returns
 * how many went.
 */
static unsigned int shrink_list(struct lru *lru, unsigned int scan, struct lx_super *sb, bool hard)
{
	unsigned int freed = 0;

	while (scan--) {
		struct lx_dentry *d, *victim = NULL;
		uint32_t zero = 0;

		rt_mutex_lock_nested(&lru->lock);
		d = list_first_entry(&lru->list, struct lx_dentry, lru);
		if (!d) {
			rt_mutex_unlock(&lru->lock);
			break;
		}
		list_remove(&d->lru);
		if (sb && d->sb != sb) {
			list_add_last(&lru->list, &d->lru);
		} else if (atomic_load(&d->refs) != 0) {
			/* in use: it comes back when it is put for the last time */
			atomic_fetch_and(&d->dflags, ~LX_DENTRY_LRU);
			atomic_fetch_sub_explicit(&dcache.unused, 1, memory_order_relaxed);
		} else if (!hard && (lx_d_flags(d) & LX_DENTRY_REFERENCED)) {
			atomic_fetch_and(&d->dflags, ~LX_DENTRY_REFERENCED);
			list_add_last(&lru->list, &d->lru);
		} else if (atomic_compare_exchange_strong(&d->refs, &zero, COUNT_DEAD)) {
			atomic_fetch_sub_explicit(&dcache.unused, 1, memory_order_relaxed);
			victim = d;
		} else {
			list_add_last(&lru->list, &d->lru);
		}
		rt_mutex_unlock(&lru->lock);
		if (victim) {
			freed++;
			lx_dentry_put(kill(victim));
		}
	}
	return freed;
}

unsigned int lx_dcache_shrink(unsigned int count)
{
	unsigned int freed = 0;

	if (atomic_exchange(&dcache.shrinking, true))
		return 0;
	for (unsigned int turns = 0; turns < 2 * LOCKS && freed < count; turns++) {
		uint32_t i = atomic_fetch_add_explicit(&dcache.hand, 1, memory_order_relaxed);

		freed += shrink_list(&dcache.lru[i % LOCKS], 2 + count / 8, NULL, false);
	}
	atomic_store(&dcache.shrinking, false);
	return freed;
}

void lx_dcache_drop_super(struct lx_super *sb)
{
	unsigned int freed;

	/* Children first: each round frees the leaves of what is left. */
	do {
		freed = 0;
		for (unsigned int i = 0; i < LOCKS; i++) {
			size_t n;

			rt_mutex_lock_nested(&dcache.lru[i].lock);
			n = list_count(&dcache.lru[i].list);
			rt_mutex_unlock(&dcache.lru[i].lock);
			freed += shrink_list(&dcache.lru[i], (unsigned int)n, sb, true);
		}
	} while (freed);
}

/* A child that can be found, with a reference; NULL: none. */
static struct lx_dentry *hashed_child(struct lx_dentry *dir)
{
	struct lx_dentry *d, *found = NULL;

	rt_mutex_lock_nested(&dcache.tree);
	list_for_each_entry(d, &dir->children, child_link) {
		uint32_t refs = atomic_load(&d->refs);

		while ((lx_d_flags(d) & LX_DENTRY_HASHED) && refs != COUNT_DEAD && !found)
			if (atomic_compare_exchange_weak(&d->refs, &refs, refs + 1))
				found = d;
		if (found)
			break;
	}
	rt_mutex_unlock(&dcache.tree);
	return found;
}

void lx_dcache_drop_children(struct lx_dentry *dir)
{
	struct lx_dentry *d;

	while ((d = hashed_child(dir))) {
		lx_dentry_unhash(d);
		lx_dentry_put(d);
	}
}

/* Exchange what two dentries are called; names lock and both bucket locks held. */
static void swap_names(struct lx_dentry *a, struct lx_dentry *b)
{
	char tmp[LX_DENTRY_INLINE];
	char *aname = a->name, *bname = b->name;
	bool a_inline = aname == a->iname, b_inline = bname == b->iname;
	uint32_t len = a->name_len, hash = a->hash;

	memcpy(tmp, a->iname, sizeof(tmp));
	if (b_inline)
		memcpy(a->iname, b->iname, sizeof(tmp));
	if (a_inline)
		memcpy(b->iname, tmp, sizeof(tmp));
	a->name = b_inline ? a->iname : bname;
	b->name = a_inline ? b->iname : aname;
	a->name_len = b->name_len;
	a->hash = b->hash;
	b->name_len = len;
	b->hash = hash;
}

static void lock_buckets(uint32_t a, uint32_t b)
{
	a %= LOCKS;
	b %= LOCKS;
	rt_mutex_lock_nested(&dcache.locks[MIN(a, b)]);
	if (a != b)
		rt_mutex_lock_nested(&dcache.locks[MAX(a, b)]);
}

static void unlock_buckets(uint32_t a, uint32_t b)
{
	a %= LOCKS;
	b %= LOCKS;
	if (a != b)
		rt_mutex_unlock(&dcache.locks[MAX(a, b)]);
	rt_mutex_unlock(&dcache.locks[MIN(a, b)]);
}

/*
 * Swap the places of two dentries in the tree and in the hash.  Whether each is
 * hashed afterwards: @a_hashed, @b_hashed.  Parents' references move along with
 * the parent pointers.
 */
static void swap_places(struct lx_dentry *a, struct lx_dentry *b, bool a_hashed, bool b_hashed)
{
	uint32_t ba, bb;
	struct lx_dentry *parent;

	lx_names_lock();
	ba = bucket_of(a->parent, a->hash);
	bb = bucket_of(b->parent, b->hash);
	lock_buckets(ba, bb);
	hlist_remove(&a->hash_link);
	hlist_remove(&b->hash_link);
	swap_names(a, b);
	parent = a->parent;
	a->parent = b->parent;
	b->parent = parent;
	if (a_hashed)
		hlist_add(&dcache.buckets[bb], &a->hash_link);
	if (b_hashed)
		hlist_add(&dcache.buckets[ba], &b->hash_link);
	atomic_fetch_and(&a->dflags, ~LX_DENTRY_HASHED);
	atomic_fetch_and(&b->dflags, ~LX_DENTRY_HASHED);
	if (a_hashed)
		atomic_fetch_or(&a->dflags, LX_DENTRY_HASHED);
	if (b_hashed)
		atomic_fetch_or(&b->dflags, LX_DENTRY_HASHED);
	unlock_buckets(ba, bb);
	rt_mutex_lock_nested(&dcache.tree);
	list_remove(&a->child_link);
	list_remove(&b->child_link);
	list_add_last(&a->parent->children, &a->child_link);
	list_add_last(&b->parent->children, &b->child_link);
	rt_mutex_unlock(&dcache.tree);
	lx_names_unlock();
}

void lx_dentry_move(struct lx_dentry *d, struct lx_dentry *target)
{
	swap_places(d, target, true, false);
}

void lx_dentry_exchange(struct lx_dentry *a, struct lx_dentry *b)
{
	swap_places(a, b, true, true);
}

struct lx_dentry *lx_dentry_parent_get(struct lx_dentry *d)
{
	struct lx_dentry *parent;

	lx_names_lock();
	parent = lx_dentry_get(d->parent);
	lx_names_unlock();
	return parent;
}

bool lx_dentry_is_ancestor(struct lx_dentry *anc, struct lx_dentry *d)
{
	bool found;

	lx_names_lock();
	while (d != anc && d->parent != d)
		d = d->parent;
	found = d == anc;
	lx_names_unlock();
	return found;
}

uint32_t lx_dentry_name(struct lx_dentry *d, char *buf)
{
	uint32_t len;

	lx_names_lock();
	len = MIN(d->name_len, (uint32_t)LX_NAME_MAX);
	memcpy(buf, d->name, len);
	buf[len] = '\0';
	lx_names_unlock();
	return len;
}
