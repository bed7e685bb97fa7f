/* SPDX-License-Identifier: MIT */
/* Mounts: tmpfs, bind, move, remount, umount, overlay; limits of tmpfs. */

#include "helpers.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* Where a namespace of our own can be had nothing is left behind, and nobody sees it. */
static void need_mount(void)
{
	CHECK_ROOT();
	if (unshare(CLONE_NEWNS) == 0)
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	CHECK_OK(mkdir("m", 0755));
	if (mount("none", "m", "tmpfs", 0, "size=64k") < 0 && (errno == EPERM || errno == EACCES))
		SKIP("no right to mount");
	CHECK_OK(umount("m"));
}

TEST(a_mount_covers_the_directory)
{
	struct stat a, b;

	need_mount();
	put_file("m/under", "u");
	CHECK_OK(stat("m", &a));
	CHECK_OK(mount("src", "m", "tmpfs", 0, NULL));
	CHECK_OK(stat("m", &b));
	CHECK(a.st_dev != b.st_dev);
	CHECK_STR(get_file("m/under"), "(none)");
	put_file("m/over", "o");
	CHECK_OK(stat("m/..", &a));
	CHECK_OK(stat(".", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_ERRNO(rmdir("m"), EBUSY);
	CHECK_ERRNO(rename("m", "n"), EBUSY);
	CHECK_ERRNO(rename("m/over", "out"), EXDEV);
	CHECK_ERRNO(link("m/over", "out"), EXDEV);
	CHECK_OK(umount("m"));
	CHECK_STR(get_file("m/under"), "u");
	CHECK_ERRNO(umount("m"), EINVAL);
}

TEST(umount_of_a_used_file_system_is_busy)
{
	int fd;

	need_mount();
	CHECK_OK(mount("src", "m", "tmpfs", 0, NULL));
	CHECK_OK(fd = open("m/f", O_CREAT | O_RDWR, 0644));
	CHECK_ERRNO(umount("m"), EBUSY);
	CHECK_OK(umount2("m", MNT_DETACH));
	CHECK_EQ(write(fd, "still here", 10), 10);
	CHECK_OK(close(fd));
	CHECK_STR(get_file("m/f"), "(none)");
}

TEST(mounts_stack)
{
	need_mount();
	CHECK_OK(mount("one", "m", "tmpfs", 0, NULL));
	put_file("m/one", "1");
	CHECK_OK(mount("two", "m", "tmpfs", 0, NULL));
	put_file("m/two", "2");
	CHECK_STR(get_file("m/one"), "(none)");
	CHECK_OK(umount("m"));
	CHECK_STR(get_file("m/one"), "1");
	CHECK_OK(umount("m"));
}

TEST(bind_mounts_show_the_same_files)
{
	need_mount();
	CHECK_OK(mkdir("b", 0755));
	put_file("b/f", "x");
	CHECK_OK(mount("b", "m", NULL, MS_BIND, NULL));
	CHECK_STR(get_file("m/f"), "x");
	put_file("m/g", "y");
	CHECK_STR(get_file("b/g"), "y");
	CHECK_OK(mount(NULL, "m", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	CHECK_ERRNO(open("m/new", O_CREAT | O_WRONLY, 0644), EROFS);
	CHECK_ERRNO(unlink("m/g"), EROFS);
	CHECK_ERRNO(access("m/g", W_OK), EROFS);
	CHECK_OK(unlink("b/g"));
	CHECK_OK(umount("m"));
	put_file("file", "f");
	put_file("target", "t");
	CHECK_OK(mount("file", "target", NULL, MS_BIND, NULL));
	CHECK_STR(get_file("target"), "f");
	CHECK_ERRNO(unlink("target"), EBUSY);
	CHECK_OK(umount("target"));
	CHECK_ERRNO(mount("file", "m", NULL, MS_BIND, NULL), ENOTDIR);
	CHECK_ERRNO(mount("none", "m", NULL, MS_BIND, NULL), ENOENT);
}

TEST(recursive_binds_take_what_is_below)
{
	need_mount();
	CHECK_OK(mkdir("b", 0755));
	CHECK_OK(mkdir("b/sub", 0755));
	CHECK_OK(mount("t", "b/sub", "tmpfs", 0, NULL));
	put_file("b/sub/f", "x");
	CHECK_OK(mount("b", "m", NULL, MS_BIND, NULL));
	CHECK_STR(get_file("m/sub/f"), "(none)");
	CHECK_OK(umount("m"));
	CHECK_OK(mount("b", "m", NULL, MS_BIND | MS_REC, NULL));
	CHECK_STR(get_file("m/sub/f"), "x");
	CHECK_ERRNO(umount("m"), EBUSY);
	CHECK_OK(umount2("m", MNT_DETACH));
	CHECK_OK(umount("b/sub"));
}

TEST(moving_a_mount)
{
	need_mount();
	CHECK_OK(mkdir("n", 0755));
	CHECK_OK(mount("t", "m", "tmpfs", 0, NULL));
	put_file("m/f", "x");
	CHECK_OK(mkdir("m/in", 0755));
	CHECK_ERRNO(mount("m", "m/in", NULL, MS_MOVE, NULL), ELOOP);
	CHECK_OK(mount("m", "n", NULL, MS_MOVE, NULL));
	CHECK_STR(get_file("n/f"), "x");
	CHECK_STR(get_file("m/f"), "(none)");
	CHECK_OK(umount("n"));
	CHECK_ERRNO(mount("n", "m", NULL, MS_MOVE, NULL), EINVAL);
}

TEST(flags_of_a_mount)
{
	struct statvfs v;
	int fd;

	need_mount();
	CHECK_OK(mount("t", "m", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"));
	CHECK_OK(statvfs("m", &v));
	CHECK_EQ(v.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY), ST_NOSUID | ST_NODEV | ST_NOEXEC);
	CHECK_OK(mknod("m/null", S_IFCHR | 0666, 0x103));
	CHECK_ERRNO(open("m/null", O_RDONLY), EACCES);
	put_file("m/x", "#!/bin/sh\n");
	CHECK_OK(chmod("m/x", 0755));
	IN_CHILD(CHECK_ERRNO(execl("m/x", "x", NULL), EACCES));
	CHECK_ERRNO(access("m/x", X_OK), EACCES);
	CHECK_OK(fd = open("m/x", O_WRONLY));
	CHECK_ERRNO(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
	CHECK_OK(close(fd));
	CHECK_OK(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	CHECK_ERRNO(open("m/x", O_WRONLY), EROFS);
	CHECK_ERRNO(chmod("m/x", 0), EROFS);
	CHECK_ERRNO(mkdir("m/d", 0755), EROFS);
	CHECK_OK(umount("m"));
}

TEST(errors_of_mount)
{
	need_mount();
	put_file("f", "x");
	CHECK_ERRNO(mount("t", "none", "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("t", "f", "tmpfs", 0, NULL), ENOTDIR);
	CHECK_ERRNO(mount("t", "m", "nosuchfs", 0, NULL), ENODEV);
	CHECK_ERRNO(mount("t", "m", "tmpfs", 0, "bogus=1"), EINVAL);
	CHECK_ERRNO(mount("t", "m", "tmpfs", 0, "size=abc"), EINVAL);
	CHECK_ERRNO(umount2("m", 0x100), EINVAL);
	CHECK_ERRNO(umount("none"), ENOENT);
	IN_CHILD({
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(mount("t", "m", "tmpfs", 0, NULL), EPERM);
		CHECK_ERRNO(umount("m"), EPERM);
	});
}

TEST(a_full_tmpfs_is_enospc)
{
	static char buf[65536];
	struct statfs st;
	int fd;

	need_mount();
	CHECK_OK(mount("t", "m", "tmpfs", 0, "size=32k,nr_inodes=5"));
	CHECK_OK(fd = open("m/f", O_CREAT | O_RDWR, 0644));
	CHECK_EQ(write(fd, buf, sizeof(buf)), 32768);
	CHECK_ERRNO(write(fd, buf, 1), ENOSPC);
	CHECK_OK(statfs("m", &st));
	CHECK_EQ(st.f_blocks, 8);
	CHECK_EQ(st.f_bfree, 0);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	CHECK_OK(ftruncate(fd, 4096));
	CHECK_OK(statfs("m", &st));
	CHECK_EQ(st.f_bfree, 7);
	CHECK_EQ(st.f_type, 0x01021994);
	CHECK_OK(fallocate(fd, 0, 0, 32768));
	CHECK_ERRNO(fallocate(fd, 0, 0, 65536), ENOSPC);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m/%d", i);
		fd = open(name, O_CREAT | O_WRONLY, 0644);
		if (fd < 0)
			break;
	}
	CHECK(fd < 0 && errno == ENOSPC);
	CHECK_OK(umount2("m", MNT_DETACH));
}

TEST(mounts_are_listed)
{
	char line[1024], cwd[512], want[600];
	bool found = false, info = false;
	FILE *f;

	need_mount();
	CHECK(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "some\\040source %s/m tmpfs rw,nosuid,", cwd);
	CHECK_OK(mount("some source", "m", "tmpfs", MS_NOSUID, "size=64k"));
	CHECK(f = fopen("/proc/self/mounts", "r"));
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, want, strlen(want)) && strstr(line, "size=64k") && strstr(line, " 0 0\n"))
			found = true;
	fclose(f);
	CHECK(found);
	CHECK(f = fopen("/proc/self/mountinfo", "r"));
	while (fgets(line, sizeof(line), f)) {
		unsigned int id, parent, ma, mi;
		char root[256], where[512];

		if (sscanf(line, "%u %u %u:%u %255s %511s", &id, &parent, &ma, &mi, root, where) == 6 &&
		    !strcmp(where + strlen(where) - 2, "/m") && !strcmp(root, "/") &&
		    strstr(line, " - tmpfs some\\040source "))
			info = true;
	}
	fclose(f);
	CHECK(info);
	CHECK_OK(umount("m"));
}

TEST(a_namespace_of_ones_own)
{
	need_mount();
	IN_CHILD({
		if (unshare(CLONE_NEWNS) < 0)
			SKIP("no mount namespaces");
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
		CHECK_OK(mount("t", "m", "tmpfs", 0, NULL));
		put_file("m/f", "mine");
	});
	CHECK_STR(get_file("m/f"), "(none)");
}

TEST(overlay_copies_up_and_hides)
{
	struct stat before, after;

	need_mount();
	CHECK_OK(mount("t", "m", "tmpfs", 0, NULL));
	CHECK_OK(mkdir("m/l", 0755));
	CHECK_OK(mkdir("m/u", 0755));
	CHECK_OK(mkdir("m/w", 0755));
	CHECK_OK(mkdir("m/o", 0755));
	CHECK_OK(mkdir("m/l/d", 0755));
	put_file("m/l/f", "lower");
	put_file("m/l/d/x", "X");
	CHECK_OK(chdir("m"));
	if (mount("o", "o", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w") < 0 && errno == ENODEV)
		SKIP("no overlay here");
	CHECK_STR(get_file("o/f"), "lower");
	CHECK_OK(stat("o/f", &before));
	CHECK_OK(chmod("o/f", 0600));
	CHECK_OK(stat("o/f", &after));
	CHECK_EQ(before.st_ino, after.st_ino);
	put_file("o/f", "upper");
	CHECK_STR(get_file("l/f"), "lower");
	CHECK_STR(get_file("u/f"), "upper");
	CHECK_ERRNO(rename("o/d", "o/e"), EXDEV);
	CHECK_ERRNO(rmdir("o/d"), ENOTEMPTY);
	CHECK_OK(unlink("o/d/x"));
	CHECK_OK(rmdir("o/d"));
	CHECK_OK(mkdir("o/d", 0755));
	CHECK_STR(get_file("o/d/x"), "(none)");
	CHECK_STR(get_file("l/d/x"), "X");
	CHECK_OK(umount("o"));
	CHECK_OK(chdir(".."));
	CHECK_OK(umount("m"));
}

TEST(pivot_root_swaps_roots)
{
	need_mount();
	IN_CHILD({
		char cwd[512];

		if (unshare(CLONE_NEWNS) < 0)
			SKIP("no mount namespaces");
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
		CHECK(getcwd(cwd, sizeof(cwd)));
		CHECK_OK(mount("t", "m", "tmpfs", 0, NULL));
		CHECK_OK(mkdir("m/old", 0755));
		put_file("m/new", "n");
		CHECK_OK(chdir("m"));
		if (syscall(SYS_pivot_root, ".", "old") < 0 && errno == EINVAL)
			SKIP("the root cannot be pivoted away");
		CHECK_STR(get_file("/new"), "n");
		CHECK_OK(access("/old/proc", F_OK));
		CHECK_OK(umount2("/old", MNT_DETACH));
		CHECK_ERRNO(access("/old/proc", F_OK), ENOENT);
	});
}

/* A pipe is on no mount, and has a path all the same. */
TEST(pipe_is_no_place_to_mount)
{
	char path[32];
	int p[2];

	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(pipe(p));
	close(open("file", O_RDWR | O_CREAT, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	CHECK_ERRNO(mount(path, "file", NULL, MS_BIND, NULL), EINVAL);
	CHECK_ERRNO(mount(path, "file", NULL, MS_MOVE, NULL), EINVAL);
	CHECK_ERRNO(mount("file", path, NULL, MS_BIND, NULL), ENOENT);
	CHECK_ERRNO(mount("file", path, NULL, MS_MOVE, NULL), EINVAL);
	CHECK_ERRNO(mount("none", path, "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("none", path, NULL, MS_REMOUNT, NULL), EINVAL);
	CHECK_ERRNO(mount("none", path, NULL, MS_PRIVATE, NULL), EINVAL);
	CHECK_ERRNO(umount(path), EINVAL);
	CHECK_ERRNO(umount2(path, MNT_DETACH), EINVAL);
}
