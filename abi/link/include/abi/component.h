/* SPDX-License-Identifier: MIT */
/*
 * What init says to a component over its bootstrap channel (the argument of its
 * entry), and what a component answers.
 *
 * The first message is a struct component_start with the handles that the
 * component's block in the system description gives it, and no others.  When init
 * closes its end, the component is to end.
 */
#pragma once

#include <stdint.h>

#include "abi/link.h"
#include "abi/types.h"

enum component_message_kind {
	COMPONENT_START = 1,
	COMPONENT_DEVICE,		/* devices -> init: struct component_device */
	COMPONENT_DEVICES_SETTLED,	/* devices -> init: all that are present were reported */
	COMPONENT_READY,		/* driver -> init: it serves, and took over what there was; no payload */

	/*
	 * Of a component that "needs slot", about what is behind its port.  No payload: init knows which
	 * port that is.  Each may be said again at any time.
	 */
	COMPONENT_SLOT_EJECT,		/* driver -> init: it is to go; its users may finish first */
	COMPONENT_SLOT_GONE,		/* driver -> init: it has gone */
	COMPONENT_SLOT_FREE,		/* init -> driver: nobody uses it any more */
};

/* Handles of COMPONENT_START, in this order; the message holds those in granted. */
enum component_handle {
	COMPONENT_HANDLE_DEVICE,	/* its device: READ MANAGE; of "devices": the root, READ */
	COMPONENT_HANDLE_DMA,		/* memory of "needs dma SIZE": READ WRITE MAP DMA */
	COMPONENT_HANDLE_CONTROL,	/* of its link: READ WRITE MAP DMA */
	COMPONENT_HANDLE_DATA,		/* DMA; with "data mapped" READ WRITE MAP, and DMA if it needs dma */
	COMPONENT_HANDLE_CLIENT_BELL,	/* SIGNAL */
	COMPONENT_HANDLE_SERVER_BELL,	/* WAIT SIGNAL (interrupts ring it too) */
	COMPONENT_HANDLE_RECORD,	/* of servers of a link: READ WRITE MAP */
	COMPONENT_HANDLE_WINDOW,	/* of "devices": the virtio-mmio window, to look at; READ MANAGE */
	COMPONENT_START_HANDLES
};

/* What "devices" is told about the machine. */
struct component_machine {
	uint64_t ecam_base;		/* 0: configuration space by ports */
	uint32_t ecam_first_bus, ecam_last_bus;
	uint32_t has_pci, has_acpi;
	uint32_t has_uart;		/* bit n: COM(n+1) */
	uint32_t pad;
	uint64_t virtio_mmio_base;	/* or 0 */
	uint64_t virtio_mmio_length;	/* whole pages */
};

/* How a device was found: which match of a description can name it. */
enum component_bus { BUS_PCI = 1, BUS_VIRTIO_MMIO, BUS_UART16550 };

/* A device, as "devices" reports it. */
struct component_device {
	uint32_t kind;			/* COMPONENT_DEVICE */
	uint32_t bus;			/* enum component_bus */
	uint32_t vendor, device;	/* PCI; VIRTIO_MMIO: device is the virtio number */
	uint32_t class_code;		/* PCI */
	uint32_t pad;
	struct k_device_desc desc;	/* as k_device_create() takes it */
};

#define COMPONENT_ADOPT_LIVE	(1u << 0)	/* without a reset of the device, or not at all */
#define COMPONENT_ADOPT_RESET	(1u << 1)	/* after a reset */

/*
 * Exit status of an incarnation that ended because its client broke the protocol, as it sees it.  Others
 * do not depend on its judgement: its successor looks at the same requests.
 */
#define COMPONENT_EXIT_PROTOCOL	64u
/*
 * ... that found nothing to drive, like an adapter without disks.  The first one that says so was
 * no failure, and there is no other; a later one says that what its predecessors drove is gone.
 */
#define COMPONENT_EXIT_ABSENT	65u

struct component_start {
	uint32_t kind;			/* COMPONENT_START */
	uint32_t version;		/* 1 */
	uint32_t granted;		/* bit i: handle i is there */
	uint32_t incarnation;		/* from 1; > 1: adopt what the record says (abi/record.h) */
	uint32_t flags;			/* COMPONENT_ADOPT_*, 0: live if possible, else after a reset */
	uint32_t pad;
	char name[32];			/* "virtio-blk.0" */
	uint64_t dma_length, record_length;
	struct link_geometry link;	/* class_id 0: serves nothing */
	struct component_device device;	/* bus 0: none */
	struct component_machine machine;	/* for "devices"; zeros for others */
	char options[256];		/* of the kernel command line: what concerns the component */
};
