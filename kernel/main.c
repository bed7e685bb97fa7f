/* SPDX-License-Identifier: MIT */
/*
 * The boot sequence after the architecture's part: a kernel thread does the rest,
 * since much of it may sleep.
 */
#include "kernel/main.h"

#include "arch/power.h"
#include "arch/smp.h"
#include "base/parse.h"
#include "base/string.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/shuffle.h"
#include "kernel/thread.h"
#include "kernel/time.h"

/* The next word of @line that equals @word up to a space, the end, or '='. */
static const char *find_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	while (*line) {
		while (*line == ' ')
			line++;
		if (!strncmp(line, word, n) && (line[n] == ' ' || line[n] == '=' || !line[n]))
			return line + n;
		while (*line && *line != ' ')
			line++;
	}
	return NULL;
}

bool command_line_has(const char *line, const char *word)
{
	return find_word(line, word) != NULL;
}

bool command_line_value(const char *line, const char *word, const char **value, size_t *length)
{
	const char *p = find_word(line, word);

	if (!p || *p != '=')
		return false;
	*value = ++p;
	while (*p && *p != ' ')
		p++;
	*length = (size_t)(p - *value);
	return true;
}

static void configure_log(const char *line)
{
	const char *value;
	size_t length;
	uint64_t level;

	if (command_line_has(line, "quiet"))
		log_set_console_level(LOG_WARNING);
	if (command_line_has(line, "debug"))
		log_set_console_level(LOG_DEBUG + 1);
	if (command_line_value(line, "loglevel", &value, &length) &&
	    parse_u64(value, length, 10, &level) == length && level <= LOG_DEBUG + 1)
		log_set_console_level((int)level);
}

static uint32_t max_cpus(const char *line)
{
	const char *value;
	size_t length;
	uint64_t n;

	if (command_line_value(line, "maxcpus", &value, &length) &&
	    parse_u64(value, length, 10, &n) == length && n >= 1 && n < MAX_CPUS)
		return (uint32_t)n;
	return MAX_CPUS;
}

static void boot_thread(uint64_t arg)
{
	const struct boot_info *boot = (const struct boot_info *)(uintptr_t)arg;

	object_layer_start(boot);	/* alone: see kernel/device/pci_size.c */
	arch_smp_start(max_cpus(boot->command_line));
	log_line(LOG_INFO, "%u CPUs", cpu_count);
	if (command_line_has(boot->command_line, "selftest"))
		selftest_run(boot->command_line);
	init_start(boot);
}

void kernel_main(const struct boot_info *boot)
{
	configure_log(boot->command_line);
	shuffle_configure(boot->command_line);
	log_line(LOG_NOTICE, "Concord, booted by %s: %s", boot->protocol, boot->command_line);
	thread_spawn_kernel("boot", boot_thread, (uint64_t)(uintptr_t)boot);
}
