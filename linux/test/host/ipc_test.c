/* SPDX-License-Identifier: MIT */
/*
 * Pipes, epoll, eventfd, AF_UNIX sockets and the line discipline in the host rig:
 * faults in the middle of copies, threads against each other, hostile input, leaks.
 * What programs see of them in the ordinary case is tests/linux.
 */
#include "test/host/rig_test.h"

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/eventpoll.h>

#include "lx/pid.h"
#include "lx/timer.h"
#include "net/net_priv.h"
#include "rt/time.h"
#include "tty/tty_priv.h"

#define self rig_self()
#define PAGE 4096u

/* -- what the rig does not imitate -------------------------------------------------------------- */

struct lx_siginfo lx_siginfo_user(struct lx_task *task, int signo, int code)
{
	return (struct lx_siginfo){ .signo = signo, .code = code };
}

int lx_sigmask_push(struct lx_task *task, uaddr_t mask, size_t size)
{
	return 0;
}

void lx_sigmask_pop(struct lx_task *task, bool interrupted)
{
}

struct lx_pid *lx_pid_find(struct lx_task *task, lx_pid_t nr)
{
	return NULL;
}

void lx_pid_put(struct lx_pid *pid)
{
}

int lx_timespec_from_user(uint64_t *ns, uaddr_t ts)
{
	*ns = 0;
	return 0;
}

int lx_timespec_to_user(uaddr_t ts, uint64_t ns)
{
	return 0;
}

uint64_t lx_deadline_after(uint64_t ns)
{
	return rt_now_ns() + ns;
}

/* -- helpers ---------------------------------------------------------------------------------------- */

struct pair { int a, b; };

static struct pair new_pipe(int flags)
{
	uaddr_t u = rig_user(8);
	struct pair p;

	if (lx_sys_pipe2(self, u, flags))
		return (struct pair){ -1, -1 };
	memcpy(&p, rig_ptr(u), sizeof(p));
	return p;
}

static struct pair new_sockets(unsigned int type)
{
	uaddr_t u = rig_user(8);
	struct pair p;

	if (lx_sys_socketpair(self, AF_UNIX, type, 0, u))
		return (struct pair){ -1, -1 };
	memcpy(&p, rig_ptr(u), sizeof(p));
	return p;
}

static void close_pair(struct pair p)
{
	lx_sys_close(self, p.a);
	lx_sys_close(self, p.b);
}

/* A task that has our descriptors. */
struct shared { struct lx_files *files; void (*fn)(void *arg); void *arg; };

static void shared_main(void *arg)
{
	struct shared *s = arg;
	struct lx_files *own = self->files;

	self->files = s->files;
	s->fn(s->arg);
	self->files = own;
	lx_files_put(s->files);
}

static struct lx_task *start(struct shared *s, void (*fn)(void *arg), void *arg)
{
	*s = (struct shared){ lx_files_get(self->files), fn, arg };
	return rig_task(shared_main, s);
}

/* -- pipes ----------------------------------------------------------------------------------------------- */

TEST(pipe_write_that_faults_is_whole_or_not_at_all)
{
	struct pair p = new_pipe(O_NONBLOCK);
	uaddr_t u = rig_user(3 * PAGE), page = uaddr((u.v + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1));
	uaddr_t from = uaddr(page.v - 10), back = rig_user(32);

	memset(rig_ptr(from), 'w', 20);
	rig_absent(page, 10);
	CHECK(lx_sys_write(self, p.b, from, 20) == 20);		/* the page was supplied */
	CHECK(lx_sys_read(self, p.a, back, 32) == 20);
	rig_forbid(page, 10);
	CHECK(lx_sys_write(self, p.b, from, 20) == -EFAULT);
	CHECK(lx_sys_read(self, p.a, back, 32) == -EAGAIN);	/* nothing became visible */
	close_pair(p);
	rig_reset();
}

TEST(pipe_read_that_faults_loses_nothing)
{
	struct pair p = new_pipe(O_NONBLOCK);
	uaddr_t u = rig_user(3 * PAGE), page = uaddr((u.v + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1));
	uaddr_t to = uaddr(page.v - 5), src = rig_bytes("0123456789", 10), good = rig_user(16);

	CHECK(lx_sys_write(self, p.b, src, 10) == 10);
	rig_forbid(page, 10);
	CHECK(lx_sys_read(self, p.a, to, 10) == -EFAULT);
	CHECK(lx_sys_read(self, p.a, good, 16) == 10);
	CHECK(!memcmp(rig_ptr(good), "0123456789", 10));
	close_pair(p);
	rig_reset();
}

#define STREAM_BYTES 200000u

struct mover { int fd; uaddr_t buf; uint64_t sum; unsigned int step; };

static void write_all(void *arg)
{
	struct mover *m = arg;
	uint8_t *b = rig_ptr(m->buf);
	unsigned int left = STREAM_BYTES;

	while (left) {
		unsigned int n = MIN(left, m->step);

		for (unsigned int i = 0; i < n; i++) {
			b[i] = (uint8_t)(left + i);
			m->sum += b[i];
		}
		for (unsigned int done = 0; done < n;) {
			long w = lx_sys_write(self, m->fd, uaddr_add(m->buf, done), n - done);

			if (w <= 0)
				return;
			done += (unsigned int)w;
		}
		left -= n;
		m->step = m->step * 7 % 5003 + 1;
	}
}

static void read_all(void *arg)
{
	struct mover *m = arg;
	uint8_t *b = rig_ptr(m->buf);
	long n;

	while ((n = lx_sys_read(self, m->fd, m->buf, 1 + m->step % 3000)) > 0) {
		for (long i = 0; i < n; i++)
			m->sum += b[i];
		m->step = m->step * 5 % 4001 + 1;
	}
}

/* Two writers and two readers move all bytes, whatever the order. */
static void stress(int in, int out)
{
	struct mover w[2], r[2];
	struct shared sw[2], sr[2];
	struct lx_task *tw[2], *tr[2];

	for (unsigned int i = 0; i < 2; i++) {
		w[i] = (struct mover){ in, rig_user(8192), 0, 11 + i };
		r[i] = (struct mover){ out, rig_user(8192), 0, 3 + i };
		tw[i] = start(&sw[i], write_all, &w[i]);
		tr[i] = start(&sr[i], read_all, &r[i]);
	}
	rig_join(tw[0]);
	rig_join(tw[1]);
	lx_sys_close(self, in);
	rig_join(tr[0]);
	rig_join(tr[1]);
	lx_sys_close(self, out);
	CHECK(w[0].sum + w[1].sum == r[0].sum + r[1].sum);
	rig_reset();
}

TEST(pipe_moves_all_bytes_between_threads)
{
	struct pair p = new_pipe(0);

	stress(p.b, p.a);
}

TEST(stream_sockets_move_all_bytes_between_threads)
{
	struct pair p = new_sockets(SOCK_STREAM);

	stress(p.a, p.b);
}

/* -- epoll ----------------------------------------------------------------------------------------------------- */

struct churn { int ep; _Atomic(int) fd[8]; uaddr_t mem[3]; _Atomic(bool) stop; _Atomic(unsigned int) seen; };

static void churn_set(void *arg)
{
	struct churn *c = arg;
	uaddr_t u = c->mem[2];
	struct epoll_event *e = rig_ptr(u);

	for (unsigned int i = 0; i < 3000 || (!atomic_load(&c->seen) && i < 1000000); i++) {
		int fd = c->fd[i * 5 % 8];

		*e = (struct epoll_event){ EPOLLIN | (i & 1 ? EPOLLET : 0) | (i & 2 ? EPOLLONESHOT : 0), i };
		lx_sys_epoll_ctl(self, c->ep, (int)(i * 7 % 3) + 1, fd, u);
		if (i % 97 == 0) {
			/* The file itself goes, and comes back. */
			lx_sys_close(self, fd);
			c->fd[i * 5 % 8] = (int)lx_sys_eventfd2(self, 0, O_NONBLOCK);
		}
	}
	atomic_store(&c->stop, true);
}

static void churn_signal(void *arg)
{
	struct churn *c = arg;
	uaddr_t u = c->mem[1];

	*(uint64_t *)rig_ptr(u) = 1;
	for (unsigned int i = 0; !atomic_load(&c->stop); i++)
		lx_sys_write(self, c->fd[i % 8], u, 8);
}

static void churn_wait(void *arg)
{
	struct churn *c = arg;
	uaddr_t u = c->mem[0];

	while (!atomic_load(&c->stop)) {
		long n = lx_sys_epoll_wait(self, c->ep, u, 4, 1);

		if (n > 0)
			atomic_fetch_add(&c->seen, (unsigned int)n);
	}
}

TEST(epoll_survives_threads_that_change_it)
{
	struct churn c = { .ep = (int)lx_sys_epoll_create1(self, 0) };
	struct shared s[3];
	struct lx_task *t[3];

	for (int i = 0; i < 8; i++)
		c.fd[i] = (int)lx_sys_eventfd2(self, 0, O_NONBLOCK);
	for (int i = 0; i < 3; i++)
		c.mem[i] = rig_user(128);
	t[0] = start(&s[0], churn_wait, &c);
	t[1] = start(&s[1], churn_signal, &c);
	t[2] = start(&s[2], churn_set, &c);
	for (int i = 0; i < 3; i++)
		rig_join(t[i]);
	CHECK(c.seen > 0);
	lx_sys_close(self, c.ep);
	for (int i = 0; i < 8; i++)
		lx_sys_close(self, c.fd[i]);
	rig_reset();
}

TEST(epoll_set_may_go_before_and_after_its_files)
{
	uaddr_t u = rig_user(16);

	*(struct epoll_event *)rig_ptr(u) = (struct epoll_event){ EPOLLIN, 1 };
	for (int order = 0; order < 2; order++) {
		int ep = (int)lx_sys_epoll_create1(self, 0), inner = (int)lx_sys_epoll_create1(self, 0);
		struct pair p = new_pipe(0);

		CHECK(!lx_sys_epoll_ctl(self, inner, EPOLL_CTL_ADD, p.a, u));
		CHECK(!lx_sys_epoll_ctl(self, ep, EPOLL_CTL_ADD, inner, u));
		if (order)
			lx_sys_close(self, ep);
		lx_sys_close(self, inner);
		close_pair(p);
		if (!order)
			lx_sys_close(self, ep);
	}
	rig_reset();
}

/* -- sockets: files in cycles ------------------------------------------------------------------------------------ */

/* Send @fd over @via, as sendmsg(2) with SCM_RIGHTS. */
static long send_fd(int via, int fd)
{
	struct { struct net_cmsghdr h; int fd, pad; } control = {
		{ 20, SOL_SOCKET, SCM_RIGHTS }, fd, 0,
	};
	struct lx_seg iov = { rig_str("x").v, 1 };
	struct net_msghdr m = {
		.iov = rig_bytes(&iov, sizeof(iov)).v, .iovlen = 1,
		.control = rig_bytes(&control, sizeof(control)).v, .controllen = sizeof(control),
	};

	return lx_sys_sendmsg(self, via, rig_bytes(&m, sizeof(m)), 0);
}

/* A pipe's end is held by the cycle: its other end tells when the cycle is gone. */
static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uaddr_t u = rig_bytes(&p, sizeof(p));

	return lx_sys_poll(self, u, 1, 0) == 1 &&
	       ((struct pollfd *)rig_ptr(u))->revents & POLLHUP;
}

TEST(sockets_that_hold_each_other_are_collected)
{
	struct pair p = new_pipe(0), s = new_sockets(SOCK_STREAM);

	CHECK(send_fd(s.a, s.a) == 1);
	CHECK(send_fd(s.a, p.b) == 1);
	CHECK(send_fd(s.b, s.b) == 1);
	lx_sys_close(self, p.b);
	close_pair(s);
	/* The collection ran when the sockets were closed, or runs with the next that is. */
	close_pair(new_sockets(SOCK_STREAM));
	CHECK(hung_up(p.a));
	lx_sys_close(self, p.a);
	rig_reset();
}

TEST(sockets_in_flight_that_can_be_received_are_kept)
{
	struct pair p = new_pipe(0), s = new_sockets(SOCK_STREAM), t = new_sockets(SOCK_STREAM);

	/* t.a is only in s's queue; the pipe's end is only in t.a's. */
	CHECK(send_fd(t.b, p.b) == 1);
	CHECK(send_fd(s.a, t.a) == 1);
	lx_sys_close(self, p.b);
	lx_sys_close(self, t.a);
	close_pair(new_sockets(SOCK_STREAM));
	CHECK(!hung_up(p.a));
	close_pair(s);
	lx_sys_close(self, t.b);
	close_pair(new_sockets(SOCK_STREAM));
	CHECK(hung_up(p.a));
	lx_sys_close(self, p.a);
	rig_reset();
}

TEST(a_long_chain_of_sockets_in_sockets_is_freed_without_nesting)
{
	struct pair s = new_sockets(SOCK_DGRAM), next;

	for (int i = 0; i < 2000; i++) {
		next = new_sockets(SOCK_DGRAM);
		CHECK(send_fd(next.a, s.a) == 1);
		CHECK(send_fd(next.a, s.b) == 1);
		close_pair(s);
		s = next;
		rig_reset();
	}
	close_pair(s);
	close_pair(new_sockets(SOCK_STREAM));
	rig_reset();
}

/* -- line discipline ----------------------------------------------------------------------------------------------- */

static uint8_t screen[1 << 16];
static size_t screen_len, screen_room;

static size_t screen_write(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	memcpy(screen + screen_len, buf, n);
	screen_len += n;
	screen_room -= n;
	return n;
}

static size_t screen_write_room(struct lx_tty *tty)
{
	return screen_room;
}

static const struct lx_tty_ops screen_ops = {
	.write = screen_write, .write_room = screen_write_room,
};

static struct lx_tty *new_tty(size_t room)
{
	struct lx_tty *tty = rt_zalloc(sizeof(*tty));

	tty->ops = &screen_ops;
	ldisc_init(tty);
	screen_len = 0;
	screen_room = room;
	return tty;
}

static size_t receive(struct lx_tty *tty, const char *s, struct tty_signal *sig)
{
	return ldisc_receive(tty, (const uint8_t *)s, strlen(s), sig);
}

TEST(ldisc_stops_at_a_signal)
{
	struct lx_tty *tty = new_tty(1000);
	struct tty_signal sig;

	tty->pgrp = 7;
	CHECK(receive(tty, "ab\003cd", &sig) == 3);
	CHECK(sig.signo == 2 /* SIGINT */ && sig.pgrp == 7);
	CHECK(ldisc_inq(tty) == 0);
	CHECK(receive(tty, "cd\n", &sig) == 3 && !sig.signo);
	CHECK(ldisc_inq(tty) == 3);
	rt_free(tty);
}

TEST(ldisc_echo_waits_for_room_and_precedes_output)
{
	struct lx_tty *tty = new_tty(0);
	struct tty_signal sig;

	CHECK(receive(tty, "abc", &sig) == 3);
	CHECK(screen_len == 0);
	CHECK(ldisc_write(tty, (const uint8_t *)"out", 3) == 0);
	screen_room = 100;
	CHECK(ldisc_write(tty, (const uint8_t *)"out", 3) == 3);
	CHECK(screen_len == 6 && !memcmp(screen, "abcout", 6));
	rt_free(tty);
}

TEST(ldisc_output_goes_on_in_little_room)
{
	struct lx_tty *tty = new_tty(0);
	const char *text = "1\n2\t3\n";
	size_t done = 0;

	while (done < strlen(text)) {
		screen_room = 2;
		tty->termios.c_oflag &= ~(tcflag_t)TABDLY;
		done += ldisc_write(tty, (const uint8_t *)text + done, strlen(text) - done);
	}
	CHECK(screen_len == 8 && !memcmp(screen, "1\r\n2\t3\r\n", 8));
	rt_free(tty);
}

/* What must hold whatever was typed under whatever settings. */
static bool ldisc_is_sound(const struct lx_tty *tty)
{
	return tty->head - tty->tail <= TTY_READ_SIZE &&
	       tty->canon_head - tty->tail <= tty->head - tty->tail &&
	       tty->echo_len <= TTY_ECHO_SIZE;
}

static uint32_t random_state = 12345;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

TEST(ldisc_survives_anything)
{
	static const char keys[] = "ab\t \n\r\003\004\010\021\022\023\025\026\027\032\177\377\303\244";
	struct lx_tty *tty = new_tty(0);

	for (int round = 0; round < 4000; round++) {
		uint8_t buf[300], out[300];
		struct tty_signal sig;
		struct ktermios old = tty->termios;
		size_t n = 1 + next_random() % sizeof(buf);
		bool line;

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)keys[next_random() % (sizeof(keys) - 1)];
		screen_room = next_random() % 600;
		screen_len = 0;
		tty->packet = next_random() & 1;
		ldisc_receive(tty, buf, n, &sig);
		CHECK(ldisc_is_sound(tty));
		ldisc_write(tty, buf, n);
		if (next_random() % 3 == 0)
			ldisc_read(tty, out, next_random() % sizeof(out), &line);
		if (next_random() % 8 == 0) {
			tty->termios.c_lflag = next_random() & 0x1ffff;
			tty->termios.c_iflag = next_random() & 0xffff;
			tty->termios.c_oflag = next_random() & 0xffff;
			ldisc_set_termios(tty, &old);
		}
		if (next_random() % 50 == 0)
			ldisc_flush_input(tty);
		if (next_random() % 20 == 0)
			ldisc_start(tty);
		CHECK(ldisc_is_sound(tty));
		CHECK(ldisc_inq(tty) <= TTY_READ_SIZE);
	}
	rt_free(tty);
}

__attribute__((constructor)) static void begin(void)
{
	rig_start();
}
