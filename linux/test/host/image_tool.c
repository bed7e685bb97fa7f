/* SPDX-License-Identifier: MIT */
/*
 * image_tool FSTYPE IMAGE: mount a copy of the image and print every file: path, mode, owner,
 * size, time, a checksum of the contents or the target, attributes.
 * image_tool FSTYPE --mutate N SEED IMAGE: the same with N copies of the image in which bytes
 * were changed; prints nothing.  The sanitizers say if something is wrong.
 *
 * Writable file systems (ext4) are mounted so when they are mutated, and changed: whatever is in the
 * image, and whatever comes of it.
 *
 * As a fuzz target (-DFUZZ='"ext4"', clang -fsanitize=fuzzer): the input is the image; or, if
 * FUZZ_BASE names one, what is changed in that.
 */
#include <linux/falloc.h>

#include <asm/stat.h>

#include "base/hash.h"
#include "test/host/rig_test.h"

#define self rig_self()

static bool quiet;
static const char *fstype;
static unsigned int budget;		/* files still to look at: an image can be a maze */
static bool writable;

/* What was found, to be changed. */
#define MOST_FOUND 48u
static char *found[MOST_FOUND];
static bool found_dir[MOST_FOUND];
static unsigned int found_count;

static void print_xattrs(const char *path)
{
	uaddr_t names = rig_user(4096), value = rig_user(65536);
	long n = lx_sys_llistxattr(self, rig_str(path), names, 4096);

	for (long i = 0; i < n;) {
		const char *name = (char *)rig_ptr(names) + i;
		long len = lx_sys_lgetxattr(self, rig_str(path), rig_str(name), value, 65536);

		if (!quiet)
			printf(" %s=%ld:%08x", name, len,
			       len > 0 ? crc32(0, rig_ptr(value), (size_t)len) : 0);
		i += (long)strlen(name) + 1;
	}
}

static void print_file(const char *path, const struct stat *st)
{
	uaddr_t buf = rig_user(65536);
	uint32_t crc = 0;
	uint64_t total = 0;
	long n, fd;

	if ((st->st_mode & S_IFMT) == S_IFLNK) {
		n = lx_sys_readlink(self, rig_str(path), buf, 4096);
		if (!quiet)
			printf(" -> %.*s", n > 0 ? (int)n : 0, (char *)rig_ptr(buf));
		return;
	}
	if ((st->st_mode & S_IFMT) != S_IFREG)
		return;
	fd = lx_sys_open(self, rig_str(path), O_RDONLY, 0);
	while (fd >= 0 && total < (8u << 20) &&
	       (n = lx_sys_read(self, (int)fd, buf, 65536)) > 0) {
		crc = crc32(crc, rig_ptr(buf), (size_t)n);
		total += (uint64_t)n;
	}
	if (fd >= 0)
		lx_sys_close(self, (int)fd);
	if (!quiet)
		printf(" %08x", crc);
}

static void show(const char *path, unsigned int depth);

static void show_children(const char *path, unsigned int depth)
{
	char *names = NULL, child[4096];
	size_t used = 0;
	uaddr_t buf = rig_user(4096);
	long n, fd = lx_sys_open(self, rig_str(path), O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return;
	while (used < 65536 && (n = lx_sys_getdents64(self, (int)fd, buf, 4096)) > 0) {
		for (long i = 0; i < n;) {
			char *e = (char *)rig_ptr(buf) + i;
			size_t len = strlen(e + 19) + 1;

			names = realloc(names, used + len);
			memcpy(names + used, e + 19, len);
			used += len;
			i += *(unsigned short *)(e + 16);
		}
	}
	lx_sys_close(self, (int)fd);
	for (size_t i = 0; i < used; i += strlen(names + i) + 1) {
		if (!strcmp(names + i, ".") || !strcmp(names + i, ".."))
			continue;
		if (snprintf(child, sizeof(child), "%s/%s", path, names + i) < (int)sizeof(child))
			show(child, depth + 1);
	}
	free(names);
}

static void show(const char *path, unsigned int depth)
{
	uaddr_t u;
	struct stat st;

	if (!budget || depth > 12)
		return;
	budget--;
	rig_reset();
	u = rig_user(sizeof(st));
	if (lx_sys_lstat(self, rig_str(path), u))
		return;
	st = *(struct stat *)rig_ptr(u);
	if (!quiet)
		printf("%s %o %u:%u %lu %ld.%09lu %lu", path + 4, st.st_mode, st.st_uid, st.st_gid,
		       (st.st_mode & S_IFMT) == S_IFDIR ? 0 : st.st_size, (long)st.st_mtime,
		       st.st_mtime_nsec, st.st_nlink);
	print_file(path, &st);
	print_xattrs(path);
	if (!quiet)
		printf("\n");
	if (writable && found_count < MOST_FOUND) {
		found_dir[found_count] = (st.st_mode & S_IFMT) == S_IFDIR;
		found[found_count++] = strdup(path);
	}
	if ((st.st_mode & S_IFMT) == S_IFDIR)
		show_children(path, depth);
}

/* -- changing what was found; some of it works */

static void write_at(const char *path, int flags, uint64_t off, size_t n)
{
	long fd = lx_sys_open(self, rig_str(path), O_RDWR | flags, 0644);

	if (fd < 0)
		return;
	lx_sys_pwrite64(self, (int)fd, rig_user(n), n, off);
	if (off % 3 == 0)
		lx_sys_fsync(self, (int)fd);
	lx_sys_close(self, (int)fd);
}

static void change_dir(const char *path, unsigned int i)
{
	char name[4200], other[4200];

	for (unsigned int k = 0; k < 12; k++) {
		snprintf(name, sizeof(name), "%s/made-%u-%u-with-a-long-name-that-takes-room", path, i, k);
		snprintf(other, sizeof(other), "%s/%u", k % 2 ? "/mnt" : path, i * 16 + k);
		write_at(name, O_CREAT, k * 1000, 3000);
		lx_sys_link(self, rig_str(name), rig_str(other));
		if (k % 3 == 0)
			lx_sys_renameat2(self, AT_FDCWD, rig_str(name), AT_FDCWD, rig_str(other), k % 2);
		if (k % 4 == 0)
			lx_sys_unlink(self, rig_str(name));
		rig_reset();
	}
	snprintf(name, sizeof(name), "%s/made-dir", path);
	lx_sys_mkdir(self, rig_str(name), 0755);
	snprintf(other, sizeof(other), "/mnt/made-link-%u-%s", i, i % 2 ? "short" :
		 "and-long-enough-that-it-does-not-fit-into-an-inode-and-takes-a-block-of-its-own");
	lx_sys_symlink(self, rig_str(other), rig_str(other));
	lx_sys_renameat2(self, AT_FDCWD, rig_str(name), AT_FDCWD, rig_str("/mnt/made-dir-moved"), 0);
	rig_reset();
}

static void change_file(const char *path, unsigned int i)
{
	long fd;

	lx_sys_setxattr(self, rig_str(path), rig_str("user.made"), rig_user(300), 20 + i % 280, 0);
	lx_sys_chmod(self, rig_str(path), 0600);
	write_at(path, 0, 0, 100);
	write_at(path, 0, 70000 * i, 9000);
	fd = lx_sys_open(self, rig_str(path), O_RDWR, 0);
	if (fd >= 0) {
		lx_sys_fallocate(self, (int)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3000, 3000);
		lx_sys_fallocate(self, (int)fd, 0, 100000, 20000);
		lx_sys_ftruncate(self, (int)fd, 500 + 4000 * (i % 5));
		lx_sys_close(self, (int)fd);
	}
	rig_reset();
}

static void change_all(void)
{
	for (unsigned int i = 0; i < found_count; i++) {
		rig_reset();
		if (found_dir[i])
			change_dir(found[i], i);
		else
			change_file(found[i], i);
	}
	lx_sys_sync(self);
	for (unsigned int i = 0; i < found_count; i++) {
		rig_reset();
		if (found_dir[i])
			lx_sys_rmdir(self, rig_str(found[i]));
		else if (i % 2)
			lx_sys_unlink(self, rig_str(found[i]));
		else
			lx_sys_removexattr(self, rig_str(found[i]), rig_str("user.made"));
		free(found[i]);
	}
	found_count = 0;
}

/* @data may be changed: a journal is replayed. */
static int show_image(void *data, size_t n)
{
	int err;

	rig_disk_rw(0, data, n);
	/* what the image wants in case of errors may be a panic */
	err = lx_do_mount(self, "/dev/vda", "/mnt", fstype, writable ? 0 : 1,
			  writable ? "errors=continue" : NULL);
	if (err) {
		if (!quiet)
			printf("mount: error %d\n", err);
		return err;
	}
	budget = quiet ? 200 : 100000;
	show("/mnt", 0);
	if (writable)
		change_all();
	rig_reset();
	err = (int)lx_sys_umount2(self, rig_str("/mnt"), 0);
	if (err)
		abort();
	return 0;
}

static void start(void)
{
	rig_start();
	lx_do_mkdir(self, "/mnt", 0755);
	lx_do_mkdir(self, "/dev", 0755);
	lx_devtmpfs_mount(self);
}

#ifdef FUZZ
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
static char *base;
static size_t base_size;
static uint32_t *places;		/* words of it that are not zero: the metadata, nearly all */
static size_t place_count;

static void *load(const char *path, size_t *n);

static void load_base(void)
{
	const char *path = getenv("FUZZ_BASE");

	if (!path)
		return;
	base = load(path, &base_size);
	places = malloc(base_size / 4 * sizeof(*places));
	/* the super block's beginning and features apart: nothing would be seen beyond */
	for (size_t i = 1024 + 100; i + 4 <= base_size; i += 4)
		if (memcmp(base + i, "\0\0\0\0", 4))
			places[place_count++] = (uint32_t)i;
}

/* Pieces of six bytes: which word (two), which byte in it, how it changes, and to what. */
static void patch(char *image, const uint8_t *data, size_t n)
{
	for (; n >= 6; data += 6, n -= 6) {
		size_t at = places[(data[0] | (size_t)data[1] << 8) * 7919 % place_count] + data[2] % 4;

		switch (data[3] % 4) {
		case 0:
			image[at] = (char)data[4];
			break;
		case 1:
			image[at] = (char)(image[at] + (int8_t)data[4]);
			break;
		case 2:
			image[at] ^= (char)(1 << data[4] % 8);
			break;
		case 3:
			memset(image + (at & ~3ul), data[4], 4);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool started;
	char *copy;

	if (!started)
		load_base();
	copy = malloc(base ? base_size : n ? n : 1);
	memcpy(copy, base ? base : (const char *)data, base ? base_size : n);
	if (base)
		patch(copy, data, n);
	quiet = true;
	fstype = FUZZ;
	writable = str_equal(fstype, "ext4");
	if (!started)
		start();
	started = true;
	show_image(copy, base ? base_size : n);
	free(copy);
	return 0;
}
#endif

static void *load(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *p;

	if (!f)
		exit(2);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	p = malloc(*n);
	if (fread(p, 1, *n, f) != *n)
		exit(2);
	fclose(f);
	return p;
}

#ifndef FUZZ
static void mutate(const char *image, size_t n, unsigned int rounds, unsigned int seed)
{
	char *copy = malloc(n);

	quiet = true;
	writable = str_equal(fstype, "ext4");
	srandom(seed);
	for (unsigned int i = 0; i < rounds; i++) {
		size_t len = random() % 8 ? n : (size_t)random() % n;
		unsigned int changes = 1 + (unsigned int)random() % 64;

		memcpy(copy, image, n);
		while (changes--) {
			/* metadata is at the beginning of small images */
			size_t at = (size_t)random() % (random() % 2 ? n : n < 8192 ? n : 8192);

			/* magic numbers and checksums: nothing beyond would be seen */
			if (at < 1024 + 12 && at >= 1024)
				continue;
			if (str_equal(fstype, "ext4") && at >= 1024 && at < 2048 && random() % 8)
				continue;
			copy[at] = random() % 3 ? (char)random() : (char)(random() % 2 ? 0xff : 0);
		}
		show_image(copy, len);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	size_t n;
	void *image;
	int ret = 0;

	if (argc > 1)
		fstype = argv[1];
	if (argc == 3) {
		image = load(argv[2], &n);
		start();
		ret = show_image(image, n) ? 1 : 0;
	} else if (argc == 6) {
		image = load(argv[5], &n);
		start();
		mutate(image, n, (unsigned int)atoi(argv[3]), (unsigned int)atoi(argv[4]));
	} else {
		return 2;
	}
	free(image);
	return ret;
}
#endif
