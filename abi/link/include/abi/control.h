/* SPDX-License-Identifier: MIT */
/*
 * What a personality whose description says "grants control" asks of init, over a
 * channel of its own (LINUX_HANDLE_CONTROL): a call with one struct control_request,
 * answered by one struct control_reply.  The personality passes both on as they are
 * (/dev/concord: write a request, read the reply); tools/conctl makes and reads them.
 */
#pragma once

#include <stdint.h>

#define CONTROL_VERSION		2u
#define CONTROL_TEXT		768u
#define CONTROL_HANDLES		12u
#define CONTROL_CALLS		64u
#define CONTROL_PROGRAM_MAX	(4u << 20)	/* bytes of a program */
#define CONTROL_DATA_MAX	960u		/* bytes of it in one request */
#define CONTROL_POKE_MAX	16u

enum control_op {
	CONTROL_LIST = 1,		/* index: instance number .index, or NOT_FOUND behind the last */
	CONTROL_KILL,			/* name: end its incarnation as a crash would */
	CONTROL_RESTART,		/* name: the same, as a wish: counts as nobody's failure */
	CONTROL_LOG,			/* index: post-mortems from this byte on, .next is behind them */
	CONTROL_HANDLE_LIST,		/* name, index: what it holds, from its index-th handle on */
	CONTROL_CALL_COUNTS,		/* name ("": the personality that asks), index: how often it made
					 * each kernel call, from number index on, .next is behind them.
					 * NOT_SUPPORTED: this kernel does not count */

	/*
	 * A new program for a component that goes on running.  They need "grants update";
	 * ACCESS without it.  If one fails, .update.why says it in words.
	 */
	CONTROL_UPDATE_BEGIN,		/* name, index: length; .next is the token of all others.
					 * BAD_STATE: another update is under way */
	CONTROL_UPDATE_DATA,		/* token, index: its bytes from there on, which follow the
					 * request; in order and without gaps */
	CONTROL_UPDATE_COMMIT,		/* token: all is there; take it into use */
	CONTROL_UPDATE_STATE,		/* token: what has become of it */

	/*
	 * Fault injection (docs/decisions/0012-injected-faults.md): change what an incarnation runs, while it
	 * runs.  It needs "grants update" (ACCESS), and a build with checks (NOT_SUPPORTED).
	 */
	CONTROL_POKE,			/* name, token: the incarnation, index: address; what follows
					 * the request, at most CONTROL_POKE_MAX bytes, is written there.
					 * BAD_STATE: another incarnation runs.  Its successors are as
					 * ever */
};

struct control_request {
	uint32_t version;
	uint32_t op;			/* enum control_op */
	uint64_t index;
	uint64_t token;
	char name[32];
};

enum control_update_state {
	CONTROL_UPDATE_RECEIVING = 1,
	CONTROL_UPDATE_HANDING_OVER,	/* the old one was asked to end between two requests */
	CONTROL_UPDATE_STARTING,	/* the new one runs, and does not serve yet */
	CONTROL_UPDATE_ON_PROBATION,	/* it serves; if it fails now, the old one comes back */
	CONTROL_UPDATE_KEPT,
	CONTROL_UPDATE_REVERTED,	/* the old one is back */
};

enum control_state { CONTROL_RUNNING = 1, CONTROL_PAUSING, CONTROL_DEAD };

struct control_reply {
	int32_t status;			/* k_status_t; not OK: nothing but .update.why is valid */
	uint32_t count;			/* of handles or calls, or bytes of text */
	uint64_t next;
	union {
		struct {		/* CONTROL_LIST */
			char name[32], client[32], serves[16], device[32];
			uint32_t state;	/* enum control_state */
			uint32_t incarnation, restarts;
			uint32_t in_flight;
			uint32_t is_confined;	/* its device reaches only memory mapped for it */
			uint32_t pad;
			uint64_t cpu_ns, memory_bytes, stall_ns, answered;
		} instance;
		struct {		/* CONTROL_UPDATE_* */
			uint32_t state;	/* enum control_update_state */
			uint32_t incarnation;	/* that it is (or was) */
			uint64_t stall_ns;	/* how long the component did not serve, once it does */
			uint64_t probation_ms;
			char why[96];	/* it failed, or was refused */
		} update;
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
