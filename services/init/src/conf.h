/* SPDX-License-Identifier: MIT */
/*
 * System descriptions (system/default.conf): the text, parsed and checked.
 *
 *	file	= { line }
 *	line	= block header | "}" | key and values | empty; "#" starts a comment
 *	header	= "component" NAME "{" | "linux" NAME "{"
 *
 * Keys of a component:
 *	binary PATH			in the boot bundle; required
 *	match SPEC, SPEC ...		one instance per matching device; without it: one, at boot.
 *					SPEC: "pci VVVV:DDDD", "pci class CCSSPP" (class, subclass and
 *					programming interface), "virtio N" (memory mapped), "uart16550"
 *	needs WORD, WORD ...		mmio, ports, irq, dma SIZE, devices, slot
 *	serves CLASS, WORD ...		block, console, entropy, net, 9p; queues N (of a disk: at most, and no
 *					more than processors), depth N (of each), data SIZE
 *					(payload), data mapped (the driver can read and write it, too)
 *	restart always | never
 *	adopt live | reset		how a next incarnation takes the device over; without it:
 *					live if it can, else after a reset
 * Keys of a linux block:
 *	placement kernel | process
 *	binary PATH			of placement process
 *	memory SIZE			limit of its group
 *	grants WORD, ...		power, log, initrd, control (of the components), update (of their
 *					programs: whoever can do that is trusted as they are)
 *	uses CLASS from COMPONENT
 *
 * There are no wildcards and no defaults that give anything.  Unknown words, keys
 * given twice, names that do not exist and everything too long are errors, which
 * name the line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/component.h"

enum { CONF_NAME = 24, CONF_PATH = 64, CONF_COMPONENTS = 24, CONF_LINUXES = 4, CONF_MATCHES = 8,
       CONF_USES = 16 };

#define CONF_NEEDS_MMIO		(1u << 0)
#define CONF_NEEDS_PORTS	(1u << 1)
#define CONF_NEEDS_IRQ		(1u << 2)
#define CONF_NEEDS_DMA		(1u << 3)
#define CONF_NEEDS_DEVICES	(1u << 4)	/* to look for devices: the root device, for reading */
#define CONF_NEEDS_SLOT		(1u << 5)	/* to say that what is behind its PCI port is to go */

#define CONF_GRANT_POWER	(1u << 0)
#define CONF_GRANT_LOG		(1u << 1)
#define CONF_GRANT_INITRD	(1u << 2)
#define CONF_GRANT_CONTROL	(1u << 3)
#define CONF_GRANT_UPDATE	(1u << 4)

struct conf_match {
	uint32_t bus;			/* enum component_bus */
	uint32_t vendor, device;
	bool by_class;			/* PCI: class_code counts, and not vendor and device */
	uint32_t class_code;
};

struct conf_component {
	char name[CONF_NAME];
	char binary[CONF_PATH];
	struct conf_match match[CONF_MATCHES];
	uint32_t match_count;
	uint32_t needs;			/* CONF_NEEDS_* */
	uint64_t dma_size;
	uint32_t serves;		/* LINK_CLASS_*, 0: nothing */
	bool data_mapped;
	uint32_t queues, queue_size;	/* of its links */
	uint64_t data_size;
	bool restart;
	uint32_t adopt;			/* COMPONENT_ADOPT_*, or 0 */
	uint32_t line;
};

struct conf_use {
	uint32_t class_id;
	char from[CONF_NAME];
	uint32_t component;		/* index, once resolved */
	uint32_t line;
};

struct conf_linux {
	char name[CONF_NAME];
	char binary[CONF_PATH];
	uint32_t placement;		/* enum linux_placement */
	uint64_t memory;		/* 0: no limit */
	uint32_t grants;		/* CONF_GRANT_* */
	struct conf_use uses[CONF_USES];
	uint32_t use_count;
	uint32_t line;
};

struct conf {
	struct conf_component components[CONF_COMPONENTS];
	uint32_t component_count;
	struct conf_linux linuxes[CONF_LINUXES];
	uint32_t linux_count;
};

struct conf_error {
	uint32_t line;			/* from 1; 0: the file as a whole */
	char text[96];
};

/* False: *@error says what is wrong, *@conf is of no use.  The text need not end with a NUL. */
bool conf_parse(const char *text, size_t length, struct conf *conf, struct conf_error *error);

/* The component that the first matching SPEC of the file names for @d; NULL: nobody's. */
const struct conf_component *conf_match(const struct conf *conf, const struct component_device *d);

const char *conf_class_name(uint32_t class_id);
