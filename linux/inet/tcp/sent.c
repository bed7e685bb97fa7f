/* SPDX-License-Identifier: MIT */
#include "inet/tcp/sent.h"

void tcp_scoreboard_init(struct tcp_scoreboard *b)
{
	*b = (struct tcp_scoreboard){ .segments = 0 };
	list_init(&b->by_seq);
	list_init(&b->by_time);
}

void tcp_sent_first(struct tcp_scoreboard *b, struct tcp_sent *s, uint32_t from, uint32_t to,
		    uint64_t now_ns)
{
	*s = (struct tcp_sent){ .from = from, .to = to, .sent_ns = now_ns };
	list_add_last(&b->by_seq, &s->link);
	list_add_last(&b->by_time, &s->time_link);
	b->segments++;
}

void tcp_sent_again(struct tcp_scoreboard *b, struct tcp_sent *s, uint64_t now_ns)
{
	b->lost -= s->lost;
	s->lost = false;
	s->again = true;
	s->sent_ns = now_ns;
	list_remove(&s->time_link);
	list_add_last(&b->by_time, &s->time_link);
}

void tcp_sent_lost(struct tcp_scoreboard *b, struct tcp_sent *s)
{
	if (s->lost || s->sacked)
		return;
	if (!b->lost || (b->low && seq_before(s->from, b->low->from)))
		b->low = s;
	s->lost = true;
	b->lost++;
	list_remove(&s->time_link);
}

void tcp_sent_sacked(struct tcp_scoreboard *b, struct tcp_sent *s)
{
	if (s->sacked)
		return;
	b->lost -= s->lost;
	s->lost = false;
	s->sacked = true;
	b->sacked++;
	if (!b->high || seq_after(s->from, b->high->from))
		b->high = s;
	list_remove(&s->time_link);
}

/* Lost ones were sent early, so the place of one is near the front. */
static void insert_by_time(struct tcp_scoreboard *b, struct tcp_sent *s)
{
	struct list *before = b->by_time.next;

	while (before != &b->by_time &&
	       container_of(before, struct tcp_sent, time_link)->sent_ns <= s->sent_ns)
		before = before->next;
	list_add_last(before, &s->time_link);
}

void tcp_scoreboard_found(struct tcp_scoreboard *b)
{
	struct tcp_sent *s;

	list_for_each_entry(s, &b->by_seq, link) {
		if (!s->lost)
			continue;
		s->lost = false;
		b->lost--;
		insert_by_time(b, s);
	}
}

void tcp_scoreboard_renege(struct tcp_scoreboard *b)
{
	struct tcp_sent *s;

	b->high = b->low = NULL;

	list_for_each_entry(s, &b->by_seq, link) {
		if (!s->sacked)
			continue;
		s->sacked = false;
		s->lost = true;
		b->sacked--;
		b->lost++;
	}
}

void tcp_sent_split(struct tcp_scoreboard *b, struct tcp_sent *s, struct tcp_sent *rest, uint32_t at)
{
	*rest = *s;
	s->to = rest->from = at;
	list_add_first(&s->link, &rest->link);
	list_init(&rest->time_link);
	if (!s->sacked && !s->lost)
		list_add_first(&s->time_link, &rest->time_link);
	b->segments++;
	b->sacked += s->sacked;
	b->lost += s->lost;
}

void tcp_scoreboard_forget(struct tcp_scoreboard *b)
{
	struct tcp_sent *s;

	if (!b->sacked)
		return;
	b->high = NULL;
	list_for_each_entry(s, &b->by_seq, link) {
		if (!s->sacked)
			continue;
		s->sacked = false;
		b->sacked--;
		insert_by_time(b, s);
	}
}

void tcp_sent_remove(struct tcp_scoreboard *b, struct tcp_sent *s)
{
	b->lost -= s->lost;
	b->sacked -= s->sacked;
	b->segments--;
	if (b->high == s)
		b->high = NULL;
	if (b->low == s)
		b->low = NULL;
	list_remove(&s->link);
	list_remove(&s->time_link);
}

struct tcp_sent *tcp_sent_head(const struct tcp_scoreboard *b)
{
	return list_is_empty(&b->by_seq) ? NULL :
					   container_of(b->by_seq.next, struct tcp_sent, link);
}

struct tcp_sent *tcp_sent_last(const struct tcp_scoreboard *b)
{
	return list_is_empty(&b->by_seq) ? NULL :
					   container_of(b->by_seq.prev, struct tcp_sent, link);
}

struct tcp_sent *tcp_sent_after(const struct tcp_scoreboard *b, const struct tcp_sent *s)
{
	return s->link.next == &b->by_seq ? NULL : container_of(s->link.next, struct tcp_sent, link);
}

struct tcp_sent *tcp_sent_next_lost(struct tcp_scoreboard *b)
{
	struct tcp_sent *s;

	if (!b->lost)
		return NULL;
	for (s = b->low ? b->low : tcp_sent_head(b); s && !s->lost;)
		s = tcp_sent_after(b, s);
	b->low = s;
	return s;
}

bool tcp_scoreboard_check(const struct tcp_scoreboard *b)
{
	uint32_t segments = 0, sacked = 0, lost = 0, timed = 0;
	struct tcp_sent *s, *before = NULL;
	uint64_t time = 0;

	list_for_each_entry(s, &b->by_seq, link) {
		if (!seq_after(s->to, s->from) || (before && seq_before(s->from, before->to)))
			return false;
		if ((s->sacked && s->lost) || (s->sacked || s->lost) != list_is_empty(&s->time_link))
			return false;
		before = s;
		segments++;
		sacked += s->sacked;
		lost += s->lost;
	}
	list_for_each_entry(s, &b->by_time, time_link) {
		if (s->sent_ns < time)
			return false;
		time = s->sent_ns;
		timed++;
	}
	return segments == b->segments && sacked == b->sacked && lost == b->lost &&
	       timed == segments - sacked - lost;
}
