/* SPDX-License-Identifier: MIT */
/* Network cards of drivers behind links (link/net.h) as network devices. */
#pragma once

struct link;

/*
 * Make the card behind @link a device of the first network namespace, eth<index of the link>: sleeps
 * until its driver is ready.  The link belongs to it, also if that fails, which the log says.
 */
void lx_link_dev_add(struct link *link);
