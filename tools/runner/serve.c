/* SPDX-License-Identifier: MIT */
/*
 * Serving commands from the host; protocol.h is the contract.
 *
 * One loop around ppoll() does everything, with four places for data:
 *
 *	port  -> in           frames being received
 *	in    -> stdin queue -> the program's standard input
 *	the program's stdout, stderr -> out -> port
 *
 * Invariants:
 *
 *   (1) The port is always read, so that KILL gets through: what a program does
 *       not take of its input waits in the stdin queue, which the host bounds by
 *       RUNNER_WINDOW.
 *   (2) A program's pipes are read only while `out` has room for a whole chunk,
 *       so that a slow host stops the program instead of filling our memory.
 *   (3) EXIT is queued once, after the program has been reaped and its pipes
 *       were found empty (or at their end) afterwards.
 *
 * A command is idle -> running [START] -> reaped [SIGCHLD] -> idle [EXIT sent].
 * SIGCHLD is blocked except inside ppoll(); the loop also looks every second, so
 * that a kernel whose signals fail still gives results.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"
#include "protocol.h"

#define HEADER	sizeof(struct runner_header)

/* A byte queue: data[start..end). */
struct queue {
	unsigned char *data;
	size_t start, end, size;
};

struct server {
	int port;
	bool first;			/* we are process 1: orphans are ours to reap */
	bool waits_for_host;		/* at a hang-up: a port's host may come back, a socket's peer not */
	struct queue in, out, input;

	/* The command, if pid is not 0 or `reaped` is true. */
	pid_t pid;
	bool reaped;
	int status;			/* valid when reaped */
	int input_fd;			/* -1: closed */
	bool input_eof;			/* the host said so; close when the queue is empty */
	int output_fd[2];		/* stdout, stderr; -1: at its end */
};

static size_t queue_length(const struct queue *q)
{
	return q->end - q->start;
}

static void queue_drop(struct queue *q, size_t len)
{
	q->start += len;
	if (q->start == q->end)
		q->start = q->end = 0;
}

/* Space for @len more bytes at data + end.  Running out of memory ends the runner. */
static unsigned char *queue_reserve(struct queue *q, size_t len)
{
	if (q->start > 0 && q->end + len > q->size) {
		memmove(q->data, q->data + q->start, queue_length(q));
		q->end -= q->start;
		q->start = 0;
	}
	if (q->end + len > q->size) {
		size_t size = q->end + len;
		unsigned char *data = realloc(q->data, size);

		if (!data) {
			complain("out of memory");
			exit(1);
		}
		q->data = data;
		q->size = size;
	}
	return q->data + q->end;
}

static void queue_append(struct queue *q, const void *data, size_t len)
{
	memcpy(queue_reserve(q, len), data, len);
	q->end += len;
}

static void send_frame(struct server *s, uint32_t type, const void *data, size_t len)
{
	struct runner_header header = { .type = type, .length = (uint32_t)len };

	queue_append(&s->out, &header, sizeof(header));
	if (len)
		queue_append(&s->out, data, len);
}

static void send_number(struct server *s, uint32_t type, uint32_t number)
{
	send_frame(s, type, &number, sizeof(number));
}

static void flush_port(struct server *s)
{
	while (queue_length(&s->out)) {
		ssize_t n = write(s->port, s->out.data + s->out.start, queue_length(&s->out));

		if (n <= 0)
			return;		/* full, or nobody there: ppoll() tells when to go on */
		queue_drop(&s->out, (size_t)n);
	}
}

/* The host broke the protocol: say so, and stop. */
static void __attribute__((noreturn, format(printf, 2, 3)))
give_up(struct server *s, const char *format, ...)
{
	char text[256];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	complain("%s", text);
	send_frame(s, RUNNER_ERROR, text, len > 0 ? (size_t)len : 0);
	fcntl(s->port, F_SETFL, 0);
	flush_port(s);
	if (s->first) {
		system_power_off();
	}
	exit(1);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * In the child.  Failures are told on standard error in the words of a shell;
 * the exit status is a shell's too.
 */
static void __attribute__((noreturn)) command_exec(int fd[3], char **argv, char **env,
						   const char *dir)
{
	sigset_t none;

	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fd[i], i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* An image that is only an initramfs may have no home for root. */
	if (*dir ? chdir(dir) < 0 : chdir("/root") < 0 && chdir("/") < 0) {
		dprintf(STDERR_FILENO, "%s: %s\n", dir, strerror(errno));
		_exit(126);
	}
	clearenv();
	for (; *env; env++)
		putenv(*env);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0],
		errno == ENOENT && !strchr(argv[0], '/') ? "command not found" : strerror(errno));
	_exit(errno == ENOENT || errno == ENOTDIR ? 127 : 126);
}

/* Three pipes with both ends close-on-exec, the runner's ends non-blocking. */
static bool make_pipes(int child[3], int ours[3])
{
	for (int i = 0; i < 3; i++)
		child[i] = ours[i] = -1;
	for (int i = 0; i < 3; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return false;
		child[i] = ends[i == 0 ? 0 : 1];
		ours[i] = ends[i == 0 ? 1 : 0];
		fcntl(ours[i], F_SETFL, O_NONBLOCK);
	}
	return true;
}

static void command_start(struct server *s, const unsigned char *data, size_t len)
{
	struct runner_start start;
	const char *at = (const char *)data + sizeof(start);
	const char *end = (const char *)data + len;
	int child[3], ours[3];
	char **strings;
	size_t count;

	if (s->pid || s->reaped)
		give_up(s, "START while a command is running");
	if (len < sizeof(start))
		give_up(s, "START of %zu bytes", len);
	memcpy(&start, data, sizeof(start));
	count = (size_t)start.argc + start.envc + 1;
	if (!start.argc || count > len)
		give_up(s, "START with %u arguments and %u variables", start.argc, start.envc);

	/* argv, NULL, environment, NULL, directory */
	strings = calloc(count + 2, sizeof(*strings));
	if (!strings)
		give_up(s, "out of memory");
	for (size_t i = 0, slot = 0; i < count; i++) {
		const char *zero = memchr(at, 0, (size_t)(end - at));

		if (!zero)
			give_up(s, "START with fewer strings than it says");
		/* The NULL after argv, and the one after the environment, which may be empty. */
		slot += (i == start.argc) + (i == (size_t)start.argc + start.envc);
		strings[slot++] = (char *)at;
		at = zero + 1;
	}

	if (!make_pipes(child, ours) || (s->pid = fork()) < 0) {
		int error = errno;
		char text[128];
		int n = snprintf(text, sizeof(text), "concord-init: %s\n", strerror(error));

		for (int i = 0; i < 3; i++) {
			close_fd(&child[i]);
			close_fd(&ours[i]);
		}
		s->pid = 0;
		send_frame(s, RUNNER_STARTED, NULL, 0);
		send_frame(s, RUNNER_STDERR, text, (size_t)n);
		send_number(s, RUNNER_EXIT, 126);
		free(strings);
		return;
	}
	if (s->pid == 0)
		command_exec(child, strings, strings + start.argc + 1,
			     strings[count + 1]);
	free(strings);
	for (int i = 0; i < 3; i++)
		close_fd(&child[i]);
	s->input_fd = ours[0];
	s->output_fd[0] = ours[1];
	s->output_fd[1] = ours[2];
	s->input_eof = false;
	send_frame(s, RUNNER_STARTED, NULL, 0);
}

/* Nobody will read what is left in the queue: acknowledge it, so that the host goes on. */
static void input_close(struct server *s)
{
	uint32_t left = (uint32_t)queue_length(&s->input);

	close_fd(&s->input_fd);
	if (left) {
		queue_drop(&s->input, left);
		send_number(s, RUNNER_STDIN_ACK, left);
	}
}

static void input_push(struct server *s)
{
	size_t len = queue_length(&s->input);
	ssize_t n;

	if (len) {
		n = write(s->input_fd, s->input.data + s->input.start, len);
		if (n > 0) {
			queue_drop(&s->input, (size_t)n);
			send_number(s, RUNNER_STDIN_ACK, (uint32_t)n);
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			input_close(s);	/* EPIPE: the program has closed it */
		}
	}
	if (s->input_eof && !queue_length(&s->input))
		close_fd(&s->input_fd);
}

static void input_receive(struct server *s, const unsigned char *data, size_t len)
{
	if (queue_length(&s->input) + len > RUNNER_WINDOW)
		give_up(s, "more standard input than the window of %u bytes", RUNNER_WINDOW);
	queue_append(&s->input, data, len);
	if (s->input_fd < 0)
		input_close(s);
	else
		input_push(s);
}

/* Move one chunk from a pipe to the port's queue.  False when the pipe is empty or ended. */
static bool output_pull(struct server *s, int which)
{
	uint32_t type = which == 0 ? RUNNER_STDOUT : RUNNER_STDERR;
	unsigned char *room = queue_reserve(&s->out, HEADER + RUNNER_CHUNK);
	struct runner_header header = { .type = type };
	ssize_t n = read(s->output_fd[which], room + HEADER, RUNNER_CHUNK);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close_fd(&s->output_fd[which]);
		return false;
	}
	header.length = (uint32_t)n;
	memcpy(room, &header, HEADER);
	s->out.end += HEADER + (size_t)n;
	return true;
}

static bool output_has_room(const struct server *s)
{
	return queue_length(&s->out) < 4 * RUNNER_CHUNK;
}

static void reap(struct server *s)
{
	int status;
	pid_t pid;

	/* As process 1 every orphan is ours; otherwise only the command is. */
	while ((pid = waitpid(s->first ? -1 : s->pid, &status, WNOHANG)) > 0) {
		if (pid != s->pid)
			continue;
		s->pid = 0;
		s->reaped = true;
		s->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

/* Invariant (3): called with the command reaped. */
static void command_finish(struct server *s)
{
	for (int which = 0; which < 2; which++) {
		while (s->output_fd[which] >= 0) {
			if (!output_has_room(s))
				return;		/* called again when the port has taken some */
			if (!output_pull(s, which))
				close_fd(&s->output_fd[which]);
		}
	}
	input_close(s);
	s->reaped = false;
	send_number(s, RUNNER_EXIT, (uint32_t)s->status);
}

static void kill_command(struct server *s, const unsigned char *data, size_t len)
{
	uint32_t number;

	if (len != sizeof(number))
		give_up(s, "KILL of %zu bytes", len);
	memcpy(&number, data, sizeof(number));
	if (s->pid)
		kill(-s->pid, (int)number);
}

static void sweep(struct server *s)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };

	/* Two rounds of nothing left to reap: a process killed while it forks leaves one more. */
	if (s->first) {
		for (int quiet = 0, round = 0; quiet < 2 && round < 500; round++) {
			quiet = kill(-1, SIGKILL) < 0 && errno == ESRCH ? quiet + 1 : 0;
			reap(s);
			nanosleep(&pause, NULL);
		}
	}
	send_frame(s, RUNNER_SWEPT, NULL, 0);
}

static void handle_frame(struct server *s, uint32_t type, const unsigned char *data, size_t len)
{
	switch (type) {
	case RUNNER_START:
		command_start(s, data, len);
		return;
	case RUNNER_STDIN:
		input_receive(s, data, len);
		return;
	case RUNNER_STDIN_EOF:
		s->input_eof = true;
		if (s->input_fd >= 0)
			input_push(s);
		return;
	case RUNNER_KILL:
		kill_command(s, data, len);
		return;
	case RUNNER_SWEEP:
		sweep(s);
		return;
	case RUNNER_POWEROFF:
		system_power_off();
		give_up(s, "power off failed: %s", strerror(errno));
	default:
		give_up(s, "frame of unknown type %u", type);
	}
}

/* Read what the port has and act on each whole frame.  False: the host has hung up. */
static bool receive_frames(struct server *s)
{
	ssize_t n = read(s->port, queue_reserve(&s->in, 65536), 65536);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	s->in.end += (size_t)n;

	while (queue_length(&s->in) >= HEADER) {
		struct runner_header header;

		memcpy(&header, s->in.data + s->in.start, HEADER);
		if (header.length > RUNNER_MAX)
			give_up(s, "frame of %u bytes", header.length);
		if (queue_length(&s->in) < HEADER + header.length)
			break;
		handle_frame(s, header.type, s->in.data + s->in.start + HEADER, header.length);
		queue_drop(&s->in, HEADER + header.length);
	}
	return true;
}

static void on_child(int signal)
{
	(void)signal;		/* only there to interrupt ppoll() */
}

static void signals_init(sigset_t *while_waiting)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP };
	sigset_t child;

	sigaction(SIGCHLD, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, while_waiting);
	sigdelset(while_waiting, SIGCHLD);
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void runner_serve(int port)
{
	struct server s = {
		.port = port,
		.first = getpid() == 1,
		.waits_for_host = !is_socket(port),
		.input_fd = -1,
		.output_fd = { -1, -1 },
	};
	const struct timespec second = { .tv_sec = 1 }, pause = { .tv_nsec = 50 * 1000 * 1000 };
	sigset_t while_waiting;

	fcntl(port, F_SETFL, O_NONBLOCK);
	fcntl(port, F_SETFD, FD_CLOEXEC);
	signals_init(&while_waiting);
	send_number(&s, RUNNER_HELLO, RUNNER_VERSION);
	for (;;) {
		struct pollfd fds[4] = {
			{ .fd = s.port, .events = POLLIN },
			{ .fd = queue_length(&s.input) ? s.input_fd : -1, .events = POLLOUT },
			{ .fd = output_has_room(&s) ? s.output_fd[0] : -1, .events = POLLIN },
			{ .fd = output_has_room(&s) ? s.output_fd[1] : -1, .events = POLLIN },
		};

		if (queue_length(&s.out))
			fds[0].events |= POLLOUT;
		if (ppoll(fds, 4, &second, &while_waiting) < 0) {
			/* revents were not written */
			if (errno != EINTR)
				give_up(&s, "ppoll: %s", strerror(errno));
			for (int i = 0; i < 4; i++)
				fds[i].revents = 0;
		}

		for (int which = 0; which < 2; which++)
			if (fds[2 + which].fd >= 0 && fds[2 + which].revents)
				output_pull(&s, which);
		if (fds[1].fd >= 0 && fds[1].revents)
			input_push(&s);
		if (fds[0].revents & POLLIN) {
			if (!receive_frames(&s)) {
				if (!s.waits_for_host)
					return;
				nanosleep(&pause, NULL);
			}
		} else if (fds[0].revents & POLLHUP) {
			nanosleep(&pause, NULL);	/* nobody at the other end yet, or any more */
		}
		reap(&s);
		if (s.reaped)
			command_finish(&s);
		flush_port(&s);
	}
}
