/* SPDX-License-Identifier: MIT */
/*
 * The early console: a polled serial port, until a driver takes it, and in panic.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void arch_console_init(void);

/* Newlines become CR LF.  Gives up on a port that does not answer. */
void arch_console_write(const char *text, size_t length);

/* Bit n: COM(n+1) answers. */
uint32_t arch_console_ports(void);
