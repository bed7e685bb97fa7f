/* SPDX-License-Identifier: MIT */
/* Directories: many entries, names of all kinds, and many processes in one of them. */
#include "files.h"

#include <dirent.h>
#include <sys/syscall.h>

enum { MOST_NAMES = 5000 };

/* Each takes a write or two of the journal on a machine's own disk: fewer there. */
static int many_names(void)
{
	return getenv("TEST_DIR") ? MOST_NAMES : 1000;
}

static void name_of(char *buf, size_t size, int i)
{
	snprintf(buf, size, "d/%d-%.*s", i, i % 40, "a-name-whose-length-is-different-from-others");
}

static void create(int from, int to)
{
	char name[96];

	for (int i = from; i < to; i++) {
		name_of(name, sizeof(name), i);
		CHECK_OK(close(make(name)));
	}
}

/* Read on until the end, counting each name; "." and ".." do not count. */
static int count_names(DIR *d, unsigned char *seen, int most, void (*visit)(DIR *, int))
{
	struct dirent *e;
	int n = 0;

	while (errno = 0, (e = readdir(d))) {
		int i;

		if (e->d_name[0] == '.')
			continue;
		i = atoi(e->d_name);
		CHECK(i >= 0 && i < most);
		seen[i]++;
		n++;
		if (visit)
			visit(d, i);
	}
	CHECK_EQ(errno, 0);
	return n;
}

static void unlink_half(DIR *d, int i)
{
	char name[96];

	name_of(name, sizeof(name), i);
	if (i % 2)
		CHECK_OK(unlinkat(dirfd(d), name + 2, 0));
}

TEST_SECONDS(a_directory_with_thousands_of_entries, 60)
{
	static unsigned char seen[MOST_NAMES], again[MOST_NAMES];
	const int many = many_names(), step = many / 125;
	static char names[100][256];
	long places[100];
	DIR *d;

	CHECK_OK(mkdir("d", 0755));
	create(0, many);
	CHECK(d = opendir("d"));
	CHECK_EQ(count_names(d, seen, many, NULL), many);
	for (int i = 0; i < many; i++)
		CHECK_EQ(seen[i], 1);

	/* positions lead back to where they were taken, in any order */
	rewinddir(d);
	for (int i = 0; i < 100; i++) {
		struct dirent *e;

		for (int k = 0; k < step; k++)
			CHECK(readdir(d));
		places[i] = telldir(d);
		CHECK(e = readdir(d));
		snprintf(names[i], sizeof(names[i]), "%s", e->d_name);
	}
	for (int i = 0; i < 100; i++) {
		struct dirent *e;

		seekdir(d, places[i * 37 % 100]);
		CHECK(e = readdir(d));
		CHECK_STR(e->d_name, names[i * 37 % 100]);
	}

	/* what is removed while it is listed hides nothing else */
	memset(seen, 0, sizeof(seen));
	rewinddir(d);
	CHECK_EQ(count_names(d, seen, many, unlink_half), many);
	for (int i = 0; i < many; i++)
		CHECK_EQ(seen[i], 1);
	rewinddir(d);
	CHECK_EQ(count_names(d, again, many, NULL), many / 2);
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	for (int i = 0; i < many; i += 2) {
		char name[96];

		name_of(name, sizeof(name), i);
		CHECK_OK(unlink(name));
	}
	CHECK_OK(rmdir("d"));
	CHECK(!readdir(d));
	closedir(d);
}

/* The directory gets another form on the disk meanwhile. */
TEST(names_that_stay_are_listed_once_while_others_come)
{
	static unsigned char seen[2000];
	char buf[4096];
	DIR *d;
	int fd;

	CHECK_OK(mkdir("d", 0755));
	create(0, 10);
	/* small reads: the C library would have all ten before the others come */
	CHECK_OK(fd = open("d", O_RDONLY | O_DIRECTORY));
	for (int got = 0; got < 4;) {
		long n = syscall(SYS_getdents64, fd, buf, 64);

		CHECK(n > 0);
		for (long i = 0; i < n; got++) {
			char *e = buf + i;

			if (e[19] != '.')
				seen[atoi(e + 19)]++;
			i += *(unsigned short *)(e + 16);
		}
	}
	create(10, 1500);
	CHECK(d = fdopendir(fd));
	count_names(d, seen, 2000, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(seen[i], 1);
	for (int i = 10; i < 1500; i++)
		CHECK(seen[i] <= 1);
	closedir(d);
}

TEST(names_of_all_lengths_and_bytes)
{
	char name[300];
	struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(chdir("d"));
	for (size_t len = 1; len <= 255; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		CHECK_OK(close(make(name)));
	}
	memset(name, 'n', 256);
	name[256] = '\0';
	CHECK_ERRNO(open(name, O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
	for (int c = 1; c < 256; c++) {
		if (c == '/' || c == '.' || c == 'n')
			continue;
		name[0] = (char)c;
		name[1] = '\0';
		CHECK_OK(close(make(name)));
		CHECK_OK(access(name, F_OK));
	}
	CHECK(d = opendir("."));
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
			CHECK_OK(unlink(e->d_name));
			n++;
		}
	}
	closedir(d);
	CHECK_EQ(n, 255 + 252);
	CHECK_OK(chdir(".."));
	CHECK_OK(rmdir("d"));
}

TEST(dotdot_and_links_follow_directories)
{
	ino_t a, b;
	bool counts;

	CHECK_OK(mkdir("a", 0755));
	counts = st_of("a").st_nlink == 2;	/* not with every file system */
	CHECK_OK(mkdir("b", 0755));
	CHECK_OK(mkdir("a/x", 0755));
	CHECK_OK(mkdir("a/x/deep", 0755));
	CHECK_OK(mkdir("b/y", 0755));
	close(make("b/file"));
	a = st_of("a").st_ino;
	b = st_of("b").st_ino;
	if (counts)
		CHECK_EQ(st_of("a").st_nlink, 3);
	CHECK_OK(rename("a/x", "b/x"));
	CHECK_EQ(st_of("b/x/..").st_ino, b);
	if (counts) {
		CHECK_EQ(st_of("a").st_nlink, 2);
		CHECK_EQ(st_of("b").st_nlink, 4);
	}
	CHECK_OK(rename("b/y", "a/y"));
	CHECK_EQ(st_of("a/y/..").st_ino, a);
	if (syscall(SYS_renameat2, AT_FDCWD, "a/y", AT_FDCWD, "b/file", RENAME_EXCHANGE) < 0)
		SKIP("no RENAME_EXCHANGE here");
	CHECK_EQ(st_of("b/file/..").st_ino, b);
	CHECK(S_ISREG(st_of("a/y").st_mode));
	if (counts) {
		CHECK_EQ(st_of("a").st_nlink, 2);
		CHECK_EQ(st_of("b").st_nlink, 4);
	}
	CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b/x", RENAME_EXCHANGE));
	CHECK_EQ(st_of("b/x/..").st_ino, b);
	CHECK_EQ(st_of("b/x").st_ino, a);
	CHECK_OK(access("a/deep", F_OK));
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "a/deep", RENAME_EXCHANGE), EINVAL);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a/deep", AT_FDCWD, "a", RENAME_EXCHANGE), EINVAL);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
	/* an empty directory is replaced */
	CHECK_OK(mkdir("empty", 0755));
	CHECK_OK(rename("a", "empty"));
	CHECK_OK(access("empty/deep", F_OK));
	CHECK_ERRNO(rename("b", "empty"), ENOTEMPTY);
}

TEST(deep_directories)
{
	enum { DEPTH = 150 };

	for (int i = 0; i < DEPTH; i++) {
		CHECK_OK(mkdir("a-directory", 0755));
		CHECK_OK(chdir("a-directory"));
	}
	close(make("f"));
	CHECK_OK(unlink("f"));
	for (int i = 0; i < DEPTH; i++) {
		CHECK_OK(chdir(".."));
		CHECK_OK(rmdir("a-directory"));
	}
}

TEST(symlinks_of_all_lengths)
{
	static const size_t lengths[] = { 1, 58, 59, 60, 61, 255, 511, 1000 };
	char target[1024], got[2048];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(target, 't', sizeof(target));
		target[lengths[i]] = '\0';
		CHECK_OK(symlink(target, "l"));
		CHECK_EQ(st_of("l").st_size, lengths[i]);
		CHECK_EQ(readlink("l", got, sizeof(got)), lengths[i]);
		CHECK(!memcmp(got, target, lengths[i]));
		CHECK_EQ(readlink("l", got, 1), 1);
		CHECK_ERRNO(symlink(target, "l"), EEXIST);
		CHECK_OK(unlink("l"));
	}
	CHECK_ERRNO(symlink("", "l"), ENOENT);
}

TEST_SECONDS(processes_make_rename_and_remove_in_one_directory, 60)
{
	enum { WORKERS = 4, TURNS = 60 };
	struct dirent *e;
	DIR *d;

	CHECK_OK(mkdir("d", 0755));
	for (int w = 0; w < WORKERS; w++) {
		char a[32], b[32];

		if (fork())
			continue;
		for (int i = 0; i < TURNS; i++) {
			snprintf(a, sizeof(a), "d/%d-%d", w, i);
			snprintf(b, sizeof(b), "d/%d-%d", (w + 1) % WORKERS, i);
			close(open(a, O_CREAT | O_WRONLY, 0644));
			rename(a, "d/shared");
			link("d/shared", b);
			unlink(i % 2 ? a : b);
			if (i % 3 == 0)
				unlink("d/shared");
			mkdir("d/sub", 0755);
			rename("d/sub", "d/bus");
			rmdir(i % 2 ? "d/bus" : "d/sub");
		}
		_exit(0);
	}
	wait_for_children(WORKERS);
	CHECK(d = opendir("d"));
	while ((e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		CHECK_OK(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
		CHECK(st.st_nlink > 0);
		CHECK_OK(unlinkat(dirfd(d), e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0));
	}
	closedir(d);
	CHECK_OK(rmdir("d"));
}

/* Links of one file come and go in several directories at the same time: none is counted wrong. */
TEST_SECONDS(links_of_one_file_are_counted_right, 60)
{
	enum { WORKERS = 4, TURNS = 100 };
	int fd = make("f");

	for (int w = 0; w < WORKERS; w++) {
		char dir[16], name[32];

		snprintf(dir, sizeof(dir), "d%d", w);
		CHECK_OK(mkdir(dir, 0755));
		if (fork())
			continue;
		for (int i = 0; i < TURNS; i++) {
			snprintf(name, sizeof(name), "%s/%d", dir, i);
			if (link("f", name) < 0 || (i % 4 && unlink(name) < 0))
				_exit(1);
		}
		_exit(0);
	}
	wait_for_children(WORKERS);
	CHECK_EQ(st_at(fd).st_nlink, 1 + WORKERS * TURNS / 4);
	for (int w = 0; w < WORKERS; w++) {
		for (int i = 0; i < TURNS; i += 4) {
			char name[32];

			snprintf(name, sizeof(name), "d%d/%d", w, i);
			CHECK_OK(unlink(name));
		}
	}
	CHECK_EQ(st_at(fd).st_nlink, 1);
}
