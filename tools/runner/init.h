/* SPDX-License-Identifier: MIT */
/* What the parts of concord-init offer each other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Say something on the console, as "concord-init: ...". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The value of the last `NAME=value` word, or "" for a bare `NAME`, of the
 * kernel command line; NULL when there is none.  The string is never freed.
 */
const char *cmdline_value(const char *name);

/* Call @use with the value of every `NAME=value` word, in order. */
void cmdline_each(const char *name, void (*use)(char *value));

/* Mount what every program expects, name the machine.  Failures are complaints. */
void system_setup(void);

/* Mount what `concord.mount=DEVICE:TYPE:DIRECTORY` words ask for, read-only. */
void system_mounts(void);

/*
 * Set the network up as an `ip=` word asks for it (network.c); without one nothing happens.
 * Failures are complaints.
 */
void network_setup(void);

/*
 * Switch the machine off as a distribution's init does: end what runs, unmount the file systems
 * on disks or make them read-only, so that there is no journal to replay the next time.  Returns
 * only if that is not allowed.
 */
void system_power_off(void);

/* Open the host's port, waiting for it to appear.  A descriptor, or -1. */
int runner_port_open(int timeout_ms);

/* Serve commands from the host; returns only if the port is a socket whose peer has closed it. */
void runner_serve(int port);

/* A root shell with job control on the console; returns when it has ended. */
void console_shell(void);
