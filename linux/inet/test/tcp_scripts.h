/* SPDX-License-Identifier: MIT */
/*
 * Scripts of segments and socket calls.  A line is one step:
 *
 *	in FLAGS [FIELD=N...]	a segment of the peer arrives
 *	out FLAGS [FIELD=N...]	the next segment that we have sent; fields that are not named may be anything
 *	none			nothing more was sent
 *	+N			N ms go by, timers included
 *	connect, listen, write N, read N, close, shut, abort, urgent (the last byte written), set NAME=N
 *	state NAME, error NAME, readable N
 *
 * FLAGS are letters of S F R P A U E W (PSH is not compared).  Fields: seq, ack (relative to the initial
 * numbers of who sends, and of the other), len, win, urg, mss, ws, sackok, ts, ecr (time stamps of the
 * peer are as they are; ours count from the first one), sack=FROM-TO (up to three; of the other's numbers).
 */
#pragma once

struct tcp_script {
	const char *name;
	const char *lines;
};

/* Begins of scripts: established, nothing in flight, a peer with a window of 32,000 and SACK. */
#define ACTIVE                                                                                     \
	"connect\n out S seq=0 len=0 mss=1460 sackok=1\n +20\n"                                   \
	"in SA seq=0 ack=1 win=32000 mss=1460 sackok=1\n out A seq=1 ack=1 len=0\n state ESTABLISHED\n"
#define PASSIVE                                                                                    \
	"listen\n in S seq=0 win=32000 mss=1460 sackok=1\n out SA seq=0 ack=1 mss=1460 sackok=1\n"  \
	"+20\n in A seq=1 ack=1 win=32000\n none\n state ESTABLISHED\n"
#define PASSIVE_STAMPS                                                                             \
	"listen\n in S seq=0 win=32000 mss=1460 sackok=1 ts=1000\n"                                \
	"out SA seq=0 ack=1 mss=1460 sackok=1 ecr=1000\n"                                          \
	"in A seq=1 ack=1 win=32000 ts=1001 ecr=0\n none\n state ESTABLISHED\n"

static const struct tcp_script tcp_scripts[] = {
	/* -- opening */
	{ "open_and_close", ACTIVE "close\n out FA seq=1 ack=1\n state FIN_WAIT1\n"
	  "in A seq=1 ack=2 win=32000\n none\n in FA seq=1 ack=2 win=32000\n out A seq=2 ack=2\n none\n" },
	{ "refused", "connect\n out S seq=0\n in RA seq=0 ack=1\n none\n state CLOSE\n error ECONNREFUSED\n" },
	{ "syn_is_sent_again", "connect\n out S seq=0\n none\n +1000\n out S seq=0\n +1999\n none\n +2\n out S seq=0\n"
	  "+4000\n out S\n +8000\n out S\n +16000\n out S\n +32000\n out S\n +63000\n none\n state SYN_SENT\n"
	  "+2000\n none\n state CLOSE\n error ETIMEDOUT\n" },
	{ "a_wrong_ack_of_a_syn_is_reset", "connect\n out S seq=0\n in A seq=0 ack=5 win=1000\n out R seq=5\n"
	  "state SYN_SENT\n +10\n out S seq=0\n in SA seq=0 ack=1 win=1000\n out A seq=1 ack=1\n state ESTABLISHED\n" },
	{ "a_reset_without_ack_is_none", "connect\n out S\n in R seq=0\n none\n state SYN_SENT\n" },
	{ "both_open", "connect\n out S seq=0\n in S seq=0 win=1000 mss=1460\n out SA seq=0 ack=1\n state SYN_RECV\n"
	  "in SA seq=0 ack=1 win=1000 mss=1460\n out A\n in A seq=1 ack=1 win=1000\n state ESTABLISHED\n" },
	{ "passive_open", PASSIVE "write 100\n out PA seq=1 ack=1 len=100\n in A seq=1 ack=101 win=32000\n none\n" },
	{ "syn_ack_is_sent_again", "listen\n in S seq=0 win=1000 mss=1460\n out SA seq=0 ack=1\n +1000\n"
	  "out SA seq=0 ack=1\n +2000\n out SA\n in A seq=1 ack=1 win=1000\n none\n state ESTABLISHED\n" },
	{ "a_wrong_ack_of_a_syn_ack_is_reset", "listen\n in S seq=0 win=1000\n out SA\n in A seq=1 ack=77 win=1000\n"
	  "out R seq=77\n in A seq=1 ack=1 win=1000\n none\n state ESTABLISHED\n" },
	{ "half_open_is_reset", "listen\n in S seq=0 win=1000\n out SA\n in R seq=1\n none\n in A seq=1 ack=1 win=1000\n"
	  "out R seq=1\n state CLOSE\n" },

	/* -- data */
	{ "data_both_ways", ACTIVE "write 1000\n out PA seq=1 ack=1 len=1000\n in PA seq=1 ack=1001 win=32000 len=500\n"
	  "out A seq=1001 ack=501\n readable 500\n read 500\n none\n" },
	{ "segments_are_full", ACTIVE "write 4000\n out A seq=1 len=1460\n out A seq=1461 len=1460\n"
	  "out PA seq=2921 len=1080\n none\n" },
	{ "nagle_holds_the_second_small_one", ACTIVE "write 100\n out PA seq=1 len=100\n write 100\n none\n"
	  "in A seq=1 ack=101 win=32000\n out PA seq=101 len=100\n" },
	{ "nodelay_does_not", ACTIVE "set nodelay=1\n write 100\n out PA seq=1 len=100\n write 100\n out PA seq=101 len=100\n" },
	{ "a_full_one_does_not_hold_up_a_small_one", ACTIVE "write 1460\n out PA seq=1 len=1460\n write 100\n"
	  "out PA seq=1461 len=100\n write 100\n none\n" },
	{ "cork_holds_for_a_while", ACTIVE "set cork=1\n write 100\n none\n +210\n none\n +20\n out PA seq=1 len=100\n" },
	{ "the_window_of_the_peer_is_kept", ACTIVE "write 1000\n out PA len=1000\n in A seq=1 ack=1001 win=2000\n"
	  "write 5000\n out A seq=1001 len=1460\n out A seq=2461 len=540\n none\n in A seq=1 ack=3001 win=2920\n"
	  "out A seq=3001 len=1460\n out A seq=4461 len=1460\n none\n" },
	{ "the_initial_window_is_ten", ACTIVE "write 30000\n out A seq=1 len=1460\n out A\n out A\n out A\n out A\n out A\n out A\n"
	  "out A\n out A\n out A seq=13141 len=1460\n none\n" },

	/* -- ACKs */
	{ "the_first_acks_are_quick", PASSIVE "in PA seq=1 ack=1 win=32000 len=100\n out A seq=1 ack=101\n"
	  "in PA seq=101 ack=1 win=32000 len=100\n out A ack=201\n" },
	{ "acks_wait_for_answers", PASSIVE "in PA seq=1 ack=1 win=32000 len=100\n out A ack=101\n write 50\n out PA seq=1 len=50\n"
	  "in PA seq=101 ack=51 win=32000 len=100\n none\n +15\n none\n +35\n out A seq=51 ack=201\n" },
	{ "old_data_is_answered", PASSIVE "in PA seq=1 ack=1 win=32000 len=100\n out A ack=101\n read 100\n"
	  "in PA seq=1 ack=1 win=32000 len=100\n out A seq=1 ack=101 sack=1-101\n" },
	{ "holes_are_told", PASSIVE "in A seq=1001 ack=1 win=32000 len=1000\n out A ack=1 sack=1001-2001\n"
	  "in A seq=3001 ack=1 win=32000 len=1000\n out A ack=1 sack=3001-4001 sack=1001-2001\n"
	  "in A seq=1 ack=1 win=32000 len=1000\n out A ack=2001 sack=3001-4001\n readable 2000\n"
	  "in A seq=2001 ack=1 win=32000 len=1000\n out A ack=4001\n readable 4000\n" },
	{ "a_longer_one_with_the_same_start", PASSIVE "in A seq=501 ack=1 win=32000 len=500\n out A ack=1 sack=501-1001\n"
	  "in A seq=501 ack=1 win=32000 len=1000\n out A ack=1 sack=501-1001 sack=501-1501\n in A seq=1 ack=1 win=32000 len=500\n out A ack=1501\n"
	  "readable 1500\n read 1500\n" },
	{ "overlaps_count_once", PASSIVE "in A seq=501 ack=1 win=32000 len=1000\n out A ack=1 sack=501-1501\n"
	  "in A seq=1 ack=1 win=32000 len=1000\n out A ack=1501 sack=501-1001\n readable 1500\n read 1500\n" },

	/* -- windows */
	{ "a_closed_window_is_probed", ACTIVE "write 1000\n out PA len=1000\n in A seq=1 ack=1001 win=0\n write 500\n none\n"
	  "+210\n none\n +20\n out A seq=1000 len=0\n in A seq=1 ack=1001 win=0\n +410\n none\n +40\n out A seq=1000 len=0\n"
	  "in A seq=1 ack=1001 win=4000\n out PA seq=1001 len=500\n" },
	{ "a_probe_fills_a_small_window", ACTIVE "write 1000\n out PA len=1000\n in A seq=1 ack=1001 win=100\n write 1460\n none\n"
	  "+230\n out A seq=1001 len=100\n" },
	{ "a_full_buffer_closes_the_window", "set rcvbuf=4608\n " PASSIVE
	  "in A seq=1 ack=1 win=32000 len=1152\n out A ack=1153\n in A seq=1153 ack=1 win=32000 len=1152\n out A ack=2305 win=0\n"
	  "read 2304\n out A ack=2305\n" },

	/* -- losses */
	{ "the_timer_sends_the_first_again", ACTIVE "set nodelay=1\n set sack=0\n write 1000\n out PA seq=1 len=1000\n"
	  "+219\n none\n +2\n out PA seq=1 len=1000\n" },
	{ "three_duplicates", ACTIVE "write 7300\n out A\n out A\n out A\n out A\n out PA seq=5841\n"
	  "+20\n in A seq=1 ack=1 win=32000 sack=1461-2921\n none\n in A seq=1 ack=1 win=32000 sack=1461-4381\n none\n"
	  "in A seq=1 ack=1 win=32000 sack=1461-5841\n out A seq=1 len=1460\n in A seq=1 ack=7301 win=32000\n none\n" },
	{ "a_lost_tail_is_probed", ACTIVE "write 2920\n out A seq=1\n out PA seq=1461\n +10\n none\n"
	  "in A seq=1 ack=1461 win=32000\n +200\n none\n +60\n out PA seq=1461 len=1460\n" },

	/* -- resets and forgeries */
	{ "an_exact_reset", ACTIVE "in R seq=1\n none\n state CLOSE\n error ECONNRESET\n" },
	{ "a_reset_in_the_window_is_challenged", ACTIVE "in R seq=100\n out A seq=1 ack=1\n state ESTABLISHED\n" },
	{ "a_reset_outside_is_nothing", ACTIVE "in R seq=100000\n none\n state ESTABLISHED\n" },
	{ "a_syn_is_challenged", ACTIVE "in S seq=1 win=1000\n out A seq=1 ack=1\n state ESTABLISHED\n +100\n in S seq=1\n none\n"
	  "+500\n in S seq=1\n out A\n" },
	{ "an_ack_of_what_was_not_sent", ACTIVE "in A seq=1 ack=1000 win=1000\n out A seq=1 ack=1\n state ESTABLISHED\n" },
	{ "data_outside_is_answered", ACTIVE "in A seq=200001 ack=1 win=1000 len=10\n out A seq=1 ack=1\n readable 0\n" },
	{ "old_time_stamps_are_dropped", PASSIVE_STAMPS "in PA seq=1 ack=1 win=32000 len=10 ts=1010 ecr=0\n out A ack=11 ecr=1010\n"
	  "in PA seq=11 ack=1 win=32000 len=10 ts=500 ecr=0\n out A ack=11 ecr=1010\n readable 10\n" },
	{ "reset_after_close_wait", ACTIVE "in FA seq=1 ack=1 win=32000\n out A ack=2\n state CLOSE_WAIT\n in R seq=2\n"
	  "none\n state CLOSE\n error EPIPE\n" },

	/* -- closing */
	{ "the_peer_closes_first", ACTIVE "in FA seq=1 ack=1 win=32000\n out A seq=1 ack=2\n state CLOSE_WAIT\n close\n"
	  "out FA seq=1 ack=2\n state LAST_ACK\n in A seq=2 ack=2 win=32000\n none\n state CLOSE\n" },
	{ "both_close", ACTIVE "shut\n out FA seq=1 ack=1\n in FA seq=1 ack=1 win=32000\n out A seq=2 ack=2\n state CLOSING\n"
	  "in A seq=2 ack=2 win=32000\n none\n state TIME_WAIT\n" },
	{ "fin_with_the_last_data", ACTIVE "set cork=1\n write 100\n close\n out FPA seq=1 len=100\n in A seq=1 ack=102 win=32000\n"
	  "none\n" },
	{ "unread_data_makes_a_reset", ACTIVE "in PA seq=1 ack=1 win=32000 len=10\n out A ack=11\n close\n out RA seq=1 ack=11\n state CLOSE\n" },
	{ "data_for_nobody_makes_a_reset", ACTIVE "close\n out FA\n in PA seq=1 ack=1 win=32000 len=10\n out R seq=1\n state CLOSE\n" },
	{ "half_closed", ACTIVE "shut\n out FA seq=1 ack=1\n state FIN_WAIT1\n in A seq=1 ack=2 win=32000\n state FIN_WAIT2\n"
	  "in PA seq=1 ack=2 win=32000 len=10\n out A seq=2 ack=11\n readable 10\n in FA seq=11 ack=2 win=32000\n"
	  "out A seq=2 ack=12\n state TIME_WAIT\n" },
	{ "abort", ACTIVE "write 100\n out PA\n abort\n out RA seq=101 ack=1\n state CLOSE\n" },

	/* -- TIME_WAIT */
	{ "a_fin_again_is_acknowledged", ACTIVE "shut\n out FA\n in FA seq=1 ack=2 win=32000\n out A seq=2 ack=2\n state TIME_WAIT\n"
	  "+600\n in FA seq=1 ack=2 win=32000\n out A seq=2 ack=2\n +59000\n state TIME_WAIT\n +2000\n state CLOSE\n" },
	{ "a_reset_ends_time_wait", ACTIVE "shut\n out FA\n in FA seq=1 ack=2 win=32000\n out A\n in R seq=2\n none\n state CLOSE\n" },

	/* -- urgent data */
	{ "urgent", ACTIVE "write 5\n out PA len=5\n set nodelay=1\n urgent 1\n out UPA seq=6 len=1 urg=1\n"
	  "in UPA seq=1 ack=7 win=32000 len=3 urg=3\n out A ack=4\n oob\n" },

	/* -- keep-alive, user timeout */
	{ "keep_alive", ACTIVE "set keepidle=10\n set keepintvl=2\n set keepcnt=3\n set keepalive=1\n +9990\n none\n +20\n"
	  "out A seq=0 ack=1 len=0\n in A seq=1 ack=1 win=32000\n none\n +9000\n none\n +1010\n out A seq=0\n +2000\n out A seq=0\n"
	  "+2000\n out A seq=0\n +2000\n out RA seq=1 ack=1\n state CLOSE\n error ETIMEDOUT\n" },
	{ "user_timeout", ACTIVE "set user_timeout=1000\n write 10\n out PA seq=1\n +5000\n state CLOSE\n error ETIMEDOUT\n" },
};
