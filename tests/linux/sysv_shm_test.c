/* SPDX-License-Identifier: MIT */
/* System V shared memory: shmget(2), shmop(2), shmctl(2).  Each case has an IPC namespace of its own. */
#include "helpers.h"

#include <sched.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define PAGE 4096
#define KEY 0x1234abcd

static void fresh(void)
{
	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
}

static int make(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);

	CHECK(id >= 0);
	return id;
}

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds ds;

	CHECK_OK(shmctl(id, IPC_STAT, &ds));
	return ds;
}

static char *attach(int id)
{
	char *p = shmat(id, NULL, 0);

	CHECK(p != (void *)-1);
	return p;
}

/* Is a line with @text in the file? */
static bool file_has(const char *path, const char *text)
{
	char line[512];
	bool found = false;
	FILE *f = fopen(path, "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found = found || strstr(line, text);
	fclose(f);
	return found;
}

TEST(works_in_the_first_namespace_too)
{
	int id = make(PAGE);
	char *p = attach(id);

	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	p[0] = 1;
	CHECK_OK(shmdt(p));
	CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
}

TEST(get_finds_the_segment_of_a_key)
{
	int id;

	fresh();
	CHECK_ERRNO(shmget(KEY, PAGE, 0600), ENOENT);
	id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK_EQ(shmget(KEY, PAGE, 0600), id);
	CHECK_EQ(shmget(KEY, 0, 0), id);
	CHECK_EQ(shmget(KEY, PAGE, IPC_CREAT | 0600), id);
	CHECK_EQ(shmget(KEY, PAGE, IPC_EXCL | 0600), id);
	CHECK_ERRNO(shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(KEY, PAGE + 1, 0600), EINVAL);
	CHECK(shmget(IPC_PRIVATE, PAGE, 0600) != id);
}

TEST(get_checks_the_size)
{
	fresh();
	CHECK_ERRNO(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	CHECK_ERRNO(shmget(IPC_PRIVATE, ~0ul, 0600), EINVAL);
	CHECK_ERRNO(shmget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	CHECK_ERRNO(shmget(KEY, ~0ul, 0600), ENOENT);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 1ul << 46, 0600), ENOMEM);
}

TEST(memory_is_zero_shared_and_stays)
{
	int id;
	char *p, *q;

	fresh();
	id = make(3 * PAGE + 5);
	CHECK_EQ(stat_of(id).shm_segsz, 3 * PAGE + 5);
	p = attach(id);
	for (int i = 0; i < 4 * PAGE; i++)
		CHECK(p[i] == 0);
	strcpy(p + PAGE, "hello");
	q = attach(id);
	CHECK(p != q);
	CHECK_STR(q + PAGE, "hello");
	IN_CHILD(strcpy(p, "child"));
	CHECK_STR(q, "child");
	CHECK_OK(shmdt(p));
	CHECK_OK(shmdt(q));
	CHECK_EQ(stat_of(id).shm_nattch, 0);
	CHECK_STR(attach(id), "child");
}

TEST(stat_says_who_and_when)
{
	struct shmid_ds ds;
	time_t now = time(NULL);
	char *p;
	int id;

	fresh();
	id = shmget(KEY, 100, IPC_CREAT | 0640);
	ds = stat_of(id);
	CHECK_EQ(ds.shm_perm.__key, KEY);
	CHECK_EQ(ds.shm_perm.mode, 0640);
	CHECK_EQ(ds.shm_perm.uid, geteuid());
	CHECK_EQ(ds.shm_perm.cgid, getegid());
	CHECK_EQ(ds.shm_perm.__seq, id >> 15);
	CHECK_EQ(ds.shm_cpid, getpid());
	CHECK_EQ(ds.shm_lpid, 0);
	CHECK_EQ(ds.shm_atime, 0);
	CHECK_EQ(ds.shm_dtime, 0);
	CHECK(ds.shm_ctime >= now);
	p = attach(id);
	ds = stat_of(id);
	CHECK_EQ(ds.shm_nattch, 1);
	CHECK_EQ(ds.shm_lpid, getpid());
	CHECK(ds.shm_atime >= now);
	CHECK_EQ(ds.shm_dtime, 0);
	shmdt(p);
	CHECK(stat_of(id).shm_dtime >= now);
}

TEST(fork_and_exit_are_counted)
{
	int id, go[2], done[2];
	pid_t child;
	char *p, c;

	fresh();
	id = make(PAGE);
	p = attach(id);
	CHECK_OK(pipe(go));
	CHECK_OK(pipe(done));
	child = fork();
	if (!child) {
		read(go[0], &c, 1);
		_exit(0);
	}
	CHECK_EQ(stat_of(id).shm_nattch, 2);
	write(go[1], "x", 1);
	waitpid(child, NULL, 0);
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	CHECK_EQ(stat_of(id).shm_lpid, child);
	CHECK(stat_of(id).shm_dtime > 0);
	p[0] = 1;
}

TEST(exec_detaches)
{
	int id;

	fresh();
	id = make(PAGE);
	IN_CHILD({
		attach(id);
		CHECK_EQ(stat_of(id).shm_nattch, 1);
		execl("/bin/true", "true", NULL);
		_exit(9);
	});
	CHECK_EQ(stat_of(id).shm_nattch, 0);
}

TEST(vfork_child_that_exits_detaches_nothing)
{
	int id;

	fresh();
	id = make(PAGE);
	attach(id);
	if (!vfork())
		_exit(0);
	CHECK_EQ(stat_of(id).shm_nattch, 1);
}

TEST(removed_segment_goes_with_its_last_attachment)
{
	int id;
	char *p, *q;

	fresh();
	id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	p = attach(id);
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	CHECK_EQ(stat_of(id).shm_perm.mode, 0600 | 01000);	/* SHM_DEST */
	CHECK_EQ(stat_of(id).shm_perm.__key, IPC_PRIVATE);
	CHECK_ERRNO(shmget(KEY, PAGE, 0600), ENOENT);
	q = attach(id);						/* still possible on Linux */
	CHECK_OK(shmdt(p));
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	CHECK_OK(shmdt(q));
	CHECK_ERRNO(shmat(id, NULL, 0) == (void *)-1 ? -1 : 0, EINVAL);
}

TEST(removed_segment_goes_with_the_process)
{
	int id;

	fresh();
	id = make(PAGE);
	IN_CHILD({
		attach(id);
		CHECK_OK(shmctl(id, IPC_RMID, NULL));
		kill(getpid(), 0);
	});
	CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
}

TEST(ids_are_not_used_again_soon)
{
	int first, id;

	fresh();
	first = make(PAGE);
	CHECK_OK(shmctl(first, IPC_RMID, NULL));
	for (int i = 0; i < 1000; i++) {
		id = make(PAGE);
		CHECK(id != first);
		CHECK_OK(shmctl(id, IPC_RMID, NULL));
	}
	CHECK_ERRNO(shmctl(first, IPC_RMID, NULL), EINVAL);
}

TEST(attach_addresses)
{
	char *room = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;
	int id;

	fresh();
	id = make(2 * PAGE);
	CHECK(shmat(id, room + 1, 0) == (void *)-1 && errno == EINVAL);
	CHECK(shmat(id, room, 0) == (void *)-1 && errno == EINVAL);		/* something is there */
	CHECK(shmat(id, NULL, SHM_REMAP) == (void *)-1 && errno == EINVAL);
	p = shmat(id, room + PAGE, SHM_REMAP);
	CHECK(p == room + PAGE);
	p[0] = 7;
	CHECK_OK(munmap(room + 8 * PAGE, 4 * PAGE));
	p = shmat(id, room + 8 * PAGE + 77, SHM_RND);
	CHECK(p == room + 8 * PAGE);
	CHECK_EQ(p[0], 7);
	CHECK_EQ(stat_of(id).shm_nattch, 2);
	CHECK(shmat(id, (void *)1, SHM_RND | SHM_REMAP) == (void *)-1 && errno == EINVAL);
	CHECK(shmat(id, (void *)~0xfffull, 0) == (void *)-1 && (errno == EINVAL || errno == ENOMEM));
}

TEST(attach_rejects_bad_ids)
{
	fresh();
	CHECK(shmat(-1, NULL, 0) == (void *)-1 && errno == EINVAL);
	CHECK(shmat(0, NULL, 0) == (void *)-1 && errno == EINVAL);
	CHECK(shmat(0x7fffffff, NULL, 0) == (void *)-1 && errno == EINVAL);
	CHECK_EQ(make(PAGE), 0);
	CHECK(shmat(32768, NULL, 0) == (void *)-1 && errno == EINVAL);
}

TEST(read_only_attachment_cannot_be_written)
{
	char *p;
	int id;

	fresh();
	id = make(PAGE);
	p = shmat(id, NULL, SHM_RDONLY);
	CHECK(p != (void *)-1);
	CHECK_EQ(p[0], 0);
	CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK_ERRNO(read(open("/dev/zero", O_RDONLY), p, 1), EFAULT);
}

TEST(exec_attachment_can_run)
{
	unsigned char *p;
	int id;

	fresh();
	id = shmget(IPC_PRIVATE, PAGE, 0700);
	p = shmat(id, NULL, SHM_EXEC);
	CHECK(p != (void *)-1);
	memcpy(p, "\xb8\x2a\x00\x00\x00\xc3", 6);	/* mov $42, %eax; ret */
	CHECK_EQ(((int (*)(void))(void *)p)(), 42);
}

TEST(detach_needs_the_start_of_an_attachment)
{
	char *p, *anon = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id;

	fresh();
	CHECK_ERRNO(shmdt(anon), EINVAL);
	id = make(3 * PAGE);
	p = attach(id);
	CHECK_ERRNO(shmdt(p + PAGE), EINVAL);
	CHECK_ERRNO(shmdt(p + 1), EINVAL);
	CHECK_ERRNO(shmdt(anon), EINVAL);
	CHECK_ERRNO(shmdt(NULL), EINVAL);
	CHECK_OK(shmdt(p));
	CHECK_ERRNO(shmdt(p), EINVAL);
	CHECK_ERRNO(msync(p, PAGE, MS_ASYNC), ENOMEM);
}

TEST(detach_takes_all_pieces)
{
	char *p;
	int id;

	fresh();
	id = make(5 * PAGE);
	p = attach(id);
	CHECK_OK(mprotect(p + PAGE, PAGE, PROT_READ));
	CHECK_EQ(stat_of(id).shm_nattch, 3);
	CHECK_OK(munmap(p + 3 * PAGE, PAGE));
	CHECK_EQ(stat_of(id).shm_nattch, 4);
	CHECK_OK(munmap(p, PAGE));
	CHECK_OK(shmdt(p));
	CHECK_EQ(stat_of(id).shm_nattch, 0);
	CHECK_ERRNO(msync(p + 4 * PAGE, PAGE, MS_ASYNC), ENOMEM);
}

TEST(munmap_detaches)
{
	char *p;
	int id;

	fresh();
	id = make(PAGE);
	p = attach(id);
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	CHECK_OK(munmap(p, PAGE));
	CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
	id = make(PAGE);
	p = attach(id);
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
}

TEST(permissions_count)
{
	int id, open_id;

	fresh();
	id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	open_id = shmget(KEY + 1, PAGE, IPC_CREAT | 0604);
	IN_CHILD({
		struct shmid_ds ds;

		become_nobody();
		CHECK_ERRNO(shmget(KEY, PAGE, 0600), EACCES);
		CHECK_ERRNO(shmget(KEY, PAGE, 0004), EACCES);
		CHECK_EQ(shmget(KEY, PAGE, 0), id);
		CHECK(shmat(id, NULL, SHM_RDONLY) == (void *)-1 && errno == EACCES);
		CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EACCES);
		CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
		CHECK_ERRNO(shmctl(id, IPC_SET, &ds), EPERM);
		CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
		CHECK(shmat(open_id, NULL, 0) == (void *)-1 && errno == EACCES);
		CHECK(shmat(open_id, NULL, SHM_RDONLY) != (void *)-1);
		CHECK_OK(shmctl(open_id, IPC_STAT, &ds));
	});
}

TEST(set_changes_owner_and_mode)
{
	struct shmid_ds ds;
	int id;

	fresh();
	id = make(PAGE);
	ds = stat_of(id);
	ds.shm_perm.uid = ds.shm_perm.gid = 65534;
	ds.shm_perm.mode = 07640;
	ds.shm_segsz = 99;
	CHECK_OK(shmctl(id, IPC_SET, &ds));
	ds = stat_of(id);
	CHECK_EQ(ds.shm_perm.uid, 65534);
	CHECK_EQ(ds.shm_perm.cuid, 0);
	CHECK_EQ(ds.shm_perm.mode, 0640);
	CHECK_EQ(ds.shm_segsz, PAGE);
	ds.shm_perm.uid = (uid_t)-1;
	CHECK_ERRNO(shmctl(id, IPC_SET, &ds), EINVAL);
	IN_CHILD({
		become_nobody();
		CHECK(shmat(id, NULL, 0) != (void *)-1);
		CHECK_OK(shmctl(id, IPC_RMID, NULL));
	});
}

TEST(ctl_rejects_nonsense)
{
	struct shmid_ds ds;
	int id;

	fresh();
	id = make(PAGE);
	CHECK_ERRNO(shmctl(id, 4711, &ds), EINVAL);
	CHECK_ERRNO(shmctl(id, -1, &ds), EINVAL);
	CHECK_ERRNO(shmctl(-1, IPC_STAT, &ds), EINVAL);
	CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_STAT, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_STAT, -1L), EFAULT);
	CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_SET, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_INFO, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_shmctl, id, SHM_INFO, 8), EFAULT);
	CHECK_ERRNO(shmctl(id + 5, SHM_STAT, &ds), EINVAL);
	CHECK_EQ(stat_of(id).shm_nattch, 0);
}

TEST(info_counts_what_is_there)
{
	struct shminfo limits;
	struct shm_info info;
	struct shmid_ds ds;
	int a, b;

	fresh();
	CHECK_EQ(shmctl(0, IPC_INFO, (void *)&limits), 0);
	CHECK_EQ(limits.shmmni, 4096);
	CHECK_EQ(limits.shmmin, 1);
	CHECK_EQ(limits.shmmax, ~0ul - (1ul << 24));
	a = make(3 * PAGE);
	b = make(PAGE);
	attach(a)[PAGE] = 1;
	CHECK_EQ(shmctl(0, SHM_INFO, (void *)&info), 1);
	CHECK_EQ(info.used_ids, 2);
	CHECK_EQ(info.shm_tot, 4);
	CHECK_EQ(info.shm_rss, 1);
	CHECK_EQ(shmctl(1, SHM_STAT, &ds), b);
	CHECK_EQ(ds.shm_segsz, PAGE);
	CHECK_EQ(shmctl(0, SHM_STAT_ANY, &ds), a);
	CHECK_OK(shmctl(b, IPC_RMID, NULL));
	CHECK_EQ(shmctl(0, SHM_INFO, (void *)&info), 0);
	CHECK_EQ(info.shm_tot, 3);
}

TEST(lock_is_shown_in_the_mode)
{
	int id;

	fresh();
	id = make(PAGE);
	CHECK_OK(shmctl(id, SHM_LOCK, NULL));
	CHECK_EQ(stat_of(id).shm_perm.mode, 0600 | 02000);	/* SHM_LOCKED */
	CHECK_OK(shmctl(id, SHM_UNLOCK, NULL));
	CHECK_EQ(stat_of(id).shm_perm.mode, 0600);
}

TEST(limits_hold)
{
	struct shminfo limits;
	int id;

	fresh();
	write_file("/proc/sys/kernel/shmmax", "8192\n");
	write_file("/proc/sys/kernel/shmall", "3\n");
	write_file("/proc/sys/kernel/shmmni", "2\n");
	CHECK_EQ(shmctl(0, IPC_INFO, (void *)&limits), 0);
	CHECK_EQ(limits.shmmax, 8192);
	CHECK_EQ(limits.shmall, 3);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
	id = make(8192);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 8192, 0600), ENOSPC);
	make(1);
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	make(1);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
}

TEST(rmid_forced_ends_what_is_not_attached)
{
	int mine, childs, attached, p[2];

	fresh();
	CHECK_OK(pipe(p));
	mine = make(PAGE);
	IN_CHILD({
		childs = make(PAGE);
		write(p[1], &childs, sizeof(childs));
		attached = make(PAGE);
		write(p[1], &attached, sizeof(attached));
	});
	read(p[0], &childs, sizeof(childs));
	read(p[0], &attached, sizeof(attached));
	attach(attached);
	write_file("/proc/sys/kernel/shm_rmid_forced", "1");
	CHECK_ERRNO(shmctl(childs, IPC_RMID, NULL), EINVAL);
	CHECK_EQ(stat_of(mine).shm_nattch, 0);
	CHECK_EQ(stat_of(attached).shm_nattch, 1);
	IN_CHILD({
		childs = make(PAGE);
		write(p[1], &childs, sizeof(childs));
	});
	read(p[0], &childs, sizeof(childs));
	CHECK_ERRNO(shmctl(childs, IPC_RMID, NULL), EINVAL);
	CHECK_OK(shmdt(attach(mine)));
	CHECK_ERRNO(shmctl(mine, IPC_RMID, NULL), EINVAL);
}

TEST(proc_lists_segments)
{
	char text[120];
	int id;

	fresh();
	id = shmget(KEY, 12345, IPC_CREAT | 0640);
	attach(id)[0] = 1;
	snprintf(text, sizeof(text), "%10d %10d  %4o %21u %5d %5d  %5u", KEY, id, 0640, 12345,
		 getpid(), getpid(), 1);
	CHECK(file_has("/proc/sysvipc/shm", "       key      shmid perms                  size  cpid"));
	CHECK(file_has("/proc/sysvipc/shm", text));
	CHECK(file_has("/proc/self/maps", "/SYSV1234abcd (deleted)"));
	CHECK(file_has("/proc/self/maps", "rw-s 00000000 00:"));
}

TEST(namespace_has_segments_of_its_own)
{
	int id;
	char *p;

	fresh();
	id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	p = attach(id);
	strcpy(p, "outer");
	IN_CHILD({
		CHECK_OK(unshare(CLONE_NEWIPC));
		CHECK_ERRNO(shmget(KEY, PAGE, 0600), ENOENT);
		CHECK_STR(p, "outer");
		CHECK_OK(shmdt(p));
	});
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	CHECK_OK(unshare(CLONE_NEWIPC));		/* the old one ends, the memory does not */
	CHECK_STR(p, "outer");
	CHECK_OK(shmdt(p));
}

TEST(threads_attach_and_detach_at_once)
{
	int id;

	fresh();
	id = make(4 * PAGE);
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		for (int n = 0; n < 200; n++) {
			char *p = attach(id), *q = attach(id);

			p[PAGE] = (char)n;
			CHECK_OK(shmdt(p));
			if (n % 8 == 0)
				IN_CHILD(q[0]++);
			CHECK_OK(shmdt(q));
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(stat_of(id).shm_nattch, 0);
}

/* Whatever happens in whichever order: errors are those of the manual, memory stays while it is attached. */
TEST_SECONDS(segments_come_and_go_under_use, 60)
{
	fresh();
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		srand((unsigned int)i);
		for (int n = 0; n < 600; n++) {
			int id = shmget(KEY, 2 * PAGE, IPC_CREAT | 0600);
			char *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

			if (p == (void *)-1) {
				CHECK(errno == EIDRM || errno == EINVAL || errno == EACCES);
				continue;
			}
			p[PAGE] = (char)n;
			if (rand() % 8 == 0 && shmctl(id, IPC_RMID, NULL) < 0)
				CHECK(errno == EIDRM || errno == EINVAL);
			if (rand() % 8 == 0)
				IN_CHILD(p[0] = 1);
			p[0] = 2;
			switch (rand() % 3) {
			case 0:
				CHECK_OK(shmdt(p));
				break;
			case 1:
				CHECK_OK(munmap(p, 2 * PAGE));
				break;
			default:
				CHECK_OK(mprotect(p, PAGE, PROT_READ));
				CHECK_OK(munmap(p + PAGE, PAGE));
				CHECK_OK(shmdt(p));
				break;
			}
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
}
