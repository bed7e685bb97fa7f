/* SPDX-License-Identifier: MIT */
/*
 * epoll: a set of files, and a list of those that may be ready.
 *
 * An item is one registration (file, descriptor number) in one set.  It is in one
 * of three states, under ep->ready_lock:
 *
 *	IDLE	not on any list
 *	READY	on ep->ready: an event came, or the last look found it ready still
 *	TAKEN	on the list of an epoll_wait(2) that is looking at it; events that
 *		come meanwhile set `again`
 *
 * The queues of a file call item_wake() under their own lock, which therefore
 * takes only ready_lock (a leaf) and wakes the set's queues as nested ones.
 * Everything else happens under ep->lock: adding, removing, and looking at items,
 * that is calling the files' poll.  ep->lock is outermost for that reason.
 *
 * Invariants, with ep->lock and ready_lock:
 *   (1) an item whose file is ready and that is armed is READY or TAKEN, unless it
 *	 is edge-triggered and its event was reported;
 *   (2) an item is in ep->items and in its file's epoll_items, or in neither.
 *
 * Life: an item goes by EPOLL_CTL_DEL, with its set, or with its file.  A file whose
 * last reference went calls lx_epoll_release(), which takes ep->lock of each set
 * that has it, and so waits for whoever looks at the file right now; only then is
 * the file torn down.  So ep->lock alone makes an item's file safe to use, without
 * a reference.
 *
 * Sets can watch sets, as a directed graph without cycles, at most MAX_NESTS deep;
 * locks are taken along its edges.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/eventpoll.h>

#include "base/format.h"
#include "base/hash.h"
#include "base/rbtree.h"
#include "timeout_priv.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/syscall.h"

#define MAX_NESTS	4
#define MAX_EVENTS	(0x7fffffff / (int)sizeof(struct epoll_event))
/* Not events but modes of a registration. */
#define MODE_BITS	(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | \
			 EPOLLEXCLUSIVE)

enum item_state { ITEM_IDLE, ITEM_READY, ITEM_TAKEN };

struct epoll_entry {			/* an item's place in one queue of its file */
	struct lx_wait_entry wait;
	struct lx_waitq *wq;
	struct epoll_item *item;
	struct epoll_entry *next;
};

struct epoll_item {
	/* Constant. */
	struct epoll *ep;
	struct lx_file *file;		/* no reference; see above */
	int fd;

	/* ep->lock */
	struct rb_node node;
	struct epoll_entry first_entry, *entries;	/* most files have one or two queues */
	uint64_t data;

	_Atomic(uint32_t) events;	/* written under ep->lock; item_wake() looks without */

	struct list file_link;		/* file_lock(file) */

	/* ep->ready_lock */
	struct list ready_link;
	enum item_state state;
	bool again;
};

struct epoll {
	_Atomic(uint32_t) refs;		/* the file's, and those of lx_epoll_release() in progress */
	struct lx_waitq wait;		/* tasks in epoll_wait */
	struct lx_waitq poll_wait;	/* pollers of the epoll file, other sets among them */

	struct rt_mutex lock;		/* rank LX_LOCK_EPOLL; nested: along the graph's edges */
	struct rb_tree items;		/* by file and descriptor */
	unsigned int nr_items;

	struct rt_mutex ready_lock;	/* rank LX_LOCK_LEAF */
	struct list ready;		/* of ready_link */

	unsigned int above;		/* graph_lock: edges of the longest path that led here so far */
};

static const struct lx_file_ops epoll_ops;

/* Held while an edge between sets is added: the loop check and the insertion are one. */
static struct rt_mutex graph_lock = RT_MUTEX_INIT(LX_LOCK_EPOLL_GRAPH);

/* Locks of the files' lists of items. */
static struct rt_mutex file_locks[16] = {
	[0 ... 15] = RT_MUTEX_INIT(LX_LOCK_LEAF),
};

static struct rt_mutex *file_lock(const struct lx_file *f)
{
	return &file_locks[hash_ptr(f, 0) % ARRAY_SIZE(file_locks)];
}

static struct epoll *epoll_of(struct lx_file *f)
{
	return f->ops == &epoll_ops ? f->private : NULL;
}

uint32_t lx_file_poll(struct lx_file *f, struct lx_poll *p)
{
	if (!f->ops->poll)
		return LX_POLL_ALWAYS;
	return f->ops->poll(f, p);
}

/* -- the ready list ------------------------------------------------------------------------ */

static bool ready_is_empty(struct epoll *ep)
{
	/* A hint: whoever sleeps on the answer is queued before, and woken after a change. */
	atomic_thread_fence(memory_order_seq_cst);
	return list_looks_empty(&ep->ready);
}

static void mark_ready(struct epoll_item *item)
{
	struct epoll *ep = item->ep;

	rt_mutex_lock(&ep->ready_lock);
	if (item->state == ITEM_IDLE) {
		item->state = ITEM_READY;
		list_add_last(&ep->ready, &item->ready_link);
	} else if (item->state == ITEM_TAKEN) {
		item->again = true;
	}
	rt_mutex_unlock(&ep->ready_lock);
}

/* A look at a TAKEN item is over: @again: there may be more. */
static void put_back(struct epoll_item *item, bool again)
{
	struct epoll *ep = item->ep;

	rt_mutex_lock(&ep->ready_lock);
	list_remove(&item->ready_link);
	if (again || item->again) {
		item->state = ITEM_READY;
		list_add_last(&ep->ready, &item->ready_link);
	} else {
		item->state = ITEM_IDLE;
	}
	item->again = false;
	rt_mutex_unlock(&ep->ready_lock);
}

/* Move the ready items to @taken. */
static void take_ready(struct epoll *ep, struct list *taken)
{
	struct epoll_item *item;

	list_init(taken);
	rt_mutex_lock(&ep->ready_lock);
	list_splice_last(taken, &ep->ready);
	list_for_each_entry(item, taken, ready_link) {
		item->state = ITEM_TAKEN;
		item->again = false;
	}
	rt_mutex_unlock(&ep->ready_lock);
}

/* Give back what was not looked at, before what came meanwhile. */
static void return_ready(struct epoll *ep, struct list *taken)
{
	struct epoll_item *item;

	if (list_is_empty(taken))
		return;
	rt_mutex_lock(&ep->ready_lock);
	list_for_each_entry(item, taken, ready_link) {
		item->state = ITEM_READY;
		item->again = false;
	}
	list_splice_last(taken, &ep->ready);
	list_splice_last(&ep->ready, taken);
	rt_mutex_unlock(&ep->ready_lock);
}

/* Under the lock of one of the file's queues. */
static bool item_wake(struct lx_wait_entry *wait, uint32_t events)
{
	struct epoll_entry *entry = container_of(wait, struct epoll_entry, wait);
	struct epoll_item *item = entry->item;
	struct epoll *ep = item->ep;
	uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed);
	bool sleepers;

	if (!(wanted & ~MODE_BITS))		/* a one-shot that has fired */
		return false;
	if (events && !(events & wanted))
		return false;
	mark_ready(item);
	sleepers = !lx_waitq_empty(&ep->wait);
	lx_wake_nested(&ep->wait, POLLIN, 1);
	lx_wake_nested(&ep->poll_wait, POLLIN | POLLRDNORM, ~0u);
	/* An exclusive registration uses the wake-up up only if it woke somebody. */
	return sleepers;
}

/* -- items ---------------------------------------------------------------------------------- */

static int item_compare(const struct epoll_item *item, const struct lx_file *file, int fd)
{
	if (item->file != file)
		return item->file < file ? -1 : 1;
	return item->fd < fd ? -1 : item->fd > fd;
}

static struct epoll_item *item_find(struct epoll *ep, const struct lx_file *file, int fd)
{
	struct rb_node *node = ep->items.root;

	while (node) {
		struct epoll_item *item = rb_entry(node, struct epoll_item, node);
		int order = item_compare(item, file, fd);

		if (!order)
			return item;
		node = order < 0 ? node->right : node->left;
	}
	return NULL;
}

static void item_link(struct epoll *ep, struct epoll_item *item)
{
	struct rb_node **link = &ep->items.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item_compare(rb_entry(parent, struct epoll_item, node), item->file,
				    item->fd) < 0 ? &parent->right : &parent->left;
	}
	rb_insert(&ep->items, &item->node, parent, link);
	ep->nr_items++;
	rt_mutex_lock(file_lock(item->file));
	list_add_last(&item->file->epoll_items, &item->file_link);
	rt_mutex_unlock(file_lock(item->file));
}

/* With ep->lock.  Afterwards nobody knows the item; the file may go. */
static void item_remove(struct epoll *ep, struct epoll_item *item)
{
	struct epoll_entry *entry, *next;

	/* First the queues: no wake-up comes after this. */
	for (entry = item->entries; entry; entry = next) {
		next = entry->next;
		lx_waitq_remove(entry->wq, &entry->wait);
		if (entry != &item->first_entry)
			rt_free(entry);
	}
	rt_mutex_lock(&ep->ready_lock);
	list_remove(&item->ready_link);
	rt_mutex_unlock(&ep->ready_lock);
	rb_remove(&ep->items, &item->node);
	ep->nr_items--;
	rt_mutex_lock(file_lock(item->file));
	list_remove(&item->file_link);
	rt_mutex_unlock(file_lock(item->file));
	rt_free(item);
}

struct item_poll {
	struct lx_poll poll;
	struct epoll_item *item;
	int err;
};

static void item_queue(struct lx_poll *p, struct lx_file *f, struct lx_waitq *wq)
{
	struct item_poll *ip = container_of(p, struct item_poll, poll);
	struct epoll_item *item = ip->item;
	struct epoll_entry *entry = &item->first_entry;

	if (ip->err)
		return;
	if (item->entries) {
		entry = rt_alloc(sizeof(*entry));
		if (!entry) {
			ip->err = -ENOMEM;
			return;
		}
	}
	lx_wait_entry_init(&entry->wait, NULL);
	entry->wait.wake = item_wake;
	entry->wait.exclusive = atomic_load(&item->events) & EPOLLEXCLUSIVE;
	entry->wq = wq;
	entry->item = item;
	entry->next = item->entries;
	item->entries = entry;
	lx_waitq_add(wq, &entry->wait);
}

/* The wanted events that hold now.  With ep->lock; another set's lock nests in it. */
static uint32_t item_look(struct epoll_item *item, struct lx_poll *p)
{
	uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed);
	struct lx_poll look = { .events = wanted };

	if (p)
		p->events = wanted;
	return lx_file_poll(item->file, p ? p : &look) & wanted & ~MODE_BITS;
}

static void announce(struct epoll *ep)
{
	lx_wake(&ep->wait, POLLIN, 1);
	lx_wake(&ep->poll_wait, POLLIN | POLLRDNORM, ~0u);
}

static int item_add(struct epoll *ep, struct lx_file *file, int fd, const struct epoll_event *event)
{
	struct epoll_item *item = rt_zalloc(sizeof(*item));
	struct item_poll ip = { .poll.queue = item_queue, .item = item };

	if (!item)
		return -ENOMEM;
	item->ep = ep;
	item->file = file;
	item->fd = fd;
	item->data = event->data;
	atomic_init(&item->events, event->events | EPOLLERR | EPOLLHUP);
	list_init(&item->file_link);
	list_init(&item->ready_link);
	rb_node_init(&item->node);
	item_link(ep, item);
	if (item_look(item, &ip.poll))
		mark_ready(item);
	if (ip.err) {
		item_remove(ep, item);
		return ip.err;
	}
	return 0;
}

static void item_modify(struct epoll_item *item, const struct epoll_event *event)
{
	item->data = event->data;
	atomic_store(&item->events, event->events | EPOLLERR | EPOLLHUP);
	/* Pairs with the fence in lx_waitq_empty(): an event after the look finds the new mask. */
	atomic_thread_fence(memory_order_seq_cst);
	if (item_look(item, NULL))
		mark_ready(item);
}

/* -- sets ------------------------------------------------------------------------------------- */

static void epoll_put(struct epoll *ep)
{
	if (atomic_fetch_sub_explicit(&ep->refs, 1, memory_order_acq_rel) == 1)
		rt_free(ep);
}

static void epoll_file_release(struct lx_file *f)
{
	struct epoll *ep = f->private;
	struct epoll_item *item;

	rt_mutex_lock(&ep->lock);
	while ((item = rb_first_entry(&ep->items, struct epoll_item, node)) != NULL)
		item_remove(ep, item);
	rt_mutex_unlock(&ep->lock);
	epoll_put(ep);
}

/* A set that has @f, with a reference; NULL: none has it any more. */
static struct epoll *epoll_with_file(struct lx_file *f)
{
	struct epoll_item *item;
	struct epoll *ep = NULL;

	rt_mutex_lock(file_lock(f));
	item = list_first_entry(&f->epoll_items, struct epoll_item, file_link);
	if (item) {
		ep = item->ep;
		atomic_fetch_add_explicit(&ep->refs, 1, memory_order_relaxed);
	}
	rt_mutex_unlock(file_lock(f));
	return ep;
}

/* The first item of @ep that is for @f, whatever its descriptor. */
static struct epoll_item *item_of_file(struct epoll *ep, struct lx_file *f)
{
	struct rb_node *node = ep->items.root;
	struct epoll_item *found = NULL;

	while (node) {
		struct epoll_item *item = rb_entry(node, struct epoll_item, node);

		if (item->file == f)
			found = item;
		node = item->file < f ? node->right : node->left;
	}
	return found;
}

void lx_epoll_release(struct lx_file *f)
{
	struct epoll *ep;

	/* No reference is left, so that no item can be added meanwhile. */
	while ((ep = epoll_with_file(f)) != NULL) {
		struct epoll_item *item;

		rt_mutex_lock(&ep->lock);
		while ((item = item_of_file(ep, f)) != NULL)
			item_remove(ep, item);
		rt_mutex_unlock(&ep->lock);
		epoll_put(ep);
	}
}

/*
 * Poll of the set itself: is any item really ready?  Those that are not any more
 * leave the list.
 */
static uint32_t epoll_file_poll(struct lx_file *f, struct lx_poll *p)
{
	struct epoll *ep = f->private;
	struct epoll_item *item;
	struct list taken;
	uint32_t mask = 0;

	lx_poll_wait(p, f, &ep->poll_wait);
	if (ready_is_empty(ep))
		return 0;
	rt_mutex_lock_nested(&ep->lock);
	take_ready(ep, &taken);
	while (!mask && (item = list_first_entry(&taken, struct epoll_item, ready_link)) != NULL) {
		if (item_look(item, NULL))
			mask = POLLIN | POLLRDNORM;
		else
			put_back(item, false);
	}
	return_ready(ep, &taken);
	rt_mutex_unlock(&ep->lock);
	return mask;
}

static size_t epoll_fdinfo(struct lx_file *f, char *buf, size_t size)
{
	struct epoll *ep = f->private;
	struct epoll_item *item;
	size_t n = 0;

	if (size)
		buf[0] = '\0';
	rt_mutex_lock(&ep->lock);
	rb_for_each_entry(item, &ep->items, node)
		n += scnprintf(buf + n, size - n,
			       "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%llx sdev:%x\n",
			       item->fd, atomic_load(&item->events), (unsigned long long)item->data,
			       (long long)item->file->pos,
			       (unsigned long long)item->file->inode->ino,
			       (unsigned int)item->file->inode->sb->dev);
	rt_mutex_unlock(&ep->lock);
	return n;
}

static const struct lx_file_ops epoll_ops = {
	.poll = epoll_file_poll,
	.release = epoll_file_release,
	.fdinfo = epoll_fdinfo,
};

static struct epoll *epoll_create(void)
{
	struct epoll *ep = rt_zalloc(sizeof(*ep));

	if (!ep)
		return NULL;
	atomic_init(&ep->refs, 1);
	lx_waitq_init(&ep->wait);
	lx_waitq_init(&ep->poll_wait);
	rt_mutex_init(&ep->lock, LX_LOCK_EPOLL);
	rt_mutex_init(&ep->ready_lock, LX_LOCK_LEAF);
	list_init(&ep->ready);
	return ep;
}

long lx_sys_epoll_create1(struct lx_task *self, unsigned int flags)
{
	struct lx_file *f;
	struct epoll *ep;
	int fd;

	if (flags & ~(unsigned int)EPOLL_CLOEXEC)
		return -EINVAL;
	ep = epoll_create();
	if (!ep)
		return -ENOMEM;
	f = lx_file_anon("anon_inode:[eventpoll]", &epoll_ops, ep, O_RDWR,
			 LX_FMODE_READ | LX_FMODE_WRITE);
	if (!f) {
		rt_free(ep);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, flags & EPOLL_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

long lx_sys_epoll_create(struct lx_task *self, int size)
{
	return size <= 0 ? -EINVAL : lx_sys_epoll_create1(self, 0);
}

/* -- epoll_ctl ---------------------------------------------------------------------------------- */

/*
 * Walk the graph from @ep on, which is @depth edges below the set that gets a new
 * edge.  True: a path reaches @target, or is longer than @limit.  graph_lock held.
 */
static bool reaches(struct epoll *ep, const struct epoll *target, unsigned int depth,
		    unsigned int limit)
{
	struct epoll_item *item;
	bool found = false;

	if (ep == target || depth > limit)
		return true;
	rt_mutex_lock_nested(&ep->lock);
	for (item = rb_first_entry(&ep->items, struct epoll_item, node); item && !found;
	     item = rb_next_entry(item, node)) {
		struct epoll *next = epoll_of(item->file);

		if (next)
			found = reaches(next, target, depth + 1, limit);
	}
	rt_mutex_unlock(&ep->lock);
	return found;
}

/* There is a path of @above edges to @ep.  The depth is bounded: reaches() said so. */
static void raise_above(struct epoll *ep, unsigned int above)
{
	struct epoll_item *item;

	if (ep->above >= above)
		return;
	ep->above = above;
	rt_mutex_lock_nested(&ep->lock);
	rb_for_each_entry(item, &ep->items, node)
		if (epoll_of(item->file))
			raise_above(epoll_of(item->file), above + 1);
	rt_mutex_unlock(&ep->lock);
}

/* May @ep watch @target?  graph_lock held. */
static bool edge_is_allowed(struct epoll *ep, struct epoll *target)
{
	if (ep->above >= MAX_NESTS || reaches(target, ep, 1, MAX_NESTS - ep->above))
		return false;
	raise_above(target, ep->above + 1);
	return true;
}

static int ctl_locked(struct epoll *ep, int op, struct lx_file *file, int fd,
		      const struct epoll_event *event)
{
	struct epoll_item *item = item_find(ep, file, fd);

	switch (op) {
	case EPOLL_CTL_ADD:
		return item ? -EEXIST : item_add(ep, file, fd, event);
	case EPOLL_CTL_DEL:
		if (!item)
			return -ENOENT;
		item_remove(ep, item);
		return 0;
	case EPOLL_CTL_MOD:
		if (!item)
			return -ENOENT;
		if (atomic_load(&item->events) & EPOLLEXCLUSIVE)
			return -EINVAL;
		item_modify(item, event);
		return 0;
	default:
		return -EINVAL;
	}
}

/* An exclusive registration has few other modes, and is made once. */
static bool exclusive_is_valid(int op, struct lx_file *file, uint32_t events)
{
	if (!(events & EPOLLEXCLUSIVE) || op == EPOLL_CTL_DEL)
		return true;
	return op == EPOLL_CTL_ADD && !epoll_of(file) && !(events & ~EXCLUSIVE_OK);
}

static int epoll_ctl(struct lx_file *epf, int op, struct lx_file *file, int fd,
		     const struct epoll_event *event)
{
	struct epoll *ep = epoll_of(epf);
	bool edge = op == EPOLL_CTL_ADD && epoll_of(file);
	int err;

	if (!file->ops->poll)
		return -EPERM;
	if (epf == file || !ep)
		return -EINVAL;
	if (!exclusive_is_valid(op, file, event->events))
		return -EINVAL;
	if (edge)
		rt_mutex_lock(&graph_lock);
	if (edge && !edge_is_allowed(ep, epoll_of(file))) {
		err = -ELOOP;
	} else {
		rt_mutex_lock(&ep->lock);
		err = ctl_locked(ep, op, file, fd, event);
		rt_mutex_unlock(&ep->lock);
		if (!err && !ready_is_empty(ep))
			announce(ep);
	}
	if (edge)
		rt_mutex_unlock(&graph_lock);
	return err;
}

long lx_sys_epoll_ctl(struct lx_task *self, int epfd, int op, int fd, uaddr_t uevent)
{
	struct epoll_event event = { .events = 0 };
	struct lx_file *epf, *file;
	long err = -EBADF;

	if (op != EPOLL_CTL_DEL && lx_copy_from_user(&event, uevent, sizeof(event)))
		return -EFAULT;
	epf = lx_fd_get(self, epfd);
	if (!epf)
		return -EBADF;
	file = lx_fd_get(self, fd);
	if (file) {
		err = epoll_ctl(epf, op, file, fd, &event);
		lx_file_put(file);
	}
	lx_file_put(epf);
	return err;
}

/* -- epoll_wait ------------------------------------------------------------------------------------ */

/*
 * Report at most @max ready items.  Returns how many; -EFAULT when the first one
 * could not be written (it is ready still).
 */
static int send_events(struct epoll *ep, uaddr_t out, int max)
{
	struct epoll_item *item;
	struct list taken;
	int sent = 0, err = 0;

	rt_mutex_lock(&ep->lock);
	take_ready(ep, &taken);
	while (sent < max &&
	       (item = list_first_entry(&taken, struct epoll_item, ready_link)) != NULL) {
		struct epoll_event event = { .events = item_look(item, NULL), .data = item->data };
		uint32_t modes = atomic_load(&item->events);

		if (!event.events) {
			put_back(item, false);
			continue;
		}
		if (rt_copy_to_user(uaddr_add(out, (uint64_t)sent * sizeof(event)), &event,
				    sizeof(event))) {
			err = -EFAULT;
			break;
		}
		sent++;
		if (modes & EPOLLONESHOT)
			atomic_store(&item->events, modes & MODE_BITS);
		/* Level-triggered: ready until a look says otherwise. */
		put_back(item, !(modes & (EPOLLET | EPOLLONESHOT)));
	}
	return_ready(ep, &taken);
	rt_mutex_unlock(&ep->lock);
	return sent ? sent : err;
}

/* Sleep until there may be something. */
static int wait_ready(struct lx_task *self, struct epoll *ep, uint64_t deadline)
{
	struct lx_wait_entry entry;
	int err = 0;

	lx_wait_entry_init(&entry, self);
	entry.exclusive = true;
	lx_wait_prepare(self);
	lx_waitq_add(&ep->wait, &entry);
	while (ready_is_empty(ep) && !err) {
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
		lx_wait_prepare(self);
	}
	lx_waitq_remove(&ep->wait, &entry);
	return ready_is_empty(ep) ? err : 0;
}

static long wait_events(struct lx_task *self, struct epoll *ep, uaddr_t events, int max,
			uint64_t deadline)
{
	for (;;) {
		int sent = 0, err;

		if (!ready_is_empty(ep))
			sent = send_events(ep, events, max);
		if (sent == -EFAULT) {
			/* Without locks; then once more. */
			sent = lx_fault_in(self, events, sizeof(struct epoll_event), true);
			if (!sent)
				continue;
		}
		if (sent) {
			/* More than we took, or level-triggered: the next sleeper may have it. */
			if (!ready_is_empty(ep))
				lx_wake(&ep->wait, POLLIN, 1);
			return sent;
		}
		if (!deadline)
			return 0;
		if (lx_signal_pending(self))
			return -EINTR;
		err = wait_ready(self, ep, deadline);
		if (err == -ETIMEDOUT)
			return 0;
		if (err)
			return -EINTR;
	}
}

static long epoll_wait(struct lx_task *self, int epfd, uaddr_t events, int max, uint64_t deadline)
{
	struct lx_file *f;
	long ret;

	if (max <= 0 || max > MAX_EVENTS)
		return -EINVAL;
	f = lx_fd_get(self, epfd);
	if (!f)
		return -EBADF;
	ret = epoll_of(f) ? wait_events(self, epoll_of(f), events, max, deadline) : -EINVAL;
	lx_file_put(f);
	return ret;
}

long lx_sys_epoll_wait(struct lx_task *self, int epfd, uaddr_t events, int max, int timeout)
{
	return epoll_wait(self, epfd, events, max, timeout_from_ms(timeout));
}

long lx_sys_epoll_pwait(struct lx_task *self, int epfd, uaddr_t events, int max, int timeout,
			uaddr_t set, size_t size)
{
	long ret = lx_sigmask_push(self, set, size);

	if (ret)
		return ret;
	ret = epoll_wait(self, epfd, events, max, timeout_from_ms(timeout));
	lx_sigmask_pop(self, ret == -EINTR);
	return ret;
}

long lx_sys_epoll_pwait2(struct lx_task *self, int epfd, uaddr_t events, int max, uaddr_t timeout,
			 uaddr_t set, size_t size)
{
	uint64_t deadline;
	long ret = timeout_from_timespec(timeout, &deadline);

	if (!ret)
		ret = lx_sigmask_push(self, set, size);
	if (ret)
		return ret;
	ret = epoll_wait(self, epfd, events, max, deadline);
	lx_sigmask_pop(self, ret == -EINTR);
	return ret;
}
