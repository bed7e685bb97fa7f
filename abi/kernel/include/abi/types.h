/* SPDX-License-Identifier: MIT */
/*
 * Types and constants of the kernel calls (calls.tbl), shared by the kernel
 * and everything that runs on it.  Fixed-width fields, no logic, no bit-fields:
 * bindings for other languages are made from this file.
 *
 * Addresses, offsets and lengths of mappings are bytes and multiples of the
 * page size unless a field says otherwise.  Times are nanoseconds.
 */
#pragma once

#include <stdint.h>

typedef uint32_t k_handle_t;		/* 0 is never a handle */
typedef int32_t k_status_t;		/* status.tbl */

#define K_HANDLE_NONE	0u
#define K_DEADLINE_NEVER UINT64_MAX
#define K_PAGE_SHIFT	12		/* of x86_64; through abi/arch once there are two */
#define K_PAGE_SIZE	4096u

/* -- handles ----------------------------------------------------------------- */

enum k_type {
	K_TYPE_NONE, K_TYPE_PROCESS, K_TYPE_THREAD, K_TYPE_SPACE, K_TYPE_MEMORY, K_TYPE_BACKING,
	K_TYPE_CHANNEL, K_TYPE_BELL, K_TYPE_TIMER, K_TYPE_DEVICE, K_TYPE_GROUP, K_TYPE_LOG,
	K_TYPE_POWER, K_TYPE_COUNT
};

/* Rights.  A duplicate has a subset of the rights of the original. */
#define K_RIGHT_DUPLICATE	(1u << 0)
#define K_RIGHT_TRANSFER	(1u << 1)	/* may be sent over a channel */
#define K_RIGHT_READ		(1u << 2)
#define K_RIGHT_WRITE		(1u << 3)
#define K_RIGHT_EXECUTE		(1u << 4)
#define K_RIGHT_MAP		(1u << 5)
#define K_RIGHT_MANAGE		(1u << 6)
#define K_RIGHT_CREATE		(1u << 7)	/* group: charge objects; device root: create devices */
#define K_RIGHT_SIGNAL		(1u << 8)
#define K_RIGHT_WAIT		(1u << 9)
#define K_RIGHT_SEND		(1u << 10)
#define K_RIGHT_RECEIVE		(1u << 11)
#define K_RIGHT_DMA		(1u << 12)
#define K_RIGHTS_ALL		0x1fffu
#define K_RIGHTS_SAME		(1u << 31)	/* handle_duplicate: all that the original has */

struct k_handle_info {
	k_handle_t handle;
	uint32_t type;			/* enum k_type */
	uint32_t rights;
	uint32_t pad;
	uint64_t koid;			/* the object's number, never reused */
	uint64_t related;		/* koid of a channel's peer, a thread's process; or 0 */
	char name[32];			/* of processes, threads, devices, memory; or empty */
};

/* -- processes and threads --------------------------------------------------- */

#define K_THREAD_INHERIT_FPU	(1u << 0)	/* start with a copy of the caller's FPU state */
#define K_THREAD_INHERIT_SCHED	(1u << 1)	/* and with the caller's class, weight and affinity */

struct k_thread_start {
	uint64_t entry;			/* called as entry(arg) */
	uint64_t arg;
	uint64_t stack_top;		/* ignored in placement kernel: the kernel gives a stack */
	k_handle_t space;		/* program space to begin with, or 0 */
	uint32_t flags;			/* K_THREAD_* */
	uint64_t frame;			/* placement process: address of this thread's page that holds
					 * its struct k_user_frame, or 0 */
	char name[32];
};

/* process_exit status: 0..255 for exit, or one of these. */
#define K_EXIT_KILLED		0x10000u
#define K_EXIT_FAULT		0x20000u	/* | exception vector */
#define K_EXIT_NO_MEMORY	0x30000u

struct k_process_info {
	uint64_t koid;
	uint32_t state;			/* 0 created, 1 running, 2 dead */
	uint32_t exit_status;
	uint32_t threads;
	uint32_t handles;
	uint64_t cpu_ns;
	uint64_t memory_bytes;		/* private pages of its own space */
	char name[32];
	/* The post-mortem of a process that died by a fault. */
	uint64_t fault_vector, fault_error, fault_address, fault_rip, fault_rsp;
	uint64_t fault_regs[16];	/* rax rbx rcx rdx rsi rdi rbp rsp r8..r15 */
	uint64_t fault_trace[16];	/* return addresses, 0 ends */
};

/*
 * process_fixups: where the caller's process continues after a fault of its own
 * copies from and to the program.  A fault in ring 3 with start <= rip < end at an
 * address of the program's half that the bound space cannot settle goes on at
 * landing, other registers unchanged.  Set once; a process without them dies by
 * such a fault.
 */
#define K_FIXUPS_MAX	8u
struct k_fixup {
	uint64_t start, end, landing;
};

enum k_sched_class { K_SCHED_FAIR, K_SCHED_FIFO, K_SCHED_RR, K_SCHED_IDLE };

struct k_sched {
	uint32_t sched_class;
	uint32_t weight;		/* fair: 1024 is nice 0 */
	uint32_t priority;		/* real time: 1..99 */
	uint32_t pad;
	uint64_t affinity;		/* bit per CPU; 0: leave as it is */
	uint64_t slice_ns;		/* RR; 0: the default */
};

struct k_thread_info {
	uint64_t koid;
	uint64_t user_ns;		/* in program code (user_run) or, for components, in ring 3 */
	uint64_t system_ns;
	uint64_t voluntary_switches, involuntary_switches;
	uint64_t minor_faults, major_faults;
	uint32_t cpu;			/* ran last there */
	uint32_t state;			/* 0 running or ready, 1 blocked, 2 dead */
	struct k_sched sched;
};

/* thread_state kinds. */
#define K_STATE_XSAVE	1u		/* standard (not compacted) XSAVE image of the program */
#define K_STATE_FRAME	2u		/* struct k_user_frame of a thread that is not running */
/*
 * The caller's own XSAVE image, at an address in the memory of the program that it runs
 * (a multiple of 64; the length is that of K_STATE_XSAVE), without a copy in between.
 * Reading sets the bits of x87 and SSE in XSTATE_BV and zeroes the rest of the header.
 * After writing failed with BAD_ADDRESS or BAD_ARGUMENT the program has the initial
 * state.  No fault is settled: BAD_ADDRESS also where a copy would succeed.
 * NOT_SUPPORTED: the processor has no XSAVE.
 */
#define K_STATE_XSAVE_PROGRAM 3u
#define K_STATE_XSAVE_TAKE	4u		/* the same, read only; leaves the initial state behind */
#define K_STATE_DEBUG	5u		/* struct k_debug_state; only written */

/*
 * Hardware breakpoints of the program, as x86's DR0-3 and DR7: in dr7 the local
 * enable bits, types and lengths, nothing else.  A hit is K_USER_EXCEPTION with vector
 * 1 and DR6 as the error code; one on execution is passed over when the program goes on.
 */
struct k_debug_state {
	uint64_t dr[4];
	uint64_t dr7;
};

/*
 * A program's registers, and why it stopped.  user_run() enters the program
 * with them and returns when it stops.  The order of the first part is that of
 * Linux's struct user_regs_struct.
 */
struct k_user_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax;		/* out: the system call's number; -1 if it was none */
	uint64_t rip;
	uint64_t cs;			/* forced by the kernel; there for struct layout */
	uint64_t rflags;		/* in: all but the user's flags are forced */
	uint64_t rsp;
	uint64_t ss;			/* forced */
	uint64_t fs_base, gs_base;	/* in: canonical user addresses, else BAD_ARGUMENT */

	/* out */
	uint32_t reason;		/* enum k_user_reason */
	uint32_t vector;		/* exception vector */
	uint64_t error_code;		/* of the exception or page fault */
	struct k_fault {
		uint64_t addr;
		uint32_t access;	/* K_PROT_* that was wanted */
		int32_t status;		/* why the kernel could not settle it: NOT_FOUND (no region),
					 * ACCESS, NEED_PAGE, BEYOND_END, NO_MEMORY */
		uint64_t cookie;	/* of the backing; NEED_PAGE and BEYOND_END */
		uint64_t offset;	/* in the memory object, page aligned; NEED_PAGE */
	} fault;
	uint32_t flags;			/* in: K_FRAME_* */
	uint32_t pad;
};

/* user_run returns by itself with the exception when these happen. */
#define K_FRAME_SYSCALL_REGS	(1u << 0)	/* leave by the fast path: rcx and r11 may be
						 * destroyed (as SYSRET does) */

enum k_user_reason {
	K_USER_SYSCALL = 1,		/* rax is the call's number, also in orig_rax; rcx = rip and
					 * r11 = rflags as the SYSCALL instruction leaves them */
	K_USER_FAULT,			/* page fault; frame.fault says more */
	K_USER_EXCEPTION,		/* frame.vector, error_code */
	K_USER_KICKED
};

/* -- address spaces ---------------------------------------------------------- */

#define K_PROT_READ	1u
#define K_PROT_WRITE	2u
#define K_PROT_EXEC	4u

/* space_create flags */
#define K_SPACE_PROGRAM	(1u << 0)	/* for user_run; a personality process appears in its upper half */

/* The lowest and highest (exclusive) addresses of a program's half. */
#define K_PROGRAM_MIN	0x1000ull
#define K_PROGRAM_MAX	0x7ffffffff000ull

/* The slot of the upper half in which a personality process lives: one PML4 entry. */
#define K_PERSONALITY_BASE	0xfffff80000000000ull
#define K_PERSONALITY_SIZE	(1ull << 39)

/* k_map.flags */
#define K_MAP_FIXED		(1u << 0)	/* at addr; replaces what is there */
#define K_MAP_NO_REPLACE	(1u << 1)	/* with FIXED: EXISTS if something is there */
#define K_MAP_SHARED		(1u << 2)	/* writes go to the memory object */
#define K_MAP_GROWS_DOWN	(1u << 3)	/* a stack: grows to limit bytes, one guard gap kept */
#define K_MAP_DONT_FORK		(1u << 4)
#define K_MAP_WIPE_ON_FORK	(1u << 5)
#define K_MAP_POPULATE		(1u << 6)	/* best effort */
#define K_MAP_LOW_4G		(1u << 7)	/* below 4 GiB (MAP_32BIT: below 2 GiB) */
#define K_MAP_LOCKED		(1u << 8)	/* counted only: pages are never paged out here */
#define K_MAP_DONT_DUMP		(1u << 9)
#define K_MAP_TOP_DOWN		(1u << 10)	/* choose the highest gap below hint_max */
#define K_MAP_NO_RESERVE	(1u << 11)	/* not counted for overcommit */

struct k_map {
	uint64_t addr;			/* in: wanted, or a hint, or 0; out: where it is */
	uint64_t length;		/* > 0 */
	uint32_t prot;			/* K_PROT_* now */
	uint32_t max_prot;		/* what space_protect may grant later */
	uint32_t flags;			/* K_MAP_* */
	k_handle_t memory;		/* memory object, or 0: anonymous private zero pages */
	k_handle_t backing;		/* instead of memory: its memory is mapped and regions are counted */
	uint32_t reap;			/* out: not 0: backing_reap has something to give to the caller, of
					 * what was replaced, or earlier.  So in k_move, and space_unmap */
	uint64_t offset;		/* in the memory object */
	uint64_t min, max;		/* where to look for a gap; 0, 0: the program's whole half */
	uint64_t limit;			/* GROWS_DOWN: largest length */
	uint64_t tag;			/* the owner's; comes back in k_region (heap, stack, vdso...) */
};

struct k_move {				/* mremap(2) */
	uint64_t old_addr, old_length, new_length;
	uint64_t new_addr;		/* in: with FIXED; out: where it is */
	uint32_t flags;			/* K_MOVE_* */
	uint32_t reap;			/* out */
	uint64_t min, max;		/* where to look for a gap */
};
#define K_MOVE_MAY_MOVE		1u
#define K_MOVE_FIXED		2u
#define K_MOVE_DONT_UNMAP	4u

struct k_region {
	uint64_t start, end;		/* end is exclusive */
	uint32_t prot, max_prot, flags, pad;
	uint64_t offset;		/* of start, in the memory object */
	uint64_t cookie;		/* of the backing, or 0 */
	uint64_t tag;
	uint64_t memory_koid;		/* or 0 */
	uint64_t resident_pages, private_pages, dirty_pages;	/* with K_QUERY_PAGES; else 0 */
};

/* memory_evict: gives up clean pages that are not pinned, nor mapped with K_MAP_LOCKED */
struct k_evict {
	uint64_t offset, length;	/* in: the range.  out: what of it was not looked at */
	uint64_t scan;			/* in: most pages to look at, or 0: all.  out: how many were */
	uint64_t freed;			/* out: pages */
	uint32_t flags, pad;		/* K_EVICT_* */
};
/*
 * Pages that were not used lately only.  A page counts as used when it is looked up, by a copy
 * or a fault.  One that was used again since it was last looked at here stays, one that is
 * mapped is taken out of the mappings and stays: so each goes when it is met a second time and
 * was not used in between.
 */
#define K_EVICT_COLD	1u
#define K_EVICT_UNMAPPED 2u		/* pages that are mapped stay, and stay mapped */

/* space_query */
#define K_QUERY_PAGES	1u		/* count pages, too: looks at every page-table entry */

/* space_advise */
enum k_advice {
	K_ADVISE_DISCARD = 1,		/* drop private pages, unmap shared ones (MADV_DONTNEED) */
	K_ADVISE_POPULATE_READ, K_ADVISE_POPULATE_WRITE,
	K_ADVISE_DONT_FORK, K_ADVISE_DO_FORK, K_ADVISE_WIPE_ON_FORK, K_ADVISE_KEEP_ON_FORK,
	K_ADVISE_DONT_DUMP, K_ADVISE_DO_DUMP,
	K_ADVISE_LOCK, K_ADVISE_UNLOCK,
	K_ADVISE_GROW_LIMIT		/* the GROWS_DOWN region that holds addr may grow to length */
};

struct k_space_info {
	uint64_t koid;
	uint64_t mapped_bytes, private_writable_bytes, locked_bytes, stack_bytes, exec_bytes;
	uint64_t resident_anon_pages, resident_object_pages;
	uint64_t page_table_pages;
	uint64_t peak_mapped_bytes, peak_resident_pages;
	uint32_t regions, pad;
};

/* -- memory objects ----------------------------------------------------------- */

#define K_MEMORY_PAGED		(1u << 0)	/* missing pages are supplied by the owner (NEED_PAGE);
						 * else they are zero on demand */
#define K_MEMORY_RESIDENT	(1u << 1)	/* all pages there from the start and never moved */
#define K_MEMORY_TRACK_DIRTY	(1u << 2)	/* first write to a clean mapped page faults and marks it */
#define K_MEMORY_CONTIGUOUS	(1u << 3)	/* with RESIDENT: physically contiguous */
#define K_MEMORY_WRITE_FAULTS	(1u << 4)	/* first write to a clean page goes to the owner (NEED_PAGE
						 * with access WRITE), who settles it by memory_clean's MARK */

struct k_memory_info {
	uint64_t koid;
	uint64_t size;			/* bytes, as set: need not be whole pages */
	uint64_t resident_pages, dirty_pages, mappings;
	uint32_t flags, pad;
};

struct k_clean {			/* memory_clean */
	uint64_t offset, length;	/* in: range; out: first dirty run in it (length 0: none) */
	uint32_t action;		/* K_CLEAN_* */
	uint32_t pad;
};
#define K_CLEAN_FIND	0u		/* only find the first dirty run */
#define K_CLEAN_TAKE	1u		/* find it, write-protect it everywhere, mark it clean */
#define K_CLEAN_MARK	2u		/* mark the resident pages of the whole range dirty */

#define K_NEXT_DATA	1u		/* memory_next: next resident page at or after offset */
#define K_NEXT_HOLE	2u

/* -- channels ----------------------------------------------------------------- */

#define K_MESSAGE_MAX_BYTES	1024u
#define K_MESSAGE_MAX_HANDLES	8u

struct k_message {
	uint64_t data;			/* address of the bytes */
	uint64_t handles;		/* address of k_handle_t[] */
	uint32_t length;		/* in: bytes to send, or capacity; out: bytes received */
	uint32_t handle_count;		/* likewise; sent handles leave the sender's table */
	uint64_t txid;			/* recv: of the caller that waits, or 0; send: the call this answers */
};

/* -- bells and waiting words --------------------------------------------------- */

#define K_WAIT_INTERRUPTIBLE	(1u << 0)	/* thread_kick ends it with KICKED */
#define K_WAIT_SHARED		(1u << 1)	/* the word may be in a shared mapping: key by object */
#define K_WAIT_PROGRAM		(1u << 2)	/* wait, wake: in the space of the program that the
						 * caller runs; the null handle is given */
#define K_WAIT_ANY_BITS		0xffffffffu

struct k_requeue {
	uint64_t from, to;		/* addresses of words in the same space */
	uint32_t wake, move;		/* at most so many */
	uint32_t compare;		/* not 0: from must hold expected, else CHANGED */
	uint32_t expected;
	uint32_t flags;			/* K_WAIT_SHARED */
	uint32_t pad;
	uint64_t woken, moved;		/* out */
};

/* -- devices -------------------------------------------------------------------- */

enum k_device_kind { K_DEVICE_ROOT, K_DEVICE_PCI, K_DEVICE_MMIO, K_DEVICE_PORTS };

struct k_device_desc {
	uint32_t kind;
	uint32_t function;		/* PCI: segment << 16 | bus << 8 | device << 3 | function */
	uint64_t base, length;		/* MMIO: physical range; PORTS: first port and count */
	uint32_t irq;			/* MMIO, PORTS: global interrupt number (ISA numbers are
					 * translated), ~0: none */
	uint32_t irq_flags;		/* 1: level, 2: active low */
	char name[32];
};

struct k_device_info {
	uint64_t koid;
	uint32_t kind, function;
	uint32_t vendor, device_id, subsystem_vendor, subsystem_id, class_code, revision;	/* PCI */
	uint32_t irqs;			/* how many can be bound (MSI-X vectors, or 1) */
	uint32_t mmio_count;
	uint32_t is_confined;		/* reaches only memory that is mapped for it: there is an IOMMU */
	uint32_t pad;
	/* length 0: none; shared: it has no pages of its own, see device_register_read */
	struct { uint64_t length; uint32_t is_port; uint32_t shared; } bars[6];
	char name[32];
};

/* The offset of device_port_* and device_register_*: number of the window (BAR) in the highest byte. */
#define K_DEVICE_WINDOW_SHIFT	24u

/* No line that device_console_read gives is longer, its newline included. */
#define K_LOG_LINE_MAX		544u

/* device_config_* on the root: "function" as in k_device_desc; on a device it is ignored. */

struct k_dma_range {
	uint64_t offset, length;
	uint64_t dma_id;		/* the caller's name for it, for device_dma_unmap */
};

/* -- groups and the system ------------------------------------------------------- */

struct k_group_limits {
	uint64_t memory_bytes;		/* 0: none of its own */
	uint64_t threads, handles;
	uint64_t low_memory_bytes;	/* the group's bell rings when less is free, or left of memory_bytes */
	uint32_t cpu_weight, flags;
};
#define K_GROUP_RESERVE	1u		/* may use the reserve: components and write-back */

struct k_group_info {
	uint64_t memory_bytes, peak_memory_bytes, threads, handles;
	struct k_group_limits limits;
};

struct k_system_info {
	uint64_t page_size;
	uint64_t memory_bytes;		/* managed by the page allocator */
	uint64_t free_bytes;		/* can be had at once, caches of the allocator included */
	uint64_t kernel_bytes;		/* image, page metadata, slabs, stacks, tables */
	uint64_t cached_bytes;		/* pages of PAGED memory objects */
	uint64_t shared_bytes;		/* pages of other objects that are made on demand */
	uint64_t anon_bytes;		/* private pages of all spaces */
	uint64_t uptime_ns;
	uint64_t context_switches, interrupts;
	uint32_t cpus, pad;
	uint64_t features[4];		/* CPUID: 1.edx, 1.ecx, 7.ebx, 7.ecx */
	uint64_t xsave_size, xsave_mask;	/* of the programs' state; mask is XCR0 */
};

struct k_cpu_info {
	uint64_t idle_ns, user_ns, system_ns, interrupt_ns;
	uint64_t khz;
	uint64_t timer_interrupts, reschedules, shootdowns;
	uint32_t apic_id, online;
	char vendor[16], model[64];
	uint32_t family, model_number, stepping, pad;
};

/* A device's interrupt that is bound (irq_info). */
struct k_irq_info {
	uint32_t next;			/* where to look for the following one */
	uint32_t cpu;			/* where it goes */
	uint32_t line;			/* global interrupt number; ~0: a message */
	uint32_t level;			/* a line that is level triggered */
	uint64_t count;
	char name[64];			/* of its devices */
};

struct k_object_counts {
	uint64_t count[16];		/* by enum k_type */
	uint64_t handles;
	uint64_t free_pages, slab_pages, table_pages, stack_pages;
};

#define K_CLOCK_MONOTONIC	0u
#define K_CLOCK_REALTIME	1u

/*
 * The clock page, mapped read-only by whoever wants the time without a call
 * (the vDSO).  ns = base_ns + ((tsc - base_tsc) * mult >> shift).  A reader
 * repeats while seq is odd or changes.
 */
struct k_clock_page {
	uint32_t seq;
	uint32_t usable;		/* 0: the TSC cannot be used; make the call */
	uint32_t mult, shift;
	uint64_t base_tsc;
	uint64_t base_ns;		/* monotonic */
	uint64_t realtime_offset_ns;	/* realtime = monotonic + this */
};

enum k_power_action { K_POWER_OFF = 1, K_POWER_REBOOT, K_POWER_HALT, K_POWER_PANIC };

/* -- start of the first process and of the personality ---------------------------- */

/*
 * The kernel starts init with one channel handle as the argument of its entry.
 * The first message in it is a struct k_boot_message with the handles below in
 * this order.
 */
enum k_boot_handle {
	K_BOOT_PROCESS,			/* init itself */
	K_BOOT_SPACE,			/* its own address space */
	K_BOOT_GROUP,			/* the root group */
	K_BOOT_DEVICES,			/* the root device */
	K_BOOT_POWER,
	K_BOOT_LOG,
	K_BOOT_BUNDLE,			/* memory: cpio archive of components and system descriptions */
	K_BOOT_INITRD,			/* memory, or 0 */
	K_BOOT_HANDLES
};

struct k_boot_message {
	uint64_t bundle_length, initrd_length;
	uint64_t ecam_base;		/* PCI configuration space, or 0: ports */
	uint32_t ecam_first_bus, ecam_last_bus;
	uint32_t has_acpi, has_pci;
	uint32_t has_uart;		/* bit n: COM(n+1) answers */
	uint32_t pad;
	uint64_t virtio_mmio_base;	/* microvm's window to probe, or 0 */
	char command_line[768];
};
