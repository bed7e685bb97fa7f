/* SPDX-License-Identifier: MIT */
/*
 * Flags of inodes, ioctl_iflags(2): what chattr(1) sets and lsattr(1) shows, and what the two of them that
 * the system itself keeps to forbid.
 */
#include "helpers.h"

#include <sched.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define SETTABLE	(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

static unsigned int get(const char *path)
{
	int fd = open(path, O_RDONLY);
	unsigned int flags = 0;

	CHECK(fd >= 0);
	CHECK_OK(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	close(fd);
	return flags;
}

/* As chattr: what is not asked for stays. */
static int set(const char *path, unsigned int flags)
{
	unsigned int all = (get(path) & ~SETTABLE) | flags;
	int fd = open(path, O_RDONLY), ret, err;

	CHECK(fd >= 0);
	ret = ioctl(fd, FS_IOC_SETFLAGS, &all);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* Where flags are not kept, a tmpfs that only this process sees. */
static void be_where_flags_are(void)
{
	unsigned int flags;
	int fd = open(".", O_RDONLY);

	CHECK(fd >= 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags)) {
		CHECK_EQ(errno, ENOTTY);
		CHECK_OK(unshare(CLONE_NEWNS));
		CHECK_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		CHECK_OK(mkdir("m", 0755));
		CHECK_OK(mount("none", "m", "tmpfs", 0, "mode=755"));
		CHECK_OK(chdir("m"));
	}
	close(fd);
}

/* A directory with a file; a case that ends well leaves none that cannot be removed. */
static void prepare(void)
{
	CHECK_ROOT();
	be_where_flags_are();
	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "text");
}

TEST(flags_are_kept)
{
	prepare();
	CHECK_EQ(get("d/f") & SETTABLE, 0);
	CHECK_EQ(get("d") & SETTABLE, 0);
	CHECK_OK(set("d/f", FS_NODUMP_FL | FS_NOATIME_FL));
	CHECK_EQ(get("d/f") & SETTABLE, FS_NODUMP_FL | FS_NOATIME_FL);
	CHECK_OK(set("d", FS_NODUMP_FL));
	CHECK_EQ(get("d") & SETTABLE, FS_NODUMP_FL);
	CHECK_OK(set("d/f", 0));
	CHECK_EQ(get("d/f") & SETTABLE, 0);
}

TEST(unknown_flags_are_refused)
{
	unsigned int flags;
	int fd;

	prepare();
	CHECK_ERRNO(set("d/f", 0x80000000u), EOPNOTSUPP);
	CHECK_ERRNO(set("d/f", FS_DIRSYNC_FL), EOPNOTSUPP);
	CHECK_EQ(get("d/f") & SETTABLE, 0);
	fd = open("d/f", O_RDONLY);
	CHECK_ERRNO(ioctl(fd, FS_IOC_GETFLAGS, (void *)8), EFAULT);
	CHECK_ERRNO(ioctl(fd, FS_IOC_SETFLAGS, (void *)8), EFAULT);
	CHECK_OK(mkfifo("d/p", 0600));
	fd = open("d/p", O_RDONLY | O_NONBLOCK);
	CHECK_ERRNO(ioctl(fd, FS_IOC_GETFLAGS, &flags), ENOTTY);
}

TEST(two_of_the_flags_are_inherited)
{
	prepare();
	CHECK_OK(set("d", FS_NODUMP_FL | FS_NOATIME_FL));
	put_file("d/new", "x");
	CHECK_OK(mkdir("d/sub", 0755));
	CHECK_EQ(get("d/new") & SETTABLE, FS_NODUMP_FL | FS_NOATIME_FL);
	CHECK_EQ(get("d/sub") & SETTABLE, FS_NODUMP_FL | FS_NOATIME_FL);
}

TEST(an_immutable_file_stays_as_it_is)
{
	struct stat before, after;
	char buf[8];
	int fd, was_open;

	prepare();
	CHECK_OK(was_open = open("d/f", O_RDWR));
	CHECK_OK(stat("d/f", &before));
	CHECK_OK(set("d/f", FS_IMMUTABLE_FL));
	CHECK_ERRNO(open("d/f", O_WRONLY), EPERM);
	CHECK_ERRNO(open("d/f", O_RDWR | O_APPEND), EPERM);
	CHECK_ERRNO(open("d/f", O_RDONLY | O_TRUNC), EPERM);
	CHECK_ERRNO(truncate("d/f", 0), EPERM);
	CHECK_ERRNO(unlink("d/f"), EPERM);
	CHECK_ERRNO(rename("d/f", "d/g"), EPERM);
	CHECK_ERRNO(link("d/f", "d/g"), EPERM);
	CHECK_ERRNO(chmod("d/f", 0600), EPERM);
	CHECK_ERRNO(chown("d/f", 1, 1), EPERM);
	CHECK_ERRNO(setxattr("d/f", "trusted.x", "y", 1, 0), EPERM);
	CHECK_ERRNO(utimensat(AT_FDCWD, "d/f", (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0), EPERM);
	put_file("d/other", "x");
	CHECK_ERRNO(rename("d/other", "d/f"), EPERM);
	fd = open("d/f", O_RDONLY);
	CHECK_OK(fd);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 4);
	CHECK_ERRNO(fallocate(was_open, 0, 0, 100), EPERM);
	CHECK_OK(stat("d/f", &after));
	CHECK(after.st_mode == before.st_mode && after.st_size == before.st_size && after.st_nlink == 1);
	CHECK_OK(set("d/f", 0));
	CHECK_OK(unlink("d/f"));
}

TEST(a_file_to_be_appended_to_only_grows)
{
	int fd;

	prepare();
	CHECK_OK(set("d/f", FS_APPEND_FL));
	CHECK_ERRNO(open("d/f", O_WRONLY), EPERM);
	CHECK_ERRNO(open("d/f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
	fd = open("d/f", O_WRONLY | O_APPEND);
	CHECK_OK(fd);
	CHECK_EQ(write(fd, " more", 5), 5);
	CHECK_ERRNO(fcntl(fd, F_SETFL, 0), EPERM);
	CHECK_ERRNO(ftruncate(fd, 2), EPERM);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), EPERM);
	CHECK_ERRNO(truncate("d/f", 2), EPERM);
	CHECK_ERRNO(unlink("d/f"), EPERM);
	CHECK_ERRNO(rename("d/f", "d/g"), EPERM);
	CHECK_ERRNO(link("d/f", "d/g"), EPERM);
	CHECK_ERRNO(chmod("d/f", 0600), EPERM);
	CHECK_OK(set("d/f", 0));
	CHECK_STR(get_file("d/f"), "text more");
}

TEST(nothing_is_made_or_removed_in_an_immutable_directory)
{
	prepare();
	CHECK_OK(set("d", FS_IMMUTABLE_FL));
	CHECK_ERRNO(open("d/new", O_CREAT | O_WRONLY, 0600), EPERM);
	CHECK_ERRNO(mkdir("d/new", 0700), EPERM);
	CHECK_ERRNO(unlink("d/f"), EPERM);
	CHECK_ERRNO(rename("d/f", "f"), EPERM);
	CHECK_ERRNO(rmdir("d"), EPERM);
	/* what is in it is not */
	CHECK_OK(truncate("d/f", 2));
	CHECK_OK(set("d", 0));
}

TEST(names_are_only_added_to_a_directory_to_be_appended_to)
{
	prepare();
	CHECK_OK(set("d", FS_APPEND_FL));
	put_file("d/new", "x");
	CHECK_ERRNO(unlink("d/new"), EPERM);
	CHECK_ERRNO(rename("d/new", "d/newer"), EPERM);
	CHECK_OK(set("d", 0));
	CHECK_OK(unlink("d/new"));
}

TEST(only_who_has_the_capability_makes_files_immutable)
{
	prepare();
	CHECK_OK(chmod("d/f", 0666));
	CHECK_OK(chmod(".", 0755));
	IN_CHILD({
		become_nobody();
		CHECK_ERRNO(set("d/f", FS_NODUMP_FL), EPERM);
	});
	CHECK_OK(chown("d/f", 65534, 65534));
	IN_CHILD({
		become_nobody();
		CHECK_OK(set("d/f", FS_NODUMP_FL));
		CHECK_ERRNO(set("d/f", FS_IMMUTABLE_FL), EPERM);
		CHECK_ERRNO(set("d/f", FS_APPEND_FL), EPERM);
	});
	CHECK_EQ(get("d/f") & SETTABLE, FS_NODUMP_FL);
}

TEST(statx_shows_flags)
{
	struct statx st;

	prepare();
	CHECK_OK(set("d/f", FS_IMMUTABLE_FL | FS_APPEND_FL));
	CHECK_OK(syscall(SYS_statx, AT_FDCWD, "d/f", 0, STATX_BASIC_STATS, &st));
	CHECK((st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) ==
	      (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND));
	CHECK_OK(set("d/f", FS_APPEND_FL));
	CHECK_OK(set("d/f", 0));
}

TEST(noatime_leaves_the_access_time)
{
	struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	struct stat st;

	prepare();
	CHECK_OK(utimensat(AT_FDCWD, "d/f", times, 0));
	CHECK_OK(set("d/f", FS_NOATIME_FL));
	CHECK_STR(get_file("d/f"), "text");
	CHECK_OK(stat("d/f", &st));
	CHECK_EQ(st.st_atim.tv_sec, 1000);
}
