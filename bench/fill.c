/* fill COUNT [TOKENS-FILE]: puts COUNT Pixels with a token each into the vault the settings name, a thousand a commit,
 * and writes the emulator's commands for them ("token VALUE pixels=CODE") to TOKENS-FILE. Pixel codes and tokens follow
 * from their number. */
#include "agent/unlock.h"
#include "core/clock.h"
#include "core/secret.h"

#include <stdio.h>
#include <stdlib.h>

struct batch {
	unsigned first, count;
};

static void name_pixel(unsigned i, char ret[PIXEL_CODE_MAX + 1])
{
	snprintf(ret, PIXEL_CODE_MAX + 1, "CB%016uG0", i);
}

#define DAY_S (24 * 60 * 60)

/* So that an agent that is being timed has nothing to ask TikTok. */
static struct judgement checked_just_now(uint32_t version)
{
	int64_t now = clock_wall();
	return (struct judgement){
		.version = version,
		.verdict = VERDICT_HEALTHY,
		.evidence = { .probe = PROBE_TEST, .http = 200, .at = now },
		.last_outcome = VERDICT_HEALTHY,
		.attempted_at = now,
		.checked_at = now,
		.proven_at = now,
	};
}

static bool put_batch(void *context, struct change *ch, struct error *err)
{
	const struct batch *b = context;
	for (unsigned i = b->first; i < b->first + b->count; i++) {
		struct credential c;
		struct version fresh = { 0 };
		char pixel[PIXEL_CODE_MAX + 1], token[64];
		uint32_t number, dropped;
		bool exists;
		scoped(secret_freep) struct secret *secret = NULL;
		name_pixel(i, pixel);
		snprintf(token, sizeof token, "%08xabcdef0123456789abcdef%010u", i, i);
		if (!secret_copy(bytes_of_text(token), &secret, err) || !change_find(ch, pixel, &c, &exists, err) ||
		    !credential_add(&c, &fresh, clock_wall(), &number, &dropped, err) ||
		    !credential_promote(&c, number, clock_wall()) || !change_put_token(ch, &c, number, secret, err) ||
		    !change_store(ch, &c, err))
			return false;
		struct health h = { .current = checked_just_now(number), .next_check_at = clock_wall() + 80 * DAY_S };
		if (!change_store_health(ch, pixel, &h, err))
			return false;
		change_note(ch, "put", pixel, number);
	}
	return true;
}

static bool fill(unsigned count, FILE *tokens, struct error *err)
{
	struct settings settings;
	scoped(vault_closep) struct vault *v = NULL;
	if (!secret_arena_open(SECRET_ARENA_LARGE, err) ||
	    !settings_load(&(struct settings_flags){ 0 }, &settings, err) ||
	    !unlock_open(&settings, NULL, NULL, &v, err))
		return false;
	for (unsigned first = 0; first < count; first += 1000) {
		struct batch b = { first, count - first < 1000 ? count - first : 1000 };
		if (!vault_change(v, put_batch, &b, err))
			return false;
	}
	for (unsigned i = 0; tokens && i < count; i++)
		fprintf(tokens, "token %08xabcdef0123456789abcdef%010u pixels=CB%016uG0\n", i, i, i);
	settings_done(&settings);
	return true;
}

int main(int argc, char **argv)
{
	struct error err;
	FILE *tokens = argc > 2 ? fopen(argv[2], "w") : NULL;
	if (argc < 2 || (argc > 2 && !tokens))
		return 2;
	bool ok = fill((unsigned)strtoul(argv[1], NULL, 10), tokens, &err);
	if (!ok)
		fprintf(stderr, "fill: %s\n  hint: %s\n", err.message, err.hint);
	if (tokens && fclose(tokens) != 0)
		ok = false;
	return ok ? 0 : 1;
}
