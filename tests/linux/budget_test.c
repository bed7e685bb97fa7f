/* SPDX-License-Identifier: MIT */
/*
 * What Linux's calls cost in kernel calls where the personality is a process.
 *
 * Each row runs a few Linux calls, and says how often the program may have to be entered
 * again for them (once for each Linux call, and for each fault that the kernel cannot
 * settle) and how many other kernel calls the whole personality may make.  The kernel
 * counts, in builds with checks; init says, through /dev/concord.  Of each kernel call the
 * least number of some rounds is taken, so that what other threads do meanwhile does not
 * matter.  That holds on one processor, where a round is over before others get their turn;
 * on several, as on Linux, in placement kernel and in builds without checks, the rows only
 * show that they work.
 *
 * A budget may be lowered freely, and is raised only by a change that says why.
 */

#include "harness.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "abi/calls.h"
#include "abi/control.h"

#define ROUNDS 32

static int control = -1;

/* How often each kernel call was made until now; false: nobody counts. */
static bool snapshot(uint64_t counts[K_CALL_COUNT])
{
	struct control_request q = { .version = CONTROL_VERSION, .op = CONTROL_CALL_COUNTS };
	struct control_reply r;

	if (control < 0)
		control = open("/dev/concord", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return false;
	while (q.index < K_CALL_COUNT) {
		CHECK_EQ(write(control, &q, sizeof(q)), sizeof(q));
		CHECK_EQ(read(control, &r, sizeof(r)), sizeof(r));
		if (r.status == K_ERR_NOT_SUPPORTED)
			return false;
		CHECK_EQ(r.status, K_OK);
		CHECK(r.count && r.count <= CONTROL_CALLS && r.count <= K_CALL_COUNT - q.index);
		memcpy(counts + q.index, r.calls, r.count * sizeof(r.calls[0]));
		q.index = r.next;
	}
	return true;
}

static uint64_t entries(const uint64_t counts[K_CALL_COUNT])
{
	return counts[K_CALL_USER_RUN];
}

static uint64_t other_calls(const uint64_t counts[K_CALL_COUNT])
{
	uint64_t sum = 0;

	for (int i = 0; i < K_CALL_COUNT; i++)
		sum += i == K_CALL_USER_RUN ? 0 : counts[i];
	return sum;
}

/* The least of each kernel call from one snapshot to the next, with @body in between. */
static bool least(void (*body)(void), uint64_t counts[K_CALL_COUNT])
{
	static uint64_t before[K_CALL_COUNT], after[K_CALL_COUNT];

	for (int round = 0; round < ROUNDS; round++) {
		bool counted = snapshot(before);

		body();
		if (!counted || !snapshot(after))
			return false;
		for (int i = 0; i < K_CALL_COUNT; i++)
			if (!round || after[i] - before[i] < counts[i])
				counts[i] = after[i] - before[i];
	}
	return true;
}

static void nothing(void)
{
}

static const char *name_of(int number)
{
	switch (number) {
#define NAME(call, name) case call: return #name;
	K_CALL_LIST(NAME)
#undef NAME
	}
	return "?";
}

static void describe(const uint64_t counts[K_CALL_COUNT], char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (int i = 0; i < K_CALL_COUNT && n < size; i++)
		if (counts[i] && i != K_CALL_USER_RUN)
			n += (size_t)snprintf(text + n, size - n, " %s %lld", name_of(i),
					      (long long)counts[i]);
}

/* @body makes the program be entered so often, and so many other kernel calls, at most. */
static void within(const char *name, void (*body)(void), unsigned int entered, unsigned int budget)
{
	static uint64_t cost[K_CALL_COUNT], unrelated[K_CALL_COUNT];
	char text[400];

	body();				/* what is done once only: first use of files, pages, heap */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 || !least(nothing, unrelated) || !least(body, cost))
		return;
	for (int i = 0; i < K_CALL_COUNT; i++)
		cost[i] -= cost[i] < unrelated[i] ? cost[i] : unrelated[i];
	describe(cost, text, sizeof(text));
	printf("# %s: entered %llu, other kernel calls %llu:%s\n", name,
	       (unsigned long long)entries(cost), (unsigned long long)other_calls(cost), text);
	fflush(stdout);
	if (entries(cost) > entered || other_calls(cost) > budget)
		harness_end(HARNESS_FAILED, "entered %llu times (budget %u), other kernel calls %llu (budget %u):%s",
			    (unsigned long long)entries(cost), entered,
			    (unsigned long long)other_calls(cost), budget, text);
}

/* -- calls that do little ---------------------------------------------------------------- */

static void null_call_body(void)
{
	syscall(SYS_getppid);
}

TEST(null_call)
{
	within("null call", null_call_body, 1, 0);
}

static void clock_body(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &now);
}

TEST(clock_gettime_is_no_call)
{
	within("clock_gettime, both clocks", clock_body, 0, 0);
}

static void on_signal(int number)
{
}

static void sigaction_body(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	CHECK_OK(sigaction(SIGUSR1, &act, NULL));
}

TEST(sigaction_sets_a_handler)
{
	within("sigaction", sigaction_body, 1, 0);
}

static void deliver_body(void)
{
	CHECK_OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
}

/* tgkill and rt_sigreturn, with getpid and gettid. */
TEST(signal_is_delivered)
{
	sigaction_body();
	within("signal to oneself", deliver_body, 4, 2);
}

/* The personality's sleep is a kernel call: the counters do count, where it is a process. */
TEST(counters_count)
{
	uint64_t cost[K_CALL_COUNT] = { 0 };
	char line[2048] = "";
	int fd = open("/proc/cmdline", O_RDONLY);

	CHECK(fd >= 0 && read(fd, line, sizeof(line) - 1) >= 0);
	if (!strstr(line, "concord.placement=process") || !least(null_call_body, cost))
		return;
	CHECK(entries(cost) > 0 && cost[K_CALL_CHANNEL_CALL] > 0);
}

/* -- files -------------------------------------------------------------------------------- */

static int file;
static char buffer[4096];

static void file_open(void)
{
	file = open("file", O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0);
	CHECK_EQ(pwrite(file, buffer, sizeof(buffer), 0), sizeof(buffer));
}

static void read_body(void)
{
	CHECK_EQ(pread(file, buffer, sizeof(buffer), 0), sizeof(buffer));
}

TEST(cached_read)
{
	file_open();
	within("read of 4 KiB in the page cache", read_body, 1, 1);
}

static void write_body(void)
{
	CHECK_EQ(pwrite(file, buffer, sizeof(buffer), 0), sizeof(buffer));
}

TEST(cached_write)
{
	file_open();
	within("write of 4 KiB in the page cache", write_body, 1, 1);
}

static void stat_body(void)
{
	struct stat st;

	CHECK_OK(stat("/proc/self/../../usr/../tmp", &st));
}

TEST(stat_of_a_path)
{
	within("stat", stat_body, 1, 0);
}

static void open_body(void)
{
	int fd = open("file", O_RDONLY);

	CHECK(fd >= 0);
	CHECK_OK(close(fd));
}

TEST(open_and_close)
{
	file_open();
	within("open and close", open_body, 2, 0);
}

/* -- words between threads and processes ----------------------------------------------------- */

static int ends[2];
static char byte;

static void round_body(void)
{
	CHECK_EQ(write(ends[1], &byte, 1), 1);
	CHECK_EQ(read(ends[0], &byte, 1), 1);
}

TEST(pipe_round_without_a_sleeper)
{
	CHECK_OK(pipe(ends));
	within("pipe: write and read", round_body, 2, 0);
}

TEST(unix_stream_round_without_a_sleeper)
{
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	within("AF_UNIX stream: write and read", round_body, 2, 0);
}

static int there[2], back[2];

static void *echo_main(void *arg)
{
	char c;

	while (read(there[0], &c, 1) == 1)
		CHECK_EQ(write(back[1], &c, 1), 1);
	return NULL;
}

/*
 * The other thread sleeps in read().  It runs as soon as it is woken, and has answered and sleeps
 * again when we read.
 */
static void echo_body(void)
{
	CHECK_EQ(write(there[1], &byte, 1), 1);
	CHECK_EQ(read(back[0], &byte, 1), 1);
}

static void echo_start(void)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, echo_main, NULL), 0);
}

TEST(pipe_round_between_threads)
{
	CHECK_OK(pipe(there));
	CHECK_OK(pipe(back));
	echo_start();
	within("pipe: round between threads", echo_body, 4, 2);
}

TEST(unix_round_between_threads)
{
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, there));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, back));
	echo_start();
	within("AF_UNIX: round between threads", echo_body, 4, 2);
}

static _Atomic int word;

static void futex_body(void)
{
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
}

TEST(futex_wake_without_a_waiter)
{
	within("futex wake, nobody waits", futex_body, 1, 1);
}

static void poll_body(void)
{
	struct pollfd p[2] = { { .fd = ends[0], .events = POLLIN },
			       { .fd = ends[1], .events = POLLOUT } };

	CHECK_EQ(poll(p, 2, 1000), 2);
}

TEST(poll_of_what_is_ready)
{
	CHECK_OK(pipe(ends));
	CHECK_EQ(write(ends[1], &byte, 1), 1);
	within("poll, ready", poll_body, 1, 0);
}

static int epoll;

static void epoll_body(void)
{
	struct epoll_event event;

	CHECK_EQ(epoll_wait(epoll, &event, 1, 1000), 1);
}

TEST(epoll_of_what_is_ready)
{
	struct epoll_event event = { .events = EPOLLIN };

	CHECK_OK(pipe(ends));
	CHECK_EQ(write(ends[1], &byte, 1), 1);
	epoll = epoll_create1(0);
	CHECK_OK(epoll);
	CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	within("epoll_wait, ready", epoll_body, 1, 0);
}

/* -- memory ------------------------------------------------------------------------------------- */

static void mmap_body(void)
{
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK_OK(munmap(p, 65536));
}

TEST(mmap_and_munmap)
{
	within("mmap and munmap, anonymous", mmap_body, 2, 2);
}

static char *fresh;

static void fault_body(void)
{
	fresh[0] = 1;
	fresh += 4096;
}

TEST(anonymous_page_is_no_call)
{
	fresh = mmap(NULL, 4096 * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fresh != MAP_FAILED);
	within("fault of an anonymous page", fault_body, 0, 0);
}

/* -- processes ------------------------------------------------------------------------------------ */

static char *const *program;

static void fork_body(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(fork_exit_wait)
{
	within("fork, exit, wait", fork_body, 5, 13);
}

static void exec_body(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		execv(program[0], program);
		_exit(1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(fork_and_exec_of_a_static_program)
{
	static char self[256], *argv[] = { self, "no such case", NULL };

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	program = argv;
	within("fork, exec of a static program, exit, wait", exec_body, 32, 40);
}

TEST(fork_and_exec_of_a_dynamic_program)
{
	static char *argv[] = { "/bin/true", NULL };

	program = argv;
	within("fork, exec of a dynamic program, exit, wait", exec_body, 48, 76);
}
