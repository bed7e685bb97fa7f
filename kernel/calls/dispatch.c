/* SPDX-License-Identifier: MIT */
/*
 * What the generated trampolines use: copies, and the installation of new handles.
 */

#include "abi/calls.h"
#include "base/parse.h"
#include "base/string.h"
#include "kernel/calls.h"
#include "kernel/handle.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"

static bool log_refusals;		/* constant after the start */

void calls_configure(const char *command_line)
{
	log_refusals = command_line_has(command_line, "concord.calls");
}

/* Statuses that say that the caller did something wrong, not that the time was wrong. */
static bool is_mistake(k_status_t st)
{
	return st == K_ERR_BAD_HANDLE || st == K_ERR_WRONG_TYPE || st == K_ERR_NO_RIGHT ||
	       st == K_ERR_BAD_ARGUMENT || st == K_ERR_BAD_ADDRESS || st == K_ERR_BAD_STATE;
}

static void log_refusal(uint64_t number, const uint64_t args[6], k_status_t st)
{
	log_line(LOG_DEBUG, "%s: %s(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx): status %d",
		 current_thread()->process->name, call_table[number].name,
		 (unsigned long long)args[0], (unsigned long long)args[1],
		 (unsigned long long)args[2], (unsigned long long)args[3],
		 (unsigned long long)args[4], (unsigned long long)args[5], st);
}

k_status_t kcall_dispatch(uint64_t number, const uint64_t args[6])
{
	k_status_t st;

	if (number >= K_CALL_COUNT || !call_table[number].call)
		return K_ERR_NOT_SUPPORTED;
	process_count_call(current_thread()->process, number);
	st = call_table[number].call(current_thread(), args);
	if (unlikely(log_refusals && is_mistake(st)))
		log_refusal(number, args, st);
	return st;
}

bool call_copy_in(void *dst, uint64_t addr, size_t n)
{
	return caller_read(dst, addr, n) == K_OK;
}

k_status_t call_copy_out(uint64_t addr, const void *src, size_t n, k_status_t status)
{
	k_status_t st = caller_write(addr, src, n);

	return status == K_OK && st != K_OK ? K_ERR_BAD_ADDRESS : status;
}

/* The handle numbers of @fresh; those without an object get none. */
static void install(struct process *process, struct new_handle *fresh, uint32_t count,
		    k_handle_t *handles)
{
	for (uint32_t i = 0; i < count; i++) {
		handles[i] = K_HANDLE_NONE;
		if (fresh[i].object)
			handles[i] = handle_install(process, fresh[i].object, fresh[i].rights);
		else
			handle_unreserve(process, 1);
	}
}

static void installed(const struct new_handle *fresh, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (fresh[i].installed)
			fresh[i].installed(fresh[i].object);
}

#define NEW_MAX 2u

k_status_t call_install_user(struct process *process, struct new_handle *fresh, uint32_t count,
			     const uint64_t *addrs, k_status_t status)
{
	k_handle_t handles[NEW_MAX];

	if (status != K_OK) {
		handle_unreserve(process, count);
		return status;
	}
	install(process, fresh, count, handles);
	for (uint32_t i = 0; i < count; i++)
		if (caller_write(addrs[i], &handles[i], sizeof(handles[i])) != K_OK)
			status = K_ERR_BAD_ADDRESS;
	installed(fresh, count);
	for (uint32_t i = 0; status != K_OK && i < count; i++)
		(void)!handle_close(process, handles[i]);
	return status;
}

k_status_t call_install_kernel(struct process *process, struct new_handle *fresh, uint32_t count,
			       k_handle_t *const *slots, k_status_t status)
{
	k_handle_t handles[NEW_MAX];

	if (status != K_OK) {
		handle_unreserve(process, count);
		return status;
	}
	install(process, fresh, count, handles);
	for (uint32_t i = 0; i < count; i++)
		WRITE_ONCE(*slots[i], handles[i]);
	installed(fresh, count);
	return K_OK;
}

/* -- bytes of the caller ----------------------------------------------------------------- */

struct kbytes kbytes_of(struct thread *self, uint64_t addr, uint64_t length)
{
	return (struct kbytes){ .addr = addr, .length = length,
				.user = !self->process->in_kernel };
}

bool kbytes_read(const struct kbytes *bytes, uint64_t offset, void *dst, size_t n)
{
	if (bytes->user)
		return caller_read(dst, bytes->addr + offset, n) == K_OK;
	memcpy(dst, (const void *)(uintptr_t)(bytes->addr + offset), n);
	return true;
}

bool kbytes_write(const struct kbytes *bytes, uint64_t offset, const void *src, size_t n)
{
	if (bytes->user)
		return caller_write(bytes->addr + offset, src, n) == K_OK;
	memcpy((void *)(uintptr_t)(bytes->addr + offset), src, n);
	return true;
}

k_status_t kbytes_name(const struct kbytes *bytes, char *dst, size_t size)
{
	memset(dst, 0, size);
	if (bytes->length >= size)
		return K_ERR_BAD_ARGUMENT;
	if (!kbytes_read(bytes, 0, dst, bytes->length))
		return K_ERR_BAD_ADDRESS;
	return name_is_valid(dst, size) ? K_OK : K_ERR_BAD_ARGUMENT;
}

bool name_is_valid(const char *name, size_t size)
{
	size_t n = strnlen(name, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!char_is_print(name[i]))
			return false;
	return true;
}
