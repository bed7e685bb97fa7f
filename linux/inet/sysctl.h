/* SPDX-License-Identifier: MIT */
#pragma once

/* Start of the system: /proc/sys/net/ipv4.  0 or -ENOMEM. */
int inet_sysctl_init(void);
/* The files of TCP (tcp/sysctl.c), the same. */
int tcp_sysctl_init(void);
