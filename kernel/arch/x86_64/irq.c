/* SPDX-License-Identifier: MIT */
/*
 * Vectors, and the device interrupts behind them (kernel/irq.h).
 *
 * A source owns a vector: a line of an I/O APIC, or a message.  Sources of lines
 * stay for ever once bound; a message's vector is free again after unbinding.  All
 * device interrupts go to the boot CPU until somebody measures a need for more.
 *
 * Invariants, under irq_lock: (1) vectors[v] is NULL or a source with that vector;
 * (2) a level line is unmasked iff it has actions and none of them has pending_ack.
 */
#include "kernel/irq.h"

#include "x86.h"

#include "abi/status.h"
#include "arch/smp.h"
#include "arch/time.h"
#include "kernel/kmem.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/shootdown.h"

#define VECTORS (VECTOR_IRQ_LAST - VECTOR_IRQ_FIRST + 1)

struct irq_source {
	uint32_t vector;
	bool is_line;			/* constant */
	uint32_t gsi, flags;		/* of a line; constant */
	struct list actions;		/* irq_lock */
};

static struct spinlock irq_lock = SPINLOCK_INIT(LOCK_IRQ);
static struct irq_source *vectors[VECTORS];	/* irq_lock; read by the handler under it */
static const struct boot_info *boot;

void x86_irq_init(const struct boot_info *info)
{
	boot = info;
	x86_ioapic_init(info);
}

uint32_t irq_isa_to_gsi(uint32_t isa, uint32_t *flags)
{
	for (uint32_t i = 0; i < boot->override_count; i++) {
		if (boot->overrides[i].isa == isa) {
			*flags = boot->overrides[i].flags;
			return boot->overrides[i].gsi;
		}
	}
	*flags = 0;
	return isa;
}

static struct irq_source *source_of_line(uint32_t gsi)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		if (vectors[i] && vectors[i]->is_line && vectors[i]->gsi == gsi)
			return vectors[i];
	}
	return NULL;
}

/* Give @source a vector; false: none is free. */
static bool take_vector(struct irq_source *source)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		if (vectors[i] || i + VECTOR_IRQ_FIRST == 0x80)
			continue;
		vectors[i] = source;
		source->vector = i + VECTOR_IRQ_FIRST;
		return true;
	}
	return false;
}

static struct irq_source *source_alloc(bool is_line, uint32_t gsi, uint32_t flags)
{
	struct irq_source *source = kzalloc(sizeof(*source));

	if (source) {
		source->is_line = is_line;
		source->gsi = gsi;
		source->flags = flags;
		list_init(&source->actions);
	}
	return source;
}

static void add_action(struct irq_source *source, struct irq_action *action)
{
	action->source = source;
	action->pending_ack = false;
	list_add_last(&source->actions, &action->link);
}

/* Level lines: unmask once nobody has to acknowledge any more. */
static void update_mask(const struct irq_source *source)
{
	const struct irq_action *a;
	bool masked = list_is_empty(&source->actions);

	list_for_each_entry(a, &source->actions, link)
		masked |= a->pending_ack;
	x86_ioapic_mask(source->gsi, masked);
}

k_status_t irq_bind_line(struct irq_action *action, uint32_t gsi, uint32_t flags)
{
	struct irq_source *fresh, *source;
	k_status_t status = K_OK;
	arch_irqflags_t irq;

	if (!x86_ioapic_has(gsi))
		return K_ERR_NOT_FOUND;
	fresh = source_alloc(true, gsi, flags);
	if (!fresh)
		return K_ERR_NO_MEMORY;

	irq = spin_lock_irqsave(&irq_lock);
	source = source_of_line(gsi);
	if (source) {
		if (source->flags != flags && !list_is_empty(&source->actions)) {
			status = K_ERR_BAD_ARGUMENT;
		} else if (source->flags != flags) {
			source->flags = flags;
			x86_ioapic_route(gsi, source->vector, cpus[0]->arch.apic_id,
					 flags & IRQ_LEVEL, flags & IRQ_ACTIVE_LOW);
		}
	} else if (take_vector(fresh)) {
		source = fresh;
		fresh = NULL;
		x86_ioapic_route(gsi, source->vector, cpus[0]->arch.apic_id, flags & IRQ_LEVEL,
				 flags & IRQ_ACTIVE_LOW);
	} else {
		status = K_ERR_LIMIT;
	}
	if (status == K_OK) {
		add_action(source, action);
		update_mask(source);
	}
	spin_unlock_irqrestore(&irq_lock, irq);
	kfree(fresh);
	return status;
}

k_status_t irq_bind_message(struct irq_action *action, struct irq_message *message)
{
	struct irq_source *source = source_alloc(false, 0, 0);
	arch_irqflags_t irq;
	bool ok;

	if (!source)
		return K_ERR_NO_MEMORY;
	irq = spin_lock_irqsave(&irq_lock);
	ok = take_vector(source);
	if (ok)
		add_action(source, action);
	spin_unlock_irqrestore(&irq_lock, irq);
	if (!ok) {
		kfree(source);
		return K_ERR_LIMIT;
	}
	message->address = 0xfee00000 | (uint64_t)cpus[0]->arch.apic_id << 12;
	message->data = source->vector;
	return K_OK;
}

void irq_unbind(struct irq_action *action)
{
	struct irq_source *source = action->source, *gone = NULL;
	arch_irqflags_t irq;

	if (!source)
		return;
	/* Actions run under the lock: once it is ours, none is running. */
	irq = spin_lock_irqsave(&irq_lock);
	list_remove(&action->link);
	action->source = NULL;
	if (source->is_line) {
		update_mask(source);
	} else {
		vectors[source->vector - VECTOR_IRQ_FIRST] = NULL;
		gone = source;
	}
	spin_unlock_irqrestore(&irq_lock, irq);
	kfree(gone);
}

void irq_ack(struct irq_action *action)
{
	arch_irqflags_t irq = spin_lock_irqsave(&irq_lock);

	if (action->source && action->pending_ack) {
		action->pending_ack = false;
		update_mask(action->source);
	}
	spin_unlock_irqrestore(&irq_lock, irq);
}

static void device_interrupt(uint32_t vector)
{
	struct irq_source *source;
	struct irq_action *a;

	spin_lock_irqoff(&irq_lock);
	source = vectors[vector - VECTOR_IRQ_FIRST];
	if (source && source->is_line && (source->flags & IRQ_LEVEL)) {
		x86_ioapic_mask(source->gsi, true);
		list_for_each_entry(a, &source->actions, link)
			a->pending_ack = true;
	}
	x86_apic_eoi();
	if (source) {
		list_for_each_entry(a, &source->actions, link)
			a->fn(a);
	}
	spin_unlock_irqoff(&irq_lock);
}

/* Interrupts disabled. */
void x86_irq_vector(uint32_t vector)
{
	switch (vector) {
	case VECTOR_TIMER:
		x86_apic_eoi();
		timer_interrupt();
		break;
	case VECTOR_RESCHED:
		x86_apic_eoi();
		sched_ipi();
		break;
	case VECTOR_SHOOTDOWN:
		x86_apic_eoi();
		tlb_interrupt();
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		if (vector >= VECTOR_IRQ_FIRST && vector <= VECTOR_IRQ_LAST)
			device_interrupt(vector);
		/* else: a late interrupt of the masked 8259s; it wants no answer */
		break;
	}
}
