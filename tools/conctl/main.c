/* SPDX-License-Identifier: MIT */
/*
 * conctl: the components below a Linux on Concord, from inside it.
 *
 *	conctl ps [--json]		what runs, how often it was restarted, what it used
 *	conctl kill NAME		end it as a crash would; the next incarnation takes over
 *	conctl restart NAME		the same, in other words
 *	conctl update NAME FILE		have it run another program, at once and without its
 *					clients noticing; the old one comes back if that fails
 *	conctl log [NAME]		post-mortems and restarts
 *	conctl graph [--dot]		who holds what
 *	conctl calls [NAME]		kernel calls it has made (without a name: this Linux)
 *
 * Talks to init through /dev/concord (abi/control.h), which is there if the system's
 * description grants it, for root.  Exit status: 0, 1 if init refuses or cannot be
 * reached, 2 for wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/calls.h"
#include "abi/status.h"
#include "conctl.h"

#define DEVICE "/dev/concord"

static int device = -1;

void die(const char *what)
{
	fprintf(stderr, "conctl: %s: %s\n", what, strerror(errno));
	exit(1);
}

void ask_with(const struct control_request *q, size_t n, struct control_reply *reply)
{
	if (device < 0)
		device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		die(DEVICE);
	if (write(device, q, sizeof(*q) + n) != (ssize_t)(sizeof(*q) + n))
		die(DEVICE);
	errno = EPROTO;			/* of another version, if it is short */
	if (read(device, reply, sizeof(*reply)) != sizeof(*reply))
		die(DEVICE);
}

static void ask(enum control_op op, const char *name, uint64_t index, struct control_reply *reply)
{
	struct control_request q = { .version = CONTROL_VERSION, .op = op, .index = index };

	if (strlen(name) >= sizeof(q.name)) {
		fprintf(stderr, "conctl: %s: no such component\n", name);
		exit(1);
	}
	strcpy(q.name, name);
	ask_with(&q, 0, reply);
}

const char *status_text(int status)
{
	switch (status) {
	case K_ERR_NOT_FOUND:
		return "no such component";
	case K_ERR_BAD_STATE:
		return "it does not run";
	case K_ERR_NOT_SUPPORTED:
		return "init does not know how";
	default:
		return "init refuses";
	}
}

static int check(const char *name, const struct control_reply *reply)
{
	if (reply->status == K_OK)
		return 0;
	fprintf(stderr, "conctl: %s: %s\n", name, status_text(reply->status));
	return 1;
}

static bool list(uint64_t index, struct control_reply *reply)
{
	ask(CONTROL_LIST, "", index, reply);
	return reply->status == K_OK;
}

/* -- ps ----------------------------------------------------------------------------------------- */

static const char *state_text(uint32_t state)
{
	static const char *const texts[] = { "?", "running", "pausing", "dead" };

	return state < sizeof(texts) / sizeof(texts[0]) ? texts[state] : "?";
}

static void print_json(const struct control_reply *r, bool first)
{
	printf("%s\n  {\"name\": \"%s\", \"state\": \"%s\", \"incarnation\": %u, \"restarts\": %u, "
	       "\"cpu_ms\": %llu, \"memory_kib\": %llu, \"serves\": \"%s\", \"client\": \"%s\", "
	       "\"in_flight\": %u, \"answered\": %llu, \"last_stall_us\": %llu}", first ? "" : ",",
	       r->instance.name, state_text(r->instance.state), r->instance.incarnation,
	       r->instance.restarts, (unsigned long long)r->instance.cpu_ns / 1000000,
	       (unsigned long long)r->instance.memory_bytes / 1024, r->instance.serves,
	       r->instance.client, r->instance.in_flight, (unsigned long long)r->instance.answered,
	       (unsigned long long)r->instance.stall_ns / 1000);
}

static int ps(bool json)
{
	struct control_reply r;

	if (json)
		printf("[");
	else
		printf("%-20s %-8s %8s %8s %7s %9s %10s %9s\n", "NAME", "STATE", "RESTARTS", "CPU ms",
		       "KiB", "IN FLIGHT", "ANSWERED", "STALL us");
	for (uint64_t i = 0; list(i, &r); i++) {
		if (json)
			print_json(&r, i == 0);
		else
			printf("%-20s %-8s %8u %8llu %7llu %9u %10llu %9llu\n", r.instance.name,
			       state_text(r.instance.state), r.instance.restarts,
			       (unsigned long long)r.instance.cpu_ns / 1000000,
			       (unsigned long long)r.instance.memory_bytes / 1024,
			       r.instance.in_flight, (unsigned long long)r.instance.answered,
			       (unsigned long long)r.instance.stall_ns / 1000);
	}
	if (json)
		printf("\n]\n");
	return 0;
}

/* -- log ------------------------------------------------------------------------------------------ */

/* Lines are "[time] NAME...", or "[time]   ..." that go on with the last one. */
static bool concerns(const char *line, const char *name, bool last)
{
	const char *text = strchr(line, ']');
	size_t n = strlen(name);

	if (!text || text[1] != ' ')
		return last;
	text += 2;
	if (text[0] == ' ')
		return last;
	return strncmp(text, name, n) == 0 && (text[n] == ' ' || text[n] == ':');
}

static int show_log(const char *name)
{
	struct control_reply r;
	bool shown = false;

	for (uint64_t at = 0;; at = r.next) {
		char *line, *rest;

		ask(CONTROL_LOG, "", at, &r);
		if (check("log", &r))
			return 1;
		if (!r.count || r.count > sizeof(r.text))
			return 0;
		r.text[r.count - 1] = '\0';
		for (rest = r.text; (line = strsep(&rest, "\n"));) {
			shown = !name || concerns(line, name, shown);
			if (shown)
				puts(line);
		}
	}
}

/* -- graph ------------------------------------------------------------------------------------------ */

static void print_rights(uint32_t rights)
{
	static const char *const names[] = { NULL, NULL, "read", "write", "execute", "map", "manage",
		"create", "signal", "wait", "send", "receive", "dma" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && (rights & 1u << i))
			printf(" %s", names[i]);
}

/* Whether it has memory for a device. */
static bool holdings(const char *name, const char *device_name, bool dot)
{
	struct control_reply r;
	bool has_dma = false;

	for (uint64_t at = 0;; at = r.next) {
		ask(CONTROL_HANDLE_LIST, name, at, &r);
		if (r.status != K_OK || !r.count || r.count > CONTROL_HANDLES)
			return has_dma;
		for (uint32_t i = 0; i < r.count; i++) {
			const char *role = r.handles[i].role;

			has_dma |= strcmp(role, "dma") == 0;
			if (dot && strcmp(role, "device") == 0) {
				printf("\t\"%s\" -> \"device %s\";\n", name, device_name);
			} else if (!dot) {
				printf("  %-8s %-12s object %-6llu", r.handles[i].type_name, role,
				       (unsigned long long)r.handles[i].object);
				print_rights(r.handles[i].rights);
				printf("\n");
			}
		}
	}
}

static int graph(bool dot)
{
	struct control_reply r;
	bool trusted = false;

	if (dot)
		printf("digraph concord {\n\trankdir=LR;\n");
	for (uint64_t i = 0; list(i, &r); i++) {
		if (dot && r.instance.client[0])
			printf("\t\"linux %s\" -> \"%s\" [label=\"%s\"];\n", r.instance.client,
			       r.instance.name, r.instance.serves);
		else if (!dot && r.instance.client[0])
			printf("%s serves %s to linux %s\n", r.instance.name, r.instance.serves,
			       r.instance.client);
		else if (!dot)
			printf("%s\n", r.instance.name);
		trusted |= holdings(r.instance.name, r.instance.device, dot) && !r.instance.is_confined;
	}
	if (dot)
		printf("}\n");
	else if (trusted)
		printf("Without an IOMMU, who holds \"dma\" memory and a device is trusted with all memory.\n");
	else
		printf("Devices reach only memory that was mapped for them (IOMMU).\n");
	return 0;
}

/* -- calls ------------------------------------------------------------------------------------------ */

static const char *call_name(uint64_t number)
{
	switch (number) {
#define NAME(call, name) case call: return #name;
	K_CALL_LIST(NAME)
#undef NAME
	}
	return "?";
}

static int calls(const char *name)
{
	struct control_reply r;

	for (uint64_t at = 0;; at = r.next) {
		ask(CONTROL_CALL_COUNTS, name, at, &r);
		if (r.status == K_ERR_NOT_SUPPORTED) {
			fputs("conctl: this kernel was built without counters\n", stderr);
			return 1;
		}
		if (check(*name ? name : "calls", &r))
			return 1;
		if (!r.count || r.count > CONTROL_CALLS)
			return 0;
		for (uint32_t i = 0; i < r.count; i++)
			if (r.calls[i])
				printf("%12llu %s\n", (unsigned long long)r.calls[i],
				       call_name(at + i));
	}
}

/* -- words ------------------------------------------------------------------------------------------- */

static int end(enum control_op op, const char *name)
{
	struct control_reply r;

	ask(op, name, 0, &r);
	return check(name, &r);
}

static int usage(void)
{
	fputs("usage: conctl ps [--json] | kill NAME | restart NAME | update NAME FILE | log [NAME] |\n"
	      "       graph [--dot] | calls [NAME]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : NULL;

	if (strcmp(what, "update") == 0 && argc == 4)
		return update(arg, argv[3]);
	if (argc > 3)
		return usage();
	if (strcmp(what, "ps") == 0 && (!arg || strcmp(arg, "--json") == 0))
		return ps(arg);
	if (strcmp(what, "kill") == 0 && arg)
		return end(CONTROL_KILL, arg);
	if (strcmp(what, "restart") == 0 && arg)
		return end(CONTROL_RESTART, arg);
	if (strcmp(what, "log") == 0)
		return show_log(arg);
	if (strcmp(what, "graph") == 0 && (!arg || strcmp(arg, "--dot") == 0))
		return graph(arg);
	if (strcmp(what, "calls") == 0)
		return calls(arg ? arg : "");
	return usage();
}
