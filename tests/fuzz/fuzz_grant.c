/* What renews a token, by the first byte: as a person pastes it, as it lies in the vault, and as TikTok's answer to a
 * refresh brings it. */
#include "agent/tiktok.h"
#include "tests/fuzz/common.h"

static bool is_clean(struct bytes text, size_t least, size_t most)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= 0x20 || text.at[i] > 0x7e)
			return false;
	return text.len >= least && text.len <= most;
}

static void read_document(struct bytes pasted, enum family family)
{
	struct secret *file = NULL;
	struct grant_document d;
	struct grant g;
	struct error err;
	expect(secret_copy(pasted, &file, &err));
	if (grant_document_read(file, family, &d, &err)) {
		expect(grant_open(secret_reveal(d.grant), &g) && is_clean(g.client_id, 1, CLIENT_ID_MAX) &&
		       is_clean(g.client_secret, 1, CLIENT_SECRET_MAX) &&
		       is_clean(g.refresh_token, REFRESH_TOKEN_MIN, REFRESH_TOKEN_MAX));
		expect(!d.access_token || is_clean(secret_reveal(d.access_token), TOKEN_MIN, TOKEN_MAX));
		expect(d.life_s >= 0 && d.life_s <= LIFE_MAX_S && d.refresh_life_s >= 0 &&
		       d.refresh_life_s <= LIFE_MAX_S);
		grant_document_done(&d);
	} else {
		expect(err.code == ERR_MALFORMED && err.message[0] && err.hint[0]);
	}
	secret_free(file);
}

static void read_packed(struct bytes packed)
{
	struct secret *again = NULL, *renewed = NULL;
	struct grant g, other;
	struct error err;
	if (!grant_open(packed, &g))
		return;
	expect(grant_pack(&g, &again, &err) && bytes_equal(secret_reveal(again), packed));
	expect(grant_renewed(again, bytes_of_text("rft.0123456789"), &renewed, &err) &&
	       grant_open(secret_reveal(renewed), &other) && bytes_equal(other.client_id, g.client_id) &&
	       bytes_equal(other.client_secret, g.client_secret));
	secret_free(again);
	secret_free(renewed);
}

static void read_answer(struct bytes body, enum family family)
{
	static const char refresh[] = "rft.0123456789abcdef0123", secret[] = "secret0123456789abcdef";
	static struct token_pair pair;
	struct grant g = { bytes_of_text("7000000000000000001"), bytes_of_text(secret), bytes_of_text(refresh) };
	struct answer a = { .http = 200 };
	memset(&pair, 0, sizeof pair);
	bool is_pair = tiktok_read_pair(family, body, &g, &a, &pair);
	expect(memchr(a.text, 0, sizeof a.text) && !strstr(a.text, refresh) && !strstr(a.text, secret));
	expect(!is_pair || (is_clean(bytes_of(pair.access, pair.access_len), TOKEN_MIN, TOKEN_MAX) &&
			    is_clean(bytes_of(pair.refresh, pair.refresh_len), 0, REFRESH_TOKEN_MAX)));
	expect(!is_pair || (pair.life_s >= 0 && pair.life_s <= LIFE_MAX_S && pair.refresh_life_s >= 0));
	expect(verdict_judge(&a, &(struct question_context){ .endpoint = ENDPOINT_REFRESH, .kind = PROBE_REFRESH })
		       .row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data, len);
	uint8_t choice = take_byte(&rest);
	secret_free(zero_key());
	switch (choice) {
	case 'a':
	case 'l':
		read_document(rest, choice == 'a' ? FAMILY_ACCOUNTS : FAMILY_LOGIN);
		break;
	case 'p':
		read_packed(rest);
		break;
	case 'A':
	case 'L':
		read_answer(rest, choice == 'A' ? FAMILY_ACCOUNTS : FAMILY_LOGIN);
		break;
	}
	return 0;
}
