#include "agent/worker_inside.h"

#include "agent/text.h"
#include "core/clock.h"
#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define NEWS_AT_ONCE 64 /* the loop is woken once for so many */

/* ---- two queues ---- */

void worker_ring(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void worker_hush(int fd)
{
	uint64_t count;
	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

bool errand_new(enum errand_kind kind, struct errand **ret, struct error *err)
{
	struct errand *e = calloc(1, sizeof *e);
	if (!e)
		return fail_no_memory(err);
	e->kind = kind;
	*ret = e;
	return true;
}

void errand_free(struct errand *e)
{
	if (!e)
		return;
	secret_free(e->secret);
	buf_done(&e->records);
	buf_done(&e->marks);
	forecast_done(&e->forecast);
	buf_done(&e->text);
	free(e->pixels);
	free(e);
}

void news_free(struct news *n)
{
	buf_done(&n->text);
	free(n);
}

/* Without memory for a piece of news the process cannot go on telling the truth: it ends, and is started again. */
void worker_end_without_memory(void)
{
	log_line(LOG_ERROR, "no memory left: ending");
	_exit((int)ERR_UNEXPECTED);
}

struct news *worker_news(enum news_kind kind)
{
	struct news *n = calloc(1, sizeof *n);
	if (!n)
		worker_end_without_memory();
	n->kind = kind;
	return n;
}

void worker_hand_over_news(struct worker *w)
{
	if (!w->news)
		return;
	pthread_mutex_lock(&w->out.lock);
	bool is_first = !w->out.first;
	if (w->out.last)
		w->out.last->next = w->news;
	else
		w->out.first = w->news;
	w->out.last = w->news_last;
	pthread_mutex_unlock(&w->out.lock);
	w->news = w->news_last = NULL;
	w->news_count = 0;
	if (is_first)
		worker_ring(w->out.fd);
}

/* Kept until the end of the turn: a loop that is woken for the first piece takes the lock from us for the second, and
 * sleeps again before the third. */
void worker_tell(struct worker *w, struct news *n)
{
	if (w->news_last)
		w->news_last->next = n;
	else
		w->news = n;
	w->news_last = n;
	if (++w->news_count == NEWS_AT_ONCE)
		worker_hand_over_news(w);
}

struct news *worker_take(struct worker *w)
{
	pthread_mutex_lock(&w->out.lock);
	struct news *n = w->out.first;
	if (n) {
		w->out.first = n->next;
		if (!w->out.first)
			w->out.last = NULL;
		n->next = NULL;
	} else {
		/* Under the lock: whoever adds the next piece rings again. */
		worker_hush(w->out.fd);
	}
	pthread_mutex_unlock(&w->out.lock);
	return n;
}

int worker_fd(const struct worker *w)
{
	return w->out.fd;
}

int64_t worker_clock(const struct worker *w)
{
	int64_t now = clock_wall(), later = atomic_load_explicit(&w->later_clock, memory_order_relaxed);
	return later > now ? later : now;
}

void worker_note_clock(struct worker *w)
{
	if (w->vault)
		atomic_store_explicit(&w->later_clock, vault_later_clock(w->vault), memory_order_relaxed);
}

void worker_give(struct worker *w, struct errand *e)
{
	e->next = NULL;
	pthread_mutex_lock(&w->in.lock);
	bool is_first = !w->in.first;
	if (w->in.last)
		w->in.last->next = e;
	else
		w->in.first = e;
	w->in.last = e;
	pthread_mutex_unlock(&w->in.lock);
	if (is_first)
		worker_ring(w->in.fd);
}

void worker_give_courier(struct worker *w, int fd)
{
	pthread_mutex_lock(&w->in.lock);
	int old = w->in.courier;
	w->in.courier = fd;
	pthread_mutex_unlock(&w->in.lock);
	if (old >= 0)
		close(old);
	worker_ring(w->in.fd);
}

void worker_let_go(struct worker *w, uint64_t closing)
{
	pthread_mutex_lock(&w->in.lock);
	w->in.let_go = closing;
	pthread_mutex_unlock(&w->in.lock);
	worker_ring(w->in.fd);
}

void worker_reload(struct worker *w, const struct settings *settings)
{
	struct settings *copy = malloc(sizeof *copy);
	if (!copy)
		return; /* the old ones stay in force, as after any reload that fails */
	struct sinks_copy sinks = { NULL, 0 };
	struct error err;
	if (!sinks_load(settings->config, &sinks.at, &sinks.count, &err)) {
		free(copy);
		return;
	}
	*copy = *settings;
	copy->config = NULL;
	pthread_mutex_lock(&w->in.lock);
	free(w->in.settings);
	free(w->in.sinks.at);
	w->in.settings = copy;
	w->in.sinks = sinks;
	pthread_mutex_unlock(&w->in.lock);
	worker_ring(w->in.fd);
}

/* ---- done ---- */

/* Told at the end of the turn, behind the news of what it changed: whoever gets the answer finds it true. */
void worker_finish(struct worker *w, struct errand *e)
{
	e->next = NULL;
	if (w->finished_last)
		w->finished_last->next = e;
	else
		w->finished = e;
	w->finished_last = e;
}

void worker_finish_with(struct worker *w, struct errand *e, const struct error *err)
{
	if (err)
		e->err = *err;
	worker_finish(w, e);
}

void worker_tell_finished(struct worker *w)
{
	while (w->finished) {
		struct news *n = worker_news(NEWS_DONE);
		n->errand = w->finished;
		w->finished = w->finished->next;
		n->errand->next = NULL;
		worker_tell(w, n);
	}
	w->finished_last = NULL;
}

void worker_tell_trouble(struct worker *w, const struct error *err)
{
	struct news *n = worker_news(NEWS_TROUBLE);
	n->err = *err;
	worker_tell(w, n);
}
