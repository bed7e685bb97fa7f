/* SPDX-License-Identifier: MIT */
/* Connections and requests: see fuse.h. */

#include "abi/calls.h"
#include "fuse.h"

/* -- connections ------------------------------------------------------------------------ */

struct fuse_conn *fuse_conn_create(void)
{
	struct fuse_conn *c = rt_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	atomic_store(&c->refs, 1);
	rt_mutex_init(&c->lock, LX_LOCK_FUSE);
	c->connected = true;
	list_init(&c->pending);
	list_init(&c->sent);
	list_init(&c->forgets);
	list_init(&c->interrupts);
	lx_waitq_init(&c->readers);
	lx_waitq_init(&c->starting);
	return c;
}

struct fuse_conn *fuse_conn_get(struct fuse_conn *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void fuse_conn_put(struct fuse_conn *c)
{
	if (atomic_fetch_sub(&c->refs, 1) == 1)
		rt_free(c);
}

static void end_all_locked(struct list *requests)
{
	struct fuse_req *r, *next;

	list_for_each_entry_safe(r, next, requests, link)
		fuse_req_end_locked(r, -ECONNABORTED);
}

void fuse_conn_abort(struct fuse_conn *c)
{
	struct fuse_forget *f, *next;

	rt_mutex_lock_nested(&c->lock);
	c->connected = false;
	end_all_locked(&c->pending);
	end_all_locked(&c->sent);
	list_for_each_entry_safe(f, next, &c->forgets, link) {
		list_remove(&f->link);
		rt_free(f);
	}
	rt_mutex_unlock(&c->lock);
	lx_wake_all(&c->readers);
	lx_wake_all(&c->starting);
}

/* -- requests --------------------------------------------------------------------------- */

struct fuse_req *fuse_req_new(struct fuse_conn *c, uint32_t opcode, uint64_t nodeid,
			      size_t in_size, size_t out_size)
{
	size_t head = ALIGN_UP(sizeof(struct fuse_req), 16);
	size_t in_all = ALIGN_UP(sizeof(struct fuse_in_header) + in_size, 16);
	struct lx_task *self = lx_self();
	struct fuse_req *r = rt_alloc(head + in_all + out_size);

	if (!r)
		return NULL;
	memset(r, 0, head + in_all);
	atomic_store(&r->refs, 1);
	r->conn = c;
	list_init(&r->link);
	list_init(&r->intr_link);
	r->in = (void *)((char *)r + head);
	r->out = (char *)r->in + in_all;
	r->out_size = out_size;
	r->out_exact = true;
	lx_waitq_init(&r->wait);
	*r->in = (struct fuse_in_header){
		.len = (uint32_t)(sizeof(*r->in) + in_size), .opcode = opcode, .nodeid = nodeid,
	};
	if (self && self->cred) {
		r->in->uid = self->cred->fsuid;
		r->in->gid = self->cred->fsgid;
		r->in->pid = (uint32_t)self->group->pid;
	}
	return r;
}

void fuse_req_put(struct fuse_req *r)
{
	if (atomic_fetch_sub(&r->refs, 1) == 1)
		rt_free(r);
}

/* The lists' reference is dropped. */
void fuse_req_end_locked(struct fuse_req *r, int error)
{
	struct fuse_conn *c = r->conn;

	list_remove(&r->link);
	list_init(&r->link);
	if (!list_is_empty(&r->intr_link)) {
		list_remove(&r->intr_link);
		list_init(&r->intr_link);
	}
	r->state = FUSE_DONE;
	r->error = error;
	if (r->done && error)
		r->done(c, r);
	lx_wake_all(&r->wait);
	fuse_req_put(r);
}

/* Put it where the server finds it.  A reference moves in, or comes back with the error. */
static int enqueue(struct fuse_conn *c, struct fuse_req *r)
{
	int err = 0;

	rt_mutex_lock_nested(&c->lock);
	if (!c->connected) {
		err = -ENOTCONN;
	} else {
		c->next_unique += 2;		/* odd numbers are interrupts: FUSE_INT_REQ_BIT */
		r->in->unique = c->next_unique;
		r->state = FUSE_PENDING;
		list_add_last(&c->pending, &r->link);
	}
	rt_mutex_unlock(&c->lock);
	if (!err)
		lx_wake(&c->readers, 0, 1);
	return err;
}

void fuse_post(struct fuse_conn *c, struct fuse_req *r)
{
	if (enqueue(c, r)) {
		r->error = -ENOTCONN;
		if (r->done) {
			rt_mutex_lock_nested(&c->lock);
			r->done(c, r);
			rt_mutex_unlock(&c->lock);
		}
		fuse_req_put(r);
	}
}

static bool is_started(struct fuse_conn *c)
{
	bool yes;

	rt_mutex_lock_nested(&c->lock);
	yes = c->initialized || !c->connected;
	rt_mutex_unlock(&c->lock);
	return yes;
}

static bool is_done(struct fuse_req *r)
{
	bool yes;

	rt_mutex_lock_nested(&r->conn->lock);
	yes = r->state == FUSE_DONE;
	rt_mutex_unlock(&r->conn->lock);
	return yes;
}

/* A signal came: tell the server, who may answer EINTR. */
static void interrupt(struct fuse_conn *c, struct fuse_req *r)
{
	bool send = false;

	rt_mutex_lock_nested(&c->lock);
	r->interrupted = true;
	if (r->state == FUSE_SENT && list_is_empty(&r->intr_link) &&
	    !fuse_is_missing(c, FUSE_NO_INTERRUPT)) {
		list_add_last(&c->interrupts, &r->intr_link);
		send = true;
	}
	rt_mutex_unlock(&c->lock);
	if (send)
		lx_wake(&c->readers, 0, 1);
}

/* The task is being killed: it does not wait for the server.  False: it was answered after all. */
static bool give_up(struct fuse_conn *c, struct fuse_req *r)
{
	bool done;

	rt_mutex_lock_nested(&c->lock);
	done = r->state == FUSE_DONE;
	if (r->state == FUSE_PENDING)
		fuse_req_end_locked(r, -EINTR);
	else if (!done)
		r->given_up = true;
	rt_mutex_unlock(&c->lock);
	return !done;
}

int fuse_call(struct fuse_conn *c, struct fuse_req *r)
{
	struct lx_task *self = lx_self();
	int err = lx_wait_event(self, &c->starting, is_started(c), K_DEADLINE_NEVER,
				LX_WAIT_KILLABLE);

	if (err)
		return -EINTR;
	if (c->failed)
		return -ECONNREFUSED;
	atomic_fetch_add(&r->refs, 1);
	err = enqueue(c, r);
	if (err) {
		fuse_req_put(r);
		return err;
	}
	err = lx_wait_event(self, &r->wait, is_done(r), K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
	if (err) {
		interrupt(c, r);
		err = lx_wait_event(self, &r->wait, is_done(r), K_DEADLINE_NEVER, LX_WAIT_KILLABLE);
	}
	if (err && give_up(c, r))
		return -EINTR;
	return r->error;
}

int fuse_simple(struct fuse_conn *c, uint32_t opcode, uint64_t nodeid, const void *arg, size_t size,
		const char *name, const char *name2, void *out, size_t out_size)
{
	size_t n = name ? strlen(name) + 1 : 0, n2 = name2 ? strlen(name2) + 1 : 0;
	struct fuse_req *r = fuse_req_new(c, opcode, nodeid, size + n + n2, out_size);
	char *p;
	int err;

	if (!r)
		return -ENOMEM;
	p = fuse_in(r);
	memcpy(p, arg, size);
	memcpy(p + size, name, n);
	memcpy(p + size + n, name2, n2);
	err = fuse_call(c, r);
	if (!err && out_size)
		memcpy(out, r->out, out_size);
	fuse_req_put(r);
	return err;
}

void fuse_forget_send(struct fuse_conn *c, struct fuse_forget *f, uint64_t nodeid, uint64_t nlookup)
{
	bool keep;

	f->nodeid = nodeid;
	f->nlookup = nlookup;
	rt_mutex_lock_nested(&c->lock);
	keep = c->connected;
	if (keep)
		list_add_last(&c->forgets, &f->link);
	rt_mutex_unlock(&c->lock);
	if (keep)
		lx_wake(&c->readers, 0, 1);
	else
		rt_free(f);
}
