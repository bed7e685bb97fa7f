/* SPDX-License-Identifier: MIT */
/*
 * overlay in the host rig.
 */
#include "test/host/rig_test.h"

#include <asm/stat.h>
#include <linux/fs.h>

#define self rig_self()
#define P rig_str

static struct stat st_of(const char *path)
{
	uaddr_t u = rig_user(sizeof(struct stat));

	if (lx_sys_lstat(self, P(path), u))
		memset(rig_ptr(u), 0xee, sizeof(struct stat));
	return *(struct stat *)rig_ptr(u);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted; with check that d_ino is what stat shows. */
static const char *list(const char *path)
{
	static char out[4096];
	char *names[200];
	size_t nr = 0;
	uaddr_t u = rig_user(200);
	long n, fd = lx_sys_open(self, P(path), O_RDONLY | O_DIRECTORY, 0);

	out[0] = '\0';
	if (fd < 0)
		return "(not there)";
	while ((n = lx_sys_getdents64(self, (int)fd, u, 200)) > 0) {
		for (long i = 0; i < n;) {
			char *e = (char *)rig_ptr(u) + i, full[300];
			uint64_t ino;

			memcpy(&ino, e, 8);
			snprintf(full, sizeof(full), "%s/%s", path, e + 19);
			if (strcmp(e + 19, ".."))
				CHECK_EQ(ino, st_of(full).st_ino);
			if (e[19] != '.')
				names[nr++] = strdup(e + 19);
			i += *(unsigned short *)(e + 16);
		}
	}
	lx_sys_close(self, (int)fd);
	qsort(names, nr, sizeof(*names), by_name);
	for (size_t i = 0; i < nr; i++) {
		strcat(out, names[i]);
		strcat(out, " ");
		free(names[i]);
	}
	return out;
}

/* /l (lower), /rw/u (upper), /o (the overlay): fresh for each test. */
static void begin(void)
{
	rig_start();
	rig_reset();
	rig_become(0, 0);
	lx_do_mkdir(self, "/l", 0755);
	lx_do_mkdir(self, "/rw", 0755);
	lx_do_mkdir(self, "/o", 0755);
	CHECK_EQ(lx_do_mount(self, "l", "/l", "tmpfs", 0, NULL), 0);
	CHECK_EQ(lx_do_mount(self, "t", "/rw", "tmpfs", 0, "size=1m"), 0);
	lx_do_mkdir(self, "/rw/u", 0755);
	lx_do_mkdir(self, "/rw/w", 0755);
	rig_put_file("/l/file", "lower");
	lx_do_mkdir(self, "/l/dir", 0755);
	rig_put_file("/l/dir/a", "A");
	rig_put_file("/l/dir/b", "B");
	lx_do_mkdir(self, "/l/dir/deep", 0750);
	rig_put_file("/l/dir/deep/x", "X");
	lx_sys_symlink(self, P("file"), P("/l/link"));
	CHECK_EQ(lx_do_mount(self, "o", "/o", "overlay", 0,
			     "lowerdir=/l,upperdir=/rw/u,workdir=/rw/w"), 0);
}

static void remount(void)
{
	CHECK_EQ(lx_sys_umount2(self, P("/o"), 0), 0);
	CHECK_EQ(lx_do_mount(self, "o", "/o", "overlay", 0,
			     "lowerdir=/l,upperdir=/rw/u,workdir=/rw/w"), 0);
}

static void end(void)
{
	CHECK_EQ(lx_sys_umount2(self, P("/o"), 0), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/rw"), 0), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/l"), 0), 0);
}

TEST(lower_files_are_seen_and_not_copied_by_reading)
{
	begin();
	CHECK_STR(rig_get_file("/o/file"), "lower");
	CHECK_STR(rig_get_file("/o/link"), "lower");
	CHECK_STR(rig_get_file("/o/dir/deep/x"), "X");
	CHECK_STR(list("/o"), "dir file link ");
	CHECK_STR(list("/o/dir"), "a b deep ");
	CHECK_STR(list("/rw/u"), "");
	end();
}

TEST(writing_copies_up_with_parents_and_keeps_the_number)
{
	struct stat before, after;
	long fd;

	begin();
	lx_sys_chown(self, P("/l/dir/deep/x"), 7, 8);
	lx_sys_chmod(self, P("/l/dir/deep/x"), 04755);
	lx_sys_setxattr(self, P("/l/dir/deep/x"), P("user.k"), P("v"), 1, 0);
	before = st_of("/o/dir/deep/x");
	fd = lx_sys_open(self, P("/o/dir/deep/x"), O_WRONLY | O_APPEND, 0);
	CHECK(fd >= 0);
	CHECK_EQ(lx_sys_write(self, (int)fd, P("Y"), 1), 1);
	lx_sys_close(self, (int)fd);
	after = st_of("/o/dir/deep/x");
	CHECK_EQ(before.st_ino, after.st_ino);
	CHECK_EQ(before.st_dev, after.st_dev);
	CHECK_EQ(after.st_uid, 7);
	CHECK_EQ(after.st_size, 2);
	CHECK_STR(rig_get_file("/l/dir/deep/x"), "X");
	CHECK_STR(rig_get_file("/rw/u/dir/deep/x"), "XY");
	CHECK_EQ(st_of("/rw/u/dir/deep").st_mode & 07777, 0750);
	CHECK_EQ(lx_sys_getxattr(self, P("/o/dir/deep/x"), P("user.k"), rig_user(9), 9), 1);
	CHECK_EQ(lx_sys_listxattr(self, P("/o/dir/deep/x"), rig_user(99), 99), 7);
	CHECK_STR(list("/o/dir/deep"), "x ");
	remount();
	CHECK_STR(rig_get_file("/o/dir/deep/x"), "XY");
	CHECK_EQ(st_of("/o/dir/deep/x").st_ino, before.st_ino);
	end();
}

TEST(chmod_copies_up_and_readers_see_new_data)
{
	uaddr_t u;
	long fd;

	begin();
	u = rig_user(100);
	fd = lx_sys_open(self, P("/o/file"), O_RDONLY, 0);
	CHECK_EQ(lx_sys_chmod(self, P("/o/file"), 0600), 0);
	CHECK_EQ(st_of("/o/file").st_mode & 07777, 0600);
	CHECK_EQ(st_of("/l/file").st_mode & 07777, 0644);
	CHECK_EQ(rig_put_file("/o/file", "upper!"), 6);
	CHECK_EQ(lx_sys_read(self, (int)fd, u, 100), 6);
	CHECK_EQ(lx_sys_truncate(self, P("/o/file"), 2), 0);
	CHECK_STR(rig_get_file("/o/file"), "up");
	lx_sys_close(self, (int)fd);
	end();
}

TEST(removed_lower_names_stay_away)
{
	begin();
	CHECK_EQ(lx_sys_unlink(self, P("/o/file")), 0);
	CHECK_STR(rig_get_file("/o/file"), "(not there)");
	CHECK_STR(list("/o"), "dir link ");
	CHECK_EQ(st_of("/rw/u/file").st_mode & S_IFMT, S_IFCHR);
	remount();
	CHECK_STR(rig_get_file("/o/file"), "(not there)");
	CHECK_EQ(rig_put_file("/o/file", "again"), 5);
	CHECK_STR(rig_get_file("/o/file"), "again");
	CHECK_STR(list("/o"), "dir file link ");
	CHECK_EQ(lx_sys_unlink(self, P("/o/file")), 0);
	CHECK_STR(rig_get_file("/o/file"), "(not there)");
	CHECK_EQ(rig_put_file("/o/new", "n"), 1);
	CHECK_EQ(lx_sys_unlink(self, P("/o/new")), 0);
	CHECK_STR(list("/rw/u"), "file ");
	end();
}

TEST(directories_come_back_empty)
{
	begin();
	CHECK_EQ(lx_sys_rmdir(self, P("/o/dir")), -ENOTEMPTY);
	CHECK_EQ(lx_sys_unlink(self, P("/o/dir/a")), 0);
	CHECK_EQ(lx_sys_unlink(self, P("/o/dir/b")), 0);
	CHECK_EQ(lx_sys_rmdir(self, P("/o/dir")), -ENOTEMPTY);
	CHECK_EQ(lx_sys_unlink(self, P("/o/dir/deep/x")), 0);
	CHECK_EQ(lx_sys_rmdir(self, P("/o/dir/deep")), 0);
	CHECK_EQ(lx_sys_rmdir(self, P("/o/dir")), 0);
	CHECK_STR(list("/o"), "file link ");
	CHECK_EQ(lx_sys_mkdir(self, P("/o/dir"), 0755), 0);
	CHECK_STR(list("/o/dir"), "");
	CHECK_STR(rig_get_file("/o/dir/a"), "(not there)");
	remount();
	CHECK_STR(list("/o/dir"), "");
	CHECK_EQ(rig_put_file("/o/dir/a", "mine"), 4);
	CHECK_STR(list("/o/dir"), "a ");
	end();
}

TEST(renames_of_files_and_directories)
{
	begin();
	CHECK_EQ(lx_sys_rename(self, P("/o/file"), P("/o/moved")), 0);
	CHECK_STR(rig_get_file("/o/moved"), "lower");
	CHECK_STR(rig_get_file("/o/file"), "(not there)");
	CHECK_EQ(lx_sys_rename(self, P("/o/dir"), P("/o/dir2")), -EXDEV);
	CHECK_EQ(lx_sys_rename(self, P("/o/moved"), P("/o/dir/a")), 0);
	CHECK_STR(rig_get_file("/o/dir/a"), "lower");
	CHECK_STR(list("/o"), "dir link ");
	lx_sys_mkdir(self, P("/o/fresh"), 0755);
	rig_put_file("/o/fresh/f", "f");
	CHECK_EQ(lx_sys_rename(self, P("/o/fresh"), P("/o/fresher")), 0);
	CHECK_STR(rig_get_file("/o/fresher/f"), "f");
	/* a new directory over a removed lower one hides what was in it */
	lx_sys_unlink(self, P("/o/dir/deep/x"));
	CHECK_EQ(lx_sys_rename(self, P("/o/fresher"), P("/o/dir/deep")), 0);
	CHECK_STR(list("/o/dir/deep"), "f ");
	remount();
	CHECK_STR(list("/o/dir/deep"), "f ");
	CHECK_STR(list("/o/dir"), "a b deep ");
	CHECK_EQ(lx_sys_renameat2(self, AT_FDCWD, P("/o/dir/a"), AT_FDCWD, P("/o/dir/b"), RENAME_EXCHANGE),
		 0);
	CHECK_STR(rig_get_file("/o/dir/a"), "B");
	CHECK_STR(rig_get_file("/o/dir/b"), "lower");
	end();
}

TEST(hard_links_share_after_copy_up)
{
	begin();
	CHECK_EQ(lx_sys_link(self, P("/o/file"), P("/o/second")), 0);
	CHECK_EQ(st_of("/o/second").st_nlink, 2);
	CHECK_EQ(st_of("/o/second").st_ino, st_of("/o/file").st_ino);
	rig_put_file("/o/second", "both");
	CHECK_STR(rig_get_file("/o/file"), "both");
	lx_dcache_shrink(10000);
	lx_dcache_shrink(10000);
	rig_put_file("/o/file", "still both");
	CHECK_STR(rig_get_file("/o/second"), "still both");
	CHECK_EQ(lx_sys_unlink(self, P("/o/file")), 0);
	CHECK_EQ(st_of("/o/second").st_nlink, 1);
	end();
}

TEST(removed_files_that_are_open_can_still_be_changed)
{
	uaddr_t u;
	long fd;

	begin();
	u = rig_user(10);
	fd = lx_sys_open(self, P("/o/file"), O_RDONLY, 0);
	CHECK_EQ(lx_sys_unlink(self, P("/o/file")), 0);
	CHECK_EQ(lx_sys_read(self, (int)fd, u, 10), 5);
	CHECK_EQ(lx_sys_fchmod(self, (int)fd, 0600), 0);
	CHECK_STR(rig_get_file("/o/file"), "(not there)");
	CHECK_EQ(rig_put_file("/o/file", "other"), 5);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, u, 10, 0), 5);
	CHECK(!memcmp(rig_ptr(u), "lower", 5));
	lx_sys_close(self, (int)fd);
	end();
}

TEST(a_full_upper_layer_changes_nothing)
{
	static char big[1 << 20];
	long fd;

	begin();
	memset(big, 'b', sizeof(big));
	fd = lx_sys_open(self, P("/l/big"), O_CREAT | O_WRONLY, 0644);
	CHECK_EQ(lx_sys_write(self, (int)fd, rig_bytes(big, sizeof(big)), sizeof(big)), sizeof(big));
	lx_sys_close(self, (int)fd);
	rig_put_file("/o/some", "takes a block");
	CHECK_EQ(lx_sys_open(self, P("/o/big"), O_RDWR, 0), -ENOSPC);
	CHECK_EQ(st_of("/o/big").st_size, sizeof(big));
	CHECK_EQ(lx_sys_unlink(self, P("/o/big")), 0);
	CHECK_STR(list("/rw/w/work"), "");
	end();
}

TEST(an_overlay_without_upper_is_read_only_and_layers_stack)
{
	begin();
	rig_put_file("/o/dir/c", "C");
	lx_sys_unlink(self, P("/o/dir/a"));
	lx_do_mkdir(self, "/ro", 0755);
	CHECK_EQ(lx_do_mount(self, "ro", "/ro", "overlay", 0, "lowerdir=/rw/u:/l"), 0);
	CHECK_STR(list("/ro/dir"), "b c deep ");
	CHECK_EQ(rig_put_file("/ro/dir/d", "x"), -EROFS);
	CHECK_EQ(lx_sys_unlink(self, P("/ro/dir/b")), -EROFS);
	CHECK_EQ(lx_sys_chmod(self, P("/ro/dir/b"), 0), -EROFS);
	CHECK_EQ(lx_sys_umount2(self, P("/ro"), 0), 0);
	CHECK_EQ(lx_do_mount(self, "x", "/ro", "overlay", 0, "upperdir=/rw/u,workdir=/rw/w"), -EINVAL);
	CHECK_EQ(lx_do_mount(self, "x", "/ro", "overlay", 0, "lowerdir=/nope"), -ENOENT);
	CHECK_EQ(lx_do_mount(self, "x", "/ro", "overlay", 0, "lowerdir=/l,upperdir=/rw/u,workdir=/l"),
		 -EINVAL);
	CHECK_EQ(lx_do_mount(self, "x", "/ro", "overlay", 0, "lowerdir=/l,index=on"), -EINVAL);
	end();
}
