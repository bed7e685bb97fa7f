/* SPDX-License-Identifier: MIT */
/*
 * The portable part of boot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kernel/boot_info.h"

/* Start the kernel's threads; returns to become the idle thread.  Interrupts disabled. */
void kernel_main(const struct boot_info *boot);

/* Whether the command line has the word; with @value: "word=value", its start and length. */
bool command_line_has(const char *line, const char *word);
bool command_line_value(const char *line, const char *word, const char **value, size_t *length);

/* kernel/test: run the self-tests and power off. */
void selftest_run(const char *command_line);
