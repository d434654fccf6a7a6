/* Proof of everything: the database's structure, the inventory, every record and token it names, the seal of every
 * disposable record, and that nothing else lies there. */
#include "core/buf.h"
#include "vault/internal.h"
#include "vault/text.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct proof {
	struct vault *v;
	struct store_view *view;
	struct verify_report *report;
	verify_fault_fn *on_fault;
	void *context;
	struct buf entries;
	size_t next_entry;
	bool has_slots, has_log_keys;
	struct credential credential; /* of the Pixel whose tokens are being walked */
	uint8_t token_owner[PIXEL_ID_LEN];
};

static void fault(struct proof *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct proof *p, const char *format, ...)
{
	char sentence[320];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (p->report->faults++ == 0)
		memcpy(p->report->first, sentence, sizeof sentence);
	if (p->on_fault)
		p->on_fault(p->context, sentence);
}

static bool read_id(const char *hex, uint8_t ret[PIXEL_ID_LEN], const char **ret_rest)
{
	size_t len;
	const char *end;
	if (sodium_hex2bin(ret, PIXEL_ID_LEN, hex, strnlen(hex, (size_t)PIXEL_ID_LEN * 2), NULL, &len, &end) != 0 ||
	    len != PIXEL_ID_LEN)
		return false;
	*ret_rest = hex + (size_t)PIXEL_ID_LEN * 2;
	return true;
}

/* ---- tokens, and what renews them: one look-up for each that the metadata name ---- */

static bool check_grant(struct proof *p, const uint8_t id[PIXEL_ID_LEN], const struct credential *c,
			const struct version *version, struct error *err)
{
	char key[KEY_TEXT_MAX];
	struct store_record found;
	scoped(secret_freep) struct secret *grant = NULL;
	struct error why;
	key_for_grant(p->v->root.epoch, id, version->number, key);
	const char *const keys[] = { key };
	if (store_get_many(p->v->store, keys, 1, &p->v->room, &found, err) != STORE_OK)
		return false;
	if (grant_record_open(p->v, id, c, version, &found, &grant, &why))
		return true;
	if (why.code != ERR_DAMAGED) {
		*err = why;
		return false;
	}
	fault(p, "what renews version %u of Pixel '%s' is %s", (unsigned)version->number, c->pixel,
	      found.is_found ? "not what was stored" : "missing");
	return true;
}

static bool check_tokens(struct proof *p, const uint8_t id[PIXEL_ID_LEN], const struct credential *c, struct error *err)
{
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *version = &c->versions[i];
		char key[KEY_TEXT_MAX];
		struct store_record found;
		scoped(secret_freep) struct secret *token = NULL;
		struct error why;
		if (version_has_grant(version) && !check_grant(p, id, c, version, err))
			return false;
		if (!version_has_token(version))
			continue;
		key_for_token(p->v->root.epoch, id, version->number, key);
		const char *const keys[] = { key };
		if (store_get_many(p->v->store, keys, 1, &p->v->room, &found, err) != STORE_OK)
			return false;
		p->report->tokens++;
		if (!found.is_found) {
			fault(p, "version %u of Pixel '%s' is missing", (unsigned)version->number, c->pixel);
			continue;
		}
		if (token_open(p->v, id, c, version, &found, &token, &why))
			continue;
		if (why.code != ERR_DAMAGED) {
			*err = why;
			return false;
		}
		fault(p, "version %u of Pixel '%s' is not the token that was stored", (unsigned)version->number,
		      c->pixel);
	}
	return true;
}

/* ---- metadata: the rows and the inventory's entries must pair off exactly ---- */

static bool check_metadata(struct proof *p, const uint8_t *entry, const struct store_record *record, struct error *err)
{
	struct credential c;
	struct error why;
	char name[(size_t)PIXEL_ID_LEN * 2 + 1];
	uint8_t id[PIXEL_ID_LEN];
	sodium_bin2hex(name, sizeof name, entry, PIXEL_ID_LEN);
	p->report->pixels++;
	if (!metadata_open(p->v, entry, record, entry + PIXEL_ID_LEN, name, &c, &why)) {
		fault(p, "%s", why.message);
		return true;
	}
	p->report->pixels -= name_is_list(c.pixel);
	keys_pixel_id(p->v->keys, c.pixel, id);
	if (memcmp(id, entry, PIXEL_ID_LEN) != 0)
		fault(p, "the record of Pixel '%s' lies under another Pixel's key", c.pixel);
	return check_tokens(p, entry, &c, err);
}

static const uint8_t *next_entry(struct proof *p)
{
	return p->next_entry < p->entries.len ? p->entries.at + p->next_entry : NULL;
}

static bool meet_metadata(struct proof *p, const struct store_record *record, const char *hex, struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	const char *rest;
	struct store_record missing = { .is_found = false };
	if (!read_id(hex, id, &rest) || *rest) {
		fault(p, "a record with the odd name '%s' was added", record->key);
		return true;
	}
	for (const uint8_t *entry; (entry = next_entry(p)) && memcmp(entry, id, PIXEL_ID_LEN) < 0;
	     p->next_entry += ENTRY_LEN)
		if (!check_metadata(p, entry, &missing, err))
			return false;
	const uint8_t *entry = next_entry(p);
	if (!entry || memcmp(entry, id, PIXEL_ID_LEN) != 0) {
		fault(p, "a record that the inventory does not name was added ('%s')", record->key);
		return true;
	}
	p->next_entry += ENTRY_LEN;
	return check_metadata(p, entry, record, err);
}

static bool end_metadata(struct proof *p, struct error *err)
{
	struct store_record missing = { .is_found = false };
	for (const uint8_t *entry; (entry = next_entry(p)); p->next_entry += ENTRY_LEN)
		if (!check_metadata(p, entry, &missing, err))
			return false;
	return true;
}

/* ---- the other kinds ---- */

/* Do the metadata of its Pixel name this row? */
static bool names_row(const struct proof *p, char kind, uint32_t number)
{
	const struct version *v = credential_numbered(&p->credential, number);
	return v && (kind == 't' ? version_has_token(v) : version_has_grant(v));
}

/* Such a row is proven from its metadata; here only rows that no metadata names are found. */
static bool meet_secret(struct proof *p, const struct store_record *record, char kind, const char *hex,
			struct error *err)
{
	uint8_t id[PIXEL_ID_LEN];
	const char *rest;
	char *end;
	if (!read_id(hex, id, &rest) || *rest != '/') {
		fault(p, "a token with the odd name '%s' was added", record->key);
		return true;
	}
	unsigned long number = strtoul(rest + 1, &end, 10);
	if (memcmp(p->token_owner, id, PIXEL_ID_LEN) != 0) {
		char node[NODE_DEPTH][KEY_TEXT_MAX], meta[KEY_TEXT_MAX];
		struct store_record found[1 + NODE_DEPTH];
		struct path_proof path;
		struct error ignored;
		memset(&p->credential, 0, sizeof p->credential);
		memcpy(p->token_owner, id, PIXEL_ID_LEN);
		for (size_t i = 0; i < NODE_DEPTH; i++)
			key_for_node(p->v->root.epoch, id, i + 1, node[i]);
		key_for_pixel(p->v->root.epoch, 'm', id, meta);
		const char *const keys[] = { meta, node[0], node[1], node[2] };
		if (store_get_many(p->v->store, keys, COUNT_OF(keys), &p->v->room, found, err) != STORE_OK)
			return false;
		if (!path_prove(p->v, &p->v->root, id, found + 1, &path, &ignored) || !path.digest ||
		    !metadata_open(p->v, id, &found[0], path.digest, hex, &p->credential, &ignored))
			p->credential.version_count = 0;
	}
	char canonical[KEY_TEXT_MAX];
	if (kind == 't')
		key_for_token(p->v->root.epoch, id, (uint32_t)number, canonical);
	else
		key_for_grant(p->v->root.epoch, id, (uint32_t)number, canonical);
	if (strcmp(canonical, record->key) != 0 || !names_row(p, kind, (uint32_t)number))
		fault(p, "a token that no Pixel names was added ('%s')", record->key);
	return true;
}

static void meet_disposable(struct proof *p, const struct store_record *record, char kind, const char *rest)
{
	uint8_t id[PIXEL_ID_LEN] = { 0 };
	const char *after;
	p->report->disposable++;
	bool is_named = kind != 'h' || (read_id(rest, id, &after) && !*after);
	struct seal_context context =
		vault_context(p->v, kind, kind == 'h' ? bytes_of(id, sizeof id) : bytes_of_text(record->key), 0);
	buf_clear(&p->v->plain);
	if (!is_named || !unseal(p->v->keys, &context, record->value, &p->v->plain))
		fault(p, "the record '%s' was damaged or changed", record->key);
}

static bool node_is_named(const struct proof *p, const char *prefix, bool *ret, struct error *err)
{
	/* inventory_load proved every node that is reached; what is not reached has a zero digest above it. */
	size_t depth = strlen(prefix);
	uint8_t id[PIXEL_ID_LEN] = { 0 };
	char node[NODE_DEPTH][KEY_TEXT_MAX];
	struct store_record found[NODE_DEPTH];
	struct path_proof path;
	struct error ignored;
	*ret = false;
	if (depth < 1 || depth > NODE_DEPTH || strspn(prefix, "0123456789abcdef") != depth)
		return true;
	for (size_t i = 0; i < depth; i++) {
		unsigned value = (unsigned)(prefix[i] <= '9' ? prefix[i] - '0' : prefix[i] - 'a' + 10);
		id[i / 2] |= (uint8_t)(i % 2 ? value : value << 4);
	}
	for (size_t i = 0; i < NODE_DEPTH; i++)
		key_for_node(p->v->root.epoch, id, i + 1, node[i]);
	const char *const keys[] = { node[0], node[1], node[2] };
	if (store_get_many(p->v->store, keys, COUNT_OF(keys), &p->v->room, found, err) != STORE_OK)
		return false;
	*ret = !path_prove(p->v, &p->v->root, id, found, &path, &ignored) || path.depth >= depth;
	return true;
}

static bool meet_node(struct proof *p, const struct store_record *record, const char *rest, struct error *err)
{
	bool is_named;
	if (!node_is_named(p, rest, &is_named, err))
		return false;
	if (!is_named)
		fault(p, "an inventory node that nothing names was added ('%s')", record->key);
	return true;
}

static void meet_slots(struct proof *p, const struct store_record *record)
{
	uint8_t digest[DIGEST_LEN];
	seal_digest(record->value, digest);
	p->has_slots = true;
	if (sodium_memcmp(digest, p->v->root.slots_digest, DIGEST_LEN) != 0)
		fault(p, "the key slots were damaged or changed");
}

/* It was opened when the vault was unlocked; here, that it still is the one. */
static void meet_log_keys(struct proof *p, const struct store_record *record)
{
	uint8_t digest[DIGEST_LEN];
	char key[KEY_TEXT_MAX];
	key_for_log_keys(p->v->root.epoch, key);
	seal_digest(record->value, digest);
	if (strcmp(key, record->key) != 0 || digest_is_zero(p->v->root.log_keys_digest)) {
		fault(p, "a row with the odd name '%s' was added", record->key);
		return;
	}
	if (sodium_memcmp(digest, p->v->root.log_keys_digest, DIGEST_LEN) != 0)
		fault(p, "the record with the audit log's keys was damaged or changed");
	p->has_log_keys = true;
}

static bool meet_row(struct proof *p, const struct store_record *record, struct error *err)
{
	unsigned epoch;
	int len = 0;
	char kind;
	char canonical[32];
	if (strcmp(record->key, "root") == 0)
		return true;
	if (strcmp(record->key, "slots") == 0) {
		meet_slots(p, record);
		return true;
	}
	bool is_named = sscanf(record->key, "e%u/%c/%n", &epoch, &kind, &len) == 2 && len > 0;
	if (is_named) /* one spelling per name: no sign, no leading zero */
		snprintf(canonical, sizeof canonical, "e%u/%c/", epoch, kind);
	if (!is_named || strncmp(record->key, canonical, strlen(canonical)) != 0) {
		fault(p, "a row with the odd name '%s' was added", record->key);
		return true;
	}
	if (epoch != p->v->root.epoch) {
		p->report->rubbish++; /* of a change of keys that was not finished: nothing looks there */
		return true;
	}
	const char *rest = record->key + len;
	switch (kind) {
	case 'm':
		return meet_metadata(p, record, rest, err);
	case 't':
	case 'g':
		return meet_secret(p, record, kind, rest, err);
	case 'n':
		return meet_node(p, record, rest, err);
	case 'k':
		meet_log_keys(p, record);
		return true;
	case 'h':
	case 'c':
	case 'a':
	case 'd':
		meet_disposable(p, record, kind, rest);
		return true;
	default:
		fault(p, "a row with the odd name '%s' was added", record->key);
		return true;
	}
}

/* The store is read through the ordinary calls while a cursor stands; both see the view's one instant. */
static bool walk_rows(struct proof *p, struct error *err)
{
	struct store_cursor *cursor;
	struct store_record record;
	enum store_class class;
	bool ok = true;
	if (store_cursor_open(p->v->store, p->view, "", &cursor, err) != STORE_OK)
		return false;
	while (ok && (class = store_cursor_next(p->v->store, cursor, &record, err)) == STORE_OK)
		ok = meet_row(p, &record, err);
	store_cursor_close(p->v->store, cursor);
	if (ok && class == STORE_NOT_FOUND && !p->has_slots)
		fault(p, "the key slots are missing: somebody deleted them");
	if (ok && class == STORE_NOT_FOUND && !p->has_log_keys && !digest_is_zero(p->v->root.log_keys_digest))
		fault(p, "the record with the audit log's keys is missing: somebody deleted it");
	return ok && class == STORE_NOT_FOUND && end_metadata(p, err);
}

static bool prove_view(struct proof *p, struct error *err)
{
	struct error why;
	p->report->generation = p->v->root.generation;
	if (!inventory_load(p->v, p->view, &p->entries, &p->report->nodes, &why)) {
		if (why.code != ERR_DAMAGED) {
			*err = why;
			return false;
		}
		/* Without a whole inventory nothing below can be told from what was added. */
		fault(p, "%s", why.message);
		return true;
	}
	return walk_rows(p, err);
}

bool vault_verify(struct vault *v, verify_fault_fn *on_fault, void *context, struct verify_report *ret,
		  struct error *err)
{
	struct proof p = {
		.v = v, .report = ret, .on_fault = on_fault, .context = context, .entries = BUF_INIT(SIZE_MAX / 4)
	};
	*ret = (struct verify_report){ 0 };
	if (!vault_is_open(v, err) || store_check(v->store, err) != STORE_OK || !view_open(v, &p.view, err))
		return false;
	bool ok = prove_view(&p, err);
	store_view_close(v->store, p.view);
	buf_done(&p.entries);
	if (ok && ret->faults)
		return fail_class(err, ERR_DAMAGED, "tampered", TXT_VERIFY_FAULTS, ret->first);
	return ok;
}
