/* SPDX-License-Identifier: MIT */
/*
 * image_tool FSTYPE IMAGE: mount a copy of the image and print every file: path, mode, owner,
 * size, time, a checksum of the contents or the target, attributes.
 * image_tool FSTYPE --mutate N SEED IMAGE: the same with N copies of the image in which bytes
 * were changed; prints nothing.  The sanitizers say if something is wrong.
 *
 * As a fuzz target (-DFUZZ='"ext4"', clang -fsanitize=fuzzer): the input is the image.
 */
#include <asm/stat.h>

#include "base/hash.h"
#include "test/host/rig_test.h"

#define self rig_self()

static bool quiet;
static const char *fstype;
static unsigned int budget;		/* files still to look at: an image can be a maze */

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
	if ((st.st_mode & S_IFMT) == S_IFDIR)
		show_children(path, depth);
}

/* @data may be changed: a journal is replayed. */
static int show_image(void *data, size_t n)
{
	int err;

	rig_disk_rw(0, data, n);
	err = lx_do_mount(self, "/dev/vda", "/mnt", fstype, 1, NULL);
	if (err) {
		if (!quiet)
			printf("mount: error %d\n", err);
		return err;
	}
	budget = quiet ? 200 : 100000;
	show("/mnt", 0);
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
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool started;
	void *copy = malloc(n ? n : 1);

	memcpy(copy, data, n);
	quiet = true;
	fstype = FUZZ;
	if (!started)
		start();
	started = true;
	show_image(copy, n);
	free(copy);
	return 0;
}
#else
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

static void mutate(const char *image, size_t n, unsigned int rounds, unsigned int seed)
{
	char *copy = malloc(n);

	quiet = true;
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
