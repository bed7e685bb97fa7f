/* SPDX-License-Identifier: MIT */
/*
 * Work that comes up where nothing may sleep: object/housekeeper.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HOUSEKEEPER_OBJECTS	1u	/* object_put_deferred() */
#define HOUSEKEEPER_MEMORY	2u	/* free memory fell below some group's mark */

/* Any context below LOCK_RUNQ. */
void housekeeper_wake(uint32_t job);
/* Do now, in the calling thread, what there is to do. */
void housekeeper_run(void);
/* "concord.counts" on the command line: log every second what lives. */
void housekeeper_start(const char *command_line);

/* The jobs. */
void object_reap_deferred(void);
void group_memory_check(void);
bool group_memory_is_low(void);
