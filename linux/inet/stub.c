/* SPDX-License-Identifier: MIT */
/*
 * What protocols that are not there yet say.  Whoever writes one takes its lines out of here.
 */
#include "inet/socket.h"

/* -- tcp */
const struct inet_protocol tcp_protocol;

int tcp_create(int type, int protocol, struct lx_socket **out)
{
	return -ESOCKTNOSUPPORT;
}

void tcp_entry_free(struct inet_entry *e)
{
}
