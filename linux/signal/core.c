/* SPDX-License-Identifier: MIT */
#include "signal/signal_impl.h"

bool lx_core_dump(struct lx_task *self, const struct lx_siginfo *info) { return false; }
void lx_print_fatal_signal(struct lx_task *self, const struct lx_siginfo *info) { }
