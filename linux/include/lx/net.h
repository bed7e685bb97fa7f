/* SPDX-License-Identifier: MIT */
/* Sockets as the rest of the personality sees them. */
#pragma once

#include "lx/types.h"

/* /proc/net/unix: the line of the n-th socket, false after the last. */
bool lx_unix_show(unsigned int n, char *buf, size_t size);

/* /proc/net/dev and /proc/net/packet of a namespace. */
struct pseudo_buf;
void lx_net_show_devices(struct lx_netns *ns, struct pseudo_buf *b);
void lx_net_show_packet_sockets(struct lx_netns *ns, struct pseudo_buf *b);

/* read(2) of a socket without waiting, whatever its flags say: bytes, 0, -EAGAIN... */
int64_t lx_socket_read_nonblock(struct lx_file *f, struct lx_iter *to);
