/* SPDX-License-Identifier: MIT */
/*
 * ext4_ops IMAGE SEED COUNT [FOLDER CRASHES]
 *
 * COUNT random operations on the ext4 file system in IMAGE and on a tmpfs, which have to
 * give the same results; then the trees are compared, the file system is unmounted,
 * and IMAGE is written.
 *
 * With FOLDER: the disk's writes and flushes are watched, and at CRASHES moments a
 * copy of the disk is left in FOLDER as a crash could leave it: what was flushed, and
 * some of what came after.  Beside each, FOLDER/crashN.expect says which files were
 * synced by then: name, length, checksum.
 *
 * ext4_ops --faults IMAGE SEED COUNT: the operations alone, whatever they give, while allocations
 * and writes of the disk fail now and then.  The image is left as it is on the disk then, perhaps with
 * a journal to be replayed: it has to be sound.
 *
 * ext4_ops --verify IMAGE EXPECT: mount (which replays the journal), look for those files,
 * unmount, write IMAGE.
 */
#include <linux/falloc.h>
#include <asm/stat.h>

#include "base/hash.h"
#include "test/host/rig_test.h"

#define self rig_self()
#define TOPS 2

static const char *const tops[TOPS] = { "/mnt", "/model" };
static char *disk;
static size_t disk_size;

/* -- what a crash leaves */

struct pending {
	struct pending *next;
	uint64_t off;
	size_t n;
	char data[];
};

static char *durable;			/* as of the last flush */
static struct pending *first, **last = &first;
static const char *folder;
static unsigned int crashes, crash_count, writes_seen, next_crash, crash_gap;
static char *expected;
static size_t expected_size;

static void expect(const char *line)
{
	size_t n = strlen(line);

	expected = realloc(expected, expected_size + n + 1);
	memcpy(expected + expected_size, line, n + 1);
	expected_size += n;
}

static void save(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, n, f) != n || fclose(f))
		abort();
}

static void leave_crash(void)
{
	char *copy = malloc(disk_size), path[256];

	memcpy(copy, durable, disk_size);
	for (struct pending *p = first; p; p = p->next) {
		/* whole, not at all, or some of its sectors */
		long how = random() % 4;
		bool take = false;

		for (size_t i = 0; i < p->n; i += 512) {
			/* the super block is one piece: a mount looks at its checksum first */
			if (p->off + i != 1536)
				take = how == 0 || (how == 1 && random() % 2);
			if (take)
				memcpy(copy + p->off + i, p->data + i, 512);
		}
	}
	snprintf(path, sizeof(path), "%s/crash%u", folder, crash_count);
	save(path, copy, disk_size);
	snprintf(path, sizeof(path), "%s/crash%u.expect", folder, crash_count++);
	save(path, expected ? expected : "", expected_size);
	free(copy);
}

static bool watch_locked(uint64_t off, const void *data, size_t n)
{
	struct pending *p;

	if (++writes_seen == next_crash && crash_count < crashes) {
		leave_crash();
		next_crash += 1 + (unsigned int)random() % crash_gap;
	}
	if (data) {
		p = malloc(sizeof(*p) + n);
		p->next = NULL;
		p->off = off;
		p->n = n;
		memcpy(p->data, data, n);
		*last = p;
		last = &p->next;
		return true;
	}
	while ((p = first)) {
		memcpy(durable + p->off, p->data, p->n);
		first = p->next;
		free(p);
	}
	last = &first;
	return true;
}

/* Operations and the flusher write at the same time. */
static _Atomic(bool) watching;

static void lock(void)
{
	while (atomic_exchange(&watching, true))
		;
}

static void unlock(void)
{
	atomic_store(&watching, false);
}

static bool watch(unsigned int index, uint64_t off, const void *data, size_t n)
{
	bool ok;

	lock();
	ok = watch_locked(off, data, n);
	unlock();
	return ok;
}

/* -- operations */

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)random() % n;
}

static const char *name(char *buf, const char *top, unsigned int n)
{
	static const char *const dirs[] = { "", "/a", "/b", "/a/c", "/many" };
	unsigned int d = n / 64 % 5;

	if (d == 4)
		snprintf(buf, 256, "%s/many/%u-with-a-long-name-that-fills-a-directory-soon-%u", top,
			 n % 4096, n % 7);
	else
		snprintf(buf, 256, "%s%s/%u", top, dirs[d], n % 24);
	return buf;
}

#define SIZES (1u << 20)

struct op {
	unsigned int kind, a, b, off, len, flags;
};

/* The same bytes from three pieces, whose ends are in the middle of pages. */
static long write_pieces(int fd, uaddr_t buf, const struct op *op)
{
	uint64_t a = op->len / 3, b = op->len / 2;
	uint64_t iov[6] = { buf.v, a, buf.v + a, b - a, buf.v + b, op->len - b };

	return lx_sys_pwritev(self, fd, rig_bytes(iov, sizeof(iov)), 3, op->off, 0);
}

static long transfer(const char *path, const struct op *op, bool write, uint32_t *crc)
{
	long fd = lx_sys_open(self, rig_str(path), (write ? O_RDWR : O_RDONLY) |
						    (op->flags & 1 && write ? O_CREAT : 0), 0644), n;
	uaddr_t buf;

	*crc = 0;
	if (fd < 0)
		return fd;
	buf = rig_user(op->len + 1);
	if (write) {
		for (unsigned int i = 0; i < op->len; i++)
			((char *)rig_ptr(buf))[i] = (char)(op->off + i * 7 + op->b);
		if (op->flags & 4)
			rig_absent(buf, op->len + 1);	/* program memory whose owner has to be asked */
		n = op->flags & 2 ? write_pieces((int)fd, buf, op)
				  : lx_sys_pwrite64(self, (int)fd, buf, op->len, op->off);
	} else {
		n = lx_sys_pread64(self, (int)fd, buf, op->len, op->off);
		if (n > 0)
			*crc = crc32(0, rig_ptr(buf), (size_t)n);
	}
	if (op->flags % 16 == 7)
		lx_sys_fsync(self, (int)fd);
	lx_sys_close(self, (int)fd);
	return n;
}

/* Ranges that go or come with all that is behind them, where there is no such call: the same in steps. */
static long shift_by_copy(int fd, int mode, long off, long len, long size)
{
	bool collapse = mode == FALLOC_FL_COLLAPSE_RANGE;
	long from = collapse ? off + len : off, to = collapse ? off : off + len;
	uaddr_t buf;

	if (collapse ? off + len >= size : off >= size)
		return -EINVAL;
	buf = rig_user((size_t)(size - from));
	if (lx_sys_pread64(self, fd, buf, (size_t)(size - from), from) != size - from ||
	    lx_sys_pwrite64(self, fd, buf, (size_t)(size - from), to) != size - from)
		return -EIO;
	return collapse ? lx_sys_ftruncate(self, fd, size - len)
			: lx_sys_fallocate(self, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

#define SHIFTED (200l << 10)		/* not for files longer than that */

static long shift(const char *path, const struct op *op)
{
	int mode = op->flags & 1 ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
	long off = op->off & ~4095l, len = (op->len & ~4095l) + 4096, size, n = 0;
	long fd = lx_sys_open(self, rig_str(path), O_RDWR, 0);

	if (fd < 0)
		return fd;
	size = lx_sys_lseek(self, (int)fd, 0, SEEK_END);
	if (size < SHIFTED)
		n = lx_sys_fallocate(self, (int)fd, mode, off, len);
	if (n == -EOPNOTSUPP)
		n = shift_by_copy((int)fd, mode, off, len, size);
	lx_sys_close(self, (int)fd);
	return n;
}

static long allocate(const char *path, const struct op *op)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE };
	long fd, n;

	if (op->flags % 16 < 6)
		return shift(path, op);
	fd = lx_sys_open(self, rig_str(path), O_RDWR, 0);
	if (fd < 0)
		return fd;
	n = lx_sys_fallocate(self, (int)fd, modes[op->flags % 5], op->off, op->len + 1);
	/* tmpfs has no such thing: the same in two steps */
	if (n == -EOPNOTSUPP && modes[op->flags % 5] == FALLOC_FL_ZERO_RANGE) {
		lx_sys_fallocate(self, (int)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->off, op->len + 1);
		n = lx_sys_fallocate(self, (int)fd, 0, op->off, op->len + 1);
	}
	lx_sys_close(self, (int)fd);
	return n;
}

/* -- access control lists: a directory's default, or the access to it and to files */

static uaddr_t list_name(const struct op *op)
{
	return rig_str(op->flags % 3 ? "system.posix_acl_access" : "system.posix_acl_default");
}

/* Some named users, so many that there may be no room for them in an inode; sometimes it makes no sense. */
static long set_list(uaddr_t path, const struct op *op)
{
	struct { uint32_t version; struct { uint16_t tag, perm; uint32_t id; } e[48]; } v = { .version = 2 };
	uint32_t n = 0, named = op->len % 10 ? op->len % 4 : op->len % 40;

	if (op->len % 11 == 0)
		return lx_sys_lremovexattr(self, path, list_name(op));
	v.e[n].tag = 1, v.e[n++].perm = op->b % 8;
	for (uint32_t i = 0; i < named; i++)
		v.e[n].tag = 2, v.e[n].perm = (op->b + i) % 8, v.e[n++].id = op->a + i;
	v.e[n].tag = 4, v.e[n++].perm = op->b / 8 % 8;
	if (named || op->b % 3)
		v.e[n].tag = op->len % 13 ? 16 : 1, v.e[n++].perm = op->b / 64 % 8;
	v.e[n].tag = 32, v.e[n++].perm = op->b / 512 % 8;
	return lx_sys_lsetxattr(self, path, list_name(op), rig_bytes(&v, 4 + 8 * n), 4 + 8 * n, 0);
}

static long get_list(uaddr_t path, const struct op *op, uint32_t *crc)
{
	uaddr_t buf = rig_user(512);
	long n = lx_sys_lgetxattr(self, path, list_name(op), buf, 512);

	if (n > 0)
		*crc = crc32(0, rig_ptr(buf), (size_t)n);
	return n;
}

static uint32_t list(const char *path);

static long run(const char *top, const struct op *op, uint32_t *crc)
{
	char a[256], b[256], key[32];
	uaddr_t pa = rig_str(name(a, top, op->a)), pb = rig_str(name(b, top, op->b)), st;
	long n;

	*crc = 0;
	snprintf(key, sizeof(key), "user.k%u", op->b % 5);
	switch (op->kind) {
	case 0: case 1: case 2: case 3: case 4:
		return transfer(a, op, true, crc);
	case 5: case 6:
		return transfer(a, op, false, crc);
	case 7:
		return lx_sys_truncate(self, pa, op->off);
	case 8: case 9:
		return lx_sys_unlink(self, pa);
	case 10:
		return lx_sys_renameat2(self, AT_FDCWD, pa, AT_FDCWD, pb, op->flags % 5 ? 0 : 1u << (op->flags % 2));
	case 11:
		return lx_sys_link(self, pa, pb);
	case 12:
		snprintf(b, sizeof(b), "%.*s", (int)(1 + op->len % 200),
			 "target/which/is/long/enough/not/to/fit/into/an/inode/because/it/goes/on/and/on/and/on/"
			 "and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on/an");
		return lx_sys_symlink(self, rig_str(b), pa);
	case 13:
		return lx_sys_mkdir(self, pa, 0755);
	case 14:
		return lx_sys_rmdir(self, pa);
	case 15:
		n = lx_sys_lsetxattr(self, pa, rig_str(key), rig_user(op->len % 300), op->len % 300, 0);
		return n;
	case 16:
		return lx_sys_lremovexattr(self, pa, rig_str(key));
	case 17:
		return allocate(a, op);
	case 18:
		return lx_sys_chmod(self, pa, op->len & 0777);
	case 19:
		st = rig_user(sizeof(struct stat));
		n = lx_sys_lstat(self, pa, st);
		if (!n) {
			const struct stat *s = rig_ptr(st);
			bool dir = (s->st_mode & S_IFMT) == S_IFDIR;
			uint64_t v[5] = { s->st_mode, s->st_nlink, dir ? 0 : s->st_size, s->st_uid };

			*crc = crc32(0, v, sizeof(v));
		}
		return n;
	case 20:
		snprintf(a, sizeof(a), "%s/many", top);
		*crc = list(a);
		return 0;
	case 21:
		return set_list(pa, op);
	case 22:
		return get_list(pa, op, crc);
	default:
		return rnd(4) ? 0 : lx_sys_sync(self);
	}
}

/* A number that does not depend on the order. */
static uint32_t list(const char *path)
{
	long fd = lx_sys_open(self, rig_str(path), O_RDONLY | O_DIRECTORY, 0), n;
	uaddr_t buf = rig_user(2048);
	uint32_t sum = 0, count = 0;

	while (fd >= 0 && (n = lx_sys_getdents64(self, (int)fd, buf, 2048)) > 0) {
		for (long i = 0; i < n;) {
			char *e = (char *)rig_ptr(buf) + i;

			sum += crc32(0, e + 19, strlen(e + 19)) * 31 + (uint8_t)e[18];
			count++;
			i += *(unsigned short *)(e + 16);
		}
	}
	if (fd >= 0)
		lx_sys_close(self, (int)fd);
	return sum + count;
}

/* Write a new file of at most @most bytes, whose descriptor stays open: @line is what to expect of it. */
static long write_new(const char *file, size_t most, char line[128])
{
	static char data[50000];
	size_t n = 1 + rnd((unsigned int)most);
	char path[64];
	long fd;

	for (size_t k = 0; k < n; k++)
		data[k] = (char)random();
	snprintf(path, sizeof(path), "/mnt/%s", file);
	snprintf(line, 128, "%s %zu %08x\n", file, n, crc32(0, data, n));
	fd = lx_sys_open(self, rig_str(path), O_CREAT | O_WRONLY, 0600);
	if (fd >= 0 && lx_sys_write(self, (int)fd, rig_bytes(data, n), n) != (long)n) {
		lx_sys_close(self, (int)fd);
		return -EIO;
	}
	return fd;
}

/* A file of its own that is written, synced and left alone. */
static void synced_file(unsigned int i)
{
	char file[32], line[128];
	long fd;

	snprintf(file, sizeof(file), "s%u", i);
	fd = write_new(file, 50000, line);
	if (fd < 0)
		return;
	if (!(rnd(2) ? lx_sys_fsync(self, (int)fd) : lx_sys_fdatasync(self, (int)fd))) {
		lock();
		expect(line);
		unlock();
	}
	lx_sys_close(self, (int)fd);
}

/* Small files that are written back together, by one sync. */
static void synced_files(unsigned int i)
{
	char file[32], lines[40][128];
	unsigned int n = 0;

	for (unsigned int k = 0; k < ARRAY_SIZE(lines); k++) {
		long fd;

		snprintf(file, sizeof(file), "t%u-%u", i, k);
		fd = write_new(file, 6000, lines[n]);
		if (fd >= 0) {
			lx_sys_close(self, (int)fd);
			n++;
		}
		rig_reset();
	}
	if (lx_sys_sync(self))
		return;
	lock();
	for (unsigned int k = 0; k < n; k++)
		expect(lines[k]);
	unlock();
}

static void choose(struct op *op)
{
	*op = (struct op){ .kind = rnd(24), .a = rnd(20480), .b = rnd(20480), .flags = rnd(65536) };
	op->off = rnd(4) ? rnd(20000) : rnd(SIZES);
	op->len = rnd(4) ? rnd(6000) : rnd(100000);
	if (rnd(3) == 0)
		op->off &= ~4095u;
}

static int operate(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint32_t crc[TOPS];
		long ret[TOPS];
		struct op op;

		choose(&op);
		for (int t = 0; t < TOPS; t++) {
			rig_reset();
			ret[t] = run(tops[t], &op, &crc[t]);
		}
		if (ret[0] != ret[1] || crc[0] != crc[1]) {
			fprintf(stderr, "operation %u (kind %u, %u, %u, off %u, len %u, flags %u): "
				"%ld %08x, expected %ld %08x\n", i, op.kind, op.a, op.b, op.off, op.len,
				op.flags, ret[0], crc[0], ret[1], crc[1]);
			return 1;
		}
		rig_reset();
		if (folder && i % 50 == 49)
			synced_file(i / 50);
		if (folder && i % 100 == 99)
			synced_files(i / 100);
	}
	return 0;
}

/* -- operations that fail */

static unsigned int bad_writes;		/* how many from now on; counted down */

static bool fail_writes(unsigned int index, uint64_t off, const void *data, size_t n)
{
	return !bad_writes || --bad_writes;
}

static void suffer(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint32_t crc;
		struct op op;

		choose(&op);
		rig_reset();
		if (rnd(3) == 0)
			rig_fail_allocs(1 + rnd(30), 1 + rnd(rnd(2) ? 3 : 30));
		else if (rnd(60) == 0)
			bad_writes = 1 + rnd(20);
		(void)!run("/mnt", &op, &crc);
		rig_fail_alloc(0);
		bad_writes = 0;
	}
}

/* -- mounting */

static void mkdirs(int tops_used)
{
	static const char *const dirs[] = { "/a", "/b", "/a/c", "/many" };
	char path[64];

	for (int t = 0; t < tops_used; t++) {
		for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
			snprintf(path, sizeof(path), "%s%s", tops[t], dirs[i]);
			lx_do_mkdir(self, path, 0755);
		}
	}
}

static void load(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		exit(2);
	fseek(f, 0, SEEK_END);
	disk_size = (size_t)ftell(f);
	rewind(f);
	disk = malloc(disk_size);
	if (fread(disk, 1, disk_size, f) != disk_size)
		exit(2);
	fclose(f);
}

static void must(const char *what, long err)
{
	if (err) {
		fprintf(stderr, "%s: error %ld\n", what, err);
		exit(1);
	}
}

static int verify(const char *expectations)
{
	char file[64], path[80];
	unsigned int crc, bad = 0;
	FILE *f = fopen(expectations, "r");
	size_t n;

	while (f && fscanf(f, "%63s %zu %x", file, &n, &crc) == 3) {
		uaddr_t buf = rig_user(n + 1);
		long fd, got = -1;

		snprintf(path, sizeof(path), "/mnt/%s", file);
		fd = lx_sys_open(self, rig_str(path), O_RDONLY, 0);
		if (fd >= 0) {
			got = lx_sys_read(self, (int)fd, buf, n + 1);
			lx_sys_close(self, (int)fd);
		}
		if (got != (long)n || crc32(0, rig_ptr(buf), n) != crc) {
			fprintf(stderr, "%s: %ld bytes, or wrong ones; expected %zu\n", path, got, n);
			bad++;
		}
		rig_reset();
	}
	return bad != 0;
}

int main(int argc, char **argv)
{
	bool check = argc == 4 && !strcmp(argv[1], "--verify");
	bool faults = argc == 5 && !strcmp(argv[1], "--faults");
	const char *image = check || faults ? argv[2] : argv[1];
	int ret = 0;

	if (!check && !faults && argc != 4 && argc != 6)
		return 2;
	load(image);
	rig_start();
	lx_do_mkdir(self, "/mnt", 0755);
	lx_do_mkdir(self, "/model", 0755);
	lx_do_mkdir(self, "/dev", 0755);
	lx_devtmpfs_mount(self);
	rig_disk_rw(0, disk, disk_size);
	must("mount", lx_do_mount(self, "/dev/vda", "/mnt", "ext4", 0, NULL));
	if (check) {
		ret = verify(argv[3]);
	} else if (faults) {
		srandom((unsigned int)atoi(argv[3]));
		mkdirs(1);
		rig_disk_watch(fail_writes);
		suffer((unsigned int)atoi(argv[4]));
	} else {
		srandom((unsigned int)atoi(argv[2]));
		if (argc == 6) {
			folder = argv[4];
			crashes = (unsigned int)atoi(argv[5]);
			crash_gap = 40;
			next_crash = 1;
			durable = malloc(disk_size);
			memcpy(durable, disk, disk_size);
			rig_disk_watch(watch);
		}
		must("tmpfs", lx_do_mount(self, "none", "/model", "tmpfs", 0, NULL));
		mkdirs(TOPS);
		ret = operate((unsigned int)atoi(argv[3]));
	}
	must("umount", lx_sys_umount2(self, rig_str("/mnt"), 0));
	save(image, disk, disk_size);
	free(disk);
	return ret;
}
