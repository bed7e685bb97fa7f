/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX: what its files share.  unix.c has names, connections and life;
 * unix_send.c and unix_recv.c messages, unix_poll.c; unix_gc.c files in flight.
 */
#pragma once

#include "net_priv.h"
#include "lx/fs.h"

#define UNIX_PATH_MAX	108
#define UNIX_NAME_OFFSET 2		/* of sun_path in struct sockaddr_un */
#define UNIX_DGRAM_QLEN	10		/* net.unix.max_dgram_qlen */

enum unix_state { UNIX_UNCONNECTED, UNIX_LISTENING, UNIX_CONNECTED };

/* A name: bytes of a struct sockaddr_un.  Immutable, shared by accepted sockets. */
struct unix_addr {
	_Atomic(uint32_t) refs;
	int len;			/* of the sockaddr_un, family included */
	uint8_t sun[UNIX_NAME_OFFSET + UNIX_PATH_MAX + 1];
};

struct unix_sock {
	struct lx_socket base;		/* first */
	_Atomic(uint32_t) refs;		/* the file's, the peer's, messages', embryo queue's */

	struct lx_waitq wait;		/* readers, writers, acceptors, pollers */
	struct lx_waitq peer_wait;	/* others wait for room in our queue */
	_Atomic(uint32_t) wmem;		/* bytes of ours that wait in others' queues */
	_Atomic(bool) nospace;		/* somebody found no room to send: O_ASYNC tells when there is */

	struct rt_mutex lock;		/* rank LX_LOCK_SOCKET; two: address order */
	enum unix_state state;
	unsigned int shutdown;		/* SHUTDOWN_* */
	bool dead;			/* the file went */
	struct unix_sock *peer;		/* a reference; once set only DGRAM's changes before release */
	struct unix_addr *addr;		/* a reference, or NULL; set once */
	struct list queue;		/* of unix_msg.link, oldest first */
	unsigned int queued;		/* messages, or connections to accept */
	int backlog;			/* queued may be so many, and one more */
	struct list accept_link;	/* of an embryo: the listener's lock */
	struct list embryos;		/* of accept_link: connections not yet accepted */
	struct net_ucred peer_creds;	/* SO_PEERCRED; a listener's are its own */
	bool peer_creds_valid;
	/* DGRAM: our place in peer->peer_wait, while pollers wait for its room. */
	bool relaying;
	struct lx_wait_entry relay;
	struct unix_sock *relay_to;	/* whose queue: a reference */
	struct rt_mutex bind_lock;	/* rank LX_LOCK_UNIX_BIND: bind and autobind, one at a time */

	/* names_lock (unix.c) */
	struct hlist_node name_link;	/* abstract */
	struct list all_link;
	struct lx_path path;		/* references, or empty: bound in a file system */

	/* gc_lock (unix_gc.c) */
	struct lx_file *file;		/* no reference; NULL until it has one, and after release */
	unsigned int inflight;		/* references to our file in messages */
	struct list inflight_link;
	bool gc_candidate, gc_maybe_cycle;
};

struct unix_msg {
	struct list link;		/* receiver's lock */
	struct unix_sock *sender;	/* a reference */
	uint32_t len, offset;		/* bytes from offset on are unread */
	uint32_t charge;		/* in sender->wmem */
	struct net_ucred creds;
	struct scm_files *files;	/* or NULL; counted in flight */
	uint8_t data[];
};

/* What a message costs besides its bytes: about what Linux charges, programs fill buffers by it. */
#define UNIX_MSG_OVERHEAD 576u

static inline struct unix_sock *unix_of(struct lx_socket *s)
{
	return container_of(s, struct unix_sock, base);
}

static inline bool unix_is_stream(const struct unix_sock *u)
{
	return u->base.type == SOCK_STREAM;
}

/* STREAM and SEQPACKET are connected for life. */
static inline bool unix_is_connection(const struct unix_sock *u)
{
	return u->base.type != SOCK_DGRAM;
}

struct unix_sock *unix_get(struct unix_sock *u);
void unix_put(struct unix_sock *u);
void unix_lock_two(struct unix_sock *a, struct unix_sock *b);
/* The peer with a reference, or NULL. */
struct unix_sock *unix_peer_get(struct unix_sock *u);
/* The socket that an address names for @from, with a reference; @type must match. */
int unix_find(struct unix_sock *from, const uint8_t *addr, int len, int type,
	      struct unix_sock **out);
/* Give an unbound socket an abstract name of five hexadecimal digits. */
int unix_autobind(struct unix_sock *u);
/* Sleep on @wq with @u unlocked meanwhile: 0, -EAGAIN, -LX_ERESTARTSYS, -EINTR. */
int unix_sleep(struct unix_sock *u, struct lx_waitq *wq, uint64_t deadline, bool exclusive);
bool unix_queue_full(const struct unix_sock *u);	/* @u locked, or a hint */
void unix_relay_stop(struct unix_sock *u);		/* @u not locked */
int unix_copy_name(struct unix_sock *u, uint8_t *addr);

static inline bool unix_is_writable(struct unix_sock *u)
{
	return atomic_load(&u->wmem) * 4ull <= (uint64_t)atomic_load(&u->base.sndbuf);
}

static inline uint32_t unix_msg_unread(const struct unix_msg *msg)
{
	return msg->len - msg->offset;
}

/* -- unix_send.c, unix_recv.c, unix_poll.c */
int64_t unix_send(struct lx_socket *s, struct net_msg *m);
int64_t unix_recv(struct lx_socket *s, struct net_msg *m);
uint32_t unix_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p);
long unix_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg);
/* Free a message that is in no queue; its files are put (later, if many nest). */
void unix_msg_free(struct unix_msg *msg);

/* -- unix_gc.c */
/* Files are about to be queued: 0 or -ETOOMANYREFS. */
int unix_inflight_add(struct scm_files *files);
/* They came out of a queue; the references are the caller's now. */
void unix_inflight_remove(struct scm_files *files);
void unix_gc(void);			/* free what only messages in cycles refer to */
void unix_gc_maybe(void);		/* a socket was closed, or much is in flight */
void unix_file_set(struct unix_sock *u, struct lx_file *f);
struct unix_sock *unix_sock_of_file(struct lx_file *f);
/* Put the files of messages without nesting deeper than once. */
void unix_dispose(struct scm_files *files);
