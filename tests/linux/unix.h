/* SPDX-License-Identifier: MIT */
/* Steps of the cases about AF_UNIX sockets: unix_test, unix_control_test. */
#pragma once

#include "helpers.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

HELPER void pair(int type, int s[2])
{
	CHECK_OK(socketpair(AF_UNIX, type, 0, s));
}

HELPER socklen_t name(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, path);
	return (socklen_t)sizeof(*a);
}

/* "@name" in the abstract space; unique to this process. */
HELPER socklen_t abstract(struct sockaddr_un *a, const char *tag)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)sprintf(a->sun_path + 1, "concord-%s-%d", tag, getpid()));
}

HELPER int listener(int type, const char *path)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type, 0);

	CHECK_OK(fd);
	CHECK_OK(bind(fd, (void *)&a, name(&a, path)));
	CHECK_OK(listen(fd, 5));
	return fd;
}

HELPER int connected(int type, const char *path)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type, 0);

	CHECK_OK(fd);
	CHECK_OK(connect(fd, (void *)&a, name(&a, path)));
	return fd;
}
