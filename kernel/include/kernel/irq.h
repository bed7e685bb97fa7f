/* SPDX-License-Identifier: MIT */
/*
 * Device interrupts.
 *
 * A source is a line of an interrupt controller (global interrupt number) or a
 * message (MSI/MSI-X).  The device layer embeds a struct irq_action, and its
 * function runs in interrupt context with interrupts disabled.
 *
 * Level-triggered lines are masked when they are delivered, and unmasked when
 * every action on the line has been acknowledged (irq_ack).  Edge-triggered lines
 * and messages are never masked by delivery.  Lines can be shared; all actions of
 * a line run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "base/list.h"
#include "base/util.h"

#define IRQ_LEVEL	(1u << 0)
#define IRQ_ACTIVE_LOW	(1u << 1)

struct irq_source;

struct irq_action {
	void (*fn)(struct irq_action *action);	/* constant; interrupt context */
	const char *name;		/* constant; for people */
	struct irq_source *source;	/* while bound; LOCK_IRQ */
	struct list link;		/* of the source; LOCK_IRQ */
	bool pending_ack;		/* delivered, not yet acknowledged; LOCK_IRQ */
};

struct irq_message {
	uint64_t address;		/* for the device's MSI address and data registers */
	uint32_t data;
};

/*
 * Bind to the line @gsi (ISA numbers: irq_isa_to_gsi) with @flags.  A line that is
 * bound already must have the same flags: BAD_ARGUMENT.  NOT_FOUND: no controller
 * has it.  LIMIT: no vector is free.
 */
MUST_CHECK k_status_t irq_bind_line(struct irq_action *action, uint32_t gsi, uint32_t flags);

/*
 * A message of its own, which is taken only from the PCI function @requester, where there is an
 * IOMMU to see to that; IRQ_NOT_REMAPPED: from everybody.  LIMIT: no vector is free.
 */
#define IRQ_NOT_REMAPPED UINT32_MAX
MUST_CHECK k_status_t irq_bind_message(struct irq_action *action, uint32_t requester,
				       struct irq_message *message);

/* Afterwards the function neither runs nor will.  Thread context. */
void irq_unbind(struct irq_action *action);

/* Level: the device's reason is gone, deliver again.  Harmless when nothing is pending. */
void irq_ack(struct irq_action *action);

/* The first source from number @from on that has an action; NOT_FOUND: there is none. */
MUST_CHECK k_status_t irq_info(uint32_t from, struct k_irq_info *info);

/* The line and flags of an ISA interrupt (0..15), after the firmware's overrides. */
uint32_t irq_isa_to_gsi(uint32_t isa, uint32_t *flags);
