/* SPDX-License-Identifier: MIT */
/*
 * What is left to say of a process that ended.
 *
 * Programs lie in the bundle without symbols; beside PROGRAM lies PROGRAM.symbols,
 * lines "address name" in ascending order (tools/gen-symbols.py).
 */
#include <stdatomic.h>

#include "base/byteorder.h"
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"
#include "virtio/link_layout.h"

enum { REQUESTS_SHOWN = 8 };

/* "name+0x12" for an address of the program @binary; the bare number if nothing is known. */
static void place_text(const char *binary, uint64_t address, char *text, size_t size)
{
	char path[CONF_PATH + 16];
	const char *name = NULL, *end;
	const void *data;
	size_t length, name_length = 0;
	uint64_t at, start = 0;

	snprintf(text, size, "%lx", address);
	snprintf(path, sizeof(path), "%s.symbols", binary);
	if (!bundle_find(path, &data, &length))
		return;
	for (const char *line = data, *stop = line + length; line < stop; line = end + 1) {
		size_t digits = parse_u64(line, (size_t)(stop - line), 16, &at);

		end = memchr(line, '\n', (size_t)(stop - line));
		if (!digits || !end || at > address)
			break;
		start = at;
		name = line + digits + 1;
		name_length = (size_t)(end - name);
	}
	if (name && address - start < 0x10000)
		snprintf(text, size, "%.*s+0x%lx", (int)MIN(name_length, 40ul), name, address - start);
}

static void log_registers(const struct k_process_info *i)
{
	static const char *const names[16] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

	for (int r = 0; r < 16; r += 4)
		report(RT_LOG_ERR, "  %-3s %016lx  %-3s %016lx  %-3s %016lx  %-3s %016lx", names[r],
		       i->fault_regs[r], names[r + 1], i->fault_regs[r + 1], names[r + 2],
		       i->fault_regs[r + 2], names[r + 3], i->fault_regs[r + 3]);
}

static void log_trace(const struct k_process_info *i, const char *binary)
{
	char place[64];

	place_text(binary, i->fault_rip, place, sizeof(place));
	report(RT_LOG_ERR, "  in %s", place);
	for (size_t k = 0; k < ARRAY_SIZE(i->fault_trace) && i->fault_trace[k]; k++) {
		/* The call lies before the address that it returns to. */
		place_text(binary, i->fault_trace[k] - 1, place, sizeof(place));
		report(RT_LOG_ERR, "  called from %s", place);
	}
}

void post_mortem(const char *name, const char *binary, const char *why, k_handle_t process)
{
	struct k_process_info i;

	if (k_process_info(process, &i) != K_OK)
		return;
	if (why)
		report(RT_LOG_WARNING, "%s was killed: %s; after %lu ms of CPU", name, why,
		       i.cpu_ns / 1000000);
	else if (!(i.exit_status & K_EXIT_FAULT) || (i.exit_status & K_EXIT_KILLED))
		report(RT_LOG_WARNING, "%s %s, status %u%s, after %lu ms of CPU", name,
		       i.exit_status & K_EXIT_KILLED ? "was killed" : "ended",
		       i.exit_status & 0xffff,
		       i.exit_status == COMPONENT_EXIT_PROTOCOL ? " (its client broke the protocol)" : "",
		       i.cpu_ns / 1000000);
	if (why || !(i.exit_status & K_EXIT_FAULT) || (i.exit_status & K_EXIT_KILLED))
		return;
	report(RT_LOG_ERR, "%s died: exception %lu, error %lx, at %lx, address %lx", name,
	       i.fault_vector, i.fault_error, i.fault_rip, i.fault_address);
	log_registers(&i);
	log_trace(&i, binary);
}

/* -- requests ---------------------------------------------------------------------------------- */

/* What a request for a disk says in its slot, which its client can write: for the reader only. */
static void disk_request_text(const struct instance *in, uint32_t queue, uint32_t head, char *text,
			      size_t size)
{
	static const char *const ops[] = { [0] = "read", [1] = "write", [4] = "flush",
					   [8] = "identify", [11] = "discard" };
	struct link_layout layout;
	uint8_t header[16];
	uint64_t done;
	uint32_t op;

	if (!link_layout_make(&in->link, &layout) ||
	    k_memory_read(in->control, link_layout_slot(&layout, queue, head), header, sizeof(header),
			  &done) != K_OK)
		return;
	op = get_le32(header);
	snprintf(text, size, ", %s of sector %lu",
		 op < ARRAY_SIZE(ops) && ops[op] ? ops[op] : "request", get_le64(header + 8));
}

void post_mortem_requests(const struct instance *in)
{
	uint32_t shown = 0, count = 0, current;

	if (!in->record)
		return;
	current = atomic_load_explicit(&in->record->current, memory_order_relaxed);
	for (uint32_t q = 0; q < in->link.queue_count; q++) {
		const struct record_inflight *t = record_inflight(&in->link, in->record, q);

		for (uint32_t d = 0; d < in->link.queue_size; d++) {
			char what[48] = "";

			if (!t->requests[d].inflight || ++count > REQUESTS_SHOWN)
				continue;
			if (in->conf->serves == LINK_CLASS_BLOCK)
				disk_request_text(in, q, d, what, sizeof(what));
			report(RT_LOG_WARNING, "  in flight: queue %u, request %lu%s%s", q,
			       t->requests[d].counter, what,
			       current == (q << 16 | (d + 1)) ? " (at work on it)" : "");
			shown++;
		}
	}
	if (count > shown)
		report(RT_LOG_WARNING, "  in flight: %u more", count - shown);
}
