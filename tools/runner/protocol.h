/* SPDX-License-Identifier: MIT */
/*
 * The runner protocol: how a host starts programs in a guest.
 *
 * One virtio-serial port, named RUNNER_PORT, carries frames in both directions.
 * A frame is a header of 8 bytes, then `length` bytes of payload; numbers are
 * little endian.  The host side is tools/concord/runner.py.
 *
 *   guest: HELLO                                   once, when the port is open
 *   host:  START  argv, environment, directory     one command at a time
 *   guest: STARTED                                 the program is running
 *   host:  STDIN*, STDIN_EOF                       at most RUNNER_WINDOW unacknowledged
 *   guest: STDIN_ACK, STDOUT*, STDERR*             in any order
 *   guest: EXIT                                    after the last STDOUT and STDERR
 *
 * After EXIT the host may START another command.  EXIT comes when the program
 * itself has ended and what it wrote has been sent; processes that it left
 * behind do not delay it, and what they write later is dropped.
 *
 * Flow control: output stops at the port (a host that does not read blocks the
 * guest's writes, and the program's pipes fill up).  Input cannot work that
 * way, because the runner has to read the port to see KILL: so the host keeps
 * at most RUNNER_WINDOW bytes in flight, and the guest acknowledges what the
 * program's pipe has taken.
 *
 * A frame that breaks these rules is answered by ERROR and ends the runner:
 * both ends are ours, and a disagreement between them must not look like a
 * result of the program.
 */
#pragma once

#include <stdint.h>

#define RUNNER_PORT	"concord.runner"
#define RUNNER_VERSION	1

#define RUNNER_WINDOW	(256u << 10)	/* bytes of standard input in flight */
#define RUNNER_CHUNK	(32u << 10)	/* most bytes in one data frame */
#define RUNNER_MAX	(8u << 20)	/* most bytes in any frame (long argv) */

struct runner_header {
	uint32_t type;		/* enum runner_type */
	uint32_t length;	/* bytes that follow */
};

enum runner_type {
	/* From the host. */
	RUNNER_START = 1,	/* struct runner_start, then its strings */
	RUNNER_STDIN,		/* bytes for standard input */
	RUNNER_STDIN_EOF,	/* no more of them */
	RUNNER_KILL,		/* u32 signal, for the program's process group */
	RUNNER_SWEEP,		/* kill every process but init; answered by SWEPT */
	RUNNER_POWEROFF,	/* flush file systems and power off; no answer */

	/* From the guest. */
	RUNNER_HELLO = 64,	/* u32 RUNNER_VERSION */
	RUNNER_STARTED,		/* nothing */
	RUNNER_STDIN_ACK,	/* u32 bytes that the program's pipe has taken or refused */
	RUNNER_STDOUT,		/* bytes */
	RUNNER_STDERR,		/* bytes */
	RUNNER_EXIT,		/* u32 status, as a shell has it: code, 128+signal, 126, 127 */
	RUNNER_SWEPT,		/* nothing */
	RUNNER_ERROR,		/* text: why the runner gives up */
};

/*
 * START: this, then argc + envc + 1 strings, each ended by a zero byte: argv, environment, directory
 * (empty: /root, or / where there is none).
 */
struct runner_start {
	uint32_t argc;
	uint32_t envc;
};
