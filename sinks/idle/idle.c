/* SPDX-License-Identifier: BSD-2-Clause */
#include "idle.h"

#include <stddef.h>

int
idle_init(struct idle *l)
{
	l->first[0] = l->first[1] = NULL;
	return pthread_mutex_init(&l->lock, NULL);
}

void
idle_clear(struct idle *l, void (*done)(struct idle_state *))
{
	struct idle_state *s;

	for (int way = 0; way < 2; way++)
		while ((s = l->first[way]) != NULL) {
			l->first[way] = s->next;
			done(s);
		}
	(void)pthread_mutex_destroy(&l->lock);
}

struct idle_state *
idle_take(struct idle *l, bool decode)
{
	struct idle_state *s;

	(void)pthread_mutex_lock(&l->lock);
	if ((s = l->first[decode]) != NULL)
		l->first[decode] = s->next;
	(void)pthread_mutex_unlock(&l->lock);
	return s;
}

void
idle_give(struct idle *l, bool decode, struct idle_state *s)
{
	(void)pthread_mutex_lock(&l->lock);
	s->next = l->first[decode];
	l->first[decode] = s;
	(void)pthread_mutex_unlock(&l->lock);
}
