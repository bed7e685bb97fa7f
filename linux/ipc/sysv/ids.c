/* SPDX-License-Identifier: MIT */
/*
 * Ids, keys and permissions of System V IPC objects.
 *
 * An id is an index into the table of its kind and a sequence number: it differs
 * from the last id of the same index, so that an id that a program kept from a
 * removed object finds nothing.  Indices go round, and the sequence number goes
 * up each time they wrap: an id comes back after 2^31 objects at the earliest.
 */

#include <linux/capability.h>
#include <linux/ipc.h>
#include <asm/ipcbuf.h>

#include "ipc/ipcns.h"
#include "lx/ns.h"
#include "lx/task.h"
#include "rt/time.h"

#define MIN_CYCLE 64			/* indices are not used again before so many were */

int64_t ipc_now(void)
{
	return (int64_t)(rt_realtime_ns() / 1000000000u);
}

static struct ipc_ids *ids_of(const struct ipc_object *o)
{
	return &o->ns->ids[o->kind];
}

void ipc_ids_init(struct ipc_ids *ids)
{
	rt_rwlock_init(&ids->lock, LX_LOCK_IPC_IDS);
	ids->last = -1;
	ids->next_id = -1;
}

/* -- objects */

void ipc_object_init(struct ipc_object *o, struct lx_ipcns *ns, enum ipc_kind kind, int key,
		     unsigned int flags)
{
	const struct lx_cred *c = lx_self()->cred;

	atomic_init(&o->refs, 1);
	rt_mutex_init(&o->lock, LX_LOCK_IPC);
	rb_node_init(&o->key_node);
	o->ns = ns;
	o->kind = kind;
	o->key = key;
	o->mode = flags & 0777;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
}

struct ipc_object *ipc_object_get(struct ipc_object *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void ipc_object_put(struct ipc_object *o)
{
	if (atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	switch (o->kind) {
	case IPC_SHM:
		shm_free(o);
		break;
	case IPC_SEM:
		sem_free(o);
		break;
	default:
		msg_free(o);
		break;
	}
}

/* -- indices */

static int grow_table(struct ipc_ids *ids)
{
	int size = ids->size ? MIN(ids->size * 2, IPC_MNI) : MIN_CYCLE;
	struct ipc_object **table = rt_realloc(ids->table, (size_t)size * sizeof(*table));

	if (!table)
		return -ENOMEM;
	memset(table + ids->size, 0, (size_t)(size - ids->size) * sizeof(*table));
	ids->table = table;
	ids->size = size;
	return 0;
}

/* A free index in [from, to): there may be none. */
static int free_index(const struct ipc_ids *ids, int from, int to)
{
	for (int i = from; i < to; i++)
		if (i >= ids->size || !ids->table[i])
			return i;
	return -1;
}

/* The index for a new object: round about, within half as many again as there are. */
static int choose_index(struct ipc_ids *ids, int max)
{
	int cycle = MIN(MAX(ids->used * 3 / 2, MIN_CYCLE), MAX(max, 1));
	int index;

	if (ids->next_id >= 0)
		return free_index(ids, ids->next_id & (IPC_MNI - 1), IPC_MNI);
	index = free_index(ids, MIN(ids->cursor, cycle), cycle);
	if (index < 0)
		index = free_index(ids, 0, IPC_MNI);
	return index;
}

static void number(struct ipc_ids *ids, struct ipc_object *o, int index)
{
	int seq;

	if (ids->next_id >= 0) {
		seq = ids->next_id >> IPC_SEQ_SHIFT;
		ids->next_id = -1;
	} else {
		if (index <= ids->last && ++ids->seq >= IPC_SEQ_MAX)
			ids->seq = 0;
		ids->last = index;
		ids->cursor = index + 1;
		seq = ids->seq;
	}
	o->id = seq << IPC_SEQ_SHIFT | index;
}

static struct rb_node **find_key(struct ipc_ids *ids, int key, struct rb_node **parent)
{
	struct rb_node **link = &ids->keys.root;

	*parent = NULL;
	while (*link) {
		int at = container_of(*link, struct ipc_object, key_node)->key;

		if (key == at)
			break;
		*parent = *link;
		link = key < at ? &(*parent)->left : &(*parent)->right;
	}
	return link;
}

int ipc_object_add(struct ipc_object *o, int max)
{
	struct ipc_ids *ids = ids_of(o);
	struct rb_node *parent, **link;
	int index;

	if (ids->used >= MIN(max, IPC_MNI))
		return -ENOSPC;
	index = choose_index(ids, max);
	if (index < 0)
		return -ENOSPC;
	while (index >= ids->size)
		if (grow_table(ids))
			return -ENOMEM;
	number(ids, o, index);
	ids->table[index] = o;
	ids->used++;
	if (o->key != IPC_PRIVATE) {
		link = find_key(ids, o->key, &parent);
		rb_insert(&ids->keys, &o->key_node, parent, link);
	}
	return 0;
}

void ipc_object_forget_key(struct ipc_object *o)
{
	if (rb_is_linked(&o->key_node))
		rb_remove(&ids_of(o)->keys, &o->key_node);
	o->key = IPC_PRIVATE;
}

void ipc_object_remove(struct ipc_object *o)
{
	struct ipc_ids *ids = ids_of(o);

	if (rb_is_linked(&o->key_node))
		rb_remove(&ids->keys, &o->key_node);
	ids->table[o->id & (IPC_MNI - 1)] = NULL;
	ids->used--;
	atomic_store(&o->removed, true);
}

int ipc_max_index(struct ipc_ids *ids)
{
	int i;

	for (i = ids->size - 1; i > 0; i--)
		if (ids->table[i])
			break;
	return MAX(i, 0);
}

/* -- looking up */

/* With ids->lock. */
static struct ipc_object *at_index(struct ipc_ids *ids, int index)
{
	return index < ids->size ? ids->table[index] : NULL;
}

int ipc_relock(struct ipc_object *o)
{
	rt_mutex_lock(&o->lock);
	if (!atomic_load(&o->removed))
		return 0;
	rt_mutex_unlock(&o->lock);
	return -EIDRM;
}

static int lock_found(struct ipc_ids *ids, struct ipc_object *o, struct ipc_object **out)
{
	int err;

	if (o)
		ipc_object_get(o);
	rt_read_unlock(&ids->lock);
	if (!o)
		return -EINVAL;
	err = ipc_relock(o);
	if (err)
		ipc_object_put(o);
	else
		*out = o;
	return err;
}

int ipc_lock(struct lx_ipcns *ns, enum ipc_kind kind, int id, struct ipc_object **out)
{
	struct ipc_ids *ids = &ns->ids[kind];
	struct ipc_object *o;

	if (id < 0)
		return -EINVAL;
	rt_read_lock(&ids->lock);
	o = at_index(ids, id & (IPC_MNI - 1));
	return lock_found(ids, o && o->id == id ? o : NULL, out);
}

int ipc_lock_index(struct lx_ipcns *ns, enum ipc_kind kind, int index, struct ipc_object **out)
{
	struct ipc_ids *ids = &ns->ids[kind];

	if (index < 0)
		return -EINVAL;
	rt_read_lock(&ids->lock);
	return lock_found(ids, at_index(ids, index & (IPC_MNI - 1)), out);
}

void ipc_unlock_put(struct ipc_object *o)
{
	rt_mutex_unlock(&o->lock);
	ipc_object_put(o);
}

int ipc_lock_owned(struct lx_task *self, enum ipc_kind kind, int id, struct ipc_object **out)
{
	struct ipc_ids *ids = &self->ns->ipc->ids[kind];
	struct ipc_object *o;

	if (id < 0)
		return -EINVAL;
	rt_write_lock(&ids->lock);
	o = at_index(ids, id & (IPC_MNI - 1));
	if (!o || o->id != id) {
		rt_write_unlock(&ids->lock);
		return -EINVAL;
	}
	rt_mutex_lock(&o->lock);
	if (self->cred->euid != o->cuid && self->cred->euid != o->uid &&
	    !lx_capable(self, CAP_SYS_ADMIN)) {
		rt_mutex_unlock(&o->lock);
		rt_write_unlock(&ids->lock);
		return -EPERM;
	}
	*out = ipc_object_get(o);
	return 0;
}

void ipc_release_owned(struct ipc_object *o)
{
	bool removed = atomic_load(&o->removed);

	rt_mutex_unlock(&o->lock);
	rt_write_unlock(&ids_of(o)->lock);
	if (removed)
		ipc_object_put(o);	/* the table's */
	ipc_object_put(o);
}

struct ipc_object *ipc_next(struct lx_ipcns *ns, enum ipc_kind kind, int *index)
{
	struct ipc_ids *ids = &ns->ids[kind];
	struct ipc_object *o = NULL;

	rt_read_lock(&ids->lock);
	while (*index < ids->size && !ids->table[*index])
		++*index;
	if (*index < ids->size)
		o = ipc_object_get(ids->table[*index]);
	rt_read_unlock(&ids->lock);
	return o;
}

/* -- permissions */

int ipc_permission(struct lx_task *self, const struct ipc_object *o, unsigned int want)
{
	const struct lx_cred *c = self->cred;
	unsigned int granted = o->mode;

	want = (want >> 6 | want >> 3 | want) & 7;
	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (lx_cred_in_group(c, o->cgid) || lx_cred_in_group(c, o->gid))
		granted >>= 3;
	if ((want & ~granted) && !lx_capable(self, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

void ipc_export_perm(const struct ipc_object *o, struct ipc64_perm *p)
{
	*p = (struct ipc64_perm){
		.key = o->key,
		.uid = o->uid,
		.gid = o->gid,
		.cuid = o->cuid,
		.cgid = o->cgid,
		.mode = o->mode,
		.seq = (unsigned short)(o->id >> IPC_SEQ_SHIFT),
	};
}

int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *p)
{
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return -EINVAL;
	o->uid = p->uid;
	o->gid = p->gid;
	o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	return 0;
}

/* -- shmget, semget, msgget */

/* An object of the key is there; ids->lock is held. */
static long get_existing(struct lx_task *self, const struct ipc_get_ops *ops,
			 const struct ipc_get *get, struct ipc_object *o)
{
	long err;

	if ((get->flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		return -EEXIST;
	rt_mutex_lock(&o->lock);
	err = ops->check ? ops->check(o, get) : 0;
	if (!err)
		err = ipc_permission(self, o, get->flags);
	rt_mutex_unlock(&o->lock);
	return err ? err : o->id;
}

static long add_new(const struct ipc_get_ops *ops, const struct ipc_get *get, struct ipc_object *o)
{
	long err = ops->admit ? ops->admit(o->ns, get) : 0;

	if (!err)
		err = ipc_object_add(o, ops->max(o->ns));
	if (err)
		return err;
	if (ops->count)
		ops->count(o->ns, get);
	return o->id;
}

long ipc_get(struct lx_task *self, const struct ipc_get_ops *ops, const struct ipc_get *get)
{
	struct lx_ipcns *ns = self->ns->ipc;
	struct ipc_ids *ids = &ns->ids[ops->kind];
	struct ipc_object *fresh = NULL;
	struct rb_node *found, *parent;
	bool make, added = false;
	int err;
	long ret;

	do {
		make = false;
		rt_write_lock(&ids->lock);
		found = get->key == IPC_PRIVATE ? NULL : *find_key(ids, get->key, &parent);
		if (found) {
			ret = get_existing(self, ops, get,
					   container_of(found, struct ipc_object, key_node));
		} else if (get->key != IPC_PRIVATE && !(get->flags & IPC_CREAT)) {
			ret = -ENOENT;
		} else if (fresh) {
			ret = add_new(ops, get, fresh);
			added = ret >= 0;
		} else {
			make = true;	/* without the lock; then look again */
		}
		rt_write_unlock(&ids->lock);
		if (make) {
			fresh = ops->create(self, get, &err);
			if (!fresh)
				return err;
		}
	} while (make);
	if (fresh && !added)
		ipc_object_put(fresh);
	return ret;
}
