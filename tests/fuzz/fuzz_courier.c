/* Any bytes as what a courier answers, in pieces: each question gets exactly one answer, which is sound, and a token or
 * a page comes only to who asked for one. The first byte says what was asked, the second how the bytes are cut, and
 * whether versions and ids are put right first. */
#include "agent/courier.h"
#include "agent/courier_wire.h"
#include "tests/fuzz/common.h"

#include <sys/socket.h>

#define ASKED_MAX 3

struct asked {
	size_t count;
	enum probe_kind kinds[ASKED_MAX];
	bool is_answered[ASKED_MAX];
};

static void ask(struct courier *c, struct asked *asked, uint8_t choice)
{
	static const enum probe_kind kinds[] = { PROBE_TEST, PROBE_DRY, PROBE_REFRESH, PROBE_LISTING };
	static struct secret *token;
	struct error err;
	if (!token)
		expect(secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef01234567"), &token, &err));
	asked->count = 1 + choice % ASKED_MAX;
	for (size_t i = 0; i < asked->count; i++) {
		struct question q = { .id = i + 1,
				      .kind = kinds[choice >> (2 + 2 * i) & 3],
				      .pixel = "C0U2T02IU8J6B9GC2B90",
				      .page = 1,
				      .test_code = "",
				      .token = token };
		asked->kinds[i] = courier_takes(c, q.kind) ? q.kind : PROBE_DRY;
		q.kind = asked->kinds[i];
		courier_ask(c, &q);
	}
	courier_flush(c);
}

static void check_text(const char *text, size_t size)
{
	expect(memchr(text, 0, size) != NULL);
	for (; *text; text++)
		expect(*text >= 0x20 && *text <= 0x7e);
}

static void check_page(const struct list_page *page)
{
	struct error unused;
	expect(page->count <= LIST_ROWS_MAX && page->page == 1 && page->pages <= LIST_PAGES_MAX);
	for (size_t i = 0; i < page->count; i++)
		expect(memchr(page->rows[i].pixel, 0, sizeof page->rows[i].pixel) &&
		       pixel_check(page->rows[i].pixel, &unused) && page->rows[i].kind < SIGHT_KIND_COUNT);
}

static void check_reply(struct courier *c, const struct reply *r, struct asked *asked)
{
	const struct answer *a = &r->answer;
	expect(r->id >= 1 && r->id <= asked->count && !asked->is_answered[r->id - 1]);
	asked->is_answered[r->id - 1] = true;
	enum probe_kind kind = asked->kinds[r->id - 1];
	expect((unsigned)a->transport < TRANSPORT_COUNT && (unsigned)a->body <= BODY_NAMED);
	expect((a->body == BODY_CODE) == (a->code != NO_CODE) && a->http >= 0 && a->http <= 999);
	check_text(a->text, sizeof a->text);
	check_text(a->request_id, sizeof a->request_id);
	for (int k = PROBE_DRY; k <= PROBE_LIVE; k++)
		expect(verdict_judge(a, &(struct question_context){ .kind = (enum probe_kind)k }).row != NULL);
	expect(!r->pair || kind == PROBE_REFRESH);
	expect(!r->page || kind == PROBE_LISTING);
	if (r->pair)
		expect(r->pair->access_len >= TOKEN_MIN && r->pair->access_len <= TOKEN_MAX &&
		       r->pair->refresh_len <= REFRESH_TOKEN_MAX);
	if (r->page)
		check_page(r->page);
	courier_forget_pair(c);
}

static void hear(struct courier *c, struct asked *asked)
{
	struct reply reply = { .id = 0 };
	while (courier_next(c, 0, &reply))
		check_reply(c, &reply, asked);
}

/* Versions and ids as they belong there, as far as the bytes are answers with what follows each. */
static void put_right(uint8_t *at, size_t len)
{
	static const uint32_t version = COURIER_VERSION;
	uint64_t id = 0;
	while (len >= sizeof(struct courier_answer)) {
		uint8_t behind = at[offsetof(struct courier_answer, behind)];
		size_t more = behind == BEHIND_PAIR   ? sizeof(struct courier_pair)
			      : behind == BEHIND_PAGE ? sizeof(struct courier_page)
						      : 0;
		id += !at[offsetof(struct courier_answer, leaves)];
		memcpy(at, &version, sizeof version);
		memcpy(at + offsetof(struct courier_answer, id), &id, sizeof id);
		at += sizeof(struct courier_answer), len -= sizeof(struct courier_answer);
		if (!more || len < more)
			continue;
		memcpy(at, &version, sizeof version);
		memset(at + 4, 0, 4);
		memcpy(at + 8, &id, sizeof id);
		at += more, len -= more;
	}
}

static void say(int fd, const uint8_t *at, size_t len, size_t piece, struct courier *c, struct asked *asked)
{
	uint8_t unread[8192];
	while (len) {
		size_t part = len < piece ? len : piece;
		while (recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0)
			;
		if (send(fd, at, part, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)part)
			return;
		at += part, len -= part;
		hear(c, asked);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 65536, 512, 512, 100 };
	static uint8_t said[16384];
	static struct settings settings;
	struct bytes rest = bytes_of(data, len);
	struct asked asked = { .count = 0 };
	struct courier *c = NULL;
	struct error err;
	int pair[2];
	uint8_t choice = take_byte(&rest), how = take_byte(&rest);
	if (rest.len > sizeof said)
		return 0;
	secret_free(zero_key());
	settings.in_flight = 4;
	settings.connect_timeout_ms = settings.timeout_ms = 1000;
	if (rest.len)
		memcpy(said, rest.at, rest.len);
	if (how & 4)
		put_right(said, rest.len);
	expect(courier_new_given(&settings, &c, &err) && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	courier_give(c, pair[0]);
	ask(c, &asked, choice);
	say(pair[1], said, rest.len, pieces[how & 3], c, &asked);
	close(pair[1]);
	for (int i = 0; courier_unanswered(c) && i < 100; i++)
		hear(c, &asked);
	for (size_t i = 0; i < asked.count; i++)
		expect(asked.is_answered[i]);
	expect(courier_unanswered(c) == 0);
	courier_free(c);
	return 0;
}
