/* SPDX-License-Identifier: MIT */
/*
 * A kernel and a server for tests of the client side on the host: bells, waiting
 * words, memory, threads, and the server's half of a link.
 */
#pragma once

#include <stdint.h>

#include "abi/calls.h"
#include "link/link.h"
#include "virtio/link_layout.h"

enum { FAKE_CONTROL = 1, FAKE_DATA, FAKE_CLIENT_BELL, FAKE_SERVER_BELL };

struct fake_link {
	struct link_geometry geometry;
	struct link_layout layout;
	uint8_t *control, *data;
	struct vq_device queue[LINK_QUEUES_MAX];
	uint8_t taken[LINK_QUEUES_MAX][LINK_QUEUE_SIZE_MAX];
};

extern struct fake_link fake;

/* New memory and bells; then link_open() with the handles above. */
void fake_start(uint32_t class_id, uint32_t queues, uint32_t size, uint64_t data);
struct link_header *fake_header(void);
/* Say READY with these features and this configuration. */
void fake_ready(uint64_t features, const void *config, size_t n);
/* As init does when the server ends. */
void fake_die(void);
/* As init does when the client accuses the server: wait for that, and have the rings made anew. */
void fake_renew(void);
/* Sleep for bits of the server's bell. */
uint64_t fake_server_wait(void);
void fake_publish(uint32_t queue);
/* Memory that a chain of the client names; NULL: outside. */
void *fake_pointer(uint64_t addr, uint64_t n);
/* Run @fn in a thread; fake_join() waits for all of them. */
void fake_thread(void *(*fn)(void *), void *arg);
void fake_join(void);
/* Open the link. */
struct link *fake_open(void);
