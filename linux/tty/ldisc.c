/* SPDX-License-Identifier: MIT */
/*
 * The terminal line discipline: what termios(3) describes.
 *
 * Input goes byte by byte through receive_char(): flow control, signals, mapping
 * of CR and NL, line editing, echo, and into a ring of TTY_READ_SIZE bytes.
 *
 *	tail ....... canon_head ....... head
 *	  whole lines   |  line being edited		(ICANON)
 *
 * In canonical mode only what lies before canon_head can be read, and bits in
 * line_end mark the bytes that end a line.  An end of file is such a byte with the
 * value EOF_MARK, which is not copied to the reader.  Otherwise everything up to
 * head can be read.
 *
 * A canonical line that fills the ring keeps its last place for the character that
 * ends it: further ones overwrite each other there.
 *
 * Echo and output share the column (tabs, erasing of tabs).  Echo that the driver
 * has no room for is kept processed in echo[], and precedes later output.
 */

#include <asm/signal.h>

#include "tty_priv.h"

#define EOF_MARK	0u		/* POSIX_VDISABLE: cannot be typed as a line end */
#define RING(pos)	((pos) & (TTY_READ_SIZE - 1))

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c >= 0x80;
}

/* A byte of a UTF-8 character that is not its first. */
static bool is_continuation(const struct lx_tty *tty, uint8_t c)
{
	return TTY_FLAG(tty, c_iflag, IUTF8) && (c & 0xc0) == 0x80;
}

static bool is_cc(const struct lx_tty *tty, uint8_t c, int index)
{
	return tty->termios.c_cc[index] == c && c != 0 /* _POSIX_VDISABLE */;
}

/* Line by line?  (EXTPROC: the other end of the connection edits.) */
static bool canonical(const struct lx_tty *tty)
{
	return TTY_FLAG(tty, c_lflag, ICANON) && !TTY_FLAG(tty, c_lflag, EXTPROC);
}

/* -- output --------------------------------------------------------------------- */

size_t ldisc_write_room(struct lx_tty *tty)
{
	if (tty->stopped || tty->echo_len)
		return 0;
	return tty->ops->write_room(tty);
}

/*
 * What byte @c becomes, at most 8 bytes, and where it leaves the cursor.  Returns
 * the number of bytes in @out.
 */
static size_t process_char(struct lx_tty *tty, uint8_t c, uint8_t out[8])
{
	tcflag_t oflag = tty->termios.c_oflag;
	unsigned int n;

	if (!(oflag & OPOST)) {
		out[0] = c;
		return 1;
	}
	switch (c) {
	case '\n':
		if (oflag & ONLRET)
			tty->column = 0;
		if (oflag & ONLCR) {
			tty->column = tty->canon_column = 0;
			out[0] = '\r';
			out[1] = '\n';
			return 2;
		}
		tty->canon_column = tty->column;
		break;
	case '\r':
		if (oflag & ONOCR && tty->column == 0)
			return 0;
		if (oflag & OCRNL) {
			c = '\n';
			if (oflag & ONLRET)
				tty->column = tty->canon_column = 0;
			break;
		}
		tty->column = tty->canon_column = 0;
		break;
	case '\t':
		n = 8 - (tty->column & 7);
		tty->column += n;
		if ((oflag & TABDLY) == XTABS) {
			memset(out, ' ', n);
			return n;
		}
		break;
	case '\b':
		if (tty->column)
			tty->column--;
		break;
	default:
		if (is_control(c))
			break;
		if (oflag & OLCUC && c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		if (!is_continuation(tty, c))
			tty->column++;
	}
	out[0] = c;
	return 1;
}

size_t ldisc_write(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	uint8_t out[TTY_CHUNK];
	size_t taken = 0;

	if (!ldisc_flush_echo(tty))
		return 0;
	if (!TTY_FLAG(tty, c_oflag, OPOST))
		return tty->ops->write(tty, buf, MIN(n, ldisc_write_room(tty)));
	while (taken < n) {
		size_t room = MIN(ldisc_write_room(tty), sizeof(out)), used = 0;

		/* Whole characters: what one byte becomes is not divided. */
		while (taken < n && used + 8 <= room)
			used += process_char(tty, buf[taken++], out + used);
		if (!used) {
			/* Little room: go on while the single byte fits. */
			uint32_t column = tty->column, canon = tty->canon_column;
			uint8_t one[8];
			size_t len;

			if (taken == n || !room)
				break;
			len = process_char(tty, buf[taken], one);
			if (len > room) {
				tty->column = column;
				tty->canon_column = canon;
				break;
			}
			taken++;
			memcpy(out, one, len);
			used = len;
		}
		if (used)
			tty->ops->write(tty, out, used);
	}
	return taken;
}

bool ldisc_flush_echo(struct lx_tty *tty)
{
	size_t n;

	if (!tty->echo_len)
		return true;
	if (tty->stopped)
		return false;
	n = tty->ops->write(tty, tty->echo, MIN((size_t)tty->echo_len, tty->ops->write_room(tty)));
	tty->echo_len -= (uint32_t)n;
	memmove(tty->echo, tty->echo + n, tty->echo_len);
	return !tty->echo_len;
}

/* Echo is never waited for: into the driver, or echo[], or lost when that is full too. */
static void echo_bytes(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	if (ldisc_write_room(tty) >= n) {
		tty->ops->write(tty, buf, n);
		return;
	}
	n = MIN(n, (size_t)(TTY_ECHO_SIZE - tty->echo_len));
	memcpy(tty->echo + tty->echo_len, buf, n);
	tty->echo_len += (uint32_t)n;
}

/* As output would show it. */
static void echo_raw(struct lx_tty *tty, uint8_t c)
{
	uint8_t out[8];

	echo_bytes(tty, out, process_char(tty, c, out));
}

static void echo_string(struct lx_tty *tty, const char *s)
{
	for (; *s; s++)
		echo_raw(tty, (uint8_t)*s);
}

/* With ECHOCTL control characters, but for a tab, are shown as ^X. */
static void echo_char(struct lx_tty *tty, uint8_t c)
{
	if (TTY_FLAG(tty, c_lflag, ECHOCTL) && is_control(c) && c != '\t') {
		uint8_t out[2] = { '^', c ^ 0100 };

		tty->column += 2;
		echo_bytes(tty, out, 2);
	} else {
		echo_raw(tty, c);
	}
}

static void finish_erasing(struct lx_tty *tty)
{
	if (tty->erasing) {
		echo_raw(tty, '/');
		tty->erasing = false;
	}
}

/* -- flow control ----------------------------------------------------------------- */

void ldisc_stop(struct lx_tty *tty)
{
	if (tty->stopped)
		return;
	tty->stopped = true;
	if (tty->packet) {
		tty->packet_status &= (uint8_t)~TIOCPKT_START;
		tty->packet_status |= TIOCPKT_STOP;
	}
}

void ldisc_start(struct lx_tty *tty)
{
	if (!tty->stopped || tty->tco_stopped)
		return;
	tty->stopped = false;
	if (tty->packet) {
		tty->packet_status &= (uint8_t)~TIOCPKT_STOP;
		tty->packet_status |= TIOCPKT_START;
	}
	ldisc_flush_echo(tty);
}

/* -- line editing ------------------------------------------------------------------- */

static uint8_t input_at(const struct lx_tty *tty, uint32_t pos)
{
	return tty->buf[RING(pos)];
}

/* How many columns back a tab went: from what precedes it, back to a tab or the line's start. */
static unsigned int tab_width(const struct lx_tty *tty)
{
	unsigned int columns = 0;
	uint32_t pos = tty->head;
	bool after_tab = false;

	while (pos != tty->canon_head) {
		uint8_t c = input_at(tty, --pos);

		if (c == '\t') {
			after_tab = true;
			break;
		}
		if (is_control(c)) {
			if (TTY_FLAG(tty, c_lflag, ECHOCTL))
				columns += 2;
		} else if (!is_continuation(tty, c)) {
			columns++;
		}
	}
	if (!after_tab)
		columns += tty->canon_column;
	return 8 - (columns & 7);
}

/* Make the @bytes bytes from @c on, which were just taken off the line, disappear from the screen. */
static void echo_erase(struct lx_tty *tty, uint8_t c, uint32_t bytes, bool erase_key)
{
	if (TTY_FLAG(tty, c_lflag, ECHOPRT)) {
		if (!tty->erasing) {
			echo_raw(tty, '\\');
			tty->erasing = true;
		}
		echo_char(tty, c);
		for (uint32_t i = 1; i < bytes; i++)
			echo_raw(tty, input_at(tty, tty->head + i));
	} else if (erase_key && !TTY_FLAG(tty, c_lflag, ECHOE)) {
		echo_char(tty, tty->termios.c_cc[VERASE]);
	} else if (c == '\t') {
		for (unsigned int n = tab_width(tty); n; n--)
			echo_raw(tty, '\b');
	} else {
		bool control = is_control(c), shown = TTY_FLAG(tty, c_lflag, ECHOCTL);

		if (control && shown)
			echo_string(tty, "\b \b");
		if (!control || shown)
			echo_string(tty, "\b \b");
	}
}

/* VERASE, VWERASE or VKILL was typed. */
static void erase(struct lx_tty *tty, uint8_t key)
{
	bool word = !is_cc(tty, key, VERASE) && !is_cc(tty, key, VKILL);
	bool kill = is_cc(tty, key, VKILL) && !is_cc(tty, key, VERASE);
	bool seen = false;

	if (tty->head == tty->canon_head)
		return;
	if (kill && (!TTY_FLAG(tty, c_lflag, ECHO) || !TTY_FLAG(tty, c_lflag, ECHOK) ||
		     !TTY_FLAG(tty, c_lflag, ECHOKE) || !TTY_FLAG(tty, c_lflag, ECHOE))) {
		tty->head = tty->canon_head;
		if (!TTY_FLAG(tty, c_lflag, ECHO))
			return;
		finish_erasing(tty);
		echo_char(tty, tty->termios.c_cc[VKILL]);
		if (TTY_FLAG(tty, c_lflag, ECHOK))
			echo_raw(tty, '\n');
		return;
	}
	while (tty->head != tty->canon_head) {
		uint32_t pos = tty->head;
		uint8_t c;

		/* Back to the first byte of a character. */
		do {
			c = input_at(tty, --pos);
		} while (is_continuation(tty, c) && pos != tty->canon_head);
		if (is_continuation(tty, c))
			break;
		if (word) {
			if (is_word(c))
				seen = true;
			else if (seen)
				break;
		}
		if (TTY_FLAG(tty, c_lflag, ECHO)) {
			uint32_t bytes = tty->head - pos;

			tty->head = pos;
			echo_erase(tty, c, bytes, !word && !kill);
		}
		tty->head = pos;
		if (!word && !kill)
			break;
	}
	if (tty->head == tty->canon_head && TTY_FLAG(tty, c_lflag, ECHO))
		finish_erasing(tty);
}

/* -- input ------------------------------------------------------------------------- */

size_t ldisc_input_room(const struct lx_tty *tty)
{
	uint32_t used = tty->head - tty->tail;

	/* PARMRK may make three bytes of one. */
	if (TTY_FLAG(tty, c_iflag, PARMRK))
		return (TTY_READ_SIZE - used) / 3;
	return TTY_READ_SIZE - used;
}

static void put_byte(struct lx_tty *tty, uint8_t c)
{
	bitmap_clear(tty->line_end, RING(tty->head));
	tty->buf[RING(tty->head)] = c;
	tty->head++;
}

static void put_char(struct lx_tty *tty, uint8_t c)
{
	if (c == 0xff && TTY_FLAG(tty, c_iflag, PARMRK))
		put_byte(tty, c);
	put_byte(tty, c);
}

/* The line up to here, ended by @c, can be read. */
static void put_line_end(struct lx_tty *tty, uint8_t c)
{
	put_byte(tty, c);
	bitmap_set(tty->line_end, RING(tty->head - 1));
	tty->canon_head = tty->head;
}

static void put_and_echo(struct lx_tty *tty, uint8_t c)
{
	if (TTY_FLAG(tty, c_lflag, ECHO)) {
		finish_erasing(tty);
		if (c == '\n') {
			echo_raw(tty, '\n');
		} else {
			if (tty->canon_head == tty->head)
				tty->canon_column = tty->column;
			echo_char(tty, c);
		}
	}
	put_char(tty, c);
}

static int signal_of(const struct lx_tty *tty, uint8_t c)
{
	if (is_cc(tty, c, VINTR))
		return SIGINT;
	if (is_cc(tty, c, VQUIT))
		return SIGQUIT;
	if (is_cc(tty, c, VSUSP))
		return SIGTSTP;
	return 0;
}

static void make_signal(struct lx_tty *tty, int signo, struct tty_signal *sig)
{
	sig->pgrp = tty->pgrp;
	sig->signo = signo;
	if (TTY_FLAG(tty, c_lflag, NOFLSH))
		return;
	ldisc_flush_input(tty);
	tty->echo_len = 0;
	if (tty->ops->flush_output)
		tty->ops->flush_output(tty);
	if (tty->packet)
		tty->packet_status |= TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE;
}

/* Characters that control the flow; true: taken. */
static bool receive_flow(struct lx_tty *tty, uint8_t c)
{
	if (!TTY_FLAG(tty, c_iflag, IXON))
		return false;
	if (is_cc(tty, c, VSTART)) {
		ldisc_start(tty);
		return true;
	}
	if (is_cc(tty, c, VSTOP)) {
		ldisc_stop(tty);
		return true;
	}
	return false;
}

/* Canonical mode: editing and line ends; true: taken. */
static bool receive_canonical(struct lx_tty *tty, uint8_t c)
{
	bool extended = TTY_FLAG(tty, c_lflag, IEXTEN);

	if (is_cc(tty, c, VERASE) || is_cc(tty, c, VKILL) || (extended && is_cc(tty, c, VWERASE))) {
		erase(tty, c);
		return true;
	}
	if (extended && is_cc(tty, c, VLNEXT)) {
		tty->lnext = true;
		if (TTY_FLAG(tty, c_lflag, ECHO)) {
			finish_erasing(tty);
			if (TTY_FLAG(tty, c_lflag, ECHOCTL)) {
				uint8_t out[2] = { '^', '\b' };

				echo_bytes(tty, out, 2);
			}
		}
		return true;
	}
	if (extended && TTY_FLAG(tty, c_lflag, ECHO) && is_cc(tty, c, VREPRINT)) {
		finish_erasing(tty);
		echo_char(tty, c);
		echo_raw(tty, '\n');
		for (uint32_t pos = tty->canon_head; pos != tty->head; pos++)
			echo_char(tty, input_at(tty, pos));
		return true;
	}
	if (c == '\n') {
		if (TTY_FLAG(tty, c_lflag, ECHO | ECHONL))
			echo_raw(tty, '\n');
		put_line_end(tty, c);
		return true;
	}
	if (is_cc(tty, c, VEOF)) {
		put_line_end(tty, EOF_MARK);
		return true;
	}
	if (is_cc(tty, c, VEOL) || (extended && is_cc(tty, c, VEOL2))) {
		if (TTY_FLAG(tty, c_lflag, ECHO)) {
			if (tty->canon_head == tty->head)
				tty->canon_column = tty->column;
			echo_char(tty, c);
		}
		if (c == 0xff && TTY_FLAG(tty, c_iflag, PARMRK))
			put_byte(tty, c);
		put_line_end(tty, c);
		return true;
	}
	return false;
}

static void receive_char(struct lx_tty *tty, uint8_t c, struct tty_signal *sig)
{
	tcflag_t iflag = tty->termios.c_iflag, lflag = tty->termios.c_lflag;
	int signo;

	if (iflag & ISTRIP)
		c &= 0x7f;
	if (tty->lnext) {
		tty->lnext = false;
		put_and_echo(tty, c);
		return;
	}
	if (iflag & IUCLC && lflag & IEXTEN && c >= 'A' && c <= 'Z')
		c = (uint8_t)(c - 'A' + 'a');
	if (lflag & EXTPROC) {
		put_char(tty, c);
		return;
	}
	signo = lflag & ISIG ? signal_of(tty, c) : 0;
	if (tty->stopped && !tty->tco_stopped && iflag & IXON && iflag & IXANY && !signo &&
	    !is_cc(tty, c, VSTART) && !is_cc(tty, c, VSTOP))
		ldisc_start(tty);
	if (receive_flow(tty, c))
		return;
	if (signo) {
		make_signal(tty, signo, sig);
		if (iflag & IXON)
			ldisc_start(tty);
		if (lflag & ECHO)
			echo_char(tty, c);
		return;
	}
	if (c == '\r') {
		if (iflag & IGNCR)
			return;
		if (iflag & ICRNL)
			c = '\n';
	} else if (c == '\n' && iflag & INLCR) {
		c = '\r';
	}
	if (lflag & ICANON && receive_canonical(tty, c))
		return;
	put_and_echo(tty, c);
}

size_t ldisc_receive(struct lx_tty *tty, const uint8_t *buf, size_t n, struct tty_signal *sig)
{
	size_t i;

	sig->signo = 0;
	for (i = 0; i < n && !sig->signo; i++) {
		if (!ldisc_input_room(tty)) {
			/* Only a line that never ends may lose characters. */
			if (!canonical(tty) || tty->canon_head != tty->tail)
				break;
			tty->head--;
		}
		receive_char(tty, buf[i], sig);
	}
	/* Only tty_unthrottle() clears it, and tells the driver. */
	if (i < n && !sig->signo)
		tty->throttled = true;
	return i;
}

void ldisc_break(struct lx_tty *tty, struct tty_signal *sig)
{
	sig->signo = 0;
	if (TTY_FLAG(tty, c_iflag, IGNBRK))
		return;
	if (TTY_FLAG(tty, c_iflag, BRKINT)) {
		make_signal(tty, SIGINT, sig);
		return;
	}
	if (ldisc_input_room(tty) < 1)
		return;
	if (TTY_FLAG(tty, c_iflag, PARMRK)) {
		put_byte(tty, 0xff);
		put_byte(tty, 0);
	}
	put_byte(tty, 0);
}

/* -- reading ------------------------------------------------------------------------ */

bool ldisc_readable(const struct lx_tty *tty, bool poll)
{
	uint32_t wanted = 1;

	if (canonical(tty))
		return tty->canon_head != tty->tail;
	if (poll && !tty->termios.c_cc[VTIME] && tty->termios.c_cc[VMIN])
		wanted = tty->termios.c_cc[VMIN];
	return tty->head - tty->tail >= wanted;
}

size_t ldisc_read(struct lx_tty *tty, uint8_t *buf, size_t n, bool *line)
{
	uint32_t end = canonical(tty) ? tty->canon_head : tty->head;
	size_t done = 0;

	*line = false;
	while (tty->tail != end && !*line) {
		uint32_t at = RING(tty->tail);
		bool ends = canonical(tty) && bitmap_test(tty->line_end, at);

		/* An end of file mark takes no room in the reader's buffer. */
		if (ends && tty->buf[at] == EOF_MARK) {
			*line = true;
		} else if (done < n) {
			buf[done++] = tty->buf[at];
			*line = ends;
		} else {
			break;
		}
		bitmap_clear(tty->line_end, at);
		tty->tail++;
	}
	/* Without lines there is none being edited either. */
	if (!canonical(tty))
		tty->canon_head = tty->tail;
	return done;
}

size_t ldisc_inq(const struct lx_tty *tty)
{
	uint32_t end = canonical(tty) ? tty->canon_head : tty->head;
	size_t n = end - tty->tail;

	if (canonical(tty))
		for (uint32_t pos = tty->tail; pos != end; pos++)
			if (bitmap_test(tty->line_end, RING(pos)) && input_at(tty, pos) == EOF_MARK)
				n--;
	return n;
}

void ldisc_flush_input(struct lx_tty *tty)
{
	tty->tail = tty->canon_head = tty->head;
	tty->lnext = tty->erasing = false;
	memset(tty->line_end, 0, sizeof(tty->line_end));
}

/* -- settings ------------------------------------------------------------------------- */

static const cc_t default_cc[NCCS] = {
	[VINTR] = 'C' - '@', [VQUIT] = 0x1c, [VERASE] = 0x7f, [VKILL] = 'U' - '@',
	[VEOF] = 'D' - '@', [VTIME] = 0, [VMIN] = 1, [VSWTC] = 0, [VSTART] = 'Q' - '@',
	[VSTOP] = 'S' - '@', [VSUSP] = 'Z' - '@', [VEOL] = 0, [VREPRINT] = 'R' - '@',
	[VDISCARD] = 'O' - '@', [VWERASE] = 'W' - '@', [VLNEXT] = 'V' - '@', [VEOL2] = 0,
};

void ldisc_init(struct lx_tty *tty)
{
	tty->termios = (struct ktermios){
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B38400 | CS8 | CREAD | HUPCL,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_ispeed = 38400, .c_ospeed = 38400,
	};
	memcpy(tty->termios.c_cc, default_cc, sizeof(default_cc));
	tty->head = tty->canon_head = tty->tail = 0;
	tty->column = tty->canon_column = tty->echo_len = 0;
	ldisc_flush_input(tty);
}

void ldisc_set_termios(struct lx_tty *tty, const struct ktermios *old)
{
	if ((old->c_lflag ^ tty->termios.c_lflag) & (ICANON | EXTPROC)) {
		memset(tty->line_end, 0, sizeof(tty->line_end));
		tty->canon_head = tty->tail;
		/* What was typed in raw mode becomes a line of its own. */
		if (canonical(tty) && tty->head != tty->tail) {
			bitmap_set(tty->line_end, RING(tty->head - 1));
			tty->canon_head = tty->head;
		}
		tty->erasing = tty->lnext = false;
	}
	/* Without IXON nobody could type START any more. */
	if (old->c_iflag & IXON && !TTY_FLAG(tty, c_iflag, IXON))
		ldisc_start(tty);
}
