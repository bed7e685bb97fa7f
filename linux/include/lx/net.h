/* SPDX-License-Identifier: MIT */
/* Sockets as the rest of the personality sees them. */
#pragma once

#include "lx/types.h"

/* /proc/net/unix: the line of the n-th socket, false after the last. */
bool lx_unix_show(unsigned int n, char *buf, size_t size);
