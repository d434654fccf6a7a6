/* agent/page.h - the board, Pixels and listing tokens, as one page for a browser: whole in itself, for a file as for the
 * agent's socket. Pure.
 *
 * Never a token. Every text in it is escaped, and what turns the direction of text is replaced: labels are strangers'.
 * Rows are made one at a time and put in order by the caller (agent/gravity.h), so that a page of many Pixels can be
 * made piece by piece:
 *
 *     page_count(&counts, row) for each row
 *     page_begin; page_fold(out, i) and page_row for each row i, in order, from 0; page_end */
#ifndef AGENT_PAGE_H
#define AGENT_PAGE_H

#include "agent/gravity.h"
#include "core/buf.h"

#define PAGE_TYPE "text/html; charset=utf-8"

enum page_state { PAGE_BAD, PAGE_WATCH, PAGE_UNPROVEN, PAGE_GOOD, PAGE_STATES };
enum page_state page_state_of(enum gravity gravity);

struct page_counts {
	size_t states[PAGE_STATES];
	size_t lists[PAGE_STATES]; /* those of them that are listing tokens */
};
void page_count(struct page_counts *counts, const struct status_row *row);

void page_begin(struct buf *out, const struct page_counts *counts, int64_t now);
/* In front of row i: behind the first PAGE_ROWS_SHOWN, rows are put so that they do not hold up a browser. */
#define PAGE_ROWS_SHOWN 200
void page_fold(struct buf *out, size_t i);
void page_row(struct buf *out, const struct status_row *row, int64_t now);
void page_end(struct buf *out, size_t rows); /* how many were put */

/* What stands at / of status-listen: asks for the board with the token that the address carries behind its #. */
void page_loader(struct buf *out);

#endif
