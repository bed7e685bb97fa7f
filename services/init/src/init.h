/* SPDX-License-Identifier: MIT */
/*
 * init: the first process.  It holds everything, gives each component what its
 * block in the system description says, and then supervises.
 *
 * One thread, one bell.  Bits of the bell:
 *	0 .. INSTANCES-1		the process of that instance ended
 *	BELL_LINUX + n			the process of the n-th personality ended
 *	BELL_DEVICES			a message of the component "devices"
 *	BELL_MESSAGES			messages: a bell of their own, bit n for instance n, bit
 *					BELL_LINUX + n for the n-th personality's control channel,
 *					BELL_ANSWERS + n for the channel that it was started with
 *	BELL_TICK			time to look after drivers (supervise.c)
 *	BELL_DUMP, BELL_KILL		time for concord.dump= and concord.kill=
 *
 * What outlives a component is owned here: its device, its DMA memory, its link's
 * memory and bells, its record (struct instance).
 *
 * An instance is EMPTY, then RUNNING from instance_start() on.  When its process
 * ends, it is RUNNING again at once with the next incarnation over the same things, or
 * WAITING for its turn if it keeps dying; or DEAD for good: then its link is
 * closed, so that its client fails what is in flight.  One whose first incarnation found nothing to
 * drive is ABSENT: nothing but its number is left, which no other gets; so is one whose device was removed.
 */
#pragma once

#include "abi/bootstrap.h"
#include "abi/component.h"
#include "base/util.h"
#include "conf.h"
#include "virtio/record.h"

enum { INSTANCES = 40, BELL_LINUX = 48, BELL_ANSWERS = 52, BELL_DEVICES = 56, BELL_DUMP = 57,
       BELL_KILL = 58, BELL_MESSAGES = 59, BELL_TICK = 60 };

enum instance_state {
	INSTANCE_EMPTY, INSTANCE_RUNNING, INSTANCE_WAITING, INSTANCE_DEAD, INSTANCE_ABSENT,
};

/* Its device is to go (slot.c). */
enum instance_removal { REMOVAL_NONE, REMOVAL_ASKED, REMOVAL_LEAVING };

/* An executable file in memory. */
struct program {
	const char *name;		/* its path in the bundle, or what to call it */
	const void *data;		/* mapped; on a page boundary */
	size_t length;
	k_handle_t memory;		/* that holds it */
	uint64_t offset;		/* where */
};

/* Where a loaded program begins. */
struct image {
	uint64_t entry, stack_top, frame;
};

/* A process that is loaded, and only has to be started. */
struct prepared {
	k_handle_t process;
	k_handle_t space;		/* its; 0 in builds without checks */
	struct image image;
};

struct instance {
	enum instance_state state;
	const struct conf_component *conf;
	uint32_t number;		/* n-th instance of its component */
	uint32_t incarnation;
	char name[32];			/* "virtio-blk.0" */
	struct program program;		/* what its incarnations run */
	k_handle_t process, channel;	/* of the incarnation */
	k_handle_t space;		/* the same, for CONTROL_POKE; 0 in builds without checks */
	bool ready;			/* it serves */
	uint64_t started_ns;
	const char *ending;		/* why we end it, or NULL: it ended by itself */
	bool wished;			/* ... because somebody asked for it */
	enum instance_removal removal;

	/* Of incarnations that ended (supervise.c). */
	uint64_t died_ns, retry_ns;
	uint64_t answered;		/* requests until then */
	uint32_t failures;		/* ended without having done anything, in a row */
	bool wants_reset;		/* its successor is to reset the device */
	uint64_t silent_since;		/* requests that were answered when the queue stalled last */
	uint32_t silences;		/* stalled queues in a row, without an answer in between */
	uint64_t suspect;		/* counter of the request that the last one died of, or 0 */
	uint64_t cpu_ns;		/* of all that ended */
	uint64_t stall_ns;		/* of the last restart */

	/* Its link is made anew (renew.c). */
	bool is_distrusted;		/* nothing that it leaves is to be believed */
	bool is_renewing;
	uint32_t epoch, seen_accusations;

	/* What the last look saw. */
	uint64_t seen_beat, seen_answered, seen_cpu_ns;
	uint64_t beat_since_ns, answered_since_ns;

	/* Kept from one incarnation to the next. */
	struct component_device found;
	k_handle_t device;
	k_handle_t dma;
	struct link_geometry link;	/* class_id 0: no link */
	k_handle_t control, data, client_bell, server_bell;
	k_handle_t record_memory;
	struct record *record;		/* mapped; NULL: no link, no record */
	struct personality *client;	/* or NULL */

	/* Of the driver of a slot. */
	uint32_t first_bus, last_bus;	/* behind its port; 0: none.  Constant */
	bool is_emptied;		/* it waits for those behind it to go */
};

struct personality {
	const struct conf_linux *conf;
	k_handle_t control;		/* our end; 0: it may not control anything */
	uint32_t placement;
	k_handle_t process, space, group, channel;
	uint32_t links[LINK_CLASS_MAX + 1];	/* given so far, by class */
	bool running;
};

struct init {
	struct k_boot_message boot;
	k_handle_t handle[K_BOOT_HANDLES];
	k_handle_t bell, messages, tick;
	bool never_restart;		/* concord.restart=never */
	uint64_t probation_ms;		/* concord.probation=: of updates */
	uint64_t stall_ms;		/* concord.stall=: that long a disk may answer nothing */
	k_handle_t components_group;
	const void *bundle;		/* mapped */
	struct conf conf;
	struct instance instances[INSTANCES];
	struct personality personalities[CONF_LINUXES];
	k_handle_t devices_channel;
};

extern struct init init;

/* -- load.c: programs -------------------------------------------------------------------- */

/* A file of the bundle; false: there is none of that name. */
bool bundle_find(const char *name, const void **data, size_t *length);
/* A program of the bundle; false, and logged: there is none of that name, which has to stay. */
bool program_find(const char *name, struct program *p) MUST_CHECK;
/* Whether a component's program could be loaded; else *@why, which is constant. */
bool program_check(const struct program *p, const char **why) MUST_CHECK;
/*
 * Map the program @p and a first stack into @space, at @base (0 or K_PERSONALITY_BASE).
 * Its memory must not change afterwards.  Failures are logged.
 */
k_status_t image_load(const struct program *p, k_handle_t space, uint64_t base, struct image *image)
	MUST_CHECK;

/* -- instance.c: components ----------------------------------------------------------------- */

/* Start the next instance of @c for the device @found (NULL: for none). */
void instance_start(const struct conf_component *c, const struct component_device *found);
/* Start a process over what the instance has.  On failure nothing of it is left. */
k_status_t instance_incarnate(struct instance *in) MUST_CHECK;
/* The two halves of it: load @program, and start what was loaded, which is used up in any case. */
k_status_t instance_prepare(const struct instance *in, const struct program *program,
			    struct prepared *p) MUST_CHECK;
k_status_t instance_launch(struct instance *in, const struct prepared *p) MUST_CHECK;
/* Forget the incarnation, whose process has ended or never ran. */
void instance_forget(struct instance *in);
/* Its client fails what is in flight, and what it is asked from now on. */
void instance_close_link(struct instance *in);
/* It drives nothing, or never did: close its link, and give back all that it had. */
void instance_discard(struct instance *in);
/* It was started, and not found absent. */
bool instance_exists(const struct instance *in);
/* The existing one of that name, or NULL. */
struct instance *instance_find(const char *name);

/* -- supervise.c: their ends, and what follows --------------------------------------------- */

/* Its process ended. */
void instance_ended(struct instance *in);
/* End the incarnation; the next follows as always.  @wished: nobody is to blame. */
void instance_end(struct instance *in, const char *why, bool wished);
/*
 * It is a disk's, and its client has asked for something that has no answer, whether the
 * driver has looked at it or not.  (Consoles and entropy may keep a buffer for as long as they like.)
 */
bool instance_has_requests(const struct instance *in);
/* It said something. */
void instance_message(struct instance *in);
/* Look after all: heartbeats, queues that do not move, those whose turn it is. */
void supervise(void);

/* -- renew.c: links that are made anew ---------------------------------------------------------- */

/* Of the link's control memory, which its client and its server can write. */
bool instance_control_read(const struct instance *in, uint64_t offset, void *to, size_t n);
/* Its client has accused it since the last look; it is to be ended. */
bool renew_is_accused(struct instance *in);
/* The incarnation has ended: the link is to be made anew before the next.  @blames_client: why it ended. */
bool renew_is_due(const struct instance *in, bool blames_client);
/* Ask the client for it; no incarnation runs. */
void renew_begin(struct instance *in);
/* The next one can start; else in->retry_ns is when to look again. */
bool renew_is_done(struct instance *in, uint64_t now);

/* -- slot.c: devices that go ----------------------------------------------------------------------- */

/* Note what is behind the port of @port, if it is the driver of a slot. */
void slot_prepare(struct instance *port);
/* Its driver says that what is behind it is to go, or is @gone already. */
void slot_empty(struct instance *port, bool gone);
/* The personality uses that link no more. */
void slot_link_removed(const struct personality *p, uint32_t class_id, uint32_t index);
/* @in, which is leaving, has no process any more. */
void slot_instance_ended(struct instance *in);

/* -- personality.c ---------------------------------------------------------------------------- */

void personality_start(struct personality *p);
/* Tell it about the link of @i, which it uses. */
void personality_give_link(struct personality *p, struct instance *i);
/* Ask it to finish with the link of @i, which it has got; false: it cannot be asked. */
bool personality_take_link(struct personality *p, const struct instance *i);
/* It said something about its links. */
void personality_message(struct personality *p);
/* All devices present at boot have been given. */
void personality_settled(struct personality *p);
void personality_ended(struct personality *p);
/* The one whose block says "uses CLASS from @c", or NULL. */
struct personality *personality_using(const struct conf_component *c);

/* -- grant.c: sending handles -------------------------------------------------------------------- */

/* A message's handles under way: duplicates with reduced rights. */
struct grants {
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	uint32_t count;
	uint32_t mask;			/* bit per place in the receiver's list */
	k_status_t status;		/* of the first that failed */
};

/* Add @handle (0: nothing) with @rights at @place, which lies behind those before. */
void grant(struct grants *g, unsigned int place, k_handle_t handle, uint32_t rights);
/* Send them with @data; the duplicates are gone afterwards in any case. */
k_status_t grants_send(struct grants *g, k_handle_t channel, const void *data, size_t n)
	MUST_CHECK;

/* -- post_mortem.c --------------------------------------------------------------------------------- */

/* Say on the log how the process @name, a @binary of the bundle, ended; @why: we ended it. */
void post_mortem(const char *name, const char *binary, const char *why, k_handle_t process);
/* What was in flight when an incarnation of @in ended. */
void post_mortem_requests(const struct instance *in);

/* -- update.c: other programs for components that run ---------------------------------------- */

struct control_request;
struct control_reply;

/* One of the requests CONTROL_UPDATE_*, with the @n bytes that follow it. */
k_status_t update_control(const struct control_request *q, const void *bytes, size_t n,
			  struct control_reply *r) MUST_CHECK;
/* @in runs its new program, which may be taken back. */
bool update_is_on_trial(const struct instance *in);
/* An incarnation of @in has ended, and its process can still be asked: was it on trial? */
void update_ended(struct instance *in);
/* The next incarnation of @in is that of its update, and runs: true.  Else it is as always. */
bool update_takes_over(struct instance *in);
/* The incarnation of @in serves. */
void update_serves(struct instance *in);
/* @in has no process any more, and will not have one: its update, and programs of earlier ones, go. */
void update_removed(struct instance *in);
/* Has the update had its time?  When to look again; UINT64_MAX: there is no need to. */
uint64_t update_look(uint64_t now);

/* -- control.c: for those who may control components ----------------------------------------- */

/* A channel for @p; the end that is to be granted, which is ours to close.  0: there is none. */
k_handle_t control_open(struct personality *p);
/* Answer what came. */
void control_serve(struct personality *p);

/* -- report.c ----------------------------------------------------------------------------------- */

/* One line onto the log, and into the memory of post-mortems. */
void report(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whole lines from byte *@at on, at most @size bytes; *@at is behind them then. */
size_t report_read(uint64_t *at, char *text, size_t size);

/* -- dump.c --------------------------------------------------------------------------------------- */

/* The handles of all components onto the log. */
void dump_handles(void);
const char *handle_type_name(uint32_t type);

/* -- options.c: the command line ------------------------------------------------------------------- */

/* The value of the last "NAME=VALUE" before "--"; false: not given. */
bool option_value(const char *line, const char *name, char *value, size_t size);
/* All words that start with @prefix, separated by blanks. */
void option_collect(const char *line, const char *prefix, char *out, size_t size);
