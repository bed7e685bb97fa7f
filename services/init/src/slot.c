/* SPDX-License-Identifier: MIT */
/*
 * Devices that go: what is behind a PCI port whose driver (a component that "needs slot") says so.
 *
 *	asked	the client of the instance's link was asked to finish (disks only; others have nothing to
 *		lose), and the driver goes on, and is started again if it has to be, until the client says that
 *		it has done so
 *	leaving	its link is closed for good, and its driver is ended; when the process is over, device,
 *		memory and link are given back
 *	gone	it is ABSENT; when all behind the port are, the port's driver is told
 *
 * A device that has gone already is not waited for: it is leaving at once, and its client is told.
 *
 * Which buses are behind a port is read from its configuration before its driver runs, and not
 * believed to anybody.  Whoever says that a card is to go while it does says nothing new.
 */
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

enum { SECONDARY_BUS = 0x19, SUBORDINATE_BUS = 0x1a };

static uint32_t bus_register(const struct instance *in, uint32_t offset)
{
	uint64_t v;

	return k_device_config_read(init.handle[K_BOOT_DEVICES], in->found.desc.function, offset, 1,
				    &v) == K_OK ? (uint32_t)v : 0;
}

void slot_prepare(struct instance *port)
{
	if (!(port->conf->needs & CONF_NEEDS_SLOT) || port->found.bus != BUS_PCI)
		return;
	port->first_bus = bus_register(port, SECONDARY_BUS);
	port->last_bus = bus_register(port, SUBORDINATE_BUS);
}

static bool is_behind(const struct instance *port, const struct instance *in)
{
	uint32_t bus = in->found.desc.function >> 8;

	/* Bus 0 is behind no port: one with that number has none. */
	return in != port && instance_exists(in) && in->found.bus == BUS_PCI && port->first_bus &&
	       bus >= port->first_bus && bus <= port->last_bus;
}

/* Its ports: who waits for nobody any more is told. */
static void look(void)
{
	for (size_t p = 0; p < INSTANCES; p++) {
		struct instance *port = &init.instances[p];
		uint32_t kind = COMPONENT_SLOT_FREE;
		struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };
		bool used = false;

		for (size_t i = 0; i < INSTANCES && port->is_emptied; i++)
			used |= is_behind(port, &init.instances[i]);
		if (!port->is_emptied || used)
			continue;
		port->is_emptied = false;
		/* One that has just ended has a successor, which asks again. */
		if (port->state == INSTANCE_RUNNING && k_channel_send(port->channel, &m) != K_OK)
			report(RT_LOG_WARNING, "init: %s does not listen", port->name);
	}
}

void slot_instance_ended(struct instance *in)
{
	report(RT_LOG_NOTICE, "%s: its device is removed", in->name);
	update_removed(in);
	instance_discard(in);
	look();
}

static void leave(struct instance *in)
{
	in->removal = REMOVAL_LEAVING;
	instance_close_link(in);
	if (in->state == INSTANCE_RUNNING)
		instance_end(in, "its device is removed", true);
	else
		slot_instance_ended(in);
}

static void remove_instance(struct instance *in, bool gone)
{
	bool asked = in->removal == REMOVAL_ASKED;

	if (in->removal == REMOVAL_LEAVING)
		return;
	if (!asked && in->conf->serves == LINK_CLASS_BLOCK && in->client && in->client->running)
		asked = personality_take_link(in->client, in);
	if (!gone && asked) {
		in->removal = REMOVAL_ASKED;
		return;
	}
	leave(in);
}

void slot_empty(struct instance *port, bool gone)
{
	if (!(port->conf->needs & CONF_NEEDS_SLOT))
		return;
	port->is_emptied = true;
	for (size_t i = 0; i < INSTANCES; i++)
		if (is_behind(port, &init.instances[i]))
			remove_instance(&init.instances[i], gone);
	look();
}

void slot_link_removed(const struct personality *p, uint32_t class_id, uint32_t index)
{
	for (size_t i = 0; i < INSTANCES; i++) {
		struct instance *in = &init.instances[i];

		if (instance_exists(in) && in->client == p && in->link.class_id == class_id &&
		    in->link.index == index && in->removal == REMOVAL_ASKED) {
			leave(in);
			return;
		}
	}
}
