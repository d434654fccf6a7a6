/* Any bytes as a file that is searched for tokens: found is what is there, wherever the reads cut it. */
#include "cli/scanner.h"
#include "tests/fuzz/common.h"

#define TOKEN "0123456789abcdef0123456789abcdef01234567"
#define OTHER "Zz9%+/=.aB8_-~cD7*"

struct finds {
	uint64_t plain, all, sum;
	struct bytes text;
};

static struct scanner *make_scanner(void)
{
	static const char *const tokens[] = { TOKEN, OTHER };
	struct scanner *s = NULL;
	struct error err;
	secret_free(zero_key());
	expect(scanner_new(&s, &err));
	for (uint32_t i = 0; i < COUNT_OF(tokens); i++) {
		struct secret *token = NULL;
		expect(secret_copy(bytes_of_text(tokens[i]), &token, &err) && scanner_add(s, token, i, &err));
		secret_free(token);
	}
	expect(scanner_prepare(s, &err));
	return s;
}

static void meet(void *context, const struct scan_found *f)
{
	struct finds *finds = context;
	const char *token = f->tag ? OTHER : TOKEN;
	uint64_t line = 1;
	expect(f->tag < 2 && f->form <= SCAN_BASE64 && f->offset < finds->text.len);
	if (f->form == SCAN_PLAIN) {
		expect(strlen(token) <= finds->text.len - f->offset &&
		       memcmp(finds->text.at + f->offset, token, strlen(token)) == 0);
		finds->plain++;
	}
	for (uint64_t i = 0; i < f->offset; i++)
		line += finds->text.at[i] == '\n';
	expect(f->line == line);
	finds->all++;
	finds->sum += f->offset * 31 + f->tag * 7 + f->form;
}

static struct finds scan(struct scanner *s, struct bytes text, size_t piece)
{
	struct finds finds = { .text = text };
	struct bytes rest = text, part;
	scanner_begin(s);
	while (rest.len) {
		size_t room;
		uint8_t *to = scanner_room(s, &room);
		size_t len = piece < room ? piece : room;
		expect(room > 0 && bytes_take(&rest, len < rest.len ? len : rest.len, &part));
		memcpy(to, part.at, part.len);
		scanner_take(s, part.len, meet, &finds);
	}
	return finds;
}

static uint64_t count(struct bytes in, const char *what)
{
	uint64_t found = 0;
	size_t len = strlen(what);
	for (size_t i = 0; i + len <= in.len; i++)
		found += memcmp(in.at + i, what, len) == 0;
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct scanner *s;
	struct bytes rest = bytes_of(data, len);
	size_t piece = 1 + (size_t)take_byte(&rest);
	if (!s)
		s = make_scanner();
	struct finds whole = scan(s, rest, SIZE_MAX), cut = scan(s, rest, piece);
	expect(whole.all == cut.all && whole.sum == cut.sum);
	expect(whole.plain == count(rest, TOKEN) + count(rest, OTHER));
	return 0;
}
