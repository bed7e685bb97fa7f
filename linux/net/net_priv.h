/* SPDX-License-Identifier: MIT */
/*
 * Sockets: what the system calls (socket.c, msg.c, sockopt.c) and a family (unix.c) have in common.
 */
#pragma once

#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/socket.h>

#include "lx/file.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/net.h"
#include "lx/netns.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"

/* sys/socket.h: not in the UAPI headers. */
enum { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET };
#define SOCK_TYPE_MASK	0xfu
#define SOCK_CLOEXEC	((unsigned int)O_CLOEXEC)
#define SOCK_NONBLOCK	((unsigned int)O_NONBLOCK)

enum { SHUT_RD, SHUT_WR, SHUT_RDWR };
#define SHUTDOWN_RECV	1u
#define SHUTDOWN_SEND	2u
#define SHUTDOWN_BOTH	3u

#define MSG_OOB		0x1u
#define MSG_PEEK	0x2u
#define MSG_DONTROUTE	0x4u
#define MSG_CTRUNC	0x8u
#define MSG_PROBE	0x10u
#define MSG_TRUNC	0x20u
#define MSG_DONTWAIT	0x40u
#define MSG_EOR		0x80u
#define MSG_WAITALL	0x100u
#define MSG_CONFIRM	0x800u
#define MSG_NOSIGNAL	0x4000u
#define MSG_MORE	0x8000u
#define MSG_WAITFORONE	0x10000u
#define MSG_ERRQUEUE	0x2000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define MSG_CMSG_COMPAT	0x80000000u

#define AF_UNSPEC	0
#define AF_UNIX		1
#define AF_INET		2
#define AF_NETLINK	16
#define AF_PACKET	17
#define AF_MAX		46
#define SOMAXCONN	4096

#define SOL_PACKET	263
#define SOL_NETLINK	270

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS	2
#define SCM_MAX_FD	253u

struct net_cmsghdr { uint64_t len; int level, type; };
struct net_ucred { int pid; uint32_t uid, gid; };
/* struct msghdr of the program. */
struct net_msghdr {
	uint64_t name;
	int namelen, pad0;
	uint64_t iov, iovlen;
	uint64_t control, controllen;
	uint32_t flags, pad1;
};
#define NET_NAME_MAX	128		/* struct sockaddr_storage */

/* Files on their way: SCM_RIGHTS. */
struct scm_files {
	unsigned int nr;
	struct lx_file *file[];		/* references */
};

struct scm {
	struct net_ucred creds;
	bool has_creds;
	struct scm_files *files;	/* or NULL; owned */
};

/* What comes with received bytes besides: a control message of a few bytes. */
struct net_cmsg {
	int level, type;
	uint32_t len;
	uint8_t data[48];
};
#define NET_CMSGS_MAX	8

struct net_msg {
	struct lx_iter *iter;		/* the bytes; advanced */
	uint8_t name[NET_NAME_MAX];	/* in: destination; out: source */
	int namelen;			/* 0: none */
	unsigned int flags;		/* MSG_*; MSG_DONTWAIT also for O_NONBLOCK */
	unsigned int out_flags;		/* recv: what msg_flags reports */
	struct scm scm;
	uaddr_t control;		/* send: control messages, of AF_INET: it reads them itself */
	uint64_t controllen;		/* the same; 0: none */
	bool want_name;			/* recv */
	uint8_t nr_cmsgs;		/* recv */
	struct net_cmsg cmsg[NET_CMSGS_MAX];
};

/* An empty message: no name and no control data (whose bytes stay undefined). */
static inline void net_msg_init(struct net_msg *m, struct lx_iter *iter, unsigned int flags)
{
	m->iter = iter;
	m->namelen = 0;
	m->flags = flags;
	m->out_flags = 0;
	m->scm = (struct scm){ .files = NULL };
	m->controllen = 0;
	m->want_name = false;
	m->nr_cmsgs = 0;
}

/* recv: a control message, if there is room for one more (of at most 48 bytes). */
static inline void net_msg_add(struct net_msg *m, int level, int type, const void *data, uint32_t len)
{
	struct net_cmsg *c = &m->cmsg[m->nr_cmsgs];

	if (m->nr_cmsgs == NET_CMSGS_MAX || len > sizeof(c->data))
		return;
	c->level = level;
	c->type = type;
	c->len = len;
	memcpy(c->data, data, len);
	m->nr_cmsgs++;
}

struct lx_socket;

struct lx_socket_ops {
	int (*bind)(struct lx_socket *s, const uint8_t *addr, int len);
	int (*connect)(struct lx_socket *s, const uint8_t *addr, int len, bool nonblock);
	int (*listen)(struct lx_socket *s, int backlog);
	/* A connected socket, owned by the caller. */
	int (*accept)(struct lx_socket *s, bool nonblock, struct lx_socket **out);
	/* Own or the peer's address into @addr (NET_NAME_MAX): its length, or -ENOTCONN. */
	int (*getname)(struct lx_socket *s, uint8_t *addr, bool peer);
	int64_t (*send)(struct lx_socket *s, struct net_msg *m);
	int64_t (*recv)(struct lx_socket *s, struct net_msg *m);
	int (*shutdown)(struct lx_socket *s, unsigned int how);	/* SHUTDOWN_* */
	uint32_t (*poll)(struct lx_socket *s, struct lx_file *f, struct lx_poll *p);
	long (*ioctl)(struct lx_socket *s, unsigned int cmd, uint64_t arg);
	/*
	 * Options that the common code does not know, of any level; -ENOPROTOOPT, or -EOPNOTSUPP where
	 * the family has no levels of its own.  getopt: @buf has SOCKET_OPTION_MAX bytes, and *@len is the program's room
	 * at first.  setopt may be NULL.
	 */
	int (*getopt)(struct lx_socket *s, int level, int name, void *buf, int *len);
	int (*setopt)(struct lx_socket *s, int level, int name, uaddr_t value, int length);
	void (*option_set)(struct lx_socket *s, int name);	/* of SOL_SOCKET, by the common code; or NULL */
	void (*attach)(struct lx_socket *s, struct lx_file *f);	/* the file is there */
	void (*release)(struct lx_socket *s);	/* the file went */
};

struct lx_socket {
	/* Constant. */
	const struct lx_socket_ops *ops;
	int family, type, protocol;
	struct lx_netns *ns;		/* a reference: the maker's; NULL only on the host */

	/* Options; each is one word, written by setsockopt, read at any time. */
	_Atomic(uint32_t) options;	/* SOCKET_* */
	_Atomic(int32_t) sndbuf, rcvbuf, rcvlowat, priority, mark;
	_Atomic(int32_t) peek_off;	/* SO_PEEK_OFF: where MSG_PEEK begins and goes on; negative: at the start */
	_Atomic(uint64_t) rcvtimeo_ns, sndtimeo_ns;	/* 0: for ever */
	struct { int onoff, seconds; } linger;
	_Atomic(int) timestamp;		/* SO_TIMESTAMP* that is on, or 0 */
	_Atomic(int) error;		/* SO_ERROR: a positive errno, taken by the next call */
};

#define SOCKET_OPTION_MAX	256	/* bytes of an option's value */

#define SOCKET_BUF_DEFAULT	212992
#define SOCKET_BUF_MAX		212992		/* net.core.{r,w}mem_max */

#define SOCKET_PASSCRED		(1u << 0)
#define SOCKET_LISTENING	(1u << 1)
#define SOCKET_RXQ_OVFL		(1u << 2)	/* received messages come with the count of dropped ones */
#define SOCKET_FILTER_LOCKED	(1u << 3)
#define SOCKET_FLAG(so_name)	(1u << (8 + (so_name)))	/* plain on/off options below 24 */

void socket_init(struct lx_socket *s, const struct lx_socket_ops *ops, int family, int type,
		 int protocol);
/* The same in a given namespace, by any thread. */
void socket_init_in(struct lx_socket *s, struct lx_netns *ns, const struct lx_socket_ops *ops,
		    int family, int type, int protocol);
/* The end of a socket: what socket_init() took is given back.  Not the memory. */
void socket_fini(struct lx_socket *s);
static inline bool socket_has(struct lx_socket *s, uint32_t option)
{
	return atomic_load_explicit(&s->options, memory_order_relaxed) & option;
}

/* The deadline of a call that began now. */
static inline uint64_t socket_deadline(uint64_t timeo_ns)
{
	return timeo_ns ? rt_now_ns() + timeo_ns : K_DEADLINE_NEVER;
}

/* What a wait that ended with @err means to the call: signals restart only without timeout. */
static inline int socket_wait_errno(int err, uint64_t deadline)
{
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	if (err == -LX_ERESTARTSYS && deadline != K_DEADLINE_NEVER)
		return -EINTR;
	return err;
}

/* How many bytes a receive with @flags passes over (SO_PEEK_OFF). */
static inline uint32_t socket_peek_skip(struct lx_socket *s, unsigned int flags)
{
	int32_t off = atomic_load_explicit(&s->peek_off, memory_order_relaxed);

	return flags & MSG_PEEK && off > 0 ? (uint32_t)off : 0;
}

/* @n bytes were looked at, or taken: the next MSG_PEEK begins behind them, or at the same byte. */
void socket_peek_moved(struct lx_socket *s, unsigned int flags, int64_t n);

/* A pending error, taken: negative, or 0. */
static inline int socket_take_error(struct lx_socket *s)
{
	if (!atomic_load_explicit(&s->error, memory_order_relaxed))
		return 0;
	return -atomic_exchange(&s->error, 0);
}

/* -- socket.c */
/* The file of @fd with a reference, and its socket; NULL: *@err is -EBADF or -ENOTSOCK. */
struct lx_file *socket_get(struct lx_task *self, int fd, struct lx_socket **s, int *err);
/* @len bytes at @from, zeros behind them.  -EINVAL (@len), -EFAULT. */
int socket_load_address(uint8_t addr[NET_NAME_MAX], uaddr_t from, int len);
/* As much as the program has room for at @to (in *@ulen), and how long it really is (to *@ulen). */
int socket_store_address(const uint8_t *addr, int len, uaddr_t to, uaddr_t ulen);

static inline bool socket_is_nonblock(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

/* -- scm.c */
/* Read the control messages of a sendmsg(2): files and credentials. */
int scm_load(struct lx_task *self, struct scm *scm, uaddr_t control, uint64_t length);
void scm_creds_self(struct lx_task *self, struct scm *scm);
/* Hand over what was received; returns the bytes of control data written, adds to *@flags. */
uint64_t scm_store(struct lx_task *self, struct net_msg *m, bool passcred, uaddr_t control,
		   uint64_t length, unsigned int *flags);
struct scm_files *scm_files_copy(const struct scm_files *files);
void scm_files_free(struct scm_files *files);

/* -- sockopt.c */
/* Tell the receiver of a message when it came (real time; 0: now), if SO_TIMESTAMP* is on. */
void socket_add_timestamp(struct lx_socket *s, struct net_msg *m, uint64_t arrival_ns);

/* -- netdev_ioctl.c: netdevice(7), on any socket; -ENOTTY: it is no such request. */
long netdev_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg);

/* -- families */
int inet_socket_create(int type, int protocol, struct lx_socket **out);
int netlink_create(int type, int protocol, struct lx_socket **out);
int packet_create(int type, int protocol, struct lx_socket **out);
int unix_create(int type, int protocol, struct lx_socket **out);
int unix_pair(struct lx_socket *a, struct lx_socket *b);
/* The socket behind @f, or NULL. */
struct lx_socket *socket_of(struct lx_file *f);
