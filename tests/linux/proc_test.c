/* SPDX-License-Identifier: MIT */
/* /proc: what programs read about processes, and in what form. */

#include "harness.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char text[65536];

static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n, total = 0;

	CHECK_OK(fd);
	while ((n = read(fd, text + total, sizeof(text) - 1 - (size_t)total)) > 0)
		total += n;
	CHECK(n == 0);
	text[total] = '\0';
	close(fd);
	return text;
}

/* The rest of the line that begins with @key. */
static const char *line(const char *all, const char *key)
{
	static char out[512];
	const char *p = all;

	while (p && strncmp(p, key, strlen(key))) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return "(none)";
	p += strlen(key);
	snprintf(out, sizeof(out), "%.*s", (int)strcspn(p, "\n"), p);
	return out;
}

TEST(self_leads_to_the_process)
{
	char buf[64], want[32];
	ssize_t n = readlink("/proc/self", buf, sizeof(buf) - 1);

	CHECK(n > 0);
	buf[n] = '\0';
	snprintf(want, sizeof(want), "%d", getpid());
	CHECK_STR(buf, want);
	n = readlink("/proc/thread-self", buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	snprintf(want, sizeof(want), "%d/task/%d", getpid(), getpid());
	CHECK_STR(buf, want);
}

TEST(stat_has_52_fields)
{
	int pid, ppid, pgrp, session, tty, fields = 0;
	char comm[64], state;
	const char *p;

	CHECK_OK(prctl(PR_SET_NAME, "a ) name"));
	slurp("/proc/self/stat");
	CHECK_EQ(sscanf(text, "%d (%63[^\n]", &pid, comm), 2);
	CHECK(!strncmp(comm, "a ) name) ", 10));
	p = strrchr(text, ')') + 2;
	CHECK_EQ(sscanf(p, "%c %d %d %d %d", &state, &ppid, &pgrp, &session, &tty), 5);
	CHECK_EQ(pid, getpid());
	CHECK_EQ(ppid, getppid());
	CHECK_EQ(pgrp, getpgrp());
	CHECK_EQ(session, getsid(0));
	CHECK_EQ(state, 'R');
	for (const char *q = p; *q; q++)
		fields += *q == ' ';
	CHECK_EQ(fields + 3, 52);
}

TEST(states_of_children)
{
	char path[64], state = 0;
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 200 && state != 'S'; i++, usleep(1000))
		state = strrchr(slurp(path), ')')[2];
	CHECK_EQ(state, 'S');
	kill(pid, SIGSTOP);
	for (int i = 0; i < 200 && state != 'T'; i++, usleep(1000))
		state = strrchr(slurp(path), ')')[2];
	CHECK_EQ(state, 'T');
	kill(pid, SIGKILL);
	for (int i = 0; i < 200 && state != 'Z'; i++, usleep(1000))
		state = strrchr(slurp(path), ')')[2];
	CHECK_EQ(state, 'Z');
	waitpid(pid, NULL, 0);
	CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST(status_names_and_numbers)
{
	char want[64];

	CHECK_OK(prctl(PR_SET_NAME, "stat-test"));
	slurp("/proc/self/status");
	CHECK_STR(line(text, "Name:\t"), "stat-test");
	CHECK_STR(line(text, "State:\t"), "R (running)");
	snprintf(want, sizeof(want), "%d", getpid());
	CHECK_STR(line(text, "Pid:\t"), want);
	CHECK_STR(line(text, "Tgid:\t"), want);
	snprintf(want, sizeof(want), "%u\t%u\t%u\t%u", getuid(), geteuid(), geteuid(), geteuid());
	CHECK_STR(line(text, "Uid:\t"), want);
	CHECK_STR(line(text, "Threads:\t"), "1");
	CHECK_STR(line(text, "Umask:\t"), "0022");
	CHECK(atol(line(text, "VmRSS:\t")) > 0);
	CHECK(atol(line(text, "VmSize:\t")) >= atol(line(text, "VmRSS:\t")));
}

TEST(status_shows_signals)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR1);
	slurp("/proc/self/status");
	CHECK_EQ(strtoull(line(text, "SigBlk:\t"), NULL, 16), 1ull << (SIGUSR1 - 1));
	CHECK(strtoull(line(text, "SigIgn:\t"), NULL, 16) >> (SIGUSR2 - 1) & 1);
	CHECK((strtoull(line(text, "SigPnd:\t"), NULL, 16) |
	       strtoull(line(text, "ShdPnd:\t"), NULL, 16)) >> (SIGUSR1 - 1) & 1);
}

static void run_and_look(void)
{
	char *argv[] = { "/proc/self/exe", "-l", "two words", NULL };
	char *envp[] = { "A=1", "B=2", NULL };
	int p[2], q[2];
	char buf[256], path[64];
	ssize_t n = 0;
	pid_t pid;
	int fd;

	CHECK_OK(pipe(p));
	CHECK_OK(pipe(q));
	pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		fcntl(p[1], F_SETPIPE_SZ, 4096);
		/* fill it, so that the program stops at its first line */
		fcntl(p[1], F_SETFL, O_NONBLOCK);
		while (write(p[1], buf, sizeof(buf)) > 0)
			;
		fcntl(p[1], F_SETFL, 0);
		fcntl(q[1], F_SETFD, FD_CLOEXEC);
		execve(argv[0], argv, envp);
		_exit(1);
	}
	close(q[1]);
	CHECK_EQ(read(q[0], buf, 1), 0);	/* closed by exec */
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	/* exec closes descriptors before the arguments are in their place */
	for (int i = 0; i < 200; i++, usleep(1000)) {
		CHECK_OK(fd = open(path, O_RDONLY));
		n = read(fd, buf, sizeof(buf));
		if (n > 0 && !memcmp(buf, "/proc/self/exe\0-l", 17))
			break;
		close(fd);
	}
	CHECK_EQ(n, 15 + 3 + 10);
	CHECK(!memcmp(buf, "/proc/self/exe\0-l\0two words", 28));
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	CHECK_OK(fd = open(path, O_RDONLY));
	CHECK_EQ(read(fd, buf, sizeof(buf)), 8);
	CHECK(!memcmp(buf, "A=1\0B=2", 8));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST(cmdline_and_environ)
{
	CHECK(strlen(slurp("/proc/self/cmdline")) > 0);
	CHECK(strstr(text, "proc_test") || strstr(text, "proc"));
	IN_CHILD(run_and_look());
}

TEST(links_of_a_process)
{
	char buf[PATH_MAX], cwd[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);

	CHECK(n > 0);
	buf[n] = '\0';
	CHECK_OK(access(buf, X_OK));
	n = readlink("/proc/self/cwd", buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK_STR(buf, cwd);
	n = readlink("/proc/self/root", buf, sizeof(buf));
	CHECK(n == 1 && buf[0] == '/');
}

TEST(descriptors_are_listed_with_what_they_are)
{
	char path[64], buf[PATH_MAX];
	int fd = open("f", O_CREAT | O_RDWR | O_APPEND, 0644), p[2], found = 0;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	CHECK_EQ(dup2(fd, 77), 77);
	CHECK_OK(lseek(77, 5, SEEK_SET));
	CHECK(d = opendir("/proc/self/fd"));
	while ((e = readdir(d)))
		found += !strcmp(e->d_name, "77");
	closedir(d);
	CHECK_EQ(found, 1);
	n = readlink("/proc/self/fd/77", buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK_STR(strrchr(buf, '/'), "/f");
	slurp("/proc/self/fdinfo/77");
	CHECK_STR(line(text, "pos:\t"), "5");
	CHECK_EQ(strtol(line(text, "flags:\t"), NULL, 8) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
	CHECK_OK(pipe(p));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	n = readlink(path, buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK(!strncmp(buf, "pipe:[", 6));
	CHECK_OK(close(77));
	CHECK_ERRNO(readlink("/proc/self/fd/77", buf, sizeof(buf)), ENOENT);
	CHECK_ERRNO(open("/proc/self/fd/x", O_RDONLY), ENOENT);
}

TEST(maps_say_where_things_are)
{
	int fd = open("mapped", O_CREAT | O_RDWR, 0644);
	char want[64], *m;
	bool heap = false, stack = false, file = false, exe = false;
	char exe_path[PATH_MAX] = { 0 };

	CHECK_OK(ftruncate(fd, 8192));
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	CHECK(sbrk(4096) != (void *)-1);
	CHECK(readlink("/proc/self/exe", exe_path, sizeof(exe_path) - 1) > 0);
	snprintf(want, sizeof(want), "%lx-%lx rw-s 00000000 ", (unsigned long)m, (unsigned long)m + 8192);
	slurp("/proc/self/maps");
	for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n")) {
		unsigned long start, end, off, ino;
		unsigned int ma, mi;
		char perms[8], name[PATH_MAX] = "";
		int n = sscanf(l, "%lx-%lx %7s %lx %x:%x %lu %4095[^\n]", &start, &end, perms, &off, &ma, &mi,
			       &ino, name);

		CHECK(n >= 7);
		CHECK(start < end);
		heap |= !strcmp(name, "[heap]");
		stack |= !strcmp(name, "[stack]") && (unsigned long)&fd >= start && (unsigned long)&fd < end;
		exe |= !strcmp(name, exe_path) && perms[2] == 'x';
		if (strstr(name, "/mapped")) {
			file = !strncmp(l, want, strlen(want)) && ino != 0;
			CHECK_EQ(l + 73 - name + name - l, 73);
			CHECK(l[73] == '/' && l[72] == ' ');
		}
	}
	CHECK(heap && stack && file && exe);
}

TEST(smaps_and_rollup_count)
{
	char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before, after;

	before = atol(line(slurp("/proc/self/smaps_rollup"), "Rss:"));
	memset(m, 1, 1 << 20);
	after = atol(line(slurp("/proc/self/smaps_rollup"), "Rss:"));
	CHECK(after >= before + 1000);
	slurp("/proc/self/smaps");
	CHECK(strstr(text, "Size: ") && strstr(text, "Pss: ") && strstr(text, "VmFlags: "));
}

TEST(comm_can_be_written)
{
	int fd = open("/proc/self/comm", O_RDWR);
	char name[32];

	CHECK_OK(fd);
	CHECK_EQ(write(fd, "a-name-that-is-too-long", 23), 23);
	CHECK_OK(prctl(PR_GET_NAME, name));
	CHECK_STR(name, "a-name-that-is-");
	CHECK_STR(slurp("/proc/self/comm"), "a-name-that-is-\n");
}

static void *sleeper(void *arg)
{
	pause();
	return NULL;
}

TEST(threads_are_listed)
{
	pthread_t t;
	struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	CHECK_EQ(pthread_create(&t, NULL, sleeper, NULL), 0);
	CHECK(d = opendir("/proc/self/task"));
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	CHECK_EQ(n, 2);
	CHECK_STR(line(slurp("/proc/self/status"), "Threads:\t"), "2");
}

TEST(processes_are_listed)
{
	struct dirent *e;
	char want[16];
	bool found = false;
	DIR *d = opendir("/proc");

	CHECK(d);
	snprintf(want, sizeof(want), "%d", getpid());
	while ((e = readdir(d)))
		found |= !strcmp(e->d_name, want);
	CHECK(found);
	CHECK_ERRNO(open("/proc/99999999", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/01", O_RDONLY), ENOENT);
}

TEST(limits_are_shown)
{
	struct rlimit r = { 123, 456 };
	char l[256];

	CHECK_OK(setrlimit(RLIMIT_NOFILE, &r));
	snprintf(l, sizeof(l), "%s", line(slurp("/proc/self/limits"), "Max open files"));
	CHECK_STR(l, "            123                  456                  files     ");
	CHECK(strstr(text, "Limit                     Soft Limit           Hard Limit           Units     \n"));
}

TEST(mem_reads_and_writes)
{
	static volatile char cell[8] = "before";
	int fd = open("/proc/self/mem", O_RDWR);
	char buf[8] = { 0 };

	CHECK_OK(fd);
	CHECK_EQ(pread(fd, buf, 7, (off_t)(uintptr_t)cell), 7);
	CHECK_STR(buf, "before");
	CHECK_EQ(pwrite(fd, "after!", 7, (off_t)(uintptr_t)cell), 7);
	CHECK_STR((const char *)cell, "after!");
	CHECK_ERRNO(pread(fd, buf, 1, 8), EIO);
}

TEST(auxv_has_the_page_size)
{
	unsigned long v[2];
	int fd = open("/proc/self/auxv", O_RDONLY);
	bool found = false;

	CHECK_OK(fd);
	while (read(fd, v, sizeof(v)) == sizeof(v) && v[0])
		found |= v[0] == 6 /* AT_PAGESZ */ && v[1] == 4096;
	CHECK(found);
}

TEST(others_secrets_are_refused)
{
	char path[64];
	pid_t pid = getpid();

	CHECK_ROOT();
	IN_CHILD({
		char buf[16];

		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		snprintf(path, sizeof(path), "/proc/%d/environ", pid);
		CHECK_ERRNO(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
		CHECK(!opendir(path) && errno == EACCES);
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		CHECK_ERRNO(readlink(path, buf, sizeof(buf)), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		CHECK_OK(open(path, O_RDONLY));
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		CHECK_OK(open(path, O_RDONLY));
	});
}

TEST(nothing_can_be_made_in_proc)
{
	CHECK_ERRNO(mkdir("/proc/new", 0755), ENOENT);
	CHECK_ERRNO(open("/proc/new", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK_ERRNO(unlink("/proc/self/stat"), EPERM);
	CHECK_ERRNO(mkdir("/proc/self", 0755), EEXIST);
}

TEST(small_files_of_a_process)
{
	CHECK_STR(slurp("/proc/self/oom_score_adj"), "0\n");
	CHECK(strlen(slurp("/proc/self/cgroup")) > 0);
	CHECK(strstr(slurp("/proc/self/io"), "rchar: "));
	CHECK_EQ(strlen(slurp("/proc/self/personality")), 9);
	CHECK(atol(slurp("/proc/self/statm")) > 0);
	CHECK(strlen(slurp("/proc/self/mountinfo")) > 0);
}

TEST(a_text_is_read_consistently_in_pieces)
{
	int fd = open("/proc/self/status", O_RDONLY);
	char one[65536] = "", c;
	size_t n = 0;

	CHECK_OK(fd);
	while (read(fd, &c, 1) == 1 && n < sizeof(one) - 1)
		one[n++] = c;
	CHECK(n > 300);
	CHECK(strstr(one, "\nVmSize:"));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'N');
}

TEST(meminfo_has_a_number_in_every_line)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char name[64], number[64], line[256];
	int lines = 0;

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		CHECK(sscanf(line, "%63s %63s", name, number) == 2);
		CHECK(name[strlen(name) - 1] == ':');
		CHECK(number[strspn(number, "0123456789")] == '\0');
		lines++;
	}
	CHECK(lines > 20);
	fclose(f);
}
