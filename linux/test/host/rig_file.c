/* SPDX-License-Identifier: MIT */
/* Files of a test, by the system calls that a program would use. */
#include <linux/fcntl.h>
#include <string.h>

#include "lx/syscall.h"
#include "rig.h"

long rig_put_file(const char *path, const char *text)
{
	struct lx_task *self = rig_self();
	long fd = lx_sys_open(self, rig_str(path), O_CREAT | O_WRONLY | O_TRUNC, 0644), n;

	if (fd < 0)
		return fd;
	n = lx_sys_write(self, (int)fd, rig_str(text), strlen(text));
	lx_sys_close(self, (int)fd);
	return n;
}

const char *rig_get_file(const char *path)
{
	static char buf[8192];
	struct lx_task *self = rig_self();
	uaddr_t u = rig_user(sizeof(buf));
	long fd = lx_sys_open(self, rig_str(path), O_RDONLY, 0), n;

	if (fd < 0)
		return "(not there)";
	n = lx_sys_read(self, (int)fd, u, sizeof(buf) - 1);
	lx_sys_close(self, (int)fd);
	memcpy(buf, rig_ptr(u), n > 0 ? (size_t)n : 0);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}
