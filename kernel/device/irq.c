/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices ring bells.
 *
 * A message (MSI-X, MSI) is bound to a vector of its own and needs no
 * acknowledgement.  A line (INTx, ISA, an IOAPIC input) is masked when it is
 * delivered, if it is level triggered, until the driver has acknowledged it: a driver
 * that dies in between cannot storm the machine.
 */

#include "device_priv.h"
#include "kernel/bell.h"

static void irq_fired(struct irq_action *action)
{
	struct device_irq *irq = container_of(action, struct device_irq, action);

	bell_ring(irq->bell, irq->bits);
}

void device_irq_init(struct device *device, struct device_irq *irq)
{
	irq->action.fn = irq_fired;
	irq->action.name = device->desc.name;
	list_init(&irq->action.link);
}

static k_status_t bind_line(struct device *device, struct device_irq *irq)
{
	uint32_t flags = device->desc.irq_flags, line = device->desc.irq, isa_flags;

	if (device->desc.kind == K_DEVICE_PCI) {
		line = device->pci.line;
		flags = IRQ_LEVEL;
	}
	if (line < 16) {
		line = irq_isa_to_gsi(line, &isa_flags);
		flags |= isa_flags;
	}
	return irq_bind_line(&irq->action, line, flags);
}

static k_status_t bind_message(struct device *device, uint32_t index, struct device_irq *irq)
{
	struct irq_message message;
	k_status_t st;

	st = irq_bind_message(&irq->action, device->desc.function, &message);
	if (st != K_OK)
		return st;
	st = pci_message_set(device, index, &message);
	if (st != K_OK)
		irq_unbind(&irq->action);
	return st;
}

static bool uses_messages(const struct device *device)
{
	return device->desc.kind == K_DEVICE_PCI && pci_has_messages(device);
}

static void unbind(struct device *device, uint32_t index)
{
	struct device_irq *irq = &device->irqs[index];

	if (!irq->bound)
		return;
	if (uses_messages(device))
		pci_message_clear(device, index);
	irq_unbind(&irq->action);
	irq->bound = false;
	object_put(&irq->bell->object);
	irq->bell = NULL;
}

static k_status_t bind(struct device *device, uint32_t index, struct bell *bell, uint64_t bits)
{
	struct device_irq *irq = &device->irqs[index];
	k_status_t st;

	object_get(&bell->object);
	irq->bell = bell;
	irq->bits = bits;
	st = uses_messages(device) ? bind_message(device, index, irq) : bind_line(device, irq);
	irq->bound = st == K_OK;
	if (irq->bound && device->desc.kind == K_DEVICE_PCI && !pci_has_messages(device))
		pci_line_enable(device);
	if (st != K_OK) {
		irq->bell = NULL;
		object_put(&bell->object);
	}
	return st;
}

k_status_t device_irq_bind(struct device *device, uint32_t index, struct bell *bell, uint64_t bits)
{
	k_status_t st = K_OK;

	if (index >= device->irq_count)
		return K_ERR_NOT_FOUND;
	kmutex_lock(&devices_mutex);
	if (device->closed) {
		st = K_ERR_NOT_FOUND;
	} else {
		unbind(device, index);
		if (bell)
			st = bind(device, index, bell, bits);
	}
	kmutex_unlock(&devices_mutex);
	return st;
}

k_status_t device_irq_ack(struct device *device, uint32_t index)
{
	if (index >= device->irq_count)
		return K_ERR_NOT_FOUND;
	/* No mutex: this is once per interrupt, and harmless whatever the binding is. */
	irq_ack(&device->irqs[index].action);
	return K_OK;
}

void device_irqs_unbind(struct device *device)
{
	for (uint32_t i = 0; i < device->irq_count; i++)
		unbind(device, i);
}
