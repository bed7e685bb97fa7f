/* SPDX-License-Identifier: MIT */
/*
 * What a personality whose description says "grants control" asks of init, over a
 * channel of its own (LINUX_HANDLE_CONTROL): a call with one struct control_request,
 * answered by one struct control_reply.  The personality passes both on as they are
 * (/dev/concord: write a request, read the reply); tools/conctl makes and reads them.
 */
#pragma once

#include <stdint.h>

#define CONTROL_VERSION		1u
#define CONTROL_TEXT		768u
#define CONTROL_HANDLES		12u
#define CONTROL_CALLS		64u

enum control_op {
	CONTROL_LIST = 1,		/* index: instance number .index, or NOT_FOUND behind the last */
	CONTROL_KILL,			/* name: end its incarnation as a crash would */
	CONTROL_RESTART,		/* name: the same, as a wish: counts as nobody's failure */
	CONTROL_LOG,			/* index: post-mortems from this byte on, .next is behind them */
	CONTROL_HANDLE_LIST,		/* name, index: what it holds, from its index-th handle on */
	CONTROL_CALL_COUNTS,		/* name ("": the personality that asks), index: how often it made
					 * each kernel call, from number index on, .next is behind them.
					 * NOT_SUPPORTED: this kernel does not count */
};

struct control_request {
	uint32_t version;
	uint32_t op;			/* enum control_op */
	uint64_t index;
	char name[32];
};

enum control_state { CONTROL_RUNNING = 1, CONTROL_PAUSING, CONTROL_DEAD };

struct control_reply {
	int32_t status;			/* k_status_t; not OK: nothing below is valid */
	uint32_t count;			/* of handles or calls, or bytes of text */
	uint64_t next;
	union {
		struct {		/* CONTROL_LIST */
			char name[32], client[32], serves[16], device[32];
			uint32_t state;	/* enum control_state */
			uint32_t incarnation, restarts;
			uint32_t in_flight;
			uint64_t cpu_ns, memory_bytes, stall_ns, answered;
		} instance;
		char text[CONTROL_TEXT];
		struct {
			uint64_t object;
			uint32_t type, rights;	/* K_TYPE_*, K_RIGHT_* */
			char type_name[16];
			char role[24];	/* what it is to the component: "device", "data" */
		} handles[CONTROL_HANDLES];
		uint64_t calls[CONTROL_CALLS];
	};
};
