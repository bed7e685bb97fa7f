/* SPDX-License-Identifier: MIT */
/*
 * Block devices: loop devices, partitions by BLKPG, ioctls, O_DIRECT, /sys and /proc.
 *
 * All on loop devices of the case's own, on files in its directory.  On a machine with udev
 * new devices are looked at by somebody else, too, for a moment: what needs them closed
 * waits for that.
 */

#include "harness.h"

#include <linux/blkpg.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define MIB (1 << 20)

static int control = -1, loop_number = -1;
static char loop_path[64];

static void need_loops(void)
{
	CHECK_ROOT();
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		SKIP("no loop devices here");
}

static int make_image(const char *name, off_t size)
{
	int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, size));
	return fd;
}

/*
 * A loop device on @file: somebody else may be quicker with the free number.  With AUTOCLEAR it goes
 * when the case ends, however that is.
 */
static int bind_loop(int file, uint32_t flags, uint64_t offset, uint64_t limit, int open_flags)
{
	struct loop_config config = { .fd = (uint32_t)file };
	int fd;

	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags;
	config.info.lo_offset = offset;
	config.info.lo_sizelimit = limit;
	strcpy((char *)config.info.lo_file_name, "image");
	for (;;) {
		loop_number = ioctl(control, LOOP_CTL_GET_FREE);
		CHECK_OK(loop_number);
		snprintf(loop_path, sizeof(loop_path), "/dev/loop%d", loop_number);
		fd = open(loop_path, open_flags | O_CLOEXEC);
		CHECK_OK(fd);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return fd;
		CHECK(errno == EBUSY);
		close(fd);
	}
}

static int make_loop(off_t size)
{
	int file, fd;

	need_loops();
	file = make_image("image", size);
	fd = bind_loop(file, 0, 0, 0, O_RDWR);
	close(file);
	return fd;
}

static const char *sys_text(const char *format, ...)
{
	static char text[4096];
	char path[256];
	va_list args;
	ssize_t n;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "(none)";
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int partition_call(int fd, int op, long long start, long long length, int number)
{
	struct blkpg_partition p = { .start = start, .length = length, .pno = number };
	struct blkpg_ioctl_arg arg = { .op = op, .datalen = sizeof(p), .data = &p };

	return ioctl(fd, BLKPG, &arg);
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

/* Takes the partition away once nobody has it open. */
static void delete_partition(int fd, int number)
{
	while (partition_call(fd, BLKPG_DEL_PARTITION, 0, 0, number) < 0) {
		CHECK(errno == EBUSY);
		pause_a_little();
	}
}

/* The device at loop_path, which nobody uses any more; skips if somebody else was quicker. */
static int open_unbound(void)
{
	struct loop_info64 info;
	struct stat st;
	int fd;

	CHECK_OK(stat("image", &st));
	for (;;) {
		fd = open(loop_path, O_RDWR | O_CLOEXEC);
		CHECK_OK(fd);
		if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0) {
			CHECK(errno == ENXIO);
			return fd;
		}
		if (info.lo_inode != st.st_ino)
			SKIP("somebody else uses %s", loop_path);
		close(fd);
		pause_a_little();
	}
}

static void set_status(int fd, const struct loop_info64 *info)
{
	/* EAGAIN: somebody read the device in the middle of it */
	while (ioctl(fd, LOOP_SET_STATUS64, info) < 0) {
		CHECK(errno == EAGAIN);
		pause_a_little();
	}
}

static unsigned long long size_of(int fd)
{
	unsigned long long size;

	CHECK_OK(ioctl(fd, BLKGETSIZE64, &size));
	return size;
}

/* -- loop devices */

TEST(loop_devices_read_and_write_their_file)
{
	char buf[512], seen[512];
	int file, fd;

	need_loops();
	file = make_image("image", MIB);
	fd = bind_loop(file, 0, 0, 0, O_RDWR);
	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(pwrite(file, "from the file", 13, 4096), 13);
	CHECK_EQ(pread(fd, seen, 13, 4096), 13);
	CHECK(!memcmp(seen, "from the file", 13));
	CHECK_EQ(pwrite(fd, buf, sizeof(buf), 8192), sizeof(buf));
	CHECK_OK(fsync(fd));
	CHECK_EQ(pread(file, seen, sizeof(seen), 8192), sizeof(seen));
	CHECK(!memcmp(buf, seen, sizeof(seen)));
}

TEST(loop_devices_show_a_part_of_their_file)
{
	char seen[6];
	int file, fd;

	need_loops();
	file = make_image("image", MIB);
	CHECK_EQ(pwrite(file, "offset", 6, 4096), 6);
	fd = bind_loop(file, 0, 4096, 8192, O_RDWR);
	CHECK_EQ(size_of(fd), 8192);
	CHECK_EQ(read(fd, seen, 6), 6);
	CHECK(!memcmp(seen, "offset", 6));
	CHECK_EQ(lseek(fd, 0, SEEK_END), 8192);
	CHECK_STR(sys_text("/sys/block/loop%d/loop/offset", loop_number), "4096\n");
	CHECK_STR(sys_text("/sys/block/loop%d/loop/sizelimit", loop_number), "8192\n");
	CHECK_STR(sys_text("/sys/block/loop%d/loop/autoclear", loop_number), "1\n");
	CHECK_STR(sys_text("/sys/block/loop%d/size", loop_number), "16\n");
}

TEST(loop_status_is_what_was_set)
{
	struct loop_info64 info = { 0 };
	struct stat st;
	int file, fd;

	need_loops();
	file = make_image("image", MIB);
	fd = bind_loop(file, 0, 0, 0, O_RDWR);
	CHECK_OK(fstat(file, &st));
	CHECK_OK(ioctl(fd, LOOP_GET_STATUS64, &info));
	CHECK_EQ(info.lo_number, loop_number);
	CHECK_EQ(info.lo_inode, st.st_ino);
	CHECK_EQ(info.lo_device, st.st_dev);
	CHECK_EQ(info.lo_flags, LO_FLAGS_AUTOCLEAR);
	CHECK_STR((char *)info.lo_file_name, "image");
	info.lo_offset = 65536;
	info.lo_sizelimit = 4096;
	set_status(fd, &info);
	CHECK_EQ(size_of(fd), 4096);
	info.lo_flags = LO_FLAGS_AUTOCLEAR;
	info.lo_offset = info.lo_sizelimit = 0;
	set_status(fd, &info);
	CHECK_EQ(size_of(fd), MIB);
	CHECK_OK(ftruncate(file, 2 * MIB));
	CHECK_EQ(size_of(fd), MIB);
	CHECK_OK(ioctl(fd, LOOP_SET_CAPACITY));
	CHECK_EQ(size_of(fd), 2 * MIB);
}

TEST(loop_errors)
{
	struct loop_config config = { 0 };
	struct loop_info64 info;
	int fd = make_loop(MIB), file = open("image", O_RDWR), pipes[2];

	CHECK_OK(pipe(pipes));
	CHECK_ERRNO(ioctl(fd, LOOP_SET_FD, file), EBUSY);
	CHECK_ERRNO(ioctl(fd, LOOP_SET_FD, 9999), EBADF);
	CHECK_ERRNO(ioctl(fd, LOOP_SET_BLOCK_SIZE, 100), EINVAL);
	CHECK_ERRNO(ioctl(control, LOOP_CTL_ADD, loop_number), EEXIST);
	CHECK_ERRNO(ioctl(control, LOOP_CTL_REMOVE, loop_number), EBUSY);
	CHECK_ERRNO(ioctl(control, LOOP_CTL_REMOVE, 765432), ENODEV);
	CHECK_ERRNO(ioctl(control, LOOP_CTL_REMOVE, -1), EINVAL);
	CHECK_ERRNO(ioctl(control, 0x4cff), ENOSYS);
	CHECK_OK(ioctl(fd, LOOP_CLR_FD));
	CHECK_OK(close(fd));
	fd = open_unbound();
	CHECK_ERRNO(ioctl(fd, LOOP_GET_STATUS64, &info), ENXIO);
	CHECK_ERRNO(ioctl(fd, LOOP_CLR_FD), ENXIO);
	CHECK_ERRNO(ioctl(fd, LOOP_SET_CAPACITY), ENXIO);
	CHECK_ERRNO(ioctl(fd, LOOP_SET_FD, pipes[0]), EINVAL);
	CHECK_ERRNO(ioctl(fd, LOOP_SET_FD, fd), EBADF);
	config.fd = (uint32_t)file;
	config.info.lo_flags = 1u << 20;
	CHECK_ERRNO(ioctl(fd, LOOP_CONFIGURE, &config), EINVAL);
	config.info.lo_flags = 0;
	config.block_size = 513;
	CHECK_ERRNO(ioctl(fd, LOOP_CONFIGURE, &config), EINVAL);
	CHECK_EQ(size_of(fd), 0);
	CHECK_EQ(read(fd, &info, sizeof(info)), 0);
}

TEST(loop_devices_end_with_their_last_user)
{
	int fd = make_loop(MIB), other = open(loop_path, O_RDONLY);

	CHECK_OK(other);
	CHECK_OK(close(fd));
	CHECK_EQ(size_of(other), MIB);
	CHECK_OK(close(other));
	CHECK_OK(open_unbound());
}

TEST(loop_devices_of_files_that_cannot_be_written_are_read_only)
{
	char block[512] = "";
	int file, fd, v;

	need_loops();
	close(make_image("image", MIB));
	file = open("image", O_RDONLY);
	fd = bind_loop(file, 0, 0, 0, O_RDWR);
	CHECK_OK(ioctl(fd, BLKROGET, &v));
	CHECK_EQ(v, 1);
	CHECK_STR(sys_text("/sys/block/loop%d/ro", loop_number), "1\n");
	CHECK_ERRNO(pwrite(fd, block, sizeof(block), 0), EPERM);
	CHECK_ERRNO(ioctl(fd, BLKZEROOUT, (uint64_t[]){ 0, 512 }), EPERM);
	CHECK_EQ(pread(fd, block, sizeof(block), 0), sizeof(block));
}

TEST(loop_devices_show_where_their_file_is)
{
	char path[300];

	make_loop(MIB);
	CHECK(getcwd(path, sizeof(path) - 10));
	strcat(path, "/image\n");
	CHECK_STR(sys_text("/sys/block/loop%d/loop/backing_file", loop_number), path);
}

TEST(loop_devices_can_be_stacked)
{
	char seen[5];
	int lower = make_loop(MIB), fd;

	CHECK_EQ(pwrite(lower, "lower", 5, 512 * 100), 5);
	fd = bind_loop(lower, 0, 512 * 100, 0, O_RDWR);
	CHECK_EQ(size_of(fd), MIB - 512 * 100);
	CHECK_EQ(pread(fd, seen, 5, 0), 5);
	CHECK(!memcmp(seen, "lower", 5));
}

/* -- transfers */

TEST(transfers_end_where_the_device_ends)
{
	char buf[1024] = "";
	int fd = make_loop(MIB);

	CHECK_EQ(pread(fd, buf, 1024, MIB - 512), 512);
	CHECK_EQ(pread(fd, buf, 1024, MIB), 0);
	CHECK_EQ(pwrite(fd, buf, 1024, MIB - 512), 512);
	CHECK_ERRNO(pwrite(fd, buf, 1024, MIB), ENOSPC);
	CHECK_EQ(pwrite(fd, buf, 0, MIB), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), MIB);
	CHECK_ERRNO(lseek(fd, MIB + 1, SEEK_SET), EINVAL);
	CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
}

TEST(writes_of_any_length_change_nothing_else)
{
	static unsigned char model[64 * 1024], seen[sizeof(model)], piece[9000];
	int fd = make_loop(sizeof(model)), file = open("image", O_RDONLY);
	unsigned int seed = 7;

	for (unsigned int i = 0; i < 200; i++) {
		size_t off = (size_t)rand_r(&seed) % sizeof(model), n = (size_t)rand_r(&seed) % sizeof(piece);

		if (n > sizeof(model) - off)
			n = sizeof(model) - off;
		if (!n)
			continue;
		memset(piece, (int)i, n);
		memset(model + off, (int)i, n);
		CHECK_EQ(pwrite(fd, piece, n, (off_t)off), n);
	}
	CHECK_EQ(pread(fd, seen, sizeof(seen), 0), sizeof(seen));
	CHECK(!memcmp(seen, model, sizeof(seen)));
	CHECK_OK(fsync(fd));
	CHECK_EQ(pread(file, seen, sizeof(seen), 0), sizeof(seen));
	CHECK(!memcmp(seen, model, sizeof(seen)));
}

TEST(direct_transfers_have_to_be_aligned)
{
	int fd = make_loop(MIB), direct = open(loop_path, O_RDWR | O_DIRECT);
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec two[2] = { { p, 512 }, { p + 1024, 512 } };

	CHECK_OK(direct);
	CHECK_EQ(pread(direct, p, 4096, 0), 4096);
	CHECK_EQ(pread(direct, p + 512, 512, 512), 512);
	CHECK_ERRNO(pread(direct, p, 512, 100), EINVAL);
	CHECK_ERRNO(pread(direct, p, 100, 0), EINVAL);
	CHECK_ERRNO(pwrite(direct, p, 511, 0), EINVAL);
	CHECK_EQ(preadv(direct, two, 2, 0), 1024);
	two[1].iov_len = 100;
	CHECK_ERRNO(preadv(direct, two, 2, 0), EINVAL);
	CHECK_EQ(pread(direct, p, 4096, MIB - 512), 512);
	CHECK_EQ(pread(direct, p, 4096, MIB), 0);
	CHECK_EQ(pwrite(direct, p, 4096, MIB - 512), 512);
	CHECK_ERRNO(pwrite(direct, p, 4096, MIB), ENOSPC);
	CHECK_ERRNO(pread(direct, (void *)4096, 4096, 0), EFAULT);
	close(fd);
}

TEST(direct_and_cached_transfers_see_each_other)
{
	int fd = make_loop(MIB), direct = open(loop_path, O_RDWR | O_DIRECT);
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char seen[16];

	CHECK_EQ(pread(fd, seen, 16, 0), 16);		/* in the cache */
	strcpy(p, "direct");
	CHECK_EQ(pwrite(direct, p, 4096, 0), 4096);
	CHECK_EQ(pread(fd, seen, 16, 0), 16);
	CHECK_STR(seen, "direct");
	CHECK_EQ(pwrite(fd, "cached", 7, 4096), 7);
	CHECK_EQ(pread(direct, p, 4096, 4096), 4096);
	CHECK_STR(p, "cached");
}

TEST(exclusive_opens_exclude_each_other)
{
	int fd = make_loop(MIB), held = open(loop_path, O_RDWR | O_EXCL);

	CHECK_OK(held);
	CHECK_ERRNO(open(loop_path, O_RDWR | O_EXCL), EBUSY);
	CHECK_OK(open(loop_path, O_RDWR));
	CHECK_OK(close(held));
	held = open(loop_path, O_RDWR | O_EXCL);
	CHECK_OK(held);
	close(fd);
}

/* -- ioctls */

TEST(questions_about_a_device)
{
	unsigned long sectors = 0;
	struct hd_geometry geometry;
	long ahead = 0;
	int fd = make_loop(MIB), v = -1;
	unsigned short rotational = 77;

	CHECK_OK(ioctl(fd, BLKSSZGET, &v));
	CHECK_EQ(v, 512);
	CHECK_OK(ioctl(fd, BLKPBSZGET, &v));
	CHECK_EQ(v, 512);
	CHECK_OK(ioctl(fd, BLKIOMIN, &v));
	CHECK_EQ(v, 512);
	CHECK_OK(ioctl(fd, BLKIOOPT, &v));
	CHECK_EQ(v, 0);
	CHECK_OK(ioctl(fd, BLKALIGNOFF, &v));
	CHECK_EQ(v, 0);
	CHECK_OK(ioctl(fd, BLKROGET, &v));
	CHECK_EQ(v, 0);
	CHECK_OK(ioctl(fd, BLKDISCARDZEROES, &v));
	CHECK_EQ(v, 0);
	CHECK_OK(ioctl(fd, BLKROTATIONAL, &rotational));
	CHECK(rotational <= 1);
	CHECK_OK(ioctl(fd, BLKGETSIZE, &sectors));
	CHECK_EQ(sectors, MIB / 512);
	CHECK_EQ(size_of(fd), MIB);
	CHECK_OK(ioctl(fd, BLKRASET, 64));
	CHECK_OK(ioctl(fd, BLKRAGET, &ahead));
	CHECK_EQ(ahead, 64);
	CHECK_STR(sys_text("/sys/block/loop%d/queue/read_ahead_kb", loop_number), "32\n");
	CHECK_OK(ioctl(fd, BLKFLSBUF));
	CHECK_ERRNO(ioctl(fd, HDIO_GETGEO, &geometry), ENOTTY);
	CHECK_ERRNO(ioctl(fd, BLKGETSIZE64, NULL), EFAULT);
	v = 1024;
	CHECK_OK(ioctl(fd, BLKBSZSET, &v));
	CHECK_OK(ioctl(fd, BLKBSZGET, &v));
	CHECK_EQ(v, 1024);
	v = 300;
	CHECK_ERRNO(ioctl(fd, BLKBSZSET, &v), EINVAL);
}

/* Sectors that reading the byte at @off takes. */
static unsigned long sectors_for(int fd, off_t off)
{
	unsigned long before, after;
	char byte;

	CHECK_EQ(sscanf(sys_text("/sys/block/loop%d/stat", loop_number), "%*u %*u %lu", &before), 1);
	CHECK_EQ(pread(fd, &byte, 1, off), 1);
	CHECK_EQ(sscanf(sys_text("/sys/block/loop%d/stat", loop_number), "%*u %*u %lu", &after), 1);
	return after - before;
}

TEST(what_is_read_ahead_can_be_set)
{
	int fd = make_loop(4 * MIB);

	CHECK_OK(ioctl(fd, BLKRASET, 0));
	fd = open(loop_path, O_RDONLY);
	CHECK_OK(fd);
	CHECK_EQ(sectors_for(fd, MIB), 8);
	CHECK_EQ(sectors_for(fd, MIB + 4096), 8);
	CHECK_OK(ioctl(fd, BLKRASET, 256));
	fd = open(loop_path, O_RDONLY);
	CHECK_OK(fd);
	CHECK(sectors_for(fd, 0) > 8);
	CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
	CHECK_EQ(sectors_for(fd, 2 * MIB), 8);
	CHECK_EQ(sectors_for(fd, 2 * MIB + 4096), 8);
}

TEST(read_only_can_be_set)
{
	char block[512] = "";
	int fd = make_loop(MIB), v = 1;

	CHECK_OK(ioctl(fd, BLKROSET, &v));
	CHECK_ERRNO(pwrite(fd, block, sizeof(block), 0), EPERM);
	v = 0;
	CHECK_OK(ioctl(fd, BLKROGET, &v));
	CHECK_EQ(v, 1);
	CHECK_STR(sys_text("/sys/block/loop%d/ro", loop_number), "1\n");
	v = 0;
	CHECK_OK(ioctl(fd, BLKROSET, &v));
	CHECK_EQ(pwrite(fd, block, sizeof(block), 0), sizeof(block));
}

TEST(ranges_are_discarded_and_zeroed)
{
	static const uint64_t bad[][2] = {
		{ 100, 512 }, { 512, 100 }, { MIB, 512 }, { MIB - 512, 1024 }, { 1ull << 63, 512 },
		{ 512, UINT64_MAX - 511 },
	};
	char buf[8192], zeros[4096] = "";
	int fd = make_loop(MIB), reader = open(loop_path, O_RDONLY);

	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	CHECK_OK(ioctl(fd, BLKZEROOUT, (uint64_t[]){ 4096, 4096 }));
	CHECK_EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	CHECK(buf[0] == 'x' && buf[4095] == 'x' && !memcmp(buf + 4096, zeros, 4096));
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERRNO(ioctl(fd, BLKZEROOUT, bad[i]), EINVAL);
		CHECK_ERRNO(ioctl(fd, BLKDISCARD, bad[i]), EINVAL);
	}
	CHECK_OK(ioctl(fd, BLKDISCARD, (uint64_t[]){ 0, 4096 }));
	CHECK_ERRNO(ioctl(fd, BLKSECDISCARD, (uint64_t[]){ 0, 4096 }), EOPNOTSUPP);
	CHECK_ERRNO(ioctl(reader, BLKDISCARD, (uint64_t[]){ 0, 4096 }), EBADF);
	CHECK_ERRNO(ioctl(reader, BLKZEROOUT, (uint64_t[]){ 0, 4096 }), EBADF);
}

TEST(fallocate_zeroes_ranges)
{
	char buf[4096], zeros[4096] = "";
	int fd = make_loop(MIB);

	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
	CHECK_EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	CHECK(!memcmp(buf, zeros, sizeof(buf)));
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
	CHECK_ERRNO(fallocate(fd, 0, 0, 4096), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 512), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 100), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, MIB, 512), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, MIB - 512, 1024), EINVAL);
}

/* -- partitions */

TEST(partitions_are_added_resized_and_deleted)
{
	int fd = make_loop(8 * MIB), part;
	char path[100], seen[4];
	struct stat st;

	CHECK_OK(partition_call(fd, BLKPG_ADD_PARTITION, MIB, MIB, 1));
	snprintf(path, sizeof(path), "%sp1", loop_path);
	part = open(path, O_RDWR | O_CLOEXEC);
	CHECK_OK(part);
	CHECK_EQ(size_of(part), MIB);
	CHECK_EQ(pwrite(part, "part", 4, 0), 4);
	CHECK_OK(fsync(part));
	CHECK_OK(ioctl(fd, BLKFLSBUF));
	CHECK_EQ(pread(fd, seen, 4, MIB), 4);
	CHECK(!memcmp(seen, "part", 4));
	CHECK_OK(fstat(part, &st));
	CHECK_STR(sys_text("/sys/class/block/loop%dp1/start", loop_number), "2048\n");
	CHECK_STR(sys_text("/sys/class/block/loop%dp1/size", loop_number), "2048\n");
	CHECK_STR(sys_text("/sys/class/block/loop%dp1/partition", loop_number), "1\n");
	CHECK_STR(sys_text("/sys/dev/block/%u:%u/partition", major(st.st_rdev), minor(st.st_rdev)), "1\n");
	CHECK(strstr(sys_text("/sys/class/block/loop%dp1/uevent", loop_number), "DEVTYPE=partition\n"));
	CHECK(strstr(sys_text("/proc/partitions"), strrchr(path, '/') + 1));
	CHECK_ERRNO(partition_call(fd, BLKPG_DEL_PARTITION, 0, 0, 1), EBUSY);
	CHECK_OK(close(part));
	CHECK_OK(partition_call(fd, BLKPG_RESIZE_PARTITION, MIB, MIB / 2, 1));
	CHECK_STR(sys_text("/sys/class/block/loop%dp1/size", loop_number), "1024\n");
	delete_partition(fd, 1);
	CHECK_STR(sys_text("/sys/class/block/loop%dp1/size", loop_number), "(none)");
	CHECK(!strstr(sys_text("/proc/partitions"), strrchr(path, '/') + 1));
}

TEST(partitions_that_cannot_be)
{
	static const struct { int op; long long start, length; int number, error; } calls[] = {
		{ BLKPG_ADD_PARTITION, MIB, MIB, 1, EBUSY },
		{ BLKPG_ADD_PARTITION, MIB + 512, MIB, 2, EBUSY },
		{ BLKPG_ADD_PARTITION, 2 * MIB, MIB, 0, EINVAL },
		{ BLKPG_ADD_PARTITION, 2 * MIB, 0, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, 2 * MIB + 100, 512, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, 7 * MIB, 2 * MIB, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, 9 * MIB, 512, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, -512, 512, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, 512, INT64_MAX - 511, 2, EINVAL },
		{ BLKPG_ADD_PARTITION, 2 * MIB, MIB, 256, EINVAL },
		{ BLKPG_RESIZE_PARTITION, MIB, 4 * MIB, 1, EBUSY },
		{ BLKPG_RESIZE_PARTITION, 0, 512, 1, EINVAL },
		{ BLKPG_RESIZE_PARTITION, MIB, 512, 9, ENXIO },
		{ BLKPG_DEL_PARTITION, 0, 0, 9, ENXIO },
		{ 7, 0, 0, 1, EINVAL },
	};
	int fd = make_loop(8 * MIB), part;
	char path[100];

	CHECK_OK(partition_call(fd, BLKPG_ADD_PARTITION, MIB, MIB, 1));
	CHECK_OK(partition_call(fd, BLKPG_ADD_PARTITION, 4 * MIB, MIB, 255));
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		errno = 0;
		if (partition_call(fd, calls[i].op, calls[i].start, calls[i].length, calls[i].number) != -1 ||
		    errno != calls[i].error)
			harness_end(HARNESS_FAILED, "call %u: errno %d, not %d", i, errno, calls[i].error);
	}
	snprintf(path, sizeof(path), "%sp1", loop_path);
	part = open(path, O_RDWR);
	CHECK_OK(part);
	CHECK_ERRNO(partition_call(part, BLKPG_ADD_PARTITION, 0, 512, 3), EINVAL);
	CHECK_ERRNO(ioctl(part, BLKRRPART), EINVAL);
	CHECK_OK(close(part));
	delete_partition(fd, 1);
	delete_partition(fd, 255);
}

TEST(a_partition_and_its_disk_are_held_together)
{
	int fd = make_loop(8 * MIB), one;
	char path[100];

	CHECK_OK(partition_call(fd, BLKPG_ADD_PARTITION, MIB, MIB, 1));
	CHECK_OK(partition_call(fd, BLKPG_ADD_PARTITION, 2 * MIB, MIB, 2));
	snprintf(path, sizeof(path), "%sp1", loop_path);
	one = open(path, O_RDWR | O_EXCL);
	CHECK_OK(one);
	CHECK_ERRNO(open(loop_path, O_RDWR | O_EXCL), EBUSY);
	snprintf(path, sizeof(path), "%sp2", loop_path);
	CHECK_OK(close(open(path, O_RDWR | O_EXCL)));
	CHECK_OK(close(one));
	one = open(loop_path, O_RDWR | O_EXCL);
	CHECK_OK(one);
	CHECK_ERRNO(open(path, O_RDWR | O_EXCL), EBUSY);
	CHECK_OK(close(one));
	delete_partition(fd, 1);
	delete_partition(fd, 2);
}

TEST(only_root_may_change_disks)
{
	int fd = make_loop(MIB), v = 1024;

	CHECK_OK(fchmod(fd, 0600));
	CHECK_OK(seteuid(65534));
	CHECK_ERRNO(partition_call(fd, BLKPG_ADD_PARTITION, 0, 512, 1), EACCES);
	CHECK_ERRNO(ioctl(fd, BLKROSET, &v), EACCES);
	CHECK_ERRNO(ioctl(fd, BLKBSZSET, &v), EACCES);
	CHECK_ERRNO(ioctl(fd, BLKFLSBUF), EACCES);
	CHECK_ERRNO(ioctl(fd, BLKRASET, 8), EACCES);
	CHECK_OK(seteuid(0));
}

/* -- counters */

TEST(transfers_are_counted)
{
	unsigned long long reads, read_sectors, writes, write_sectors;
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = make_loop(MIB), direct = open(loop_path, O_RDWR | O_DIRECT);
	unsigned long long before[2];

	CHECK_EQ(sscanf(sys_text("/sys/block/loop%d/stat", loop_number), "%*u %*u %llu %*u %*u %*u %llu",
			&before[0], &before[1]), 2);
	CHECK_EQ(pread(direct, p, 65536, 0), 65536);
	CHECK_EQ(pwrite(direct, p, 16384, 0), 16384);
	CHECK_EQ(sscanf(sys_text("/sys/block/loop%d/stat", loop_number),
			"%llu %*u %llu %*u %llu %*u %llu", &reads, &read_sectors, &writes,
			&write_sectors), 4);
	CHECK(reads >= 1 && writes >= 1);
	CHECK(read_sectors - before[0] >= 128);
	CHECK_EQ(write_sectors - before[1], 32);
	close(fd);
}

TEST(diskstats_has_twenty_fields)
{
	char name[32];
	const char *line;
	unsigned int fields = 0;

	make_loop(MIB);
	snprintf(name, sizeof(name), " loop%d ", loop_number);
	line = strstr(sys_text("/proc/diskstats"), name);
	CHECK(line);
	for (line += strlen(name); *line && *line != '\n'; line++)
		fields += *line == ' ';
	CHECK_EQ(fields + 1, 17);
}
