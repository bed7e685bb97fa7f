/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX sockets: names, connections, life.
 *
 * States of a STREAM or SEQPACKET socket:
 *
 *	UNCONNECTED --listen--> LISTENING
 *	UNCONNECTED --connect, pair, or made by a connect of somebody--> CONNECTED
 *
 * connect() makes the other end at once: an embryo, already connected, that waits
 * in the listener's list until accept() gives it a file.  A DGRAM socket is
 * UNCONNECTED or CONNECTED (it has a default destination) and may change.
 *
 * References keep the memory; `dead` says that the socket is closed.  Peers hold
 * references to each other, which release drops on its side.
 *
 * Names: paths are found through inode->unix_socket, abstract ones in a hash
 * table, both under names_lock, which is a leaf; a socket leaves them before its
 * last reference goes, so that what is found there can be referenced.
 *
 * Order: bind_lock, unix_gc's lock, socket locks by address, names_lock.
 */

#include <asm/poll.h>
#include <linux/stat.h>

#include "base/format.h"
#include "base/hash.h"
#include "unix_priv.h"
#include "lx/cred.h"
#include "lx/fs.h"
#include "rt/random.h"

#define NAME_BUCKETS	64

static struct rt_mutex names_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct hlist abstract_names[NAME_BUCKETS];	/* names_lock */
static struct list all_sockets = LIST_INIT(all_sockets);	/* names_lock */

static const struct lx_socket_ops unix_ops;

/* -- references ---------------------------------------------------------------------------------- */

static struct unix_addr *addr_get(struct unix_addr *a)
{
	if (a)
		atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

static void addr_put(struct unix_addr *a)
{
	if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
		rt_free(a);
}

struct unix_sock *unix_get(struct unix_sock *u)
{
	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void unix_put(struct unix_sock *u)
{
	if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
		return;
	addr_put(u->addr);
	socket_fini(&u->base);
	rt_free(u);
}

void unix_lock_two(struct unix_sock *a, struct unix_sock *b)
{
	rt_mutex_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		rt_mutex_lock_nested(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct unix_sock *a, struct unix_sock *b)
{
	rt_mutex_unlock(&a->lock);
	if (a != b)
		rt_mutex_unlock(&b->lock);
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
	struct unix_sock *peer;

	rt_mutex_lock(&u->lock);
	peer = u->peer ? unix_get(u->peer) : NULL;
	rt_mutex_unlock(&u->lock);
	return peer;
}

int unix_sleep(struct unix_sock *u, struct lx_waitq *wq, uint64_t deadline, bool exclusive)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err;

	lx_wait_entry_init_once(&entry, self);
	entry.exclusive = exclusive;
	lx_wait_prepare(self);
	lx_waitq_add(wq, &entry);
	rt_mutex_unlock(&u->lock);
	err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	err = lx_wait_finish(wq, &entry, err);
	rt_mutex_lock(&u->lock);
	return socket_wait_errno(err, deadline);
}

/* -- making ------------------------------------------------------------------------------------------ */

static struct unix_sock *sock_new(int type)
{
	struct unix_sock *u = rt_zalloc(sizeof(*u));

	if (!u)
		return NULL;
	socket_init(&u->base, &unix_ops, AF_UNIX, type, 0);
	atomic_init(&u->refs, 1);
	lx_waitq_init(&u->wait);
	lx_waitq_init(&u->peer_wait);
	rt_mutex_init(&u->lock, LX_LOCK_SOCKET);
	rt_mutex_init(&u->bind_lock, LX_LOCK_UNIX_BIND);
	list_init(&u->queue);
	list_init(&u->embryos);
	list_init(&u->accept_link);
	list_init(&u->inflight_link);
	hlist_node_init(&u->name_link);
	u->backlog = UNIX_DGRAM_QLEN;
	rt_mutex_lock(&names_lock);
	list_add_last(&all_sockets, &u->all_link);
	rt_mutex_unlock(&names_lock);
	return u;
}

int unix_create(int type, int protocol, struct lx_socket **out)
{
	struct unix_sock *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	u = sock_new(type);
	if (!u)
		return -ENOMEM;
	*out = &u->base;
	return 0;
}

static struct net_ucred creds_now(void)
{
	struct lx_task *self = lx_self();

	return (struct net_ucred){ self->group->pid, self->cred->euid, self->cred->egid };
}

static void set_peer_creds(struct unix_sock *u, struct net_ucred creds)
{
	u->peer_creds = creds;
	u->peer_creds_valid = true;
}

int unix_pair(struct lx_socket *sa, struct lx_socket *sb)
{
	struct unix_sock *a = unix_of(sa), *b = unix_of(sb);

	unix_lock_two(a, b);
	a->peer = unix_get(b);
	b->peer = unix_get(a);
	set_peer_creds(a, creds_now());
	set_peer_creds(b, creds_now());
	a->state = b->state = UNIX_CONNECTED;
	unlock_two(a, b);
	return 0;
}

/* -- names -------------------------------------------------------------------------------------------- */

static struct hlist *name_bucket(const struct lx_netns *ns, const uint8_t *sun, int len, int type)
{
	uint64_t seed = (uint64_t)(uintptr_t)ns + (uint64_t)type;

	return &abstract_names[hash_bytes(sun, (size_t)len, seed) % NAME_BUCKETS];
}

/* Each network namespace has abstract names of its own: unix(7). */
static struct unix_sock *abstract_find(const struct lx_netns *ns, const uint8_t *sun, int len, int type)
{
	struct unix_sock *u;

	hlist_for_each_entry(u, name_bucket(ns, sun, len, type), name_link)
		if (u->base.ns == ns && u->base.type == type && u->addr->len == len &&
		    !memcmp(u->addr->sun, sun, (size_t)len))
			return u;
	return NULL;
}

/* A checked address: family, length; *@len leaves out what follows a path's NUL. */
static int check_address(uint8_t *addr, int *len)
{
	if (*len <= UNIX_NAME_OFFSET - 1 || *len > UNIX_NAME_OFFSET + UNIX_PATH_MAX)
		return -EINVAL;
	if (*len < UNIX_NAME_OFFSET || (addr[0] | addr[1] << 8) != AF_UNIX)
		return -EINVAL;
	return 0;
}

static struct unix_addr *addr_new(const uint8_t *sun, int len)
{
	struct unix_addr *a = rt_zalloc(sizeof(*a));

	if (!a)
		return NULL;
	atomic_init(&a->refs, 1);
	memcpy(a->sun, sun, (size_t)len);
	a->len = len;
	return a;
}

/* Take the abstract name of @a, whose reference moves in on success; -EADDRINUSE. */
static int abstract_take(struct unix_sock *u, struct unix_addr *a)
{
	int err = -EADDRINUSE;

	rt_mutex_lock(&u->lock);
	rt_mutex_lock(&names_lock);
	if (!abstract_find(u->base.ns, a->sun, a->len, u->base.type)) {
		u->addr = a;
		hlist_add(name_bucket(u->base.ns, a->sun, a->len, u->base.type), &u->name_link);
		err = 0;
	}
	rt_mutex_unlock(&names_lock);
	rt_mutex_unlock(&u->lock);
	return err;
}

int unix_autobind(struct unix_sock *u)
{
	uint8_t sun[UNIX_NAME_OFFSET + 7] = { AF_UNIX, 0, 0 };
	uint32_t number = 0;
	int err = -ENOSPC;

	rt_mutex_lock(&u->bind_lock);
	if (u->addr) {
		rt_mutex_unlock(&u->bind_lock);
		return 0;
	}
	rt_random(&number, sizeof(number));
	for (uint32_t tries = 0; tries < 1u << 20 && err; tries++, number++) {
		struct unix_addr *a;

		scnprintf((char *)sun + UNIX_NAME_OFFSET + 1, 6, "%05x", number & 0xfffff);
		a = addr_new(sun, UNIX_NAME_OFFSET + 6);
		if (!a) {
			err = -ENOMEM;
			break;
		}
		err = abstract_take(u, a);
		if (err)
			addr_put(a);
	}
	rt_mutex_unlock(&u->bind_lock);
	return err;
}

static int bind_path(struct unix_sock *u, const uint8_t *addr, int len)
{
	char name[UNIX_PATH_MAX + 1];
	struct unix_addr *a;
	struct lx_path path;
	int err;

	/* A path need not end with a NUL; the address is as long as it and one. */
	memcpy(name, addr + UNIX_NAME_OFFSET, (size_t)len - UNIX_NAME_OFFSET);
	name[len - UNIX_NAME_OFFSET] = '\0';
	a = addr_new(addr, UNIX_NAME_OFFSET + (int)strlen(name));
	if (!a)
		return -ENOMEM;
	a->len++;			/* the NUL, which is there */
	/* The socket's own mode, 0777, less the umask: mknod(2) takes that off. */
	err = lx_mknod_path(lx_self(), name, S_IFSOCK | 0777, &path);
	if (err) {
		addr_put(a);
		return err == -EEXIST ? -EADDRINUSE : err;
	}
	rt_mutex_lock(&u->lock);
	rt_mutex_lock(&names_lock);
	u->addr = a;
	u->path = path;
	path.dentry->inode->unix_socket = u;
	rt_mutex_unlock(&names_lock);
	rt_mutex_unlock(&u->lock);
	return 0;
}

static int unix_bind(struct lx_socket *s, const uint8_t *given, int len)
{
	struct unix_sock *u = unix_of(s);
	uint8_t addr[NET_NAME_MAX];
	struct unix_addr *a;
	int err;

	memcpy(addr, given, NET_NAME_MAX);
	if (len == UNIX_NAME_OFFSET && (addr[0] | addr[1] << 8) == AF_UNIX)
		return u->addr ? -EINVAL : unix_autobind(u);
	err = check_address(addr, &len);
	if (err)
		return err;
	rt_mutex_lock(&u->bind_lock);
	if (u->addr) {
		err = -EINVAL;
	} else if (addr[UNIX_NAME_OFFSET]) {
		err = bind_path(u, addr, len);
	} else {
		a = addr_new(addr, len);
		err = a ? abstract_take(u, a) : -ENOMEM;
		if (a && err)
			addr_put(a);
	}
	rt_mutex_unlock(&u->bind_lock);
	return err;
}

/* The socket bound to a path; needs write permission on the node. */
static int find_path(struct lx_task *self, const uint8_t *addr, int len, struct unix_sock **out)
{
	char name[UNIX_PATH_MAX + 1];
	struct unix_sock *u = NULL;
	struct lx_inode *inode;
	struct lx_path path;
	int err;

	memcpy(name, addr + UNIX_NAME_OFFSET, (size_t)len - UNIX_NAME_OFFSET);
	name[len - UNIX_NAME_OFFSET] = '\0';
	err = lx_path_at(self, -100 /* AT_FDCWD */, name, LX_LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	inode = path.dentry->inode;
	err = lx_inode_permission(self, inode, 2 /* MAY_WRITE */);
	if (!err) {
		err = -ECONNREFUSED;
		rt_mutex_lock(&names_lock);
		if (S_ISSOCK(inode->mode) && inode->unix_socket) {
			u = unix_get(inode->unix_socket);
			err = 0;
		}
		rt_mutex_unlock(&names_lock);
	}
	lx_path_put(&path);
	*out = u;
	return err;
}

int unix_find(struct unix_sock *from, const uint8_t *given, int len, int type,
	      struct unix_sock **out)
{
	uint8_t addr[NET_NAME_MAX];
	struct unix_sock *u = NULL;
	int err;

	memcpy(addr, given, NET_NAME_MAX);
	err = check_address(addr, &len);
	if (err)
		return err;
	if (len == UNIX_NAME_OFFSET)
		return -ECONNREFUSED;	/* no name: nobody has that */
	if (addr[UNIX_NAME_OFFSET]) {
		err = find_path(lx_self(), addr, len, &u);
		if (err)
			return err;
		if (u->base.type != type) {
			unix_put(u);
			return -EPROTOTYPE;
		}
	} else {
		rt_mutex_lock(&names_lock);
		u = abstract_find(from->base.ns, addr, len, type);
		if (u)
			unix_get(u);
		rt_mutex_unlock(&names_lock);
		if (!u)
			return -ECONNREFUSED;
	}
	*out = u;
	return 0;
}

int unix_copy_name(struct unix_sock *u, uint8_t *addr)
{
	int len = UNIX_NAME_OFFSET;

	rt_mutex_lock(&u->lock);
	if (u->addr) {
		len = u->addr->len;
		memcpy(addr, u->addr->sun, (size_t)len);
	} else {
		addr[0] = AF_UNIX;
		addr[1] = 0;
	}
	rt_mutex_unlock(&u->lock);
	return len;
}

static int unix_getname(struct lx_socket *s, uint8_t *addr, bool peer)
{
	struct unix_sock *u = unix_of(s), *other;
	int len;

	if (!peer)
		return unix_copy_name(u, addr);
	other = unix_peer_get(u);
	if (!other)
		return -ENOTCONN;
	len = unix_copy_name(other, addr);
	unix_put(other);
	return len;
}

/* -- listen, connect, accept ------------------------------------------------------------------------------ */

bool unix_queue_full(const struct unix_sock *u)
{
	return READ_ONCE(u->queued) > (unsigned int)READ_ONCE(u->backlog);
}

static int unix_listen(struct lx_socket *s, int backlog)
{
	struct unix_sock *u = unix_of(s);
	bool more = false;
	int err = 0;

	if (!unix_is_connection(u))
		return -EOPNOTSUPP;
	rt_mutex_lock(&u->lock);
	if (!u->addr || u->state == UNIX_CONNECTED) {
		err = -EINVAL;
	} else {
		more = backlog > u->backlog;
		u->backlog = backlog;
		u->state = UNIX_LISTENING;
		atomic_fetch_or(&u->base.options, SOCKET_LISTENING);
		set_peer_creds(u, creds_now());
	}
	rt_mutex_unlock(&u->lock);
	if (more)
		lx_wake_all(&u->peer_wait);
	return err;
}

/*
 * Join @u and @embryo, which nobody else knows yet, and queue that with
 * @listener.  Both locked.
 */
static void join(struct unix_sock *u, struct unix_sock *listener, struct unix_sock *embryo)
{
	embryo->peer = unix_get(u);
	embryo->state = UNIX_CONNECTED;
	embryo->addr = addr_get(listener->addr);
	embryo->base.options = listener->base.options & SOCKET_PASSCRED;
	set_peer_creds(embryo, creds_now());
	u->peer = unix_get(embryo);
	u->state = UNIX_CONNECTED;
	set_peer_creds(u, listener->peer_creds);
	list_add_last(&listener->embryos, &embryo->accept_link);
	listener->queued++;
}

/* Wait until @listener takes connections again.  It is locked and unlocked here. */
static int wait_for_backlog(struct unix_sock *listener, bool nonblock, uint64_t deadline)
{
	int err = -EAGAIN;

	if (!nonblock)
		err = unix_sleep(listener, &listener->peer_wait, deadline, false);
	rt_mutex_unlock(&listener->lock);
	return err;
}

static int refusal(const struct unix_sock *listener)
{
	if (listener->dead || listener->state != UNIX_LISTENING ||
	    listener->shutdown & SHUTDOWN_RECV)
		return -ECONNREFUSED;
	return 0;
}

static int connect_embryo(struct unix_sock *u, const uint8_t *addr, int len, bool nonblock,
			  struct unix_sock *embryo)
{
	uint64_t deadline = nonblock ? 0 : socket_deadline(u->base.sndtimeo_ns);
	struct unix_sock *listener;
	int err;

	for (;;) {
		err = unix_find(u, addr, len, u->base.type, &listener);
		if (err)
			return err;
		rt_mutex_lock(&listener->lock);
		err = refusal(listener);
		if (!err && unix_queue_full(listener)) {
			err = wait_for_backlog(listener, nonblock, deadline);
			unix_put(listener);
			if (err)
				return err;
			continue;
		}
		rt_mutex_unlock(&listener->lock);
		if (err || listener == u) {
			unix_put(listener);
			return err ? err : -EINVAL;
		}
		unix_lock_two(u, listener);
		err = refusal(listener);
		if (!err && u->state != UNIX_UNCONNECTED)
			err = u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
		if (!err && unix_queue_full(listener)) {
			unlock_two(u, listener);
			unix_put(listener);
			continue;
		}
		if (!err)
			join(u, listener, embryo);
		unlock_two(u, listener);
		if (!err)
			lx_wake(&listener->wait, POLLIN | POLLRDNORM, 1);
		unix_put(listener);
		return err;
	}
}

static int connect_stream(struct unix_sock *u, const uint8_t *addr, int len, bool nonblock)
{
	struct unix_sock *embryo = sock_new(u->base.type);
	int err = 0;

	if (!embryo)
		return -ENOMEM;
	if (socket_has(&u->base, SOCKET_PASSCRED) && !READ_ONCE(u->addr))
		err = unix_autobind(u);
	if (!err)
		err = connect_embryo(u, addr, len, nonblock, embryo);
	if (err)
		embryo->base.ops->release(&embryo->base);
	return err;
}

/* A datagram socket gets another destination, or none (AF_UNSPEC). */
static int connect_dgram(struct unix_sock *u, const uint8_t *addr, int len)
{
	struct unix_sock *other = NULL, *old;
	int err;

	if (len < UNIX_NAME_OFFSET)
		return -EINVAL;
	if ((addr[0] | addr[1] << 8) != AF_UNSPEC) {
		if (socket_has(&u->base, SOCKET_PASSCRED) && !READ_ONCE(u->addr)) {
			err = unix_autobind(u);
			if (err)
				return err;
		}
		err = unix_find(u, addr, len, SOCK_DGRAM, &other);
		if (err)
			return err;
		rt_mutex_lock(&other->lock);
		err = other->dead ? -ECONNREFUSED : 0;
		/* It may have chosen whom to hear. */
		if (!err && other->peer && other->peer != u)
			err = -EPERM;
		rt_mutex_unlock(&other->lock);
		if (err) {
			unix_put(other);
			return err;
		}
	}
	unix_relay_stop(u);
	rt_mutex_lock(&u->lock);
	old = u->peer;
	u->peer = other;
	u->state = other ? UNIX_CONNECTED : UNIX_UNCONNECTED;
	if (other)
		set_peer_creds(u, creds_now());
	rt_mutex_unlock(&u->lock);
	if (old) {
		lx_wake_all(&u->wait);
		unix_put(old);
	}
	return 0;
}

static int unix_connect(struct lx_socket *s, const uint8_t *addr, int len, bool nonblock)
{
	struct unix_sock *u = unix_of(s);

	return unix_is_connection(u) ? connect_stream(u, addr, len, nonblock) :
				       connect_dgram(u, addr, len);
}

static int unix_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out)
{
	struct unix_sock *u = unix_of(s), *embryo;
	uint64_t deadline = nonblock ? 0 : socket_deadline(s->rcvtimeo_ns);
	bool more;
	int err = 0;

	if (!unix_is_connection(u))
		return -EOPNOTSUPP;
	rt_mutex_lock(&u->lock);
	for (;;) {
		embryo = list_pop_entry(&u->embryos, struct unix_sock, accept_link);
		if (embryo)
			break;
		if (u->state != UNIX_LISTENING || u->shutdown & SHUTDOWN_RECV)
			err = -EINVAL;
		else if (nonblock)
			err = -EAGAIN;
		else
			err = unix_sleep(u, &u->wait, deadline, true);
		if (err)
			break;
	}
	if (embryo)
		u->queued--;
	more = !list_is_empty(&u->embryos);
	rt_mutex_unlock(&u->lock);
	/* A wake-up that we did not use, or the next one of several. */
	if (more)
		lx_wake(&u->wait, POLLIN | POLLRDNORM, 1);
	if (!embryo)
		return err;
	lx_wake(&u->peer_wait, 0, 1);
	*out = &embryo->base;
	return 0;
}

/* -- shutdown and release --------------------------------------------------------------------------------------- */

static void wake_state_change(struct unix_sock *u)
{
	lx_wake(&u->wait, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLHUP |
		POLLRDHUP | POLLERR, ~0u);
}

static int unix_shutdown(struct lx_socket *s, unsigned int how)
{
	struct unix_sock *u = unix_of(s), *peer = NULL;
	unsigned int peer_how = 0;

	rt_mutex_lock(&u->lock);
	u->shutdown |= how;
	if (u->peer)
		peer = unix_get(u->peer);
	rt_mutex_unlock(&u->lock);
	wake_state_change(u);
	if (how & SHUTDOWN_RECV)
		lx_wake_all(&u->peer_wait);
	if (!peer)
		return 0;
	if (unix_is_connection(u)) {
		peer_how |= how & SHUTDOWN_RECV ? SHUTDOWN_SEND : 0;
		peer_how |= how & SHUTDOWN_SEND ? SHUTDOWN_RECV : 0;
		rt_mutex_lock(&peer->lock);
		peer->shutdown |= peer_how;
		rt_mutex_unlock(&peer->lock);
		wake_state_change(peer);
	}
	unix_put(peer);
	return 0;
}

/* Nobody finds the socket by a name any more. */
static void forget_names(struct unix_sock *u)
{
	struct lx_path path = { NULL, NULL };

	rt_mutex_lock(&names_lock);
	hlist_remove(&u->name_link);
	list_remove(&u->all_link);
	if (u->path.dentry) {
		path = u->path;
		u->path = (struct lx_path){ NULL, NULL };
		path.dentry->inode->unix_socket = NULL;
	}
	rt_mutex_unlock(&names_lock);
	if (path.dentry)
		lx_path_put(&path);
}

static void tell_peer(struct unix_sock *u, struct unix_sock *peer, bool unread)
{
	if (unix_is_connection(u)) {
		rt_mutex_lock(&peer->lock);
		peer->shutdown = SHUTDOWN_BOTH;
		if (unread)
			atomic_store(&peer->base.error, ECONNRESET);
		rt_mutex_unlock(&peer->lock);
		wake_state_change(peer);
	}
	unix_put(peer);
}

static void release_sock(struct unix_sock *u, bool embryo)
{
	struct list queue, embryos;
	struct unix_sock *peer, *e;
	struct unix_msg *msg;
	bool unread;

	forget_names(u);
	unix_relay_stop(u);
	list_init(&queue);
	list_init(&embryos);
	rt_mutex_lock(&u->lock);
	u->dead = true;
	u->shutdown = SHUTDOWN_BOTH;
	u->state = UNIX_UNCONNECTED;
	peer = u->peer;
	u->peer = NULL;
	unread = embryo || !list_is_empty(&u->queue);
	list_splice_last(&queue, &u->queue);
	list_splice_last(&embryos, &u->embryos);
	u->queued = 0;
	rt_mutex_unlock(&u->lock);
	/* Who waits for room, or polls us through a connection, finds out. */
	lx_wake_all(&u->peer_wait);
	if (peer)
		tell_peer(u, peer, unread);
	while ((msg = list_pop_entry(&queue, struct unix_msg, link)) != NULL)
		unix_msg_free(msg);
	while ((e = list_pop_entry(&embryos, struct unix_sock, accept_link)) != NULL)
		release_sock(e, true);
	unix_put(u);
}

static void unix_release(struct lx_socket *s)
{
	unix_file_set(unix_of(s), NULL);
	release_sock(unix_of(s), false);
	unix_gc_maybe();
}

/* -- options, /proc ------------------------------------------------------------------------------------------------- */

static int unix_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	struct unix_sock *u = unix_of(s);
	struct net_ucred creds = { 0, (uint32_t)-1, (uint32_t)-1 };

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name != SO_PEERCRED)
		return -ENOPROTOOPT;
	rt_mutex_lock(&u->lock);
	if (u->peer_creds_valid)
		creds = u->peer_creds;
	rt_mutex_unlock(&u->lock);
	memcpy(buf, &creds, sizeof(creds));
	*len = sizeof(creds);
	return 0;
}

/* SS_* and flags as /proc/net/unix has them. */
static void show(struct unix_sock *u, char *buf, size_t size)
{
	bool listening = u->state == UNIX_LISTENING;
	uint64_t ino = u->file && u->file->inode ? u->file->inode->ino : 0;
	int n;

	n = scnprintf(buf, size, "%016llx: %08X %08X %08X %04X %02X %5llu",
		      (unsigned long long)0, atomic_load(&u->refs), 0u, listening ? 0x10000u : 0u,
		      (unsigned int)u->base.type, u->state == UNIX_CONNECTED ? 3u : 1u,
		      (unsigned long long)ino);
	if (u->addr && u->addr->len > UNIX_NAME_OFFSET) {
		int i = UNIX_NAME_OFFSET;

		if (u->addr->sun[i])
			n += scnprintf(buf + n, size - (size_t)n, " %s",
				       (const char *)&u->addr->sun[i]);
		else
			n += scnprintf(buf + n, size - (size_t)n, " @%.*s",
				       u->addr->len - i - 1, (const char *)&u->addr->sun[i + 1]);
	}
	scnprintf(buf + n, size - (size_t)n, "\n");
}

bool lx_unix_show(unsigned int n, char *buf, size_t size)
{
	struct unix_sock *u;
	bool found = false;

	rt_mutex_lock(&names_lock);
	list_for_each_entry(u, &all_sockets, all_link) {
		if (n-- == 0) {
			show(u, buf, size);
			found = true;
			break;
		}
	}
	rt_mutex_unlock(&names_lock);
	return found;
}

static void unix_attach(struct lx_socket *s, struct lx_file *f)
{
	unix_file_set(unix_of(s), f);
}

static const struct lx_socket_ops unix_ops = {
	.attach = unix_attach,
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.getname = unix_getname,
	.send = unix_send,
	.recv = unix_recv,
	.shutdown = unix_shutdown,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.getopt = unix_getopt,
	.release = unix_release,
};
