/* SPDX-License-Identifier: MIT */
/*
 * Many small files in one directory: each is made with some bytes in it, looked at by its
 * name, and deleted.
 *
 * Usage: perf-files create|stat|delete DIRECTORY COUNT
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void create(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);

	if (fd < 0 || write(fd, "some bytes\n", 11) != 11 || close(fd)) {
		perror(name);
		exit(1);
	}
}

static void look(const char *name)
{
	struct stat st;

	if (stat(name, &st) || st.st_size != 11) {
		perror(name);
		exit(1);
	}
}

static void delete(const char *name)
{
	if (unlink(name)) {
		perror(name);
		exit(1);
	}
}

static const struct { const char *name; void (*run)(const char *name); } actions[] = {
	{ "create", create }, { "stat", look }, { "delete", delete },
};

int main(int argc, char **argv)
{
	void (*run)(const char *name) = NULL;
	char name[32];
	long count;

	if (argc != 4 || (mkdir(argv[2], 0755), chdir(argv[2]))) {
		fprintf(stderr, "usage: perf-files create|stat|delete DIRECTORY COUNT\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(argv[1], actions[i].name))
			run = actions[i].run;
	count = strtol(argv[3], NULL, 10);
	for (long i = 0; run && i < count; i++) {
		snprintf(name, sizeof(name), "file-%ld", i);
		run(name);
	}
	return !run;
}
