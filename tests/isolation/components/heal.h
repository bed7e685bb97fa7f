/* SPDX-License-Identifier: MIT */
/* Parts of the client whose drivers are killed, see heal_client.c. */
#pragma once

#include "client.h"

enum { ROUNDS_MAX = 3000, QUIET = 8 };

/* The same on every run, so that a failure can be seen again; one use at a time. */
uint64_t next_random(void);
/* Fill @n bytes, a multiple of 8, with what only this call gives. */
void fill(uint8_t *to, uint32_t n, uint32_t round);

/* heal_net.c */
void use_net(struct link *l, const char *name);
