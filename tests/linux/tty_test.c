/* SPDX-License-Identifier: MIT */
/* Terminals through pseudo-terminals: termios(3), ioctl_tty(2), pty(7). */

#include "helpers.h"

#include <sys/ioctl.h>
#include <sys/time.h>
#include <termios.h>

static int master, slave;

/* A pair, the slave in the default mode. */
static void open_pty(void)
{
	CHECK_OK(master = posix_openpt(O_RDWR | O_NOCTTY));
	CHECK_OK(grantpt(master));
	CHECK_OK(unlockpt(master));
	CHECK_OK(slave = open(ptsname(master), O_RDWR | O_NOCTTY));
}

static void set_mode(tcflag_t off, tcflag_t on)
{
	struct termios t;

	CHECK_OK(tcgetattr(slave, &t));
	t.c_lflag = (t.c_lflag & ~off) | on;
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

static void set_iflag(tcflag_t off, tcflag_t on)
{
	struct termios t;

	CHECK_OK(tcgetattr(slave, &t));
	t.c_iflag = (t.c_iflag & ~off) | on;
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

static void raw_mode(int min, int time)
{
	struct termios t;

	CHECK_OK(tcgetattr(slave, &t));
	cfmakeraw(&t);
	t.c_cc[VMIN] = (cc_t)min;
	t.c_cc[VTIME] = (cc_t)time;
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

static void type(const char *s)
{
	CHECK_EQ(write(master, s, strlen(s)), (ssize_t)strlen(s));
}

static bool readable(int fd, int ms)
{
	return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, ms) == 1;
}

/* What arrives within a moment, as a string. */
static const char *get(int fd)
{
	static char buf[9000];
	size_t n = 0;

	while (readable(fd, 100)) {
		ssize_t got = read(fd, buf + n, sizeof(buf) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return buf;
}

TEST(pty_has_a_node_and_a_name)
{
	struct stat st;
	char name[64];
	int n = -1;

	open_pty();
	CHECK_OK(ioctl(master, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHECK_STR(ptsname(master), name);
	CHECK_OK(stat(name, &st));
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_uid, getuid());
	CHECK(isatty(slave));
	CHECK(isatty(master));
	close(master);
	CHECK_ERRNO(stat(name, &st), ENOENT);
}

TEST(pty_slave_is_locked_at_first)
{
	char name[64];
	int n, on;

	CHECK_OK(master = posix_openpt(O_RDWR | O_NOCTTY));
	CHECK_OK(ioctl(master, TIOCGPTN, &n));
	CHECK_OK(ioctl(master, TIOCGPTLCK, &on));
	CHECK_EQ(on, 1);
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
	CHECK_OK(unlockpt(master));
	CHECK_OK(open(name, O_RDWR | O_NOCTTY));
}

TEST(pty_peer_can_be_opened_from_the_master)
{
	CHECK_OK(master = posix_openpt(O_RDWR | O_NOCTTY));
	CHECK_OK(unlockpt(master));
	CHECK_OK(slave = ioctl(master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY));
	CHECK(isatty(slave));
	write(slave, "x", 1);
	CHECK_STR(get(master), "x");
}

TEST(tty_defaults)
{
	struct termios t;

	open_pty();
	CHECK_OK(tcgetattr(slave, &t));
	CHECK_EQ(t.c_iflag, ICRNL | IXON);
	CHECK_EQ(t.c_oflag, OPOST | ONLCR);
	CHECK_EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	CHECK_EQ(t.c_cflag & (CSIZE | CREAD), CS8 | CREAD);
	CHECK_EQ(cfgetospeed(&t), B38400);
	CHECK_EQ(t.c_cc[VINTR], 3);
	CHECK_EQ(t.c_cc[VEOF], 4);
	CHECK_EQ(t.c_cc[VERASE], 127);
	CHECK_EQ(t.c_cc[VMIN], 1);
}

TEST(tty_canonical_waits_for_the_line)
{
	char buf[16] = "";

	open_pty();
	type("hel");
	CHECK(!readable(slave, 50));
	type("lo\r");
	CHECK_EQ(read(slave, buf, 16), 6);
	CHECK_STR(buf, "hello\n");
	CHECK_STR(get(master), "hello\r\n");
}

TEST(tty_canonical_reads_one_line_at_a_time)
{
	char buf[16] = "";
	int n;

	open_pty();
	type("ab\ncd\n");
	CHECK_STR(get(master), "ab\r\ncd\r\n");
	CHECK_OK(ioctl(slave, FIONREAD, &n));
	CHECK_EQ(n, 6);
	CHECK_EQ(read(slave, buf, 16), 3);
	CHECK_EQ(read(slave, buf, 2), 2);
	CHECK_EQ(read(slave, buf, 16), 1);
}

TEST(tty_erase_and_kill_edit_the_line)
{
	char buf[16] = "";

	open_pty();
	type("abx\177c\n");
	CHECK_EQ(read(slave, buf, 16), 4);
	CHECK_STR(buf, "abc\n");
	CHECK_STR(get(master), "abx\b \bc\r\n");
	type("gone\025ok\n");
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(read(slave, buf, 16), 3);
	CHECK_STR(buf, "ok\n");
	CHECK_STR(get(master), "gone\b \b\b \b\b \b\b \bok\r\n");
}

TEST(tty_word_erase)
{
	char buf[32] = "";

	open_pty();
	type("one two  \027x\n");
	CHECK_EQ(read(slave, buf, 32), 6);
	CHECK_STR(buf, "one x\n");
}

TEST(tty_erase_of_nothing_does_nothing)
{
	char buf[8] = "";

	open_pty();
	type("\177\177a\n");
	CHECK_EQ(read(slave, buf, 8), 2);
	CHECK_STR(get(master), "a\r\n");
}

TEST(tty_erase_of_control_characters_takes_two_columns)
{
	char buf[8] = "";

	open_pty();
	type("\001\177b\n");
	CHECK_EQ(read(slave, buf, 8), 2);
	CHECK_STR(get(master), "^A\b \b\b \bb\r\n");
}

TEST(tty_erase_of_a_tab_goes_back_to_where_it_was)
{
	char buf[8];

	open_pty();
	type("ab\t\177c\n");
	CHECK_EQ(read(slave, buf, 8), 4);
	CHECK_STR(get(master), "ab\t\b\b\b\b\b\bc\r\n");
}

TEST(tty_utf8_erase_takes_whole_characters)
{
	char buf[16] = "";

	open_pty();
	set_iflag(0, IUTF8);
	type("a\xc3\xa4\177b\n");
	CHECK_EQ(read(slave, buf, 16), 3);
	CHECK_STR(buf, "ab\n");
	CHECK_STR(get(master), "a\xc3\xa4\b \bb\r\n");
}

TEST(tty_literal_next)
{
	char buf[8] = "";

	open_pty();
	type("a\026\003b\n");
	CHECK_EQ(read(slave, buf, 8), 4);
	CHECK_STR(buf, "a\003b\n");
	CHECK_STR(get(master), "a^\b^Cb\r\n");
}

TEST(tty_reprint)
{
	open_pty();
	type("ab\022");
	CHECK_STR(get(master), "ab^R\r\nab");
}

TEST(tty_end_of_file)
{
	char buf[8];

	open_pty();
	type("\004");
	CHECK_EQ(read(slave, buf, 8), 0);
	type("ab\004");
	CHECK_EQ(read(slave, buf, 8), 2);
	type("cd\n");
	CHECK_EQ(read(slave, buf, 8), 3);
}

TEST(tty_extra_end_of_line)
{
	struct termios t;
	char buf[8] = "";

	open_pty();
	CHECK_OK(tcgetattr(slave, &t));
	t.c_cc[VEOL] = ';';
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
	type("ab;cd\n");
	CHECK_EQ(read(slave, buf, 8), 3);
	CHECK_STR(buf, "ab;");
}

TEST(tty_without_echo)
{
	char buf[8];

	open_pty();
	set_mode(ECHO, 0);
	type("ab\n");
	CHECK_EQ(read(slave, buf, 8), 3);
	CHECK(!readable(master, 50));
	set_mode(ECHO, ECHONL);
	type("ab\n");
	CHECK_STR(get(master), "\r\n");
}

TEST(tty_input_mapping)
{
	char buf[8] = "";

	open_pty();
	set_iflag(ICRNL, INLCR);
	set_mode(ICANON | ECHO, 0);
	type("\r\n");
	CHECK_EQ(read(slave, buf, 8), 2);
	CHECK_STR(buf, "\r\r");
	set_iflag(INLCR, IGNCR);
	type("a\rb");
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(read(slave, buf, 8), 2);
	CHECK_STR(buf, "ab");
}

TEST(tty_output_processing)
{
	struct termios t;

	open_pty();
	CHECK_EQ(write(slave, "a\nb", 3), 3);
	CHECK_STR(get(master), "a\r\nb");
	CHECK_OK(tcgetattr(slave, &t));
	t.c_oflag = OPOST | XTABS;
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
	CHECK_EQ(write(slave, "\r1\t2\n", 5), 5);
	CHECK_STR(get(master), "\r1       2\n");
	t.c_oflag = 0;
	CHECK_OK(tcsetattr(slave, TCSANOW, &t));
	CHECK_EQ(write(slave, "\t\n", 2), 2);
	CHECK_STR(get(master), "\t\n");
}

TEST(tty_raw_is_transparent)
{
	char buf[16] = "";

	open_pty();
	raw_mode(1, 0);
	type("\003\004\r\n\177");
	CHECK_EQ(read(slave, buf, 16), 5);
	CHECK(!memcmp(buf, "\003\004\r\n\177", 5));
	CHECK(!readable(master, 50));
}

TEST(tty_vmin_waits_for_so_many)
{
	char buf[16];

	open_pty();
	raw_mode(3, 0);
	type("ab");
	CHECK(!readable(slave, 50));
	if (fork() == 0) {
		pause_ms(60);
		type("c");
		_exit(0);
	}
	CHECK_EQ(read(slave, buf, 16), 3);
}

TEST(tty_vtime_alone_is_a_timeout)
{
	char buf[16];

	open_pty();
	raw_mode(0, 1);
	CHECK_EQ(read(slave, buf, 16), 0);
	type("x");
	CHECK_EQ(read(slave, buf, 16), 1);
	raw_mode(0, 0);
	CHECK_EQ(read(slave, buf, 16), 0);
}

TEST(tty_vtime_with_vmin_is_between_bytes)
{
	char buf[16];

	open_pty();
	raw_mode(5, 1);
	type("ab");
	CHECK_EQ(read(slave, buf, 16), 2);
}

TEST(tty_nonblocking_read_is_eagain)
{
	char c;

	open_pty();
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	CHECK_ERRNO(read(slave, &c, 1), EAGAIN);
	type("partial");
	CHECK_ERRNO(read(slave, &c, 1), EAGAIN);
}

TEST(tty_switch_to_raw_makes_the_line_readable)
{
	char buf[16];

	open_pty();
	type("abc");
	CHECK(!readable(slave, 20));
	set_mode(ICANON, 0);
	CHECK(readable(slave, 100));
	CHECK_EQ(read(slave, buf, 16), 3);
}

TEST(tty_tcsaflush_drops_input)
{
	struct termios t;

	open_pty();
	type("dropped\n");
	CHECK(readable(slave, 100));
	CHECK_OK(tcgetattr(slave, &t));
	CHECK_OK(tcsetattr(slave, TCSAFLUSH, &t));
	CHECK(!readable(slave, 20));
}

TEST(tty_tcflush_drops_one_direction)
{
	open_pty();
	type("in\n");
	CHECK(readable(slave, 100));
	CHECK_OK(tcflush(slave, TCIFLUSH));
	CHECK(!readable(slave, 20));
	CHECK_ERRNO(tcflush(slave, 99), EINVAL);
}

TEST(tty_window_size)
{
	struct winsize ws = { 24, 80, 1, 2 }, got = { 0 };

	open_pty();
	CHECK_OK(ioctl(slave, TIOCGWINSZ, &got));
	CHECK_EQ(got.ws_row, 0);
	CHECK_OK(ioctl(master, TIOCSWINSZ, &ws));
	CHECK_OK(ioctl(slave, TIOCGWINSZ, &got));
	CHECK(!memcmp(&ws, &got, sizeof(ws)));
}

TEST(tty_flow_control_stops_output)
{
	open_pty();
	type("\023");
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	pause_ms(20);
	CHECK_ERRNO(write(slave, "x", 1), EAGAIN);
	CHECK(!readable(master, 20));
	type("\021");
	pause_ms(20);
	CHECK_EQ(write(slave, "y", 1), 1);
	CHECK_STR(get(master), "y");
}

TEST(tty_tcflow_stops_output)
{
	open_pty();
	CHECK_OK(tcflow(slave, TCOOFF));
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	CHECK_ERRNO(write(slave, "x", 1), EAGAIN);
	CHECK_OK(tcflow(slave, TCOON));
	CHECK_EQ(write(slave, "x", 1), 1);
	CHECK_ERRNO(tcflow(slave, 99), EINVAL);
}

TEST(tty_exclusive_mode)
{
	int v = -1;

	open_pty();
	CHECK_OK(ioctl(slave, TIOCEXCL));
	CHECK_OK(ioctl(slave, 0x80045440 /* TIOCGEXCL */, &v));
	CHECK_EQ(v, 1);
	if (geteuid() != 0)
		CHECK_ERRNO(open(ptsname(master), O_RDWR | O_NOCTTY), EBUSY);
	CHECK_OK(ioctl(slave, TIOCNXCL));
}

TEST(tty_line_discipline_number)
{
	int v = -1;

	open_pty();
	CHECK_OK(ioctl(slave, TIOCGETD, &v));
	CHECK_EQ(v, 0);
	CHECK_ERRNO(ioctl(slave, 0x1234, &v), ENOTTY);
}

TEST(tty_long_line_is_cut)
{
	static char line[5000], buf[5000];
	ssize_t n;

	open_pty();
	set_mode(ECHO, 0);
	memset(line, 'l', sizeof(line));
	for (size_t i = 0; i < sizeof(line); i += 100)
		CHECK(write(master, line + i, 100) > 0);
	type("\n");
	CHECK_OK(n = read(slave, buf, sizeof(buf)));
	CHECK_EQ(n, 4096);
	CHECK_EQ(buf[4095], '\n');
}

/* -- closing */

TEST(pty_master_reads_eio_after_the_slave_closed)
{
	char buf[8];

	open_pty();
	write(slave, "last", 4);
	close(slave);
	CHECK_EQ(read(master, buf, 8), 4);
	CHECK_ERRNO(read(master, buf, 8), EIO);
	CHECK_EQ(poll(&(struct pollfd){ master, POLLIN, 0 }, 1, 0), 1);
	CHECK_OK(slave = open(ptsname(master), O_RDWR | O_NOCTTY));
	write(slave, "again", 5);
	CHECK_EQ(read(master, buf, 8), 5);
}

TEST(pty_slave_is_hung_up_when_the_master_closes)
{
	struct pollfd p;
	struct termios t;
	char c;

	open_pty();
	close(master);
	CHECK_EQ(read(slave, &c, 1), 0);
	CHECK_ERRNO(write(slave, "x", 1), EIO);
	CHECK_ERRNO(tcgetattr(slave, &t), EIO);
	p = (struct pollfd){ slave, POLLIN | POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
}

TEST(pty_blocked_reader_wakes_at_hangup)
{
	char c;

	open_pty();
	if (fork() == 0) {
		pause_ms(50);
		close(slave);
		_exit(0);
	}
	close(slave);
	CHECK_ERRNO(read(master, &c, 1), EIO);
}

TEST(pty_write_blocks_when_the_master_does_not_read)
{
	static char buf[4096];
	size_t n = 0;
	ssize_t w;

	open_pty();
	raw_mode(1, 0);
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	do {
		while ((w = write(slave, buf, sizeof(buf))) > 0)
			n += (size_t)w;
		CHECK_EQ(errno, EAGAIN);
		/* Linux takes what was written to the other end in its own time: then there is room again. */
	} while (poll(&(struct pollfd){ slave, POLLOUT, 0 }, 1, 100) == 1);
	CHECK(n >= 4096);
	while (readable(master, 20))
		read(master, buf, sizeof(buf));
	CHECK_EQ(poll(&(struct pollfd){ slave, POLLOUT, 0 }, 1, 1000), 1);
}

TEST(pty_carries_much_in_both_directions)
{
	static char buf[3000];
	size_t n = 0;
	ssize_t got;

	open_pty();
	raw_mode(1, 0);
	if (fork() == 0) {
		close(master);
		for (int i = 0; i < 100; i++)
			if (write(slave, buf, 2000) != 2000)
				_exit(1);
		_exit(0);
	}
	close(slave);
	while ((got = read(master, buf, sizeof(buf))) > 0)
		n += (size_t)got;
	CHECK_EQ(n, 200000);
}

TEST(pty_packet_mode)
{
	char buf[16];
	int on = 1;

	open_pty();
	CHECK_OK(ioctl(master, TIOCPKT, &on));
	write(slave, "hi", 2);
	CHECK_EQ(read(master, buf, 16), 3);
	CHECK_EQ(buf[0], TIOCPKT_DATA);
	CHECK(!memcmp(buf + 1, "hi", 2));
	CHECK_OK(tcflush(slave, TCIOFLUSH));
	CHECK_EQ(read(master, buf, 16), 1);
	CHECK_EQ(buf[0], TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
}

/* -- sessions and jobs */

/* In a child that leads a session with the slave as its terminal. */
#define IN_SESSION(...) do {						\
	pid_t leader;							\
									\
	open_pty();							\
	CHECK_OK(leader = fork());					\
	if (!leader) {							\
		close(master);						\
		CHECK_OK(setsid());					\
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));			\
		__VA_ARGS__;						\
		_exit(0);						\
	}								\
	harness_reap(leader, __FILE_NAME__, __LINE__);			\
} while (0)

TEST(session_gets_a_terminal)
{
	IN_SESSION({
		int fd = open("/dev/tty", O_RDWR);

		CHECK_OK(fd);
		CHECK_EQ(tcgetpgrp(slave), getpid());
		CHECK_EQ(tcgetsid(slave), getpid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
	});
}

TEST(session_leader_acquires_by_open)
{
	open_pty();
	IN_CHILD({
		CHECK_OK(setsid());
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK_OK(open(ptsname(master), O_RDWR));
		CHECK_OK(open("/dev/tty", O_RDWR));
	});
}

TEST(session_does_not_acquire_with_o_noctty)
{
	open_pty();
	IN_CHILD({
		CHECK_OK(setsid());
		CHECK_OK(open(ptsname(master), O_RDWR | O_NOCTTY));
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
	});
}

TEST(terminal_of_another_session_is_refused)
{
	IN_SESSION({
		IN_CHILD({
			CHECK_OK(setsid());
			if (geteuid() != 0)
				CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 1), EPERM);
			CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM);
			CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
			CHECK_ERRNO(tcsetpgrp(slave, getpid()), ENOTTY);
		});
	});
}

TEST(giving_up_the_terminal)
{
	IN_SESSION({
		signal(SIGHUP, SIG_IGN);
		signal(SIGCONT, SIG_IGN);
		CHECK_OK(ioctl(slave, TIOCNOTTY));
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	});
}

static volatile sig_atomic_t caught;

static void catch(int signo)
{
	caught = signo;
}

TEST(interrupt_character_signals_the_foreground)
{
	int status;
	pid_t pid;

	open_pty();
	pid = fork();
	if (!pid) {
		CHECK_OK(setsid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
		close(master);
		write(slave, "go", 2);
		pause();
		_exit(0);
	}
	CHECK_STR(get(master), "go");
	type("\003");
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	CHECK_STR(get(master), "^C");
}

TEST(suspend_character_stops_the_foreground)
{
	int status;
	pid_t pid, job;

	open_pty();
	pid = fork();
	if (!pid) {
		CHECK_OK(setsid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
		close(master);
		job = fork();
		if (!job) {
			setpgid(0, 0);
			for (;;)
				pause();
		}
		setpgid(job, job);
		CHECK_OK(tcsetpgrp(slave, job));
		write(slave, "go", 2);
		if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) != SIGTSTP)
			_exit(1);
		kill(job, SIGKILL);
		_exit(0);
	}
	CHECK_STR(get(master), "go");
	type("\032");
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(winsize_change_signals_the_foreground)
{
	struct winsize ws = { 30, 90, 0, 0 };
	int status;
	pid_t pid;

	open_pty();
	pid = fork();
	if (!pid) {
		sigset_t set, old;

		sigemptyset(&set);
		sigaddset(&set, SIGWINCH);
		sigprocmask(SIG_BLOCK, &set, &old);
		CHECK_OK(setsid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
		signal(SIGWINCH, catch);
		write(slave, "go", 2);
		sigsuspend(&old);
		_exit(caught == SIGWINCH ? 0 : 1);
	}
	CHECK_STR(get(master), "go");
	CHECK_OK(ioctl(master, TIOCSWINSZ, &ws));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(background_read_is_stopped)
{
	int status;

	IN_SESSION({
		pid_t job = fork();

		if (!job) {
			char c;

			setpgid(0, 0);
			read(slave, &c, 1);
			_exit(0);
		}
		CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
		kill(job, SIGKILL);
	});
}

TEST(background_read_with_ignored_signal_is_eio)
{
	IN_SESSION({
		IN_CHILD({
			char c;

			signal(SIGTTIN, SIG_IGN);
			setpgid(0, 0);
			CHECK_ERRNO(read(slave, &c, 1), EIO);
		});
	});
}

TEST(background_write_is_allowed_without_tostop)
{
	IN_SESSION({
		IN_CHILD({
			setpgid(0, 0);
			CHECK_EQ(write(slave, "x", 1), 1);
		});
	});
}

TEST(background_write_is_stopped_with_tostop)
{
	int status;

	IN_SESSION({
		pid_t job;

		set_mode(0, TOSTOP);
		job = fork();
		if (!job) {
			setpgid(0, 0);
			write(slave, "x", 1);
			_exit(0);
		}
		CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
		kill(job, SIGKILL);
	});
}

TEST(background_settings_change_is_stopped)
{
	int status;

	IN_SESSION({
		pid_t job = fork();

		if (!job) {
			setpgid(0, 0);
			set_mode(ECHO, 0);
			_exit(0);
		}
		CHECK_EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
		kill(job, SIGKILL);
	});
}

TEST(tcsetpgrp_checks_the_group)
{
	IN_SESSION({
		CHECK_ERRNO(tcsetpgrp(slave, getppid()), EPERM);
		CHECK_ERRNO(tcsetpgrp(slave, 3999999), ESRCH);
		CHECK_ERRNO(tcsetpgrp(slave, -1), EINVAL);
		CHECK_OK(tcsetpgrp(slave, getpid()));
	});
}

TEST(hangup_signals_the_session)
{
	int status;
	pid_t pid;

	open_pty();
	pid = fork();
	if (!pid) {
		CHECK_OK(setsid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
		write(slave, "go", 2);
		close(master);
		pause();
		_exit(0);
	}
	CHECK_STR(get(master), "go");
	close(master);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
}

TEST(leaders_exit_signals_the_foreground)
{
	int sync[2], status;
	pid_t pid, job = 0;
	char c;

	open_pty();
	pipe(sync);
	pid = fork();
	if (!pid) {
		CHECK_OK(setsid());
		CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
		job = fork();
		if (!job) {
			close(sync[0]);
			pause();
			_exit(0);
		}
		setpgid(job, job);
		signal(SIGTTOU, SIG_IGN);
		CHECK_OK(tcsetpgrp(slave, job));
		_exit(0);
	}
	close(sync[1]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	/* The job held the pipe's end: it is gone when that is. */
	CHECK_EQ(read(sync[0], &c, 1), 0);
}
