/* SPDX-License-Identifier: MIT */
/*
 * Who prints the log's lines: the kernel itself, or the driver of the port that the
 * kernel prints on.  Theory: device/console.c.
 */
#pragma once

#include "abi/types.h"
#include "base/util.h"

struct bell;
struct device;
struct process;

/*
 * @device is the console's, and @process drives it from now on: the kernel prints no
 * more, and rings @bits of @bell when lines were added.  NOT_FOUND: it is another
 * device.  BAD_STATE: another process has it.  NO_MEMORY.
 */
MUST_CHECK k_status_t console_take(struct device *device, struct process *process,
				   struct bell *bell, uint64_t bits);

/*
 * What @process, which has the console, is to print next: one line that ends with a
 * newline.  Asking also says that the line before is out.  SHOULD_WAIT: there is none.
 * TOO_BIG: it is longer than @size, and stays.  BAD_STATE: @process has no console.
 */
MUST_CHECK k_status_t console_next(struct process *process, char *line, size_t size, size_t *length);

/* @process is dead: if it had the console, the kernel prints again, first what is still due. */
void console_left(struct process *process);

/*
 * For lines that processes write, before they do: wait a little while a driver is far
 * behind with printing.  Thread context, no spinlocks.
 */
void console_throttle(const struct process *process);

/*
 * The machine is to end: let the driver bring out what is due now, as long as it goes on,
 * so that no line has to be printed again.  Thread context, no spinlocks.
 */
void console_finish(void);
