/* SPDX-License-Identifier: MIT */
/*
 * Files in flight: SCM_RIGHTS without leaks.
 *
 * A message holds references to files.  If those are sockets, their queues can
 * hold further ones, and two sockets that were sent through each other and then
 * closed would keep each other for ever.
 *
 * Each socket counts how many of its file's references are held by messages
 * (inflight).  The collection, with gc_lock:
 *
 *   1. Candidates are the sockets in flight whose file has no other references.
 *   2. Take off each candidate's count what messages in candidates' queues hold.
 *	Whoever has some left is referred to from a queue that can be read.
 *   3. Such sockets, and all that can be reached from their queues, are no
 *	candidates.  Put the counts back.
 *   4. What is left can be reached by nobody: drop their messages with files.
 *
 * Why it is right while others go on: references to files in flight are made known
 * (add) and forgotten (remove) under gc_lock.  So during a collection no file comes
 * out of a message into a descriptor table: a receiver that took a message off its
 * queue waits in remove, with the message counted but in no queue, which step 2
 * leaves alive; a sender has counted before it queues, likewise.  And a socket with
 * a call in progress has a reference for that, and is no candidate.  MSG_PEEK makes
 * references from messages that stay: it works on a socket that is no candidate at
 * the start, or became readable by a receive, which had to wait for us.
 */

#include <linux/capability.h>
#include <linux/resource.h>

#include "unix_priv.h"

#define GC_THRESHOLD	1000u		/* sockets in flight from which each send collects */
#define MAX_INFLIGHT	65536u		/* files in messages of this system */

static struct rt_mutex gc_lock = RT_MUTEX_INIT(LX_LOCK_UNIX_GC);
static struct list inflight_socks = LIST_INIT(inflight_socks);	/* gc_lock */
static _Atomic(uint32_t) nr_inflight_socks;		/* written under gc_lock */
static _Atomic(uint32_t) nr_inflight_files;

/* -- disposal: no nesting --------------------------------------------------------------------------------- */

static struct rt_mutex dispose_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct scm_files **dispose_queue;	/* dispose_lock: an array */
static unsigned int dispose_nr, dispose_room;	/* dispose_lock */
static bool disposing;				/* dispose_lock: somebody works on it */

static bool dispose_push(struct scm_files *files, bool *work)
{
	bool ok = true;

	rt_mutex_lock(&dispose_lock);
	if (dispose_nr == dispose_room) {
		unsigned int room = dispose_room ? dispose_room * 2 : 16;
		struct scm_files **more = rt_realloc(dispose_queue, room * sizeof(*more));

		ok = more != NULL;
		if (ok) {
			dispose_queue = more;
			dispose_room = room;
		}
	}
	if (ok)
		dispose_queue[dispose_nr++] = files;
	*work = ok && !disposing;
	if (*work)
		disposing = true;
	rt_mutex_unlock(&dispose_lock);
	return ok;
}

static struct scm_files *dispose_pop(void)
{
	struct scm_files *files = NULL;

	rt_mutex_lock(&dispose_lock);
	if (dispose_nr)
		files = dispose_queue[--dispose_nr];
	else
		disposing = false;
	rt_mutex_unlock(&dispose_lock);
	return files;
}

/*
 * Putting the last reference to a socket frees its queue, and so puts further
 * files: the first to come does it for all who come meanwhile, deeper calls only
 * leave their work to it.
 */
void unix_dispose(struct scm_files *files)
{
	bool work;

	if (!dispose_push(files, &work)) {
		scm_files_free(files);		/* no memory: nest */
		return;
	}
	while (work && (files = dispose_pop()) != NULL)
		scm_files_free(files);
}

/* -- counting ------------------------------------------------------------------------------------------------ */

struct unix_sock *unix_sock_of_file(struct lx_file *f)
{
	struct lx_socket *s = socket_of(f);

	return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

void unix_file_set(struct unix_sock *u, struct lx_file *f)
{
	rt_mutex_lock(&gc_lock);
	u->file = f;
	rt_mutex_unlock(&gc_lock);
}

int unix_inflight_add(struct scm_files *files)
{
	struct lx_task *self = lx_self();

	if (atomic_load(&nr_inflight_files) + files->nr > MAX(lx_rlimit(self, RLIMIT_NOFILE),
							      (unsigned long)MAX_INFLIGHT) &&
	    !lx_capable(self, CAP_SYS_RESOURCE) && !lx_capable(self, CAP_SYS_ADMIN))
		return -ETOOMANYREFS;
	rt_mutex_lock(&gc_lock);
	for (unsigned int i = 0; i < files->nr; i++) {
		struct unix_sock *u = unix_sock_of_file(files->file[i]);

		if (u && u->inflight++ == 0) {
			list_add_last(&inflight_socks, &u->inflight_link);
			atomic_fetch_add(&nr_inflight_socks, 1);
		}
	}
	atomic_fetch_add(&nr_inflight_files, files->nr);
	rt_mutex_unlock(&gc_lock);
	if (atomic_load(&nr_inflight_socks) > GC_THRESHOLD)
		unix_gc();
	return 0;
}

void unix_inflight_remove(struct scm_files *files)
{
	rt_mutex_lock(&gc_lock);
	for (unsigned int i = 0; i < files->nr; i++) {
		struct unix_sock *u = unix_sock_of_file(files->file[i]);

		if (u && --u->inflight == 0) {
			list_remove(&u->inflight_link);
			atomic_fetch_sub(&nr_inflight_socks, 1);
		}
	}
	atomic_fetch_sub(&nr_inflight_files, files->nr);
	rt_mutex_unlock(&gc_lock);
}

/* -- collecting ------------------------------------------------------------------------------------------------ */

typedef void (*visit_fn)(struct unix_sock *child, struct list *more);

/* Every socket that messages in the queue of @u hold; @u locked here. */
static void scan_queue(struct unix_sock *u, visit_fn visit, struct list *more, bool nested)
{
	struct unix_msg *msg;
	struct unix_sock *e;

	if (nested)
		rt_mutex_lock_nested(&u->lock);
	else
		rt_mutex_lock(&u->lock);
	list_for_each_entry(msg, &u->queue, link) {
		for (unsigned int i = 0; msg->files && i < msg->files->nr; i++) {
			struct unix_sock *child = unix_sock_of_file(msg->files->file[i]);

			if (child && child->gc_candidate)
				visit(child, more);
		}
	}
	/* A connection that was not accepted has no file; its messages are the listener's. */
	list_for_each_entry(e, &u->embryos, accept_link)
		scan_queue(e, visit, more, true);
	rt_mutex_unlock(&u->lock);
}

static void count_down(struct unix_sock *child, struct list *more)
{
	child->inflight--;
}

static void count_up(struct unix_sock *child, struct list *more)
{
	child->inflight++;
}

/* Reached from outside: so are those in its queue. */
static void revive(struct unix_sock *child, struct list *more)
{
	child->gc_candidate = false;
	list_remove(&child->inflight_link);
	list_add_last(more, &child->inflight_link);
}

/* Take the messages with files off the queue of a dead cycle's socket. */
static void steal_messages(struct unix_sock *u, struct list *stolen, bool nested)
{
	struct unix_msg *msg, *next;
	struct unix_sock *e;

	if (nested)
		rt_mutex_lock_nested(&u->lock);
	else
		rt_mutex_lock(&u->lock);
	list_for_each_entry_safe(msg, next, &u->queue, link) {
		if (!msg->files)
			continue;
		list_remove(&msg->link);
		if (u->queued)
			u->queued--;
		list_add_last(stolen, &msg->link);
	}
	list_for_each_entry(e, &u->embryos, accept_link)
		steal_messages(e, stolen, true);
	rt_mutex_unlock(&u->lock);
}

void unix_gc(void)
{
	struct list candidates, alive, stolen;
	struct unix_sock *u, *next;
	struct unix_msg *msg;

	list_init(&candidates);
	list_init(&alive);
	list_init(&stolen);
	rt_mutex_lock(&gc_lock);

	/* 1 */
	list_for_each_entry_safe(u, next, &inflight_socks, inflight_link) {
		if (!u->file || atomic_load(&u->file->refs) != u->inflight)
			continue;
		u->gc_candidate = true;
		list_remove(&u->inflight_link);
		list_add_last(&candidates, &u->inflight_link);
	}
	/* 2 */
	list_for_each_entry(u, &candidates, inflight_link)
		scan_queue(u, count_down, NULL, false);
	list_for_each_entry_safe(u, next, &candidates, inflight_link) {
		u->gc_maybe_cycle = u->inflight == 0;
	}
	/* The counts go back while the set of candidates is still the one they were taken for. */
	list_for_each_entry(u, &candidates, inflight_link)
		scan_queue(u, count_up, NULL, false);
	/* 3 */
	list_for_each_entry_safe(u, next, &candidates, inflight_link)
		if (!u->gc_maybe_cycle)
			revive(u, &alive);
	list_for_each_entry(u, &alive, inflight_link)	/* grows while we walk it */
		scan_queue(u, revive, &alive, false);
	/* 4 */
	list_for_each_entry(u, &candidates, inflight_link) {
		u->gc_candidate = false;
		steal_messages(u, &stolen, false);
	}
	list_splice_last(&inflight_socks, &alive);
	list_splice_last(&inflight_socks, &candidates);
	rt_mutex_unlock(&gc_lock);

	while ((msg = list_pop_entry(&stolen, struct unix_msg, link)) != NULL)
		unix_msg_free(msg);
}

void unix_gc_maybe(void)
{
	if (atomic_load(&nr_inflight_socks))
		unix_gc();
}
