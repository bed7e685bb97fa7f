/* SPDX-License-Identifier: MIT */
/*
 * init: the first process.  It holds everything, gives each component what its
 * block in the system description says, and then supervises.
 *
 * One thread, one bell.  Bits of the bell:
 *	0 .. INSTANCES-1		the process of that instance ended
 *	BELL_LINUX + n			the process of the n-th personality ended
 *	BELL_DEVICES			a message of the component "devices"
 *	BELL_DUMP, BELL_KILL		time for concord.dump= and concord.kill=
 *
 * What outlives a component is owned here: its device, its DMA memory, its link's
 * memory and bells (struct instance).
 *
 * An instance is EMPTY, RUNNING from instance_start() on, and DEAD once its
 * process ended; a dead one's link is closed, so that its client fails what is in
 * flight.  (Starting a next incarnation over the same record is what comes next.)
 */
#pragma once

#include "abi/bootstrap.h"
#include "abi/component.h"
#include "base/util.h"
#include "conf.h"

enum { INSTANCES = 40, BELL_LINUX = 48, BELL_DEVICES = 56, BELL_DUMP = 57,
       BELL_KILL = 58 };

enum instance_state { INSTANCE_EMPTY, INSTANCE_RUNNING, INSTANCE_DEAD };

struct instance {
	enum instance_state state;
	const struct conf_component *conf;
	uint32_t number;		/* n-th instance of its component */
	uint32_t incarnation;
	char name[32];			/* "virtio-blk.0" */
	k_handle_t process, channel;	/* of the incarnation */

	/* Kept from one incarnation to the next. */
	struct component_device found;
	k_handle_t device;
	k_handle_t dma;
	struct link_geometry link;	/* class_id 0: no link */
	k_handle_t control, data, client_bell, server_bell;
	struct personality *client;	/* or NULL */
};

struct personality {
	const struct conf_linux *conf;
	uint32_t placement;
	k_handle_t process, space, group, channel;
	uint32_t links[8];		/* given so far, by class */
	bool running;
};

struct init {
	struct k_boot_message boot;
	k_handle_t handle[K_BOOT_HANDLES];
	k_handle_t bell;
	k_handle_t components_group;
	const void *bundle;		/* mapped */
	struct conf conf;
	struct instance instances[INSTANCES];
	struct personality personalities[CONF_LINUXES];
	k_handle_t devices_channel;
};

extern struct init init;

/* -- load.c: programs out of the bundle -------------------------------------------------- */

struct image {
	uint64_t entry, stack_top, frame;
};

/* A file of the bundle; false: there is none of that name. */
bool bundle_find(const char *name, const void **data, size_t *length);
/*
 * Map the program @binary and a first stack into @space, at @base (0 or
 * K_PERSONALITY_BASE).  Failures are logged.
 */
k_status_t image_load(const char *binary, k_handle_t space, uint64_t base, struct image *image)
	MUST_CHECK;

/* -- instance.c: components ----------------------------------------------------------------- */

/* Start the next instance of @c for the device @found (NULL: for none). */
void instance_start(const struct conf_component *c, const struct component_device *found);
/* Its process ended. */
void instance_ended(struct instance *i);

/* -- personality.c ---------------------------------------------------------------------------- */

void personality_start(struct personality *p);
/* Tell it about the link of @i, which it uses. */
void personality_give_link(struct personality *p, struct instance *i);
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

/* Say on the log how the process @name ended. */
void post_mortem(const char *name, k_handle_t process);

/* -- dump.c --------------------------------------------------------------------------------------- */

/* The handles of all components onto the log. */
void dump_handles(void);

/* -- options.c: the command line ------------------------------------------------------------------- */

/* The value of the last "NAME=VALUE" before "--"; false: not given. */
bool option_value(const char *line, const char *name, char *value, size_t size);
/* All words that start with @prefix, separated by blanks. */
void option_collect(const char *line, const char *prefix, char *out, size_t size);
