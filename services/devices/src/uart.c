/* SPDX-License-Identifier: MIT */
/* The serial ports of a PC, which the kernel probed before it used one as its console. */
#include "base/format.h"
#include "base/util.h"
#include "devices.h"

void uart_scan(void)
{
	static const struct {
		uint16_t port;
		uint8_t irq;
	} com[] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

	for (uint32_t i = 0; i < ARRAY_SIZE(com); i++) {
		struct component_device d = {
			.bus = BUS_UART16550, .device = i,
			.desc = { .kind = K_DEVICE_PORTS, .base = com[i].port, .length = 8,
				  .irq = com[i].irq },
		};

		if (!(devices.start.machine.has_uart & 1u << i))
			continue;
		snprintf(d.desc.name, sizeof(d.desc.name), "com%u", i + 1);
		report(&d);
	}
}
