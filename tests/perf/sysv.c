/* SPDX-License-Identifier: MIT */
/* Processes that wake each other through System V and POSIX IPC objects. */

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "bench.h"

static pid_t peer;
static int id;
static mqd_t there, back;

static void peer_finish(void)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

static void step(int take, int give)
{
	struct sembuf down = { (unsigned short)take, -1, 0 }, up = { (unsigned short)give, 1, 0 };

	MUST(semop(id, &down, 1) == 0);
	MUST(semop(id, &up, 1) == 0);
}

static void sem_start(void)
{
	id = semget(IPC_PRIVATE, 2, 0600);
	MUST(id >= 0);
	MUST(semctl(id, 0, SETVAL, 1) == 0);
	peer = fork();
	while (peer == 0)
		step(1, 0);
}

static void sem_run(uint64_t count)
{
	while (count--)
		step(0, 1);
}

static void sem_finish(void)
{
	peer_finish();
	semctl(id, 0, IPC_RMID);
}

struct message { long type; char byte; };

static void msg_start(void)
{
	struct message m = { 1, 'x' };

	id = msgget(IPC_PRIVATE, 0600);
	MUST(id >= 0);
	peer = fork();
	while (peer == 0) {
		MUST(msgrcv(id, &m, 1, 1, 0) == 1);
		m.type = 2;
		MUST(msgsnd(id, &m, 1, 0) == 0);
	}
}

static void msg_run(uint64_t count)
{
	struct message m = { .byte = 'x' };

	while (count--) {
		m.type = 1;
		MUST(msgsnd(id, &m, 1, 0) == 0);
		MUST(msgrcv(id, &m, 1, 2, 0) == 1);
	}
}

static void msg_finish(void)
{
	peer_finish();
	msgctl(id, IPC_RMID, NULL);
}

static mqd_t mq_make(const char *name)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	mqd_t q = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);

	MUST(q >= 0);
	mq_unlink(name);
	return q;
}

static void mq_start(void)
{
	char buf[16];

	there = mq_make("/bench-there");
	back = mq_make("/bench-back");
	peer = fork();
	while (peer == 0) {
		MUST(mq_receive(there, buf, sizeof(buf), NULL) == 1);
		MUST(mq_send(back, buf, 1, 0) == 0);
	}
}

static void mq_run(uint64_t count)
{
	char buf[16] = "x";

	while (count--) {
		MUST(mq_send(there, buf, 1, 0) == 0);
		MUST(mq_receive(back, buf, sizeof(buf), NULL) == 1);
	}
}

static void shm_start(void)
{
	id = shmget(IPC_PRIVATE, 16 << 10, 0600);
	MUST(id >= 0);
}

static void shm_run(uint64_t count)
{
	while (count--) {
		char *p = shmat(id, NULL, 0);

		MUST(p != (void *)-1);
		p[0]++;
		MUST(shmdt(p) == 0);
	}
}

static void shm_finish(void)
{
	shmctl(id, IPC_RMID, NULL);
}

ROW(sem_round, .name = "sem", .unit = "hand-over and back by semop", .run = sem_run,
    .prepare = sem_start, .finish = sem_finish, .fixed_count = 500)
ROW(msg_round, .name = "msg", .unit = "byte there and back through a message queue",
    .run = msg_run, .prepare = msg_start, .finish = msg_finish, .fixed_count = 500)
ROW(mq_round, .name = "mq", .unit = "byte there and back through POSIX message queues",
    .run = mq_run, .prepare = mq_start, .finish = peer_finish, .fixed_count = 500)
ROW(shm_attach, .name = "shm", .unit = "shmat, touch, shmdt", .run = shm_run,
    .prepare = shm_start, .finish = shm_finish, .fixed_count = 500)
