/* SPDX-License-Identifier: MIT */
/*
 * The first process: `init`, an ELF image in the boot bundle.
 *
 * The kernel makes the process, maps the image's segments and a small stack, and
 * sends one message over a channel whose other end is the entry's argument: struct
 * k_boot_message and the handles of enum k_boot_handle.  That is all the authority
 * there is; what others get, they get from init.
 *
 * This runs once, on a machine that is useless without it, from data that was built
 * together with the kernel: failures panic and say what was wrong.
 */

#include "kernel/init.h"

#include "abi/calls.h"
#include "base/string.h"
#include "cpio/cpio.h"
#include "elf/elf.h"
#include "kernel/calls.h"
#include "kernel/channel.h"
#include "kernel/device.h"
#include "kernel/group.h"
#include "kernel/handle.h"
#include "kernel/housekeeper.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/random.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/waitword.h"

#define STACK_SIZE	(16u << 10)	/* init's own start code moves to a stack of its choice */
#define READ_ONLY	(K_RIGHT_READ | K_RIGHT_EXECUTE | K_RIGHT_MAP | K_RIGHT_DUPLICATE | \
			 K_RIGHT_TRANSFER)

void object_layer_start(const struct boot_info *boot)
{
	calls_configure(boot->command_line);
	group_start();
	object_types_start();
	waitword_start();
	random_start();
	housekeeper_start(boot->command_line);
	device_start();
}

static void must(k_status_t st, const char *what)
{
	if (st != K_OK)
		panic("cannot start init: %s: status %d", what, st);
}

/* -- the image ------------------------------------------------------------------------------ */

static uint32_t prot_of(const struct elf_segment *s)
{
	return (s->flags & ELF_FLAG_R ? K_PROT_READ : 0) |
	       (s->flags & ELF_FLAG_W ? K_PROT_WRITE : 0) |
	       (s->flags & ELF_FLAG_X ? K_PROT_EXEC : 0);
}

static void map_segment(struct space *space, const uint8_t *image, const struct elf_segment *s)
{
	uint64_t start = ALIGN_DOWN(s->vaddr, K_PAGE_SIZE);
	uint64_t end = ALIGN_UP(s->vaddr + s->memsz, K_PAGE_SIZE), done;
	struct k_map map = {
		.addr = start, .length = end - start, .prot = prot_of(s), .max_prot = prot_of(s),
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE | K_MAP_SHARED,
	};
	struct memory *memory;

	must(memory_create(root_group, end - start, 0, &memory), "memory of a segment");
	must(memory_write(memory, s->vaddr - start, image + s->offset, s->filesz, false, &done),
	     "contents of a segment");
	must(space_map(space, &map, memory, NULL), "mapping a segment");
	object_put(&memory->object);
}

/* The entry point. */
static uint64_t load_image(struct space *space, const uint8_t *image, size_t length)
{
	struct elf_segment segment;
	struct elf_header header;
	uint64_t low, high;
	enum elf_result result;

	result = elf_image_check(image, length, K_PAGE_SIZE, K_PROGRAM_MIN, K_PROGRAM_MAX, &header,
				 &low, &high);
	if (result != ELF_OK)
		panic("cannot start init: its image: %s", elf_result_text(result));
	for (uint32_t i = 0; i < header.phnum; i++) {
		elf_image_segment(image, &header, i, &segment);
		if (segment.type == ELF_SEGMENT_LOAD && segment.memsz)
			map_segment(space, image, &segment);
	}
	return header.entry;
}

static uint64_t map_stack(struct space *space)
{
	struct k_map map = {
		.length = STACK_SIZE, .prot = K_PROT_READ | K_PROT_WRITE,
		.max_prot = K_PROT_READ | K_PROT_WRITE, .flags = K_MAP_TOP_DOWN,
	};

	must(space_map(space, &map, NULL, NULL), "its stack");
	return map.addr + map.length;
}

/* -- the message ------------------------------------------------------------------------------ */

/* Memory that the boot loader filled, as an object. */
static struct memory *boot_memory(paddr_t base, uint64_t length, const char *what)
{
	struct memory *memory;
	uint64_t done;

	if (!length)
		return NULL;
	if (base % K_PAGE_SIZE == 0) {
		must(memory_create_boot(base, length, &memory), what);
		return memory;
	}
	must(memory_create(NULL, length, 0, &memory), what);
	must(memory_write(memory, 0, phys_to_virt(base), length, false, &done), what);
	return memory;
}

/* The bundle is part of the kernel image, in pages of its own. */
static struct memory *bundle_memory(const struct boot_info *boot)
{
	return boot_memory((uint64_t)(uintptr_t)boot->bundle - ARCH_KERNEL_IMAGE,
			   boot->bundle_length, "the bundle");
}

static void add_handle(struct message *message, enum k_boot_handle which, struct object *object,
		       uint32_t rights)
{
	uint32_t all = object_types[object->type].rights;

	kassert(message->handle_count == which);
	atomic_fetch_add_explicit(&object->handles, 1, memory_order_relaxed);
	message->handles[which] = (struct message_handle){ object, rights ? rights & all : all };
	message->handle_count++;
}

static struct message *boot_message(const struct boot_info *boot, struct process *init)
{
	struct k_boot_message body = {
		.bundle_length = boot->bundle_length,
		.initrd_length = boot->initrd_length,
		.ecam_base = boot->ecam_base,
		.ecam_first_bus = boot->ecam_first_bus,
		.ecam_last_bus = boot->ecam_last_bus,
		.has_acpi = boot->has_acpi,
		.has_pci = boot->has_pci,
		.has_uart = boot->has_uart,
		.virtio_mmio_base = boot->virtio_mmio_base,
	};
	struct memory *initrd = boot_memory(boot->initrd_base, boot->initrd_length, "the initrd");
	struct message *message;

	strlcpy(body.command_line, boot->command_line, sizeof(body.command_line));
	must(message_create(NULL, sizeof(body), &message), "the boot message");
	memcpy(message->data, &body, sizeof(body));
	object_get(&init->object);
	add_handle(message, K_BOOT_PROCESS, &init->object, 0);
	object_get(&init->space->object);
	add_handle(message, K_BOOT_SPACE, &init->space->object, 0);
	object_get(&root_group->object);
	add_handle(message, K_BOOT_GROUP, &root_group->object, 0);
	object_get(&root_device->object);
	add_handle(message, K_BOOT_DEVICES, &root_device->object, 0);
	object_get(&power_object);
	add_handle(message, K_BOOT_POWER, &power_object, 0);
	object_get(&log_object);
	add_handle(message, K_BOOT_LOG, &log_object, 0);
	add_handle(message, K_BOOT_BUNDLE, &bundle_memory(boot)->object, READ_ONLY);
	if (initrd)
		add_handle(message, K_BOOT_INITRD, &initrd->object, 0);
	return message;
}

/* A channel with the boot message in it; the kernel's own end is closed at once. */
static k_handle_t boot_channel(struct process *init, struct message *message)
{
	struct channel *ends[2];
	k_handle_t handle;

	must(channel_create(root_group, ends), "the boot channel");
	must(handle_create(init, &ends[0]->object, 0, &handle), "the boot channel's handle");
	must(channel_send(ends[1], message), "sending the boot message");
	object_put(&ends[1]->object);
	return handle;
}

void init_start(const struct boot_info *boot)
{
	struct process_start start = { .first = true };
	struct thread_params params = { .name = "init" };
	struct cpio_entry entry;

	if (!boot->bundle || !cpio_find(boot->bundle, boot->bundle_length, "init", &entry))
		panic("cannot start init: it is not in the boot bundle");
	must(process_create(root_group, "init", false, &init_process), "its process");
	params.user_entry = load_image(init_process->space, entry.data, entry.size);
	params.user_stack = map_stack(init_process->space);
	params.arg = boot_channel(init_process, boot_message(boot, init_process));
	must(process_start_thread(init_process, &params, &start), "its thread");
}
