/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "abi/control.h"

/* Say what is wrong with @what (errno), and end. */
void die(const char *what) __attribute__((noreturn));
/* One request with @n bytes behind it; what was answered.  The reply's strings end. */
void ask_with(const struct control_request *q, size_t n, struct control_reply *reply);
const char *status_text(int status);

/* conctl update NAME FILE, see update.c; the exit status. */
int update(const char *name, const char *path);
