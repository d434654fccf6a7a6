#include "cli/bundle_passphrase.h"
#include "cli/output.h"
#include "cli/own_file.h"
#include "cli/select.h"
#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "vault/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define LIST_BYTES_MAX ((size_t)1 << 28)

typedef char pixel_text[PIXEL_CODE_MAX + 1];

/* The document, in locked memory, as it is written. */
struct export
{
	struct invocation *inv;
	struct buf pixels; /* pixel_text */
	struct secret *room;
	struct buf document; /* lies in room */
	size_t written, without, of_family;
};

static void export_done(struct export *x)
{
	buf_done(&x->pixels);
	secret_freep(&x->room);
}

static bool note_pixel(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct export *x = context;
	(void)h;
	buf_append(&x->pixels, c->pixel, sizeof(pixel_text));
	return buf_ok(&x->pixels, err);
}

static void write_labels(struct json *j, const struct credential *c)
{
	json_object(j, "labels");
	for (size_t i = 0; i < c->label_count; i++)
		json_text(j, c->labels[i].key, c->labels[i].value);
	json_end_object(j);
}

static bool write_pixel(struct export *x, const char *pixel, struct json *j, struct error *err)
{
	struct credential c;
	scoped(secret_freep) struct secret *token = NULL;
	if (!vault_find(x->inv->vault, pixel, false, &c, err))
		return false;
	const struct version *v = credential_staged(&c, STAGE_CURRENT);
	if (!v) {
		x->without++;
		say(x->inv, SAY_EXPORT_NO_CURRENT, pixel);
		return true;
	}
	if (!vault_token(x->inv->vault, &c, v, "export", &token, err))
		return false;
	x->of_family += v->renewal.family != FAMILY_PLAIN;
	json_object(j, NULL);
	json_text(j, "pixel", c.pixel);
	json_text_n(j, "token", secret_reveal(token));
	json_time(j, "expires_at", version_ends_at(v));
	json_text(j, "test_code", c.test_code[0] ? c.test_code : NULL);
	write_labels(j, &c);
	json_end_object(j);
	x->written++;
	return true;
}

static bool write_document(struct export *x, struct error *err)
{
	if (!secret_new(BUNDLE_ROOM, &x->room, err))
		return false;
	/* It cannot grow, so it stays where it is. */
	x->document = (struct buf){ .at = secret_room(x->room), .cap = BUNDLE_PLAIN_MAX, .max = BUNDLE_PLAIN_MAX };
	struct json j = JSON_INIT(&x->document);
	json_object(&j, NULL);
	json_int(&j, "schema", 1);
	json_text(&j, "kind", "pixelvault-export");
	json_time(&j, "exported_at", clock_wall());
	json_array(&j, "pixels");
	for (size_t i = 0; i < x->pixels.len / sizeof(pixel_text); i++)
		if (!write_pixel(x, ((const pixel_text *)(const void *)x->pixels.at)[i], &j, err))
			return false;
	json_end_array(&j);
	json_end_object(&j);
	if (x->document.is_bad)
		return fail(err, ERR_USAGE, TXT_EXPORT_LARGE, BUNDLE_PLAIN_MAX);
	return x->written ? true : fail(err, ERR_NOT_FOUND, TXT_EXPORT_NOTHING);
}

static bool choose_lock(struct invocation *inv, uint8_t key[BUNDLE_KEY_LEN], struct secret **ret_passphrase,
			struct bundle_lock *ret, struct error *err)
{
	const char *to = option_text(inv, "to");
	*ret = (struct bundle_lock){ .public_key = to ? key : NULL };
	if (to)
		return bundle_key_decode(to, key, err);
	if (!bundle_passphrase(inv, true, ret_passphrase, err))
		return false;
	ret->passphrase = *ret_passphrase;
	return true;
}

/* Before a person is asked for a passphrase, and before a token is opened. */
static bool check_target(struct invocation *inv, const char *path, struct error *err)
{
	struct stat st;
	if (!own_file_spare(inv->settings, path, err))
		return false;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? true : fail(err, ERR_STORAGE, TXT_EXPORT_TARGET, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_CONFLICT, TXT_EXPORT_NOT_PLAIN, path);
	return option_is_given(inv, "force") ? true : fail(err, ERR_CONFLICT, TXT_EXPORT_EXISTS, path);
}

static void tell_export(const struct export *x, const char *path)
{
	struct invocation *inv = x->inv;
	if (x->of_family)
		say(inv, SAY_EXPORT_FAMILY, x->of_family);
	if (!inv->globals.json) {
		say(inv, SAY_EXPORT_DONE, x->written, x->written == 1 ? "" : "s", path);
		return;
	}
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "file", path);
	json_text(&j, "sealed_to", option_is_given(inv, "to") ? "public-key" : "passphrase");
	json_int(&j, "written", (int64_t)x->written);
	json_int(&j, "without_current", (int64_t)x->without);
	json_int(&j, "not_renewed", (int64_t)x->of_family);
	output_json_end(inv, &j);
}

static bool write_file(struct export *x, const char *path, const struct bundle_lock *lock, struct error *err)
{
	struct buf file = BUF_INIT(BUNDLE_FILE_MAX);
	bool ok = bundle_seal(x->room, x->document.len, lock, &file, err) &&
		  (option_is_given(x->inv, "force") ? file_replace(path, buf_bytes(&file), 0600, err)
						    : file_create(path, buf_bytes(&file), 0600, err));
	buf_done(&file);
	return ok;
}

static bool show_key(struct invocation *inv, struct error *err)
{
	uint8_t key[BUNDLE_KEY_LEN];
	char text[BUNDLE_KEY_TEXT_MAX];
	if (inv->arg_count || option_is_given(inv, "to") || option_is_given(inv, "label"))
		return fail(err, ERR_USAGE, TXT_EXPORT_SHOW_ALONE);
	if (!bundle_public_key(vault_root_key(inv->vault), key, err))
		return false;
	bundle_key_encode(key, text);
	if (inv->globals.json) {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		json_text(&j, "public_key", text);
		output_json_end(inv, &j);
	} else {
		buf_printf(&inv->out, "%s\n", text);
	}
	return true;
}

bool cmd_export(struct invocation *inv, struct error *err)
{
	const char *path = option_text(inv, "to-file");
	struct selection which;
	struct bundle_lock lock;
	uint8_t key[BUNDLE_KEY_LEN];
	scoped(secret_freep) struct secret *passphrase = NULL;
	scoped(export_done) struct export x = { .inv = inv, .pixels = BUF_INIT(LIST_BYTES_MAX) };
	if (option_is_given(inv, "show-key"))
		return show_key(inv, err);
	if (!path)
		return fail(err, ERR_USAGE, TXT_EXPORT_NO_FILE);
	if (!check_target(inv, path, err) || !select_read(inv, &which, err) ||
	    !select_each(inv, &which, false, note_pixel, &x, err) || !choose_lock(inv, key, &passphrase, &lock, err) ||
	    !write_document(&x, err) || !write_file(&x, path, &lock, err))
		return false;
	tell_export(&x, path);
	return true;
}
