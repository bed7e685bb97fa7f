/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio devices of QEMU's microvm: a window of 512-byte register files, each of
 * which says by its magic and device number whether something is there (virtio
 * 1.1, 4.2.2).
 *
 * Their interrupts are told by nothing but ACPI's AML or the command line
 * (virtio_mmio.device=SIZE@ADDRESS:IRQ, as QEMU adds it without ACPI), so that
 * otherwise QEMU's numbers are taken: from 24 on with ACPI (second I/O APIC),
 * else from 5 on.
 */
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "devices.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"

enum { STRIDE = 512, MAGIC = 0, DEVICE_ID = 8 };
#define MAGIC_VALUE 0x74726976u		/* "virt" */

/* The interrupt that the command line names for the registers at @base. */
static bool irq_from_options(const char *text, uint64_t base, uint32_t *irq)
{
	static const char prefix[] = "virtio_mmio.device=";
	const char *s = text;

	while ((s = strstr(s, prefix))) {
		uint64_t size, at, line;
		size_t n;

		s += strlen(prefix);
		n = parse_size(s, strlen(s), &size);
		if (!n || s[n] != '@')
			continue;
		s += n + 1;
		n = parse_u64(s, strlen(s), 0, &at);
		if (!n || s[n] != ':')
			continue;
		s += n + 1;
		if (parse_u64(s, strlen(s), 0, &line) && at == base && line < 1024) {
			*irq = (uint32_t)line;
			return true;
		}
	}
	return false;
}

static void slot_scan(const volatile char *registers, uint32_t slot)
{
	const struct component_machine *m = &devices.start.machine;
	const volatile uint32_t *r = (const volatile uint32_t *)(registers + slot * STRIDE);
	struct component_device d = { .bus = BUS_VIRTIO_MMIO };

	if (r[MAGIC / 4] != MAGIC_VALUE)
		return;
	d.device = r[DEVICE_ID / 4];
	if (!d.device)
		return;
	d.desc = (struct k_device_desc){
		.kind = K_DEVICE_MMIO, .base = m->virtio_mmio_base + slot * STRIDE,
		.length = STRIDE, .irq = (m->has_acpi ? 24 : 5) + slot, .irq_flags = 1,
	};
	(void)irq_from_options(devices.start.options, d.desc.base, &d.desc.irq);
	snprintf(d.desc.name, sizeof(d.desc.name), "virtio-mmio %u", slot);
	devices.found[devices.found_count++] = d;
}

void virtio_mmio_scan(k_handle_t window)
{
	const struct component_machine *m = &devices.start.machine;
	uint64_t length = m->virtio_mmio_length;
	k_handle_t memory;
	void *registers;
	k_status_t st;

	if (!window)
		return;
	st = k_device_mmio(window, 0, &memory);
	rt_close(window);
	if (st == K_OK) {
		st = rt_map(memory, 0, length, K_PROT_READ | K_PROT_WRITE, &registers);
		rt_close(memory);
	}
	if (st != K_OK) {
		rt_log(RT_LOG_ERR, "devices: cannot look at virtio-mmio: status %d", st);
		return;
	}
	/* QEMU gives its first device the last slot: downwards is the order of its command line. */
	for (uint32_t slot = (uint32_t)MIN(length / STRIDE, (uint64_t)DEVICES_MMIO_MAX); slot-- > 0;)
		slot_scan(registers, slot);
	rt_unmap(registers, length);
	/* Only now: the drivers' devices are parts of the window, which has to be free. */
	for (uint32_t i = 0; i < devices.found_count; i++)
		report(&devices.found[i]);
}
