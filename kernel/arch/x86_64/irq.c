/* SPDX-License-Identifier: MIT */
/*
 * Vectors, and the device interrupts behind them (kernel/irq.h).
 *
 * A source owns a vector: a line of an I/O APIC, or a message.  Sources of lines
 * stay for ever once bound; a message's vector is free again after unbinding.
 *
 * A source goes to the CPU on which it was bound: the driver runs there when it binds,
 * and its thread tends to stay, so that the interrupt wakes it without another one to
 * a second CPU; and drivers that start on different CPUs spread their interrupts.
 * Vectors are numbered for the machine as a whole, not for each CPU.
 *
 * Invariants, under irq_lock: (1) vectors[v] is NULL or a source with that vector;
 * (2) a level line is unmasked iff it has actions and none of them has pending_ack.
 */
#include "kernel/irq.h"

#include "x86.h"

#include "abi/status.h"
#include "arch/smp.h"
#include "arch/time.h"
#include "base/string.h"
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
	uint32_t cpu;			/* where it goes; irq_lock */
	uint64_t count;			/* of deliveries there; irq_lock */
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

/* Have @source go to this CPU, or to the first where a message cannot name this one. */
static void aim(struct irq_source *source)
{
	source->cpu = this_cpu()->arch.apic_id < 0xff ? cpu_id() : 0;
	source->count = 0;		/* those before went elsewhere */
}

static void route_line(struct irq_source *source)
{
	aim(source);
	x86_ioapic_route(source->gsi, source->vector, cpus[source->cpu]->arch.apic_id,
			 source->flags & IRQ_LEVEL, source->flags & IRQ_ACTIVE_LOW);
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
		} else if (list_is_empty(&source->actions)) {
			source->flags = flags;
			route_line(source);
		}
	} else if (take_vector(fresh)) {
		source = fresh;
		fresh = NULL;
		route_line(source);
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

/* What the device writes, and where.  A remappable message names its entry (VT-d 3.3, 5.1.2.2). */
static void make_message(const struct irq_source *source, uint32_t requester,
			 struct irq_message *message)
{
	uint32_t apic_id = cpus[source->cpu]->arch.apic_id, vector = source->vector;

	if (requester != IRQ_NOT_REMAPPED && x86_remap_set(vector, apic_id, false, requester))
		*message = (struct irq_message){ .address = 0xfee00010 | vector << 5 };
	else
		*message = (struct irq_message){ .address = 0xfee00000 | apic_id << 12,
						 .data = vector };
}

k_status_t irq_bind_message(struct irq_action *action, uint32_t requester,
			    struct irq_message *message)
{
	struct irq_source *source = source_alloc(false, 0, 0);
	arch_irqflags_t irq;
	bool ok;

	if (!source)
		return K_ERR_NO_MEMORY;
	irq = spin_lock_irqsave(&irq_lock);
	ok = take_vector(source);
	if (ok) {
		aim(source);
		make_message(source, requester, message);
		add_action(source, action);
	}
	spin_unlock_irqrestore(&irq_lock, irq);
	if (!ok) {
		kfree(source);
		return K_ERR_LIMIT;
	}
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
		x86_remap_clear(source->vector);
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
		source->count++;
		list_for_each_entry(a, &source->actions, link)
			a->fn(a);
	}
	spin_unlock_irqoff(&irq_lock);
}

/* Names of @source's actions, separated as Linux does it. */
static void name_actions(const struct irq_source *source, char *name, size_t size)
{
	const struct irq_action *a;

	name[0] = '\0';
	list_for_each_entry(a, &source->actions, link) {
		if (name[0])
			strlcat(name, ", ", size);
		strlcat(name, a->name, size);
	}
}

k_status_t irq_info(uint32_t from, struct k_irq_info *info)
{
	arch_irqflags_t irq = spin_lock_irqsave(&irq_lock);
	k_status_t st = K_ERR_NOT_FOUND;

	for (uint32_t i = from; i < VECTORS && st != K_OK; i++) {
		const struct irq_source *s = vectors[i];

		if (!s || list_is_empty(&s->actions))
			continue;
		*info = (struct k_irq_info){
			.next = i + 1, .cpu = s->cpu, .count = s->count,
			.line = s->is_line ? s->gsi : UINT32_MAX,
			.level = s->is_line && (s->flags & IRQ_LEVEL),
		};
		name_actions(s, info->name, sizeof(info->name));
		st = K_OK;
	}
	spin_unlock_irqrestore(&irq_lock, irq);
	return st;
}

/* Interrupts disabled. */
void x86_irq_vector(uint32_t vector)
{
	switch (vector) {
	case VECTOR_TIMER:
		x86_apic_eoi();
		this_cpu()->timer_interrupts++;
		timer_interrupt();
		break;
	case VECTOR_RESCHED:
		x86_apic_eoi();
		this_cpu()->reschedules++;
		sched_ipi();
		break;
	case VECTOR_SHOOTDOWN:
		x86_apic_eoi();
		this_cpu()->shootdowns++;
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
