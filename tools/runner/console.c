/* SPDX-License-Identifier: MIT */
/*
 * The interactive shell on the console.
 *
 * /dev/console cannot be a controlling terminal, and without one there is no job
 * control: so the shell gets the terminal that the last `console=` word names.
 * A serial line does not know the size of the window at its other end; the host
 * says it on the command line (`concord.tty=ROWSxCOLUMNS`, `concord.term=NAME`).
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

#define CONTROL(letter) ((letter) & 0x1f)

static int terminal_open(void)
{
	const char *name = cmdline_value("console");
	char path[64] = "/dev/console";
	int fd;

	if (name && *name && !strchr(name, '/'))
		snprintf(path, sizeof(path), "/dev/%.*s", (int)strcspn(name, ","), name);
	fd = open(path, O_RDWR | O_NOCTTY);
	if (fd < 0) {
		complain("cannot open %s: %m", path);
		fd = open("/dev/console", O_RDWR | O_NOCTTY);
	}
	return fd;
}

/* What a getty would set: cooked, echoing, eight bits, the usual control characters. */
static void terminal_sane(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return;
	t.c_iflag = BRKINT | ICRNL | IXON | IUTF8;
	t.c_oflag = OPOST | ONLCR;
	t.c_cflag = (t.c_cflag & CBAUD) | CS8 | CREAD | HUPCL | CLOCAL;
	t.c_lflag = ICANON | ISIG | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE;
	t.c_cc[VINTR] = CONTROL('C');
	t.c_cc[VQUIT] = CONTROL('\\');
	t.c_cc[VERASE] = 0x7f;
	t.c_cc[VKILL] = CONTROL('U');
	t.c_cc[VEOF] = CONTROL('D');
	t.c_cc[VSTART] = CONTROL('Q');
	t.c_cc[VSTOP] = CONTROL('S');
	t.c_cc[VSUSP] = CONTROL('Z');
	t.c_cc[VREPRINT] = CONTROL('R');
	t.c_cc[VWERASE] = CONTROL('W');
	t.c_cc[VLNEXT] = CONTROL('V');
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(fd, TCSANOW, &t);
}

static void terminal_resize(int fd)
{
	const char *size = cmdline_value("concord.tty");
	struct winsize ws = { 0 };

	if (!size || sscanf(size, "%hux%hu", &ws.ws_row, &ws.ws_col) != 2)
		return;
	if (ioctl(fd, TIOCSWINSZ, &ws) < 0)
		complain("cannot set the size of the terminal: %m");
}

static void shell_exec(int fd)
{
	const char *term = cmdline_value("concord.term");

	setsid();
	if (ioctl(fd, TIOCSCTTY, 1) < 0)
		complain("no job control: %m");
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);

	clearenv();
	setenv("TERM", term && *term ? term : "vt100", 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("LOGNAME", "root", 1);
	setenv("SHELL", "/bin/sh", 1);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LANG", "C.UTF-8", 1);
	if (chdir("/root") < 0 && chdir("/") < 0)
		complain("cannot change to /: %m");

	if (access("/bin/bash", X_OK) == 0) {
		setenv("SHELL", "/bin/bash", 1);
		execl("/bin/bash", "-bash", (char *)NULL);
	}
	execl("/bin/sh", "-sh", (char *)NULL);
	complain("cannot start /bin/sh: %m");
	_exit(127);
}

void console_shell(void)
{
	int fd = terminal_open();
	pid_t shell, pid;

	if (fd < 0) {
		complain("no terminal for a shell");
		return;
	}
	terminal_sane(fd);
	terminal_resize(fd);
	if (cmdline_value("concord.overlay"))
		dprintf(fd, "\nThis is a root shell. Changes to files last until power-off; "
			"`exit` powers off.\n\n");
	shell = fork();
	if (shell == 0)
		shell_exec(fd);
	close(fd);
	if (shell < 0) {
		complain("cannot fork: %m");
		return;
	}
	/* Process 1 inherits every orphan: wait for all, stop at the shell. */
	do {
		pid = waitpid(-1, NULL, 0);
	} while (pid != shell && !(pid < 0 && errno != EINTR));
}
