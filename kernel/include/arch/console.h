/* SPDX-License-Identifier: MIT */
/*
 * The early console: a polled serial port, until a driver takes it, and in panic.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void arch_console_init(void);

/* Whether [@base, @base + @length) are the ports that it uses; false also if it has none. */
bool arch_console_is(uint64_t base, uint64_t length);

/* After somebody else drove the port: usable again, and what is in its FIFO still goes out. */
void arch_console_resume(void);

/* Newlines become CR LF.  Gives up on a port that does not answer. */
void arch_console_write(const char *text, size_t length);

/* Bit n: COM(n+1) answers. */
uint32_t arch_console_ports(void);
