/* SPDX-License-Identifier: MIT */
/*
 * The first C code: is the image whole?
 *
 * Nothing of the image can be relied on before that is known, so the linker script puts
 * this file and fits.c, with their constants, into the first pages of the image, beside
 * entry.S; they call nothing outside, use a stack in those pages, and write to the
 * serial port by themselves.  What lies over these pages, too, nobody can say.
 */
#include "boot.h"

#include "base/util.h"

#define COM1		0x3f8
#define COM1_STATUS	0x3fd
#define CAN_SEND	0x20
#define DEBUG_EXIT	0xf4
#define PANIC_STATUS	0x31		/* as kernel/base/panic.c */
#define MAPPED_BYTES	(1ull << 30)

static void port_write(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	for (; *text; text++) {
		for (unsigned i = 0; i < 100000 && !(port_read(COM1_STATUS) & CAN_SEND); i++)
			;
		port_write(COM1, (uint8_t)*text);
	}
}

static bool debug_exit_allowed(const char *line)
{
	static const char word[] = "concord.debugexit";
	unsigned n = 0;

	for (; *line && word[n]; line++)
		n = *line == word[n] ? n + 1 : *line == word[0];
	return !word[n];
}

void boot_check_image(enum boot_protocol protocol, uint64_t addr)
{
	extern const char boot_image_start[], boot_image_end[];
	const struct boot_memory m = { .base = NULL };
	uint64_t line;
	const char *problem = boot_image_fits(&m, protocol, addr,
					      (uint64_t)(uintptr_t)boot_image_start,
					      (uint64_t)(uintptr_t)boot_image_end, &line);

	if (!problem)
		return;
	say("\r\nKernel panic - boot: ");
	say(problem);
	say("\r\n");
	if (line && line < MAPPED_BYTES && debug_exit_allowed((const char *)(uintptr_t)line))
		port_write(DEBUG_EXIT, PANIC_STATUS);
	for (;;)
		asm volatile("hlt");
}
