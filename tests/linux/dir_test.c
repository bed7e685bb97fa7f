/* SPDX-License-Identifier: MIT */
/* Directories: making, removing, renaming, linking, listing; sticky ones; inotify. */

#include "helpers.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/socket.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static nlink_t links(const char *path)
{
	struct stat st;

	CHECK_OK(lstat(path, &st));
	return st.st_nlink;
}

TEST(mkdir_and_rmdir)
{
	struct stat st;

	CHECK_OK(mkdir("d", 0751));
	CHECK_OK(stat("d", &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0751);
	CHECK_ERRNO(mkdir("d", 0755), EEXIST);
	CHECK_ERRNO(mkdir("none/d", 0755), ENOENT);
	put_file("f", "x");
	CHECK_ERRNO(mkdir("f/d", 0755), ENOTDIR);
	CHECK_ERRNO(mkdir("f", 0755), EEXIST);
	CHECK_ERRNO(rmdir("f"), ENOTDIR);
	put_file("d/f", "x");
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_OK(unlink("d/f"));
	CHECK_ERRNO(unlink("d"), EISDIR);
	CHECK_OK(rmdir("d"));
	CHECK_ERRNO(rmdir("d"), ENOENT);
}

TEST(rmdir_of_dots)
{
	CHECK_OK(mkdir("d", 0755));
	CHECK_ERRNO(rmdir("d/."), EINVAL);
	CHECK_ERRNO(rmdir("d/.."), ENOTEMPTY);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_ERRNO(unlink("d/."), EISDIR);
}

TEST(hard_links_count)
{
	struct stat a, b;

	put_file("a", "x");
	CHECK_OK(link("a", "b"));
	CHECK_EQ(links("a"), 2);
	CHECK_OK(stat("a", &a));
	CHECK_OK(stat("b", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_ERRNO(link("a", "b"), EEXIST);
	CHECK_ERRNO(link("none", "c"), ENOENT);
	CHECK_OK(mkdir("d", 0755));
	CHECK_ERRNO(link("d", "e"), EPERM);
	CHECK_OK(unlink("a"));
	CHECK_EQ(links("b"), 1);
	CHECK_STR(get_file("b"), "x");
}

TEST(link_does_not_follow_unless_told_to)
{
	struct stat st;

	put_file("f", "x");
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(link("l", "hard"));
	CHECK_OK(lstat("hard", &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_OK(linkat(AT_FDCWD, "l", AT_FDCWD, "file", AT_SYMLINK_FOLLOW));
	CHECK_OK(lstat("file", &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERRNO(linkat(AT_FDCWD, "l", AT_FDCWD, "x", 0x8000), EINVAL);
}

TEST(rename_replaces_files)
{
	put_file("a", "A");
	put_file("b", "B");
	CHECK_OK(rename("a", "b"));
	CHECK_STR(get_file("b"), "A");
	CHECK_STR(get_file("a"), "(none)");
	CHECK_ERRNO(rename("a", "c"), ENOENT);
	CHECK_OK(link("b", "c"));
	CHECK_OK(rename("b", "c"));	/* two names of one file: nothing happens */
	CHECK_EQ(links("b"), 2);
}

TEST(rename_of_directories)
{
	CHECK_OK(mkdir("a", 0755));
	CHECK_OK(mkdir("a/sub", 0755));
	CHECK_OK(mkdir("b", 0755));
	put_file("f", "x");
	CHECK_ERRNO(rename("a", "f"), ENOTDIR);
	CHECK_ERRNO(rename("f", "a"), EISDIR);
	CHECK_ERRNO(rename("a", "a/sub/x"), EINVAL);
	CHECK_ERRNO(rename("a/sub", "a"), ENOTEMPTY);
	CHECK_ERRNO(rename("b", "a"), ENOTEMPTY);
	CHECK_OK(rename("a", "b"));
	CHECK_OK(access("b/sub", F_OK));
	CHECK_OK(rename("b/sub", "up"));
	CHECK_ERRNO(rename("b/.", "c"), EBUSY);
	CHECK_ERRNO(rename("b", "up/.."), EBUSY);
}

TEST(rename_noreplace_and_exchange)
{
	put_file("a", "A");
	put_file("b", "B");
	CHECK_OK(mkdir("d", 0755));
	if (syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) == 0 ||
	    errno != EEXIST)
		SKIP("no flags here");
	CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE));
	CHECK_STR(get_file("b"), "A");
	CHECK_STR(get_file("c"), "B");
	CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE));
	CHECK_STR(get_file("d"), "A");
	CHECK_OK(rmdir("b"));
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE), ENOENT);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", 3), EINVAL);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", 64), EINVAL);
}

static unsigned int count(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned int n = 0;

	CHECK(d);
	while ((e = readdir(d)))
		n++;
	closedir(d);
	return n;
}

TEST(listing_a_large_directory)
{
	char name[64];

	CHECK_OK(mkdir("d", 0755));
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d/a-name-of-some-length-%d", i);
		put_file(name, "");
	}
	CHECK_EQ(count("d"), 502);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d/a-name-of-some-length-%d", i);
		CHECK_OK(unlink(name));
	}
	CHECK_EQ(count("d"), 2);
}

TEST(removing_while_listing_misses_nothing)
{
	char name[64];
	struct dirent *e;
	DIR *d;

	CHECK_OK(mkdir("d", 0755));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/file%d", i);
		put_file(name, "");
	}
	CHECK(d = opendir("d"));
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			CHECK_OK(unlinkat(dirfd(d), e->d_name, 0));
	closedir(d);
	CHECK_OK(rmdir("d"));
}

TEST(entries_say_what_stat_says)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	CHECK_OK(mkdir("sub", 0755));
	put_file("file", "x");
	CHECK_OK(symlink("file", "link"));
	CHECK_OK(mkfifo("fifo", 0600));
	CHECK(d = opendir("."));
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".."))
			continue;
		CHECK_OK(lstat(e->d_name, &st));
		CHECK_EQ(e->d_ino, st.st_ino);
		CHECK(e->d_type == DT_UNKNOWN || e->d_type == IFTODT(st.st_mode));
	}
	closedir(d);
}

TEST(seekdir_goes_back)
{
	char first[300], name[32];
	struct dirent *e;
	DIR *d;
	long pos;

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put_file(name, "");
	}
	CHECK(d = opendir("."));
	for (int i = 0; i < 20; i++)
		readdir(d);
	pos = telldir(d);
	CHECK(e = readdir(d));
	snprintf(first, sizeof(first), "%s", e->d_name);
	for (int i = 0; i < 10; i++)
		readdir(d);
	seekdir(d, pos);
	CHECK(e = readdir(d));
	CHECK_STR(e->d_name, first);
	rewinddir(d);
	CHECK(e = readdir(d));
	closedir(d);
}

TEST(getdents_errors)
{
	char buf[32];
	int d = open(".", O_RDONLY), f;

	put_file("a-name-that-does-not-fit-into-so-little", "");
	put_file("f", "x");
	CHECK_OK(f = open("f", O_RDONLY));
	CHECK_ERRNO(syscall(SYS_getdents64, f, buf, 32), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_getdents64, d, buf, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_getdents64, 150, buf, 32), EBADF);
	CHECK_ERRNO(read(d, buf, 1), EISDIR);
}

TEST(sticky_directories_protect_others_files)
{
	CHECK_ROOT();
	CHECK_OK(mkdir("t", 0755));
	CHECK_OK(chmod("t", 01777));
	put_file("t/root", "r");
	IN_CHILD({
		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(unlink("t/root"), EPERM);
		CHECK_ERRNO(rename("t/root", "t/mine"), EPERM);
		put_file("t/own", "o");
		CHECK_ERRNO(rename("t/own", "t/root"), EPERM);
		CHECK_OK(unlink("t/own"));
	});
}

TEST(directories_need_write_permission)
{
	CHECK_ROOT();
	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "x");
	IN_CHILD({
		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(open("d/new", O_CREAT | O_WRONLY, 0644), EACCES);
		CHECK_ERRNO(mkdir("d/new", 0755), EACCES);
		CHECK_ERRNO(unlink("d/f"), EACCES);
		CHECK_ERRNO(rename("d/f", "d/g"), EACCES);
		CHECK_ERRNO(symlink("x", "d/l"), EACCES);
	});
}

TEST(set_group_id_directories_hand_their_group_down)
{
	struct stat st;

	CHECK_ROOT();
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(chown("d", 0, 4321));
	CHECK_OK(chmod("d", 02755));
	put_file("d/f", "x");
	CHECK_OK(mkdir("d/sub", 0755));
	CHECK_OK(stat("d/f", &st));
	CHECK_EQ(st.st_gid, 4321);
	CHECK_OK(stat("d/sub", &st));
	CHECK_EQ(st.st_gid, 4321);
	CHECK_EQ(st.st_mode & S_ISGID, S_ISGID);
}

TEST(mknod_makes_files_fifos_and_sockets)
{
	struct stat st;

	CHECK_OK(mknod("f", 0600, 0));
	CHECK_OK(stat("f", &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_OK(mknod("p", S_IFIFO | 0600, 0));
	CHECK_OK(stat("p", &st));
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
	CHECK_ERRNO(open("s", O_RDONLY), ENXIO);
	CHECK_ERRNO(mknod("d", S_IFDIR | 0700, 0), EPERM);
	CHECK_ERRNO(mknod("f", S_IFREG | 0600, 0), EEXIST);
	CHECK_ERRNO(mknod("x", S_IFMT | 0600, 0), EINVAL);
}

TEST(device_nodes_lead_to_devices)
{
	struct stat st;
	char c;
	int fd;

	CHECK_ROOT();
	if (mknod("zero", S_IFCHR | 0666, makedev(1, 5)) < 0)
		SKIP("no right to make nodes");
	CHECK_OK(stat("zero", &st));
	CHECK_EQ(st.st_rdev, makedev(1, 5));
	fd = open("zero", O_RDONLY);
	if (fd < 0)
		SKIP("no devices here");
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 0);
	CHECK_OK(mknod("none", S_IFCHR | 0666, makedev(250, 77)));
	CHECK_ERRNO(open("none", O_RDONLY), ENXIO);
}

/* -- inotify */

struct seen { uint32_t masks; unsigned int events; char names[512]; uint32_t cookie_from, cookie_to; };

static struct seen drain(int fd)
{
	struct seen s = { 0 };
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n;) {
			struct inotify_event *e = (struct inotify_event *)(buf + i);

			s.masks |= e->mask;
			s.events++;
			if (e->len && strlen(s.names) < 400) {
				strcat(s.names, e->name);
				strcat(s.names, " ");
			}
			if (e->mask & IN_MOVED_FROM)
				s.cookie_from = e->cookie;
			if (e->mask & IN_MOVED_TO)
				s.cookie_to = e->cookie;
			i += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	return s;
}

TEST(inotify_on_a_directory)
{
	int fd = inotify_init1(IN_NONBLOCK);
	struct seen s;

	CHECK_OK(fd);
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
	put_file("d/a", "x");
	s = drain(fd);
	CHECK(s.masks & IN_CREATE);
	CHECK(s.masks & IN_OPEN);
	CHECK(s.masks & IN_MODIFY);
	CHECK(s.masks & IN_CLOSE_WRITE);
	CHECK_OK(rename("d/a", "d/b"));
	s = drain(fd);
	CHECK_EQ(s.masks, IN_MOVED_FROM | IN_MOVED_TO);
	CHECK(s.cookie_from && s.cookie_from == s.cookie_to);
	CHECK_STR(s.names, "a b ");
	CHECK_OK(chmod("d/b", 0600));
	CHECK_EQ(drain(fd).masks, IN_ATTRIB);
	CHECK_OK(unlink("d/b"));
	CHECK_EQ(drain(fd).masks & (IN_DELETE | IN_DELETE_SELF), IN_DELETE);
	CHECK_OK(mkdir("d/s", 0755));
	CHECK_EQ(drain(fd).masks, IN_CREATE | IN_ISDIR);
	CHECK_OK(rmdir("d/s"));
	CHECK_OK(rmdir("d"));
	s = drain(fd);
	CHECK(s.masks & IN_DELETE_SELF);
	CHECK(s.masks & IN_IGNORED);
}

TEST(inotify_on_a_file)
{
	int fd = inotify_init1(IN_NONBLOCK), wd;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;
	int f;

	put_file("f", "abc");
	CHECK_OK(wd = inotify_add_watch(fd, "f", IN_ACCESS | IN_MODIFY));
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_OK(f = open("f", O_RDWR));
	CHECK_EQ(read(f, &c, 1), 1);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(drain(fd).masks, IN_ACCESS);
	CHECK_EQ(write(f, "x", 1), 1);
	CHECK_EQ(write(f, "x", 1), 1);
	CHECK_EQ(drain(fd).events, 1);		/* equal ones in a row are one */
	CHECK_EQ(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_ADD), wd);
	close(open("f", O_RDONLY));
	CHECK_EQ(drain(fd).masks, IN_OPEN);
	CHECK_OK(inotify_rm_watch(fd, wd));
	CHECK_EQ(drain(fd).masks, IN_IGNORED);
	CHECK_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
}

TEST(inotify_errors)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char small[4];

	put_file("f", "x");
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(read(fd, small, 4), EAGAIN);
	CHECK_ERRNO(inotify_add_watch(fd, "none", IN_OPEN), ENOENT);
	CHECK_ERRNO(inotify_add_watch(fd, "f", 0), EINVAL);
	CHECK_ERRNO(inotify_add_watch(fd, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	CHECK_ERRNO(inotify_add_watch(0, "f", IN_OPEN), EINVAL);
	CHECK_OK(inotify_add_watch(fd, "f", IN_OPEN));
	close(open("f", O_RDONLY));
	CHECK_ERRNO(read(fd, small, 4), EINVAL);
	CHECK_ERRNO(inotify_init1(1), EINVAL);
}
