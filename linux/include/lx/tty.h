/* SPDX-License-Identifier: MIT */
/*
 * Terminals as the rest of the personality sees them.
 *
 * A terminal is somebody's controlling terminal if its session is theirs: the
 * tty knows the session, the session does not know the tty.  So fork, setsid and
 * exec have nothing to do.
 */
#pragma once

#include "lx/types.h"

/* Devices, driver tables; before the first link arrives. */
int lx_tty_init(void);

/* A session leader exits: SIGHUP and SIGCONT to the foreground, the terminal is free again. */
void lx_tty_session_exit(lx_pid_t sid);

/* The controlling terminal of a session: its device number and foreground group.  False: none. */
bool lx_tty_of_session(lx_pid_t sid, lx_dev_t *dev, lx_pid_t *pgrp);

/* The console that /dev/console means, from the last console= of the command line; see console.c. */
void lx_console_setup(const char *command_line);

/*
 * Has the console that the command line asks for arrived?  Whoever starts the
 * first program waits for it, or for LINUX_SETTLED.
 */
bool lx_console_ready(void);

/* The machine is about to stop: give consoles a moment to send what was written. */
void lx_console_drain(void);

/* A LINUX_LINK message with a console: @handles belong to us afterwards. */
struct linux_link;
void lx_console_link(const struct linux_link *link, const k_handle_t *handles);
