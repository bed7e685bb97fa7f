/* SPDX-License-Identifier: MIT */
/*
 * The part of an init that every Linux program relies on: the kernel's file
 * systems in their places, the conventional links in /dev, a host name, and the
 * loopback interface.
 *
 * Nothing here is fatal.  A kernel that lacks one of these still runs the
 * programs that do not need it, and the complaint says what is missing.
 *
 * And the other end: switching the machine off.
 */

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

static const struct {
	const char *type, *dir, *options;
	unsigned long flags;
	mode_t mode;
} mounts[] = {
	{ "proc",     "/proc",    NULL,                             MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555 },
	{ "sysfs",    "/sys",     NULL,                             MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555 },
	{ "devtmpfs", "/dev",     "mode=0755",                      MS_NOSUID, 0755 },
	{ "devpts",   "/dev/pts", "gid=5,mode=0620,ptmxmode=0666",  MS_NOSUID | MS_NOEXEC, 0755 },
	{ "tmpfs",    "/dev/shm", "mode=1777",                      MS_NOSUID | MS_NODEV, 0755 },
	{ "tmpfs",    "/run",     "mode=0755",                      MS_NOSUID | MS_NODEV, 0755 },
	/* A plain folder on an installed Debian 12: set-user-ID programs and device nodes work there. */
	{ "tmpfs",    "/tmp",     "mode=1777",                      0, 0755 },
};

static const struct {
	const char *target, *path;
} links[] = {
	{ "/proc/self/fd",   "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* Standard descriptors on the console, if the kernel did not open them for us. */
static void console_open(void)
{
	int fd;

	if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd < 0)
		return;
	while (fd < STDERR_FILENO) {
		fd = dup(fd);
		if (fd < 0)
			return;
	}
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A kernel without IPv4 has no loopback to bring up, and nobody who would miss it. */
	if (fd < 0)
		return;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		complain("cannot bring up the loopback interface: %m");
	close(fd);
}

void system_setup(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].dir, mounts[i].mode);
		/* EBUSY: the kernel, or an initrd, has mounted it already. */
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0 && errno != EBUSY)
			complain("cannot mount %s on %s: %m", mounts[i].type, mounts[i].dir);
	}
	console_open();

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
			complain("cannot make %s: %m", links[i].path);
	if (sethostname("concord", strlen("concord")) < 0)
		complain("cannot set the host name: %m");
	loopback_up();
}

static void mount_word(char *value)
{
	char *device = strsep(&value, ":");
	char *type = strsep(&value, ":");
	char *dir = value;

	if (!type || !dir) {
		complain("concord.mount=%s: expected DEVICE:TYPE:DIRECTORY", device);
		return;
	}
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		complain("cannot make %s: %m", dir);
	if (mount(device, dir, type, MS_RDONLY, NULL) < 0)
		complain("cannot mount %s (%s) on %s: %m", device, type, dir);
}

static void share_word(char *value)
{
	char *tag = strsep(&value, ":");
	char *mode = strsep(&value, ":");
	char *dir = value;

	if (!mode || !dir) {
		complain("concord.share=%s: expected TAG:ro:DIRECTORY or TAG:rw:DIRECTORY", tag);
		return;
	}
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		complain("cannot make %s: %m", dir);
	if (mount(tag, dir, "9p", strcmp(mode, "ro") == 0 ? MS_RDONLY : 0,
		  "trans=virtio,version=9p2000.L,msize=131072,cache=none") < 0)
		complain("cannot mount the shared directory on %s: %m", dir);
}

void system_mounts(void)
{
	cmdline_each("concord.mount", mount_word);
	cmdline_each("concord.share", share_word);
}

/* The file systems on disks, the last mounted first: folders that may be mounted on each other. */
static size_t disk_mounts(char **dirs, size_t most)
{
	FILE *file = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	size_t n = 0;

	while (file && n < most && (m = getmntent(file)) != NULL)
		if (strncmp(m->mnt_fsname, "/dev/", 5) == 0 && (dirs[n] = strdup(m->mnt_dir)) != NULL)
			n++;
	if (file)
		endmntent(file);
	return n;
}

/* Whoever is still there might have files open for writing.  Not for ever: one may hang in the kernel. */
static void end_everybody(void)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };

	kill(-1, SIGKILL);
	for (int i = 0; i < 1000; i++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid <= 0)
			nanosleep(&pause, NULL);
	}
	complain("some processes do not end");
}

void system_power_off(void)
{
	char *dirs[64];
	size_t n;

	if (getpid() == 1)
		end_everybody();
	sync();
	n = getpid() == 1 ? disk_mounts(dirs, sizeof(dirs) / sizeof(dirs[0])) : 0;
	while (n--) {
		if (umount2(dirs[n], 0) < 0 && mount(NULL, dirs[n], NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
			complain("%s stays mounted: %m", dirs[n]);
		free(dirs[n]);
	}
	reboot(RB_POWER_OFF);
}
