/* SPDX-License-Identifier: MIT */
/*
 * COM1, polled, 115200 8n1.
 */
#include "arch/console.h"

#include <stdbool.h>

#include "arch/io.h"

#define COM1	0x3f8
#define UART_DATA 0
#define UART_IER 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCRATCH 7
#define COM_PORTS 8
#define LSR_THR_EMPTY 0x20
#define FCR_ENABLE 1
#define FCR_CLEAR_RX 2
#define FCR_CLEAR_TX 4

static const uint16_t ports[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static bool present;

static bool port_answers(uint16_t port)
{
	arch_port_write8(port + UART_SCRATCH, 0x5a);
	return arch_port_read8(port + UART_SCRATCH) == 0x5a;
}

/* Fifos enabled, and @clear of them emptied. */
static void program(uint8_t clear)
{
	present = port_answers(COM1);
	if (!present)
		return;
	arch_port_write8(COM1 + UART_IER, 0);
	arch_port_write8(COM1 + UART_LCR, 0x80);	/* divisor */
	arch_port_write8(COM1 + UART_DATA, 1);
	arch_port_write8(COM1 + UART_IER, 0);
	arch_port_write8(COM1 + UART_LCR, 0x03);
	arch_port_write8(COM1 + UART_FCR, FCR_ENABLE | clear);
	arch_port_write8(COM1 + UART_MCR, 0x03);
}

void arch_console_init(void)
{
	program(FCR_CLEAR_RX | FCR_CLEAR_TX);
}

void arch_console_resume(void)
{
	program(0);
}

bool arch_console_is(uint64_t base, uint64_t length)
{
	return present && base == COM1 && length == COM_PORTS;
}

uint32_t arch_console_ports(void)
{
	uint32_t found = 0;

	for (unsigned int i = 0; i < 4; i++)
		found |= (uint32_t)port_answers(ports[i]) << i;
	return found;
}

static void put(char c)
{
	/* About 100 ms at 1 us per port access: a port whose flow is stopped. */
	for (unsigned int i = 0; i < 100000 && present; i++) {
		if (arch_port_read8(COM1 + UART_LSR) & LSR_THR_EMPTY) {
			arch_port_write8(COM1 + UART_DATA, (uint8_t)c);
			return;
		}
	}
	present = false;
}

void arch_console_write(const char *text, size_t length)
{
	for (size_t i = 0; i < length && present; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}
