/* SPDX-License-Identifier: MIT */
/* System V message queues: msgget(2), msgop(2), msgctl(2).  Each case has an IPC namespace of its own. */
#include "helpers.h"

#include <limits.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define KEY 0x4d534731

struct message { long type; char text[8192]; };

static void fresh(void)
{
	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
}

static int make(void)
{
	int id = msgget(IPC_PRIVATE, 0600);

	CHECK(id >= 0);
	return id;
}

static int send(int id, long type, const char *text, int flags)
{
	struct message m = { .type = type };

	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text) + 1, flags);
}

static struct message got;

static ssize_t receive(int id, long type, int flags)
{
	memset(&got, 0, sizeof(got));
	return msgrcv(id, &got, sizeof(got.text), type, flags);
}

#define CHECK_RECEIVES(id, type, flags, text_) do {				\
	CHECK_EQ(receive(id, type, flags), (ssize_t)strlen(text_) + 1);		\
	CHECK_STR(got.text, text_);						\
} while (0)

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds ds;

	CHECK_OK(msgctl(id, IPC_STAT, &ds));
	return ds;
}

static void handler(int sig)
{
	(void)sig;
}

/* A child that receives and exits with the number of bytes, or 100 + errno. */
static pid_t receiver(int id, size_t size, long type, int flags)
{
	pid_t pid = fork();

	if (!pid) {
		ssize_t n = msgrcv(id, &got, size, type, flags);

		_exit(n >= 0 ? (int)n : 100 + errno);
	}
	wait_asleep(pid);
	return pid;
}

static pid_t sender(int id, long type, size_t size)
{
	pid_t pid = fork();

	if (!pid) {
		got.type = type;
		_exit(msgsnd(id, &got, size, 0) == 0 ? 0 : errno);
	}
	wait_asleep(pid);
	return pid;
}

TEST(get_finds_the_queue_of_a_key)
{
	int id;

	fresh();
	CHECK_ERRNO(msgget(KEY, 0600), ENOENT);
	id = msgget(KEY, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK_EQ(msgget(KEY, 0600), id);
	CHECK_EQ(msgget(KEY, IPC_CREAT), id);
	CHECK_ERRNO(msgget(KEY, IPC_CREAT | IPC_EXCL), EEXIST);
	CHECK(msgget(IPC_PRIVATE, 0) != id);
}

TEST(messages_come_in_order)
{
	int id;

	fresh();
	id = make();
	CHECK_ERRNO(receive(id, 0, IPC_NOWAIT), ENOMSG);
	CHECK_OK(send(id, 3, "one", 0));
	CHECK_OK(send(id, 1, "two", 0));
	CHECK_OK(send(id, 2, "three", 0));
	CHECK_EQ(stat_of(id).msg_qnum, 3);
	CHECK_EQ(stat_of(id).__msg_cbytes, 14);
	CHECK_RECEIVES(id, 0, 0, "one");
	CHECK_EQ(got.type, 3);
	CHECK_RECEIVES(id, 0, 0, "two");
	CHECK_RECEIVES(id, 0, 0, "three");
	CHECK_EQ(stat_of(id).__msg_cbytes, 0);
}

TEST(types_select_messages)
{
	int id;

	fresh();
	id = make();
	send(id, 5, "five", 0);
	send(id, 3, "three", 0);
	send(id, 4, "four", 0);
	send(id, 3, "three again", 0);
	CHECK_ERRNO(receive(id, 9, IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(receive(id, -2, IPC_NOWAIT), ENOMSG);
	CHECK_RECEIVES(id, 4, 0, "four");
	CHECK_RECEIVES(id, -4, 0, "three");
	CHECK_RECEIVES(id, 5, MSG_EXCEPT, "three again");
	CHECK_ERRNO(receive(id, 5, MSG_EXCEPT | IPC_NOWAIT), ENOMSG);
	CHECK_RECEIVES(id, LONG_MIN, 0, "five");
	send(id, LONG_MAX, "last", 0);
	CHECK_RECEIVES(id, LONG_MIN, 0, "last");
}

TEST(long_message_needs_noerror)
{
	int id;

	fresh();
	id = make();
	send(id, 1, "123456789", 0);
	CHECK_ERRNO(msgrcv(id, &got, 4, 0, 0), E2BIG);
	CHECK_EQ(stat_of(id).msg_qnum, 1);
	memset(&got, 'x', sizeof(got));
	CHECK_EQ(msgrcv(id, &got, 4, 0, MSG_NOERROR), 4);
	CHECK(memcmp(got.text, "1234x", 5) == 0);
	CHECK_EQ(stat_of(id).msg_qnum, 0);
}

TEST(empty_and_largest_messages)
{
	int id;

	fresh();
	id = make();
	got.type = 1;
	CHECK_OK(msgsnd(id, &got, 0, 0));
	CHECK_EQ(receive(id, 0, 0), 0);
	got.type = 7;
	memset(got.text, 'a', 8192);
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	CHECK_EQ(receive(id, 0, 0), 8192);
	CHECK_EQ(got.text[8191], 'a');
	got.type = 7;
	CHECK_ERRNO(msgsnd(id, &got, 8193, 0), EINVAL);
}

TEST(send_and_receive_reject_nonsense)
{
	int id;

	fresh();
	id = make();
	CHECK_ERRNO(send(id, 0, "x", 0), EINVAL);
	CHECK_ERRNO(send(id, -1, "x", 0), EINVAL);
	CHECK_ERRNO(send(-1, 1, "x", 0), EINVAL);
	CHECK_ERRNO(send(id + 1, 1, "x", 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_msgsnd, id, &got, -1L, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_msgsnd, id, 8L, 1L, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_msgrcv, id, &got, -1L, 0L, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_msgrcv, -1, &got, 1L, 0L, 0), EINVAL);
	send(id, 1, "lost", 0);
	CHECK_ERRNO(syscall(SYS_msgrcv, id, 8L, 10L, 0L, 0), EFAULT);
	CHECK_EQ(stat_of(id).msg_qnum, 0);
}

TEST(copy_leaves_the_message)
{
	int id;

	fresh();
	id = make();
	send(id, 4, "zero", 0);
	send(id, 5, "one", 0);
	if (receive(id, 1, MSG_COPY | IPC_NOWAIT) < 0 && errno == ENOSYS)
		SKIP("a kernel without MSG_COPY");
	CHECK_STR(got.text, "one");
	CHECK_EQ(got.type, 5);
	CHECK_EQ(stat_of(id).msg_qnum, 2);
	CHECK_ERRNO(receive(id, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(receive(id, 0, MSG_COPY), EINVAL);
	CHECK_ERRNO(receive(id, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
	CHECK_ERRNO(msgrcv(id, &got, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
}

TEST(full_queue)
{
	pid_t child;
	int id;

	fresh();
	id = make();
	got.type = 1;
	CHECK_OK(msgsnd(id, &got, 8000, 0));
	CHECK_OK(msgsnd(id, &got, 8000, 0));
	CHECK_ERRNO(msgsnd(id, &got, 385, IPC_NOWAIT), EAGAIN);
	CHECK_OK(msgsnd(id, &got, 384, IPC_NOWAIT));
	CHECK_OK(msgrcv(id, &got, 8192, 0, 0));
	CHECK_OK(msgsnd(id, &got, 8000, 0));
	child = sender(id, 9, 100);
	CHECK_EQ(stat_of(id).msg_qnum, 3);
	CHECK_EQ(receive(id, 0, 0), 8000);
	CHECK_EQ(exit_of(child), 0);
	CHECK_EQ(receive(id, 9, 0), 100);
	CHECK_EQ(stat_of(id).msg_lspid, child);
}

TEST(small_message_passes_a_large_one_that_waits)
{
	pid_t large, small;
	int id;

	fresh();
	id = make();
	got.type = 1;
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	CHECK_OK(msgsnd(id, &got, 8000, 0));
	got.type = 2;
	CHECK_OK(msgsnd(id, &got, 100, 0));
	large = sender(id, 3, 8192);
	small = sender(id, 4, 150);
	CHECK_EQ(receive(id, 2, 0), 100);
	CHECK_EQ(exit_of(small), 0);
	CHECK_EQ(stat_of(id).msg_qnum, 3);
	CHECK_EQ(receive(id, 1, 0), 8192);
	CHECK_EQ(exit_of(large), 0);
	CHECK_EQ(receive(id, 0, 0), 8000);
	CHECK_EQ(receive(id, 0, 0), 150);
	CHECK_EQ(receive(id, 0, 0), 8192);
}

TEST(queue_of_empty_messages_fills_too)
{
	struct msqid_ds ds;
	int id;

	fresh();
	id = make();
	ds = stat_of(id);
	ds.msg_qbytes = 3;
	CHECK_OK(msgctl(id, IPC_SET, &ds));
	got.type = 1;
	for (int i = 0; i < 3; i++)
		CHECK_OK(msgsnd(id, &got, 0, IPC_NOWAIT));
	CHECK_ERRNO(msgsnd(id, &got, 0, IPC_NOWAIT), EAGAIN);
}

TEST(waiting_receivers_get_what_they_want)
{
	pid_t any, nine, low;
	int id;

	fresh();
	id = make();
	nine = receiver(id, 100, 9, 0);
	low = receiver(id, 100, -3, 0);
	any = receiver(id, 100, 0, 0);
	CHECK_OK(send(id, 4, "any", 0));
	CHECK_EQ(exit_of(any), 4);
	CHECK_OK(send(id, 2, "low..", 0));
	CHECK_EQ(exit_of(low), 6);
	CHECK_OK(send(id, 9, "nine...", 0));
	CHECK_EQ(exit_of(nine), 8);
	CHECK_EQ(stat_of(id).msg_qnum, 0);
	CHECK_EQ(stat_of(id).msg_lrpid, nine);
}

TEST(waiting_receiver_with_a_small_buffer_is_told)
{
	pid_t small, large;
	int id;

	fresh();
	id = make();
	small = receiver(id, 2, 0, 0);
	large = receiver(id, 100, 0, 0);
	CHECK_OK(send(id, 1, "long enough", 0));
	CHECK_EQ(exit_of(small), 100 + E2BIG);
	CHECK_EQ(exit_of(large), 12);
	small = receiver(id, 2, 0, MSG_NOERROR);
	CHECK_OK(send(id, 1, "long enough", 0));
	CHECK_EQ(exit_of(small), 2);
}

TEST(removal_ends_waits)
{
	pid_t r, s;
	int id;

	fresh();
	id = make();
	r = receiver(id, 10, 77, 0);
	got.type = 1;
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	s = sender(id, 1, 1);
	CHECK_OK(msgctl(id, IPC_RMID, NULL));
	CHECK_EQ(exit_of(r), 100 + EIDRM);
	CHECK_EQ(exit_of(s), EIDRM);
	CHECK_ERRNO(receive(id, 0, IPC_NOWAIT), EINVAL);
}

TEST(signal_ends_waits_whatever_sa_restart_says)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	pid_t r, s;
	int id;

	fresh();
	sigaction(SIGUSR1, &sa, NULL);
	id = make();
	r = receiver(id, 10, 77, 0);
	kill(r, SIGUSR1);
	CHECK_EQ(exit_of(r), 100 + EINTR);
	got.type = 1;
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	CHECK_OK(msgsnd(id, &got, 8192, 0));
	s = sender(id, 1, 1);
	kill(s, SIGUSR1);
	CHECK_EQ(exit_of(s), EINTR);
	CHECK_EQ(stat_of(id).msg_qnum, 2);
}

TEST(stop_and_continue_does_not_end_a_wait)
{
	pid_t r;
	int id, status;

	fresh();
	id = make();
	r = receiver(id, 10, 0, 0);
	kill(r, SIGSTOP);
	CHECK_EQ(waitpid(r, &status, WUNTRACED), r);
	kill(r, SIGCONT);
	CHECK_OK(send(id, 1, "abc", 0));
	CHECK_EQ(exit_of(r), 4);
}

TEST(stat_and_set)
{
	time_t now = time(NULL);
	struct msqid_ds ds;
	int id;

	fresh();
	id = msgget(KEY, IPC_CREAT | 0640);
	ds = stat_of(id);
	CHECK_EQ(ds.msg_perm.__key, KEY);
	CHECK_EQ(ds.msg_perm.mode, 0640);
	CHECK_EQ(ds.msg_qbytes, 16384);
	CHECK_EQ(ds.msg_lspid, 0);
	CHECK_EQ(ds.msg_stime, 0);
	CHECK(ds.msg_ctime >= now);
	send(id, 1, "x", 0);
	receive(id, 0, 0);
	ds = stat_of(id);
	CHECK_EQ(ds.msg_lspid, getpid());
	CHECK_EQ(ds.msg_lrpid, getpid());
	CHECK(ds.msg_stime >= now);
	CHECK(ds.msg_rtime >= now);
	ds.msg_qbytes = 1000;
	ds.msg_perm.uid = 65534;
	CHECK_OK(msgctl(id, IPC_SET, &ds));
	IN_CHILD({
		become_nobody();
		ds.msg_qbytes = 16385;
		CHECK_ERRNO(msgctl(id, IPC_SET, &ds), EPERM);
		ds.msg_qbytes = 10;
		CHECK_OK(msgctl(id, IPC_SET, &ds));
	});
	CHECK_EQ(stat_of(id).msg_qbytes, 10);
}

TEST(more_room_lets_senders_go_on)
{
	struct msqid_ds ds;
	pid_t s;
	int id;

	fresh();
	id = make();
	ds = stat_of(id);
	ds.msg_qbytes = 10;
	CHECK_OK(msgctl(id, IPC_SET, &ds));
	s = sender(id, 1, 20);
	ds.msg_qbytes = 15;
	CHECK_OK(msgctl(id, IPC_SET, &ds));
	wait_asleep(s);
	ds.msg_qbytes = 20;
	CHECK_OK(msgctl(id, IPC_SET, &ds));
	CHECK_EQ(exit_of(s), 0);
}

TEST(permissions_count)
{
	int id;

	fresh();
	id = msgget(KEY, IPC_CREAT | 0602);
	IN_CHILD({
		struct msqid_ds ds;

		become_nobody();
		CHECK_ERRNO(msgget(KEY, 0600), EACCES);
		CHECK_OK(send(id, 1, "x", 0));
		CHECK_ERRNO(receive(id, 0, IPC_NOWAIT), EACCES);
		CHECK_ERRNO(msgctl(id, IPC_STAT, &ds), EACCES);
		CHECK_ERRNO(msgctl(id, IPC_RMID, NULL), EPERM);
	});
}

TEST(info_counts_what_is_there)
{
	struct msginfo info;
	struct msqid_ds ds;
	int a, b;

	fresh();
	CHECK_EQ(msgctl(0, IPC_INFO, (void *)&info), 0);
	CHECK_EQ(info.msgmax, 8192);
	CHECK_EQ(info.msgmnb, 16384);
	CHECK_EQ(info.msgmni, 32000);
	a = make();
	b = make();
	send(a, 1, "123", 0);
	send(b, 1, "1234567", 0);
	CHECK_EQ(msgctl(0, MSG_INFO, (void *)&info), 1);
	CHECK_EQ(info.msgpool, 2);
	CHECK_EQ(info.msgmap, 2);
	CHECK_EQ(info.msgtql, 12);
	CHECK_EQ(msgctl(1, MSG_STAT, &ds), b);
	CHECK_EQ(ds.msg_qnum, 1);
	CHECK_OK(msgctl(a, IPC_RMID, NULL));
	CHECK_EQ(msgctl(0, MSG_INFO, (void *)&info), 1);
	CHECK_EQ(info.msgtql, 8);
	CHECK_ERRNO(msgctl(b, 4711, &ds), EINVAL);
	CHECK_ERRNO(msgctl(-1, IPC_STAT, &ds), EINVAL);
	CHECK_ERRNO(syscall(SYS_msgctl, b, IPC_STAT, 8L), EFAULT);
}

TEST(proc_lists_queues)
{
	char want[80], line[256];
	bool found = false;
	FILE *f;
	int id;

	fresh();
	id = msgget(KEY, IPC_CREAT | 0640);
	send(id, 1, "abc", 0);
	snprintf(want, sizeof(want), "%10d %10d  %4o  %10u %10u %5d %5d", KEY, id, 0640, 4, 1,
		 getpid(), 0);
	f = fopen("/proc/sysvipc/msg", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found = found || strstr(line, want);
	CHECK(found);
}

TEST_SECONDS(many_processes_at_once, 60)
{
	int id, sum = 0;

	fresh();
	id = make();
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		if (i < 2) {
			for (int n = 0; n < 400; n++) {
				got.type = i + 1;
				memset(got.text, n, sizeof(got.text));
				CHECK_OK(msgsnd(id, &got, (size_t)(n * 37 % 3000), 0));
			}
		} else {
			for (int n = 0; n < 400; n++)
				CHECK_EQ(msgrcv(id, &got, sizeof(got.text), i - 1, 0), n * 37 % 3000);
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		sum += status;
	}
	CHECK_EQ(sum, 0);
	CHECK_EQ(stat_of(id).msg_qnum, 0);
}

/* Whatever happens in whichever order: nobody hangs, and errors are those of the manual. */
TEST_SECONDS(queues_come_and_go_under_use, 60)
{
	struct sigaction sa = { .sa_handler = handler };
	int status;

	fresh();
	sigaction(SIGALRM, &sa, NULL);
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		srand((unsigned int)i);
		for (int n = 0; n < 1500; n++) {
			int id = msgget(KEY, IPC_CREAT | 0600);
			int flags = rand() % 4 ? IPC_NOWAIT : 0;
			ssize_t ret;

			if (id < 0)
				continue;
			if (!flags)
				ualarm(500, 500);
			got.type = 1 + rand() % 3;
			if (rand() % 2)
				ret = msgsnd(id, &got, (size_t)(rand() % 3000), flags);
			else
				ret = msgrcv(id, &got, 1000, rand() % 5 - 2, flags | (rand() % 2 ? MSG_NOERROR : 0));
			if (ret < 0)
				CHECK(errno == EAGAIN || errno == EIDRM || errno == EINVAL || errno == EINTR ||
				      errno == ENOMSG || errno == E2BIG);
			ualarm(0, 0);
			if (rand() % 16 == 0 && msgctl(id, IPC_RMID, NULL) < 0)
				CHECK(errno == EIDRM || errno == EINVAL);
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
}
