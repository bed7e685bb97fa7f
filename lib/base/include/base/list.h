/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked lists: a ring through its head.  A node that is on no
 * list points to itself (after list_init or list_remove), so that list_is_empty()
 * on a node asks "is it on no list?".  The caller locks; list_looks_empty() alone may
 * be asked without the lock, which is why next is always stored in one access.
 */
#pragma once

#include "base/util.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { .next = &(name), .prev = &(name) }

static inline void list_init(struct list *l)
{
	WRITE_ONCE(l->next, l);
	l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

/* The same without the list's lock: an answer that may be old when it comes. */
static inline bool list_looks_empty(const struct list *l)
{
	return READ_ONCE(l->next) == l;
}

static inline void list_insert_between(struct list *node, struct list *prev, struct list *next)
{
	node->prev = prev;
	WRITE_ONCE(node->next, next);
	WRITE_ONCE(prev->next, node);
	next->prev = node;
}

/* After @pos: at the front, if @pos is the head. */
static inline void list_add_first(struct list *pos, struct list *node)
{
	list_insert_between(node, pos, pos->next);
}

/* Before @pos: at the end, if @pos is the head. */
static inline void list_add_last(struct list *pos, struct list *node)
{
	list_insert_between(node, pos->prev, pos);
}

/* Take @node off its list; a node that is on none stays so. */
static inline void list_remove(struct list *node)
{
	WRITE_ONCE(node->prev->next, node->next);
	node->next->prev = node->prev;
	list_init(node);
}

/* First node, or NULL. */
static inline struct list *list_first(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->prev;
}

/* Take the first node off and return it, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = list_first(head);

	if (node)
		list_remove(node);
	return node;
}

/* Move all nodes of @from to the end of @to. */
static inline void list_splice_last(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	WRITE_ONCE(to->prev->next, from->next);
	WRITE_ONCE(from->prev->next, to);
	to->prev = from->prev;
	list_init(from);
}

/* Put @node where @old was. */
static inline void list_replace(struct list *old, struct list *node)
{
	list_insert_between(node, old->prev, old->next);
	list_init(old);
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The first or next entry, or NULL. */
#define list_first_entry(head, type, member)                                                       \
	({                                                                                         \
		struct list *first_ = list_first(head);                                            \
		first_ ? list_entry(first_, type, member) : NULL;                                  \
	})
#define list_last_entry(head, type, member)                                                        \
	({                                                                                         \
		struct list *last_ = list_last(head);                                              \
		last_ ? list_entry(last_, type, member) : NULL;                                    \
	})
#define list_pop_entry(head, type, member)                                                         \
	({                                                                                         \
		struct list *popped_ = list_pop(head);                                             \
		popped_ ? list_entry(popped_, type, member) : NULL;                                \
	})

#define list_for_each(node, head) \
	for (struct list *node = (head)->next; node != (head); node = node->next)

/* @entry is a pointer of the entries' type; it is not NULL afterwards. */
#define list_for_each_entry(entry, head, member)                                                   \
	for (entry = list_entry((head)->next, __typeof__(*entry), member);                         \
	     &entry->member != (head);                                                             \
	     entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* The same; the body may remove @entry (and nothing else). */
#define list_for_each_entry_safe(entry, tmp, head, member)                                         \
	for (entry = list_entry((head)->next, __typeof__(*entry), member),                         \
	    tmp = list_entry(entry->member.next, __typeof__(*entry), member);                      \
	     &entry->member != (head);                                                             \
	     entry = tmp, tmp = list_entry(tmp->member.next, __typeof__(*entry), member))

#define list_for_each_entry_reverse(entry, head, member)                                           \
	for (entry = list_entry((head)->prev, __typeof__(*entry), member);                         \
	     &entry->member != (head);                                                             \
	     entry = list_entry(entry->member.prev, __typeof__(*entry), member))

/* Number of nodes: walks the list. */
static inline size_t list_count(const struct list *head)
{
	size_t n = 0;

	for (const struct list *node = head->next; node != head; node = node->next)
		n++;
	return n;
}
