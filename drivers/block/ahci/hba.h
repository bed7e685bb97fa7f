/* SPDX-License-Identifier: MIT */
/*
 * An AHCI host bus adapter and one of its ports: registers (Serial ATA AHCI 1.3.1, section 3),
 * and the way from whatever state firmware or a predecessor left them in.
 *
 * A port:
 *
 *	stopped		(10.3) it fetches no commands and writes no memory
 *	receiving	FISes of its device go to memory, commands are not fetched
 *	running		commands whose bits are set in PxCI are fetched and issued
 *
 * Everything that is read is the device's word: nothing is waited for without a bound, a port's
 * number is checked against what is implemented, and a register that reads as all ones
 * where it cannot is an adapter that is gone.
 *
 * Statuses: IO: it failed, or is gone; TIMED_OUT: it did not do it in time; NOT_SUPPORTED:
 * it is not what this driver can drive, hba.why says a reason; NOT_FOUND: nothing is attached.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "drv/registers.h"

enum { HBA_PORTS = 32, HBA_SLOTS = 32 };
/* The registers of all ports. */
enum { HBA_WINDOW = 0x100 + HBA_PORTS * 0x80 };

/* Registers of a port (3.3), from its first. */
enum {
	PORT_CLB = 0x00, PORT_CLBU = 0x04, PORT_FB = 0x08, PORT_FBU = 0x0c, PORT_IS = 0x10,
	PORT_IE = 0x14, PORT_CMD = 0x18, PORT_TFD = 0x20, PORT_SIG = 0x24, PORT_SSTS = 0x28,
	PORT_SCTL = 0x2c, PORT_SERR = 0x30, PORT_SACT = 0x34, PORT_CI = 0x38,
};

/* Bits of PxIS and PxIE. */
#define PORT_IS_DHRS	(1u << 0)	/* a FIS came: a command without a queue is done */
#define PORT_IS_SDBS	(1u << 3)	/* ... queued ones are */
#define PORT_IS_PCS	(1u << 6)	/* something was attached, */
#define PORT_IS_PRCS	(1u << 22)	/* or its link went, or came back */
#define PORT_IS_OFS	(1u << 24)	/* it sent more than there was memory for */
#define PORT_IS_INFS	(1u << 26)	/* of the interface, harmless */
#define PORT_IS_IFS	(1u << 27)	/* ... fatal */
#define PORT_IS_HBDS	(1u << 28)	/* memory cannot be reached */
#define PORT_IS_HBFS	(1u << 29)
#define PORT_IS_TFES	(1u << 30)	/* the device says that a command failed */
/* What only a reset of the port gets it out of. */
#define PORT_IS_FATAL	(PORT_IS_OFS | PORT_IS_IFS | PORT_IS_HBDS | PORT_IS_HBFS)
#define PORT_IS_LINK	(PORT_IS_PCS | PORT_IS_PRCS)

/* Bits of PxTFD: the status of the device, its error above it. */
#define TFD_ERR		(1u << 0)
#define TFD_DRQ		(1u << 3)
#define TFD_BSY		(1u << 7)
#define TFD_ERROR(tfd)	((tfd) >> 8 & 0xff)

struct hba {
	const struct drv_window *window;	/* constant from hba_open() on, and all but why */
	uint32_t ports;			/* mask of those that are implemented */
	uint32_t slots;			/* commands at a time: 1 to 32 */
	bool has_ncq, has_64bit;
	uint32_t version;
	const char *why;		/* of the last NOT_SUPPORTED */
};

/*
 * Read the capabilities, which need the first page of registers.  Nothing is changed, but that
 * the adapter is told to be one of AHCI's (GHC.AE).
 */
k_status_t hba_open(struct hba *h, const struct drv_window *window)
	__attribute__((warn_unused_result));
/* The window has to reach so far for the ports. */
uint64_t hba_window_length(const struct hba *h);
/* Take it from the firmware (10.6), if that says that it uses it. */
k_status_t hba_take_from_firmware(struct hba *h) __attribute__((warn_unused_result));
/* Reset all of it, ports and links included, which have no power afterwards (10.4.3). */
k_status_t hba_reset(struct hba *h) __attribute__((warn_unused_result));
void hba_interrupts(struct hba *h, bool enable);
/* The interrupts @bits of port @p are known: what comes from now on is told again. */
void hba_acknowledge(struct hba *h, uint32_t p, uint32_t bits);

uint32_t port_read(const struct hba *h, uint32_t p, uint32_t offset);
void port_write(const struct hba *h, uint32_t p, uint32_t offset, uint32_t value);

/* Something is attached to the port, and the link to it works (PxSSTS). */
bool port_is_linked(const struct hba *h, uint32_t p);
/* Commands are fetched, and FISes received. */
bool port_is_running(const struct hba *h, uint32_t p);
/* Its command list and its FISes are where port_receive() was told. */
bool port_is_at(const struct hba *h, uint32_t p, uint64_t commands, uint64_t fises);

/* Stop it, whatever it does; a port that does not stop is reset. */
k_status_t port_stop(const struct hba *h, uint32_t p) __attribute__((warn_unused_result));
/* Power it and its device up; true: it was off, or held in reset, and its link takes some time. */
bool port_power_up(const struct hba *h, uint32_t p);
/* A stopped port: FISes go to @fises, and commands will be fetched from @commands, bus addresses. */
k_status_t port_receive(const struct hba *h, uint32_t p, uint64_t commands, uint64_t fises)
	__attribute__((warn_unused_result));
/* A receiving one: the link's error bits cleared, wait until the device is ready for commands. */
k_status_t port_wait_ready(const struct hba *h, uint32_t p) __attribute__((warn_unused_result));
/* A receiving port whose device is ready: run. */
k_status_t port_run(const struct hba *h, uint32_t p) __attribute__((warn_unused_result));
/* A receiving one: reset the link, and with it the device (10.4.2). */
k_status_t port_reset(const struct hba *h, uint32_t p) __attribute__((warn_unused_result));
/*
 * A running one: stop fetching commands, which voids PxCI and PxSACT, and run again; if the device
 * is still busy with something it is reset, and so it is for @reset.
 */
k_status_t port_restart(const struct hba *h, uint32_t p, bool reset)
	__attribute__((warn_unused_result));
