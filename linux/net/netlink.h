/* SPDX-License-Identifier: MIT */
/*
 * Netlink (netlink(7)): what its files share.  netlink.c has sockets and their queues, netlink_request.c
 * what programs ask for; rtnetlink*.c answer for NETLINK_ROUTE.
 */
#pragma once

#include <linux/netlink.h>

#include "net/net_priv.h"
#include "net/netdev_priv.h"

/* One message of a queue: headers and attributes one behind the other, as read by one recvmsg(2). */
struct netlink_msg {
	struct list link;		/* of the queue it is in */
	uint32_t group;			/* it was sent to; 0: to one socket */
	uint32_t size, len;		/* of data: room, and bytes */
	bool is_full;			/* something did not fit, and was left out */
	uint8_t data[] __attribute__((aligned(8)));
};

#define NETLINK_MSG_SIZE	7936u	/* of an answer's data at most; with its header one object of the heap */

#define NETLINK_FILTER	4u

struct netlink_sock;

/* A list on its way to a program: fill() is called for each message of it. */
struct netlink_dump {
	/* Put more into @m, nothing if there is no more; dump->state is its own. */
	void (*fill)(struct netlink_dump *dump, struct netlink_msg *m);
	struct lx_netns *ns;
	uint32_t seq, portid;		/* of the request */
	int state;
	uint32_t filter[NETLINK_FILTER];	/* its own, from the request; zeros */
};

struct netlink_sock {
	struct lx_socket base;		/* first */
	struct lx_waitq wait;

	/* ns->netlink->lock to write, read at any time */
	_Atomic(uint32_t) portid;	/* 0: none yet */
	_Atomic(uint64_t) groups;	/* bit 0: group 1 */
	struct list ns_link;		/* the same lock */

	_Atomic(uint32_t) netlink_options;	/* BIT(NETLINK_*) */
	_Atomic(uint32_t) peer_portid, peer_groups;	/* connect(2) */

	/* One request of a socket at a time; held over what it does.  Rank LX_LOCK_NETLINK_REQUEST. */
	struct rt_mutex request_lock;
	struct netlink_dump dump;	/* request_lock */
	_Atomic(bool) is_dumping;	/* the same to write */

	struct rt_mutex lock;		/* rank LX_LOCK_NETLINK */
	struct list queue;		/* lock: of netlink_msg.link */
	_Atomic(uint32_t) rmem;		/* lock to write: bytes in queue */
};

/* Of a namespace, from its first netlink socket on: ns->netlink. */
struct netlink_ns {
	struct rt_mutex lock;		/* rank LX_LOCK_NETLINK_TABLE */
	struct list sockets;		/* lock */
	uint32_t next_portid;		/* lock: tried for a socket whose process's number is in use */
	struct lx_netdev_listener listener;
};

static inline struct netlink_sock *netlink_of(struct lx_socket *s)
{
	return container_of(s, struct netlink_sock, base);
}

static inline bool netlink_has(struct netlink_sock *nl, unsigned int option)
{
	return atomic_load_explicit(&nl->netlink_options, memory_order_relaxed) & BIT(option);
}

/* -- netlink.c */
/* Give the socket a port, if it has none.  0. */
int netlink_autobind(struct netlink_sock *nl);
/* Into the socket's queue: takes @m over.  Full: it is lost, and the reader hears of it (ENOBUFS). */
void netlink_queue(struct netlink_sock *nl, struct netlink_msg *m);
/* A copy for each socket of the group.  config_lock of the namespace held. */
void netlink_multicast(struct lx_netns *ns, uint32_t group, const struct netlink_msg *m);

/* -- netlink_request.c */
int64_t netlink_send(struct lx_socket *s, struct net_msg *m);
/* The next part of a list, if there is one and the reader has room for it. */
void netlink_dump_more(struct netlink_sock *nl);

/* Building messages: what does not fit sets is_full, and is left out. */
struct netlink_msg *netlink_msg_alloc(uint32_t size);	/* NULL: no memory */
/* A header and @n bytes of zeros behind it: where those are, or NULL. */
void *netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, uint32_t seq,
		    uint32_t portid, uint32_t n);
void netlink_put(struct netlink_msg *m, uint16_t type, const void *data, uint32_t n);
void netlink_put_u8(struct netlink_msg *m, uint16_t type, uint8_t v);
void netlink_put_u32(struct netlink_msg *m, uint16_t type, uint32_t v);
void netlink_put_string(struct netlink_msg *m, uint16_t type, const char *s);
/* The end of what began at byte @start; false: it did not fit, and there is nothing of it. */
bool netlink_end(struct netlink_msg *m, uint32_t start);

struct netlink_request {
	struct netlink_sock *nl;
	struct lx_netns *ns;
	const struct nlmsghdr *h;
	const uint8_t *payload;		/* aligned to 4 */
	uint32_t len;			/* of the payload */
};
/* Send a list to the program: 1, which says that it is its own answer; or -EBUSY. */
int netlink_start_dump(const struct netlink_request *r,
		       void (*fill)(struct netlink_dump *dump, struct netlink_msg *m));
/* The same, with what fill() is to know of the request. */
int netlink_start_dump_of(const struct netlink_request *r,
			  void (*fill)(struct netlink_dump *dump, struct netlink_msg *m),
			  const uint32_t filter[NETLINK_FILTER]);

/* -- rtnetlink.c */
/* 0 and negative errors are answered by an acknowledgement. */
int rtnetlink_request(const struct netlink_request *r);
void rtnetlink_device_event(struct lx_netdev_listener *l, struct lx_netdev *dev, enum lx_netdev_event e);

/* -- rtnetlink_link.c */
int rtnetlink_get_link(const struct netlink_request *r);
int rtnetlink_dump_links(const struct netlink_request *r);
int rtnetlink_set_link(const struct netlink_request *r);	/* RTM_NEWLINK, RTM_SETLINK */
int rtnetlink_del_link(const struct netlink_request *r);
