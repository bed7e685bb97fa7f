/* SPDX-License-Identifier: MIT */
/*
 * One writer for the serial line.
 *
 * At boot the kernel prints log lines itself (base/log.c).  A driver of the same port
 * would write between them, so it takes the console with the port: from then on the
 * kernel only rings the driver's bell, the driver fetches line after line and writes
 * each in one piece among its client's output.  Authority is the device: who has the
 * console's port can take the console, and nobody else.
 *
 * No line is lost on the way.  The log keeps a cursor behind the last line that is
 * known to be out; fetching line n + 1 says that line n is.  When the driver dies, its
 * process's end gives the console back and the kernel prints from the cursor on: the
 * line that the driver was at is printed again.  A panic and the machine's end do the
 * same by force, with the other CPUs stopped (log_panic_begin, log_last_words); but a
 * machine that ends in order lets the driver come to its end first (console_finish).
 *
 * The kernel prints in the time of whoever logs, a driver does not, so that a process
 * which logs more than the line can carry would overwrite the log before it is
 * printed.  console_throttle() makes it wait, for a bounded time: the driver may hang.
 */
#include "kernel/console.h"

#include <stdatomic.h>

#include "arch/console.h"
#include "kernel/device.h"
#include "kernel/log.h"
#include "kernel/log_watch.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/time.h"

/*
 * koid of the process that has the console, or 0.  Relaxed: taken by a running process
 * for itself, given back when it has no threads any more; the log's lock orders the rest.
 */
static _Atomic(uint64_t) owner;

static bool has_console(const struct process *process)
{
	return atomic_load_explicit(&owner, memory_order_relaxed) == process->object.koid;
}

static bool is_console(const struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_WINDOWS; i++)
		if (device->window[i].is_port &&
		    arch_console_is(device->window[i].base, device->window[i].length))
			return true;
	return false;
}

k_status_t console_take(struct device *device, struct process *process, struct bell *bell,
			uint64_t bits)
{
	uint64_t nobody = 0;
	k_status_t st;

	if (!is_console(device))
		return K_ERR_NOT_FOUND;
	if (!atomic_compare_exchange_strong_explicit(&owner, &nobody, process->object.koid,
						     memory_order_relaxed, memory_order_relaxed))
		return K_ERR_BAD_STATE;
	st = log_watch(process->object.koid, bell, bits);
	if (st == K_OK)
		log_console_release();
	else
		atomic_store_explicit(&owner, 0, memory_order_relaxed);
	return st;
}

k_status_t console_next(struct process *process, char *line, size_t size, size_t *length)
{
	if (!has_console(process))
		return K_ERR_BAD_STATE;
	return log_console_next(line, size, length);
}

void console_left(struct process *process)
{
	if (!has_console(process))
		return;
	log_console_take();
	/* Its bell can outlive it, and ring for its successor. */
	(void)!log_watch(process->object.koid, NULL, 0);
	atomic_store_explicit(&owner, 0, memory_order_relaxed);
}

#define THROTTLE_STEP_NS	NS_PER_MS
#define THROTTLE_STEPS		100u

void console_throttle(const struct process *process)
{
	if (has_console(process))
		return;
	for (unsigned int i = 0; i < THROTTLE_STEPS && log_console_is_behind(); i++)
		sched_sleep_until(time_now_ns() + THROTTLE_STEP_NS);
}

#define DRAIN_STEP_NS	NS_PER_MS
#define DRAIN_STEPS	200u		/* without anything new that is out */

void console_finish(void)
{
	uint64_t out, before = 0, until = log_end();

	for (unsigned int i = 0; i < DRAIN_STEPS && log_console_is_due(&out) && out < until; i++) {
		if (out != before)
			i = 0;
		before = out;
		sched_sleep_until(time_now_ns() + DRAIN_STEP_NS);
	}
}
