/* SPDX-License-Identifier: MIT */
/*
 * concord-init: the first program of the default image.
 *
 * It sets the system up (system.c, network.c), then does one of two things: with
 * `concord.runner` on the kernel command line it serves commands that the host
 * sends over a virtio-serial port (serve.c); otherwise it gives a root shell on
 * the console (console.c).  When either ends, the machine is powered off.
 *
 * It is linked statically and needs nothing of the image, so that it behaves the
 * same on every kernel and with every root file system.  Started by hand (not as
 * process 1) it only serves, which is a way to use it under another init; with
 * `--serve FD` it serves a descriptor that it was given, which is how it is tested
 * without a machine.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init.h"
#include "protocol.h"

/* Longer than any kernel's command line. */
static char cmdline[16384];

void complain(const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (len < 0)
		return;
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\n';
	line[len + 1] = '\0';
	dprintf(STDERR_FILENO, "concord-init: %s", line);
}

static void cmdline_read(void)
{
	FILE *file = fopen("/proc/cmdline", "re");
	size_t len;

	if (!file) {
		complain("cannot read /proc/cmdline: %m");
		return;
	}
	len = fread(cmdline, 1, sizeof(cmdline) - 1, file);
	cmdline[len] = '\0';
	cmdline[strcspn(cmdline, "\n")] = '\0';
	fclose(file);
}

void cmdline_each(const char *name, void (*use)(char *value))
{
	size_t name_len = strlen(name);
	char *copy = strdup(cmdline);
	char *word, *rest = copy;

	if (!copy)
		return;
	while ((word = strsep(&rest, " ")) != NULL) {
		if (strncmp(word, name, name_len) != 0)
			continue;
		if (word[name_len] == '=')
			use(word + name_len + 1);
		else if (word[name_len] == '\0')
			use(word + name_len);
	}
	free(copy);
}

static char *last_value;

static void remember(char *value)
{
	last_value = strdup(value);
}

const char *cmdline_value(const char *name)
{
	last_value = NULL;
	cmdline_each(name, remember);
	return last_value;
}

int main(int argc, char **argv)
{
	bool first = getpid() == 1;
	int port;

	if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
		runner_serve(atoi(argv[2]));
		return 0;
	}
	if (first)
		system_setup();
	cmdline_read();
	if (first) {
		system_mounts();
		network_setup();
	}

	if (!first || cmdline_value("concord.runner")) {
		port = runner_port_open(30000);
		if (port >= 0)
			runner_serve(port);
		else
			complain("no virtio-serial port named " RUNNER_PORT " appeared");
	} else {
		console_shell();
	}
	if (!first)
		return 1;

	system_power_off();
	complain("power off failed: %m");
	for (;;)
		pause();
}
