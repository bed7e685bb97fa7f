/* SPDX-License-Identifier: MIT */
/*
 * devices: finds what is in the machine and says so to init, which knows what to do
 * with it.  It reads: configuration space, and through the root device the
 * registers that tell what a virtio-mmio window holds.  It can start nothing.
 */
#include "base/string.h"
#include "devices.h"
#include "rt/log.h"
#include "rt/process.h"

struct devices devices;

void report(const struct component_device *d)
{
	struct component_device copy = *d;
	struct k_message m = { .data = (uint64_t)&copy, .length = sizeof(copy) };
	k_status_t st;

	copy.kind = COMPONENT_DEVICE;
	st = k_channel_send(devices.channel, &m);
	if (st != K_OK)
		rt_log(RT_LOG_ERR, "devices: cannot report %s: status %d", d->desc.name, st);
}

static void settled(void)
{
	uint32_t kind = COMPONENT_DEVICES_SETTLED;
	struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };

	if (k_channel_send(devices.channel, &m) != K_OK)
		rt_log(RT_LOG_ERR, "devices: init does not listen");
}

static bool receive_start(k_handle_t *window)
{
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	struct k_message m = { .data = (uint64_t)&devices.start, .length = sizeof(devices.start),
			       .handles = (uint64_t)handles,
			       .handle_count = K_MESSAGE_MAX_HANDLES };

	if (k_channel_recv(devices.channel, &m, K_DEADLINE_NEVER) != K_OK ||
	    m.length != sizeof(devices.start) || devices.start.kind != COMPONENT_START ||
	    !(devices.start.granted & 1u << COMPONENT_HANDLE_DEVICE) || !m.handle_count)
		return false;
	devices.root = handles[0];
	if ((devices.start.granted & 1u << COMPONENT_HANDLE_WINDOW) && m.handle_count > 1)
		*window = handles[m.handle_count - 1];
	return true;
}

int rt_main(k_handle_t bootstrap)
{
	k_handle_t bell, window = 0;
	uint64_t bits;

	devices.channel = bootstrap;
	if (!receive_start(&window))
		rt_panic("devices: init granted something else");
	/* The console first: whoever waits for the machine looks at it. */
	uart_scan();
	virtio_mmio_scan(window);
	pci_scan();
	settled();
	/* Devices that come later are for later; until then wait for the end. */
	if (k_bell_create(&bell) != K_OK || k_channel_watch(devices.channel, bell, 1) != K_OK)
		return 1;
	(void)!k_bell_wait(bell, 1, K_DEADLINE_NEVER, 0, &bits);
	return 0;
}
