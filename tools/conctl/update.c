/* SPDX-License-Identifier: MIT */
/*
 * conctl update: pass a program to init, piece by piece, and say what becomes of it
 * (services/init/src/update.c).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/status.h"
#include "conctl.h"

/* The answer if it is well; else it is said why not, and that is all. */
static void update_ask(enum control_op op, uint64_t token, uint64_t index, const char *name,
		       const void *bytes, size_t n, struct control_reply *r)
{
	struct {
		struct control_request q;
		uint8_t bytes[CONTROL_DATA_MAX];
	} m = { .q = { .version = CONTROL_VERSION, .op = op, .index = index, .token = token } };

	if (strlen(name) < sizeof(m.q.name))		/* else there is none of that name */
		strcpy(m.q.name, name);
	if (n)
		memcpy(m.bytes, bytes, n);
	ask_with(&m.q, n, r);
	if (r->status == K_OK)
		return;
	r->update.why[sizeof(r->update.why) - 1] = '\0';
	fprintf(stderr, "conctl: %s: %s\n", name,
		r->update.why[0] ? r->update.why :
		r->status == K_ERR_ACCESS ? "the system's description does not grant updates" :
		status_text(r->status));
	exit(1);
}

static void refuse_file(const char *path, const char *why)
{
	fprintf(stderr, "conctl: %s: %s\n", path, why);
	exit(1);
}

/* The file, which nobody but root can have written: what a driver may do is not for everybody. */
static uint8_t *program_read(const char *path, size_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat s;
	uint8_t *p;
	ssize_t got;

	if (fd < 0 || fstat(fd, &s))
		die(path);
	if (!S_ISREG(s.st_mode))
		refuse_file(path, "not a regular file");
	if (s.st_uid || (s.st_mode & (S_IWGRP | S_IWOTH)))
		refuse_file(path, "others than root can write it");
	if (!s.st_size || s.st_size > CONTROL_PROGRAM_MAX)
		refuse_file(path, s.st_size ? "larger than 4 MiB" : "empty");
	p = malloc((size_t)s.st_size);
	if (!p)
		die(path);
	for (*n = 0; *n < (size_t)s.st_size; *n += (size_t)got) {
		got = read(fd, p + *n, (size_t)s.st_size - *n);
		if (got < 0)
			die(path);
		if (!got)
			refuse_file(path, "it became shorter meanwhile");
	}
	close(fd);
	return p;
}

/* Say what becomes of it, until that is known. */
static int update_follow(const char *name, uint64_t token)
{
	struct control_reply r;
	bool told = false;

	for (;; usleep(20000)) {
		update_ask(CONTROL_UPDATE_STATE, token, 0, name, NULL, 0, &r);
		if (!told && (r.update.state == CONTROL_UPDATE_ON_PROBATION ||
			      r.update.state == CONTROL_UPDATE_KEPT)) {
			told = true;
			printf("%s: incarnation %u serves after %llu us; on probation for %llu ms\n",
			       name, r.update.incarnation,
			       (unsigned long long)r.update.stall_ns / 1000,
			       (unsigned long long)r.update.probation_ms);
			fflush(stdout);
		}
		if (r.update.state == CONTROL_UPDATE_KEPT) {
			printf("%s: kept\n", name);
			return 0;
		}
		if (r.update.state == CONTROL_UPDATE_REVERTED) {
			r.update.why[sizeof(r.update.why) - 1] = '\0';
			fprintf(stderr, "conctl: %s: the new program %s; the old one is back\n",
				name, r.update.why);
			return 1;
		}
	}
}

int update(const char *name, const char *path)
{
	struct control_reply r;
	size_t n = 0, piece;
	uint8_t *program = program_read(path, &n);
	uint64_t token;

	update_ask(CONTROL_UPDATE_BEGIN, 0, n, name, NULL, 0, &r);
	token = r.next;
	for (size_t at = 0; at < n; at += piece) {
		piece = n - at < CONTROL_DATA_MAX ? n - at : CONTROL_DATA_MAX;
		update_ask(CONTROL_UPDATE_DATA, token, at, name, program + at, piece, &r);
	}
	free(program);
	update_ask(CONTROL_UPDATE_COMMIT, token, 0, name, NULL, 0, &r);
	return update_follow(name, token);
}
