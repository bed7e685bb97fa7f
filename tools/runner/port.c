/* SPDX-License-Identifier: MIT */
/*
 * Finding the host's virtio-serial port.
 *
 * Ports have names that the host chose.  Where udev runs, a link named after the
 * port leads to the device; elsewhere sysfs tells which device has which name.
 * Both are tried until one shows it, because drivers may still be starting.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "init.h"
#include "protocol.h"

#define SYSFS_PORTS "/sys/class/virtio-ports"

static bool port_has_name(const char *device)
{
	char path[320], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), SYSFS_PORTS "/%s/name", device);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, RUNNER_PORT) == 0;
}

static int port_open_by_sysfs(void)
{
	DIR *dir = opendir(SYSFS_PORTS);
	struct dirent *entry;
	char path[320];
	int fd = -1;

	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || !port_has_name(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(dir);
	return fd;
}

int runner_port_open(int timeout_ms)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

	for (int waited_ms = 0; waited_ms <= timeout_ms; waited_ms += 10) {
		int fd = open("/dev/virtio-ports/" RUNNER_PORT, O_RDWR | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			fd = port_open_by_sysfs();
		if (fd >= 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	return -1;
}
