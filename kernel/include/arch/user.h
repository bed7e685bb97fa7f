/* SPDX-License-Identifier: MIT */
/*
 * Running programs.
 */
#pragma once

#include "abi/types.h"
#include "base/util.h"

/*
 * Enter the program with the registers in *@frame (in kernel memory) and return
 * when it stops; the out-fields and registers of the frame then say why and where.
 * The program space of the calling thread must be loaded.  BAD_ARGUMENT: segment
 * bases that are not user addresses; the program did not run.
 *
 * The kick is tested with interrupts disabled before entry and on every return
 * from an interrupt to the program; a kick reported is consumed.  A program that lost
 * its CPU is reported like a kick, if the thread asked for that (report_moves).
 */
MUST_CHECK k_status_t user_run(struct k_user_frame *frame);

/*
 * The same for a thread whose own code is in ring 3 (placement process): afterwards
 * ring 3 is the component's own code again.
 */
MUST_CHECK k_status_t user_run_in_process(struct k_user_frame *frame);
