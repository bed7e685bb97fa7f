/* SPDX-License-Identifier: MIT */
/* Connections, sessions and calls: see p9.h. */
#include "base/byteorder.h"
#include "fs/9p/p9.h"
#include "lx/signal.h"

#define VERSION "9P2000.L"

struct p9_conn *p9_conn_create(void)
{
	struct p9_conn *c = rt_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->asked_msize = P9_MSIZE_DEFAULT;
	rt_mutex_init(&c->session_lock, LX_LOCK_9P_SESSION);
	rt_mutex_init(&c->lock, LX_LOCK_9P);
	list_init(&c->clunks);
	return c;
}

void p9_conn_free(struct p9_conn *c)
{
	struct p9_fid *f, *next;

	/* The next session forgets what this one has not clunked. */
	list_for_each_entry_safe(f, next, &c->clunks, link)
	{
		if (f->clunk)
			p9link_put(c->link, f->clunk);
		rt_free(f);
	}
	rt_free(c->fid_map);
	rt_free(c->uname);
	rt_free(c->aname);
	rt_free(c);
}

/* -- calls --------------------------------------------------------------------------------- */

static bool is_killed(void)
{
	struct lx_task *self = lx_self();

	return self && lx_fatal_signal_pending(self);
}

static int get_request(struct p9_call *m, uint32_t t_room, uint32_t r_room)
{
	k_status_t st;

	do {
		if (is_killed())
			return -EINTR;
		st = p9link_get(m->conn->link, t_room, r_room, P9LINK_INTERRUPTIBLE, &m->req);
	} while (st == K_ERR_KICKED);
	return st == K_OK ? 0 : -EIO;
}

/* A call of a session that is known to be there, or begins. */
static int begin(struct p9_call *m, struct p9_conn *c, uint8_t type, uint32_t t_size,
		 uint32_t r_size)
{
	int err;

	*m = (struct p9_call){.conn = c, .type = type};
	/* An error is an answer to everything, and a server that has no room for it may stop. */
	err = get_request(m, P9_HEADER + t_size, P9_HEADER + MAX(r_size, 64u));
	if (!err)
		m->t = p9_cursor(m->req->t + P9_HEADER, t_size);
	return err;
}

int p9_call_begin(struct p9_call *m, struct p9_fid *f, uint8_t type, uint32_t t_size,
		  uint32_t r_size)
{
	int err;

	p9_fids_tidy(f->conn);
	err = begin(m, f->conn, type, 4 + t_size, r_size);
	if (!err) {
		m->session = f->session;
		p9_put32(&m->t, f->number);
	}
	return err;
}

/* The answer is not wanted any more: the server may stop working for it.  Nobody waits for that. */
static void flush(struct p9_call *m)
{
	struct p9link *link = m->conn->link;
	const uint32_t size = P9_HEADER + 2;
	struct p9link_request *r;

	if (p9link_get(link, size, P9_HEADER + 64, P9LINK_NO_WAIT, &r) != K_OK)
		return;
	p9_put_header(r->t, size, P9_TFLUSH, r->tag);
	put_le16(r->t + P9_HEADER, m->req->tag);
	p9link_start(link, r, size);
	p9link_put(link, r);
}

static int await(struct p9_call *m)
{
	do {
		if (is_killed()) {
			flush(m);
			return -EINTR;
		}
	} while (p9link_wait(m->conn->link, m->req, true) != K_OK);
	return 0;
}

/* @most bytes after the header of the answer, or all there are: into memory of ours. */
static int copy_answer(struct p9_call *m, uint32_t most, uint32_t n)
{
	n = MIN(n, most);
	m->copy = m->small;
	if (n > sizeof(m->small)) {
		m->copy = rt_alloc(n);
		if (!m->copy)
			return -ENOMEM;
	}
	memcpy(m->copy, m->req->r + P9_HEADER, n);
	m->r = p9_cursor(m->copy, n);
	return 0;
}

static int send(struct p9_call *m, uint32_t most)
{
	uint16_t tag = m->type == P9_TVERSION ? P9_NOTAG : m->req->tag;
	uint32_t size = P9_HEADER + m->t.at;
	uint8_t header[P9_HEADER];
	bool failed;
	int n;

	if (m->t.bad)
		return -EIO;
	p9_put_header(m->req->t, size, m->type, tag);
	p9link_start(m->conn->link, m->req, size);
	if (await(m))
		return -EINTR;
	memcpy(header, m->req->r, sizeof(header));
	n = m->req->answer_len ? p9_check_header(header, m->req->answer_len, m->type, tag, &failed)
			       : -EIO;
	if (n < 0)
		return n;
	n = copy_answer(m, most, (uint32_t)n);
	if (n || !failed)
		return n;
	return p9_errno(p9_get32(&m->r));
}

int p9_call_send_head(struct p9_call *m, uint32_t r_head)
{
	struct p9_conn *c = m->conn;
	int err = send(m, r_head);

	/* A message of an old session that the next one was given: that it fails says nothing. */
	if (err && err != -EINTR &&
	    (m->session != atomic_load(&c->session) ||
	     atomic_load(&c->link_session) != p9link_session(c->link)))
		return -EIO;
	return err;
}

int p9_call_send(struct p9_call *m)
{
	return p9_call_send_head(m, UINT32_MAX);
}

const void *p9_call_data(const struct p9_call *m, uint32_t r_head)
{
	return m->req->r + P9_HEADER + r_head;
}

void p9_call_end(struct p9_call *m)
{
	if (m->copy != m->small)
		rt_free(m->copy);
	if (m->req)
		p9link_put(m->conn->link, m->req);
	m->copy = NULL;
	m->req = NULL;
}

/* -- sessions ------------------------------------------------------------------------------ */

static int send_version(struct p9_conn *c)
{
	struct p9_call m;
	const char *version;
	uint32_t n;
	int err = begin(&m, c, P9_TVERSION, 4 + p9_string_size(VERSION), 64);

	if (!err) {
		p9_put32(&m.t, c->asked_msize);
		p9_put_string(&m.t, VERSION);
		err = send(&m, UINT32_MAX);
	}
	if (!err) {
		c->msize = p9_get32(&m.r);
		version = p9_get_string(&m.r, &n);
		if (m.r.bad || c->msize < P9_MSIZE_MIN || c->msize > c->asked_msize)
			err = -EIO;
		else if (n != strlen(VERSION) || memcmp(version, VERSION, n))
			err = -EREMOTEIO; /* what Linux says of a protocol it does not speak */
	}
	p9_call_end(&m);
	c->io_max = c->msize - P9_IO_HEADER;
	if (c->io_max > K_PAGE_SIZE)
		c->io_max = ALIGN_DOWN(c->io_max, (uint32_t)K_PAGE_SIZE);
	return err;
}

static int send_attach(struct p9_conn *c, struct p9_fid *root, struct p9_qid *qid)
{
	const char *uname = c->uname ? c->uname : "nobody", *aname = c->aname ? c->aname : "";
	struct p9_call m;
	int err = begin(&m, c, P9_TATTACH, 12 + p9_string_size(uname) + p9_string_size(aname),
			P9_QID_SIZE);

	if (!err) {
		p9_put32(&m.t, root->number);
		p9_put32(&m.t, P9_NOFID);
		p9_put_string(&m.t, uname);
		p9_put_string(&m.t, aname);
		p9_put32(&m.t, c->n_uname);
		err = send(&m, UINT32_MAX);
	}
	if (!err) {
		*qid = p9_get_qid(&m.r);
		err = m.r.bad || !(qid->type & P9_QID_DIR) ? -EIO : 0;
	}
	p9_call_end(&m);
	return err;
}

/* The session lock is held. */
static int begin_session(struct p9_conn *c, uint32_t link_session)
{
	struct p9_fid *root, *old;
	struct p9_qid qid;
	int err = send_version(c);

	if (err)
		return err;
	rt_mutex_lock(&c->lock);
	atomic_store(&c->link_session, link_session);
	atomic_fetch_add(&c->session, 1);
	old = c->root;
	c->root = NULL;
	rt_mutex_unlock(&c->lock);
	p9_fid_put(old);
	root = p9_fid_new(c);
	if (!root)
		return -ENOMEM;
	err = send_attach(c, root, &qid);
	if (!err && c->root_qid.type && c->root_qid.path != qid.path)
		err = -EIO; /* another directory: ours is gone */
	if (err) {
		p9_fid_put(root);
		return err;
	}
	rt_mutex_lock(&c->lock);
	c->root = root;
	c->root_qid = qid;
	rt_mutex_unlock(&c->lock);
	return 0;
}

static bool has_session(struct p9_conn *c)
{
	bool yes;

	rt_mutex_lock(&c->lock);
	yes = c->root && atomic_load(&c->link_session) == p9link_session(c->link);
	rt_mutex_unlock(&c->lock);
	return yes;
}

int p9_session_check(struct p9_conn *c)
{
	int err = 0;

	if (has_session(c))
		return 0;
	rt_mutex_lock(&c->session_lock);
	if (!has_session(c))
		err = begin_session(c, p9link_session(c->link));
	rt_mutex_unlock(&c->session_lock);
	return err;
}
