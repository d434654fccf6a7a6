/* tests/emulator/listing.c - what a token with the right scopes sees: pixels, Business Center assets, links, statistics.
 * A pixel the token does not reach is simply absent (tiktok-api.md §5.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/call.h"

struct list {
	const struct pixel **at;
	size_t count;
};

static void list_done(struct list *l)
{
	free(l->at);
}

static bool is_id(const char *s)
{
	return s && *s && strlen(s) < ID_MAX && strspn(s, "0123456789") == strlen(s);
}

static bool need_id(struct call *call, const char *name)
{
	const char *value = call_query(call, name);

	if (!value || !*value)
		call_fail(call, 40002, "Missing required field(s): %s.", name);
	else if (!is_id(value))
		call_fail(call, 40002, "Invalid value for %s: not a valid integer string.", name);
	else
		return true;
	return false;
}

static bool read_number(struct call *call, const char *name, long initial, long max, long *ret)
{
	const char *value = call_query(call, name);
	long number = value && is_id(value) && strlen(value) < 10 ? strtol(value, NULL, 10) : 0;

	*ret = value ? number : initial;
	if (*ret >= 1 && *ret <= max)
		return true;
	call_fail(call, 40002, "%s: Must be between 1 and %ld.", name, max);
	return false;
}

static bool read_paging(struct call *call, long max)
{
	return read_number(call, "page", 1, 100000000, &call->page) && read_number(call, "page_size", 10, max, &call->page_size);
}

/* The slice of this page. */
static void bounds(const struct call *call, size_t total, size_t *ret_from, size_t *ret_to)
{
	size_t from = (size_t)(call->page - 1) * (size_t)call->page_size, to = from + (size_t)call->page_size;

	*ret_from = from < total ? from : total;
	*ret_to = to < total ? to : total;
}

static void put_page_info(struct text *out, const struct call *call, size_t total)
{
	size_t size = (size_t)call->page_size;

	text_printf(out, "\"page_info\":{\"page\":%ld,\"page_size\":%ld,\"total_number\":%zu,\"total_page\":%zu}", call->page,
		    call->page_size, total, (total + size - 1) / size);
}

/* Nobody has this advertiser (or Business Center). */
static bool is_unknown(const struct world *w, const char *id, bool is_bc)
{
	for (size_t i = 0; i < w->pixel_count; i++)
		if (w->pixels[i]->exists && !strcmp(is_bc ? w->pixels[i]->bc : w->pixels[i]->advertiser, id))
			return false;
	return true;
}

static bool query_fits(const struct call *call, const char *name, const char *value)
{
	const char *wanted = call_query(call, name);

	return !wanted || !*wanted || !strcmp(wanted, value);
}

static void put_name(struct text *out, const struct pixel *p)
{
	text_printf(out, "Pixel %.20s", p->code);
}

static bool name_fits(const struct call *call, const struct pixel *p)
{
	const char *wanted = call_query(call, "name");
	scoped(text_free) struct text name = { 0 };

	if (!wanted)
		return true;
	put_name(&name, p);
	return strcasestr(name.at, wanted);
}

/* The token's pixels under this advertiser or Business Center, in the order of creation. */
static void collect(const struct call *call, const char *id, bool is_bc, struct list *ret)
{
	const struct token *t = call->token;

	ret->at = must_alloc((t->pixel_count + 1) * sizeof *ret->at);
	for (size_t i = 0; i < t->pixel_count; i++) {
		const struct pixel *p = call->world->pixels[t->pixels[i]];

		if (!strcmp(is_bc ? p->bc : p->advertiser, id) && query_fits(call, "code", p->code) && query_fits(call, "pixel_id", p->id) &&
		    name_fits(call, p))
			ret->at[ret->count++] = p;
	}
}

bool pixel_list_params(struct call *call)
{
	const char *order = call_query(call, "order_by");

	if (order && strcmp(order, "EARLIEST_CREATE") && strcmp(order, "LATEST_CREATE")) {
		call_fail(call, 40002, "order_by: Must be one of: EARLIEST_CREATE, LATEST_CREATE.");
		return false;
	}
	return need_id(call, "advertiser_id") && read_paging(call, 20);
}

static void put_pixel(struct text *out, const struct pixel *p)
{
	bool is_null = !strcmp(p->status, "null");
	scoped(text_free) struct text name = { 0 };

	put_name(&name, p);
	text_printf(out, "{\"pixel_id\":\"%s\",\"pixel_code\":", p->id);
	text_json(out, p->code);
	text_puts(out, ",\"pixel_name\":");
	text_json(out, name.at);
	text_puts(out, ",\"pixel_category\":\"ONLINE_STORE\",\"pixel_setup_mode\":\"DEVELOPER\",\"partner_name\":null,\"pixel_script\":\"\","
		       "\"create_time\":\"2026-01-01T00:00:00Z\",\"activity_status\":\"ACTIVE\",\"asset_ownership\":{\"asset_relation_status\":");
	text_printf(out, "%s%s%s", is_null ? "" : "\"", p->status, is_null ? "" : "\"");
	text_printf(out, ",\"ownership_status\":%s,\"owner_bc_id\":\"%s\",\"updated_at\":\"2026-01-01T00:00:00Z\"},", is_null ? "true" : "false", p->bc);
	text_puts(out, "\"advanced_matching_fields\":{\"email\":true,\"phone_number\":true},\"enable_first_party_cookies\":true,"
		       "\"enable_expanded_data_sharing\":false,\"events\":[]}");
}

void pixel_list(struct call *call)
{
	const char *advertiser = call_query(call, "advertiser_id"), *order = call_query(call, "order_by");
	bool is_latest = order && !strcmp(order, "LATEST_CREATE");
	scoped(list_done) struct list list = { 0 };
	scoped(text_free) struct text out = { 0 };
	size_t from, to;

	collect(call, advertiser, false, &list);
	if (!list.count && is_unknown(call->world, advertiser, false)) {
		call_fail(call, 40001, "advertiser %s doesn't exist or has been deleted.", advertiser);
		return;
	}
	bounds(call, list.count, &from, &to);
	text_puts(&out, "{\"pixels\":[");
	for (size_t i = from; i < to; i++) {
		text_puts(&out, i == from ? "" : ",");
		put_pixel(&out, list.at[is_latest ? list.count - 1 - i : i]);
	}
	text_puts(&out, "],");
	put_page_info(&out, call, list.count);
	text_puts(&out, "}");
	call_succeed(call, out.at);
}

bool bc_asset_get_params(struct call *call)
{
	const char *type = call_query(call, "asset_type");

	if (!type)
		call_fail(call, 40002, "Missing required field(s): asset_type.");
	else if (strcmp(type, "PIXEL"))
		call_fail(call, 40002, "Invalid value for asset_type: the emulator knows PIXEL only.");
	else
		return need_id(call, "bc_id") && read_paging(call, 50);
	return false;
}

void bc_asset_get(struct call *call)
{
	const char *bc = call_query(call, "bc_id");
	scoped(list_done) struct list list = { 0 };
	scoped(text_free) struct text out = { 0 };
	size_t from, to;

	collect(call, bc, true, &list);
	if (!list.count && is_unknown(call->world, bc, true)) {
		call_fail(call, 40001, "No permission to operate business center: %s.", bc);
		return;
	}
	bounds(call, list.count, &from, &to);
	text_puts(&out, "{\"list\":[");
	for (size_t i = from; i < to; i++) {
		const struct pixel *p = list.at[i];

		text_printf(&out, "%s{\"asset_type\":\"PIXEL\",\"asset_id\":\"%s\",\"asset_name\":\"", i == from ? "" : ",", p->id);
		put_name(&out, p);
		text_puts(&out, "\",\"pixel_code\":");
		text_json(&out, p->code);
		text_printf(&out, ",\"relation_type\":\"OWNER_BC\",\"relation_status\":\"%s\",\"owner_bc_name\":\"Emulated\"}", p->relation);
	}
	text_puts(&out, "],");
	put_page_info(&out, call, list.count);
	text_puts(&out, "}");
	call_succeed(call, out.at);
}

bool bc_pixel_link_get_params(struct call *call)
{
	if (!call->pixel || !*call->pixel) {
		call_fail(call, 40002, "Missing required field(s): pixel_code.");
		return false;
	}
	return need_id(call, "bc_id") && read_paging(call, 50);
}

void bc_pixel_link_get(struct call *call)
{
	const struct pixel *p = world_find_pixel(call->world, call->pixel);
	scoped(text_free) struct text out = { 0 };
	size_t from, to, total;

	if (!p || !token_reaches(call->token, p->number) || strcmp(p->bc, call_query(call, "bc_id"))) {
		call_fail_code(call, 40001);
		return;
	}
	total = !strcmp(p->relation, "BOUND");
	bounds(call, total, &from, &to);
	text_puts(&out, "{\"list\":[");
	if (from < to)
		text_printf(&out, "{\"advertiser_id\":\"%s\",\"advertiser_name\":\"Advertiser %s\"}", p->advertiser, p->advertiser);
	text_puts(&out, "],");
	put_page_info(&out, call, total);
	text_puts(&out, "}");
	call_succeed(call, out.at);
}

static bool read_day(const cJSON *range, const char *name, time_t *ret)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(range, name)), *end;
	struct tm day = { 0 };

	end = text ? strptime(text, "%Y-%m-%d", &day) : NULL;
	if (!end || *end)
		return false;
	*ret = timegm(&day);
	return true;
}

static void json_done(cJSON **json)
{
	cJSON_Delete(*json);
}

bool pixel_event_stats_params(struct call *call)
{
	const char *ids_text = call_query(call, "pixel_ids"), *range_text = call_query(call, "date_range");
	scoped(json_done) cJSON *ids = ids_text ? cJSON_Parse(ids_text) : NULL;
	scoped(json_done) cJSON *range = range_text ? cJSON_Parse(range_text) : NULL;
	time_t from, to;

	if (!cJSON_IsArray(ids) || cJSON_GetArraySize(ids) < 1 || cJSON_GetArraySize(ids) > 10)
		call_fail(call, 40002, "Invalid value for pixel_ids: must be a list of 1 to 10 ids.");
	else if (!read_day(range, "start_date", &from) || !read_day(range, "end_date", &to))
		call_fail(call, 40002, "Invalid value for date_range: needs start_date and end_date.");
	else if (to < from || to - from > 30 * 86400)
		call_fail(call, 40002, "Invalid value for date_range: must not be longer than 30 days.");
	else
		return need_id(call, "advertiser_id");
	return false;
}

static bool has_string(const cJSON *array, const char *wanted)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, array)
		if (cJSON_IsString(item) && !strcmp(item->valuestring, wanted))
			return true;
	return false;
}

void pixel_event_stats(struct call *call)
{
	scoped(json_done) cJSON *ids = cJSON_Parse(call_query(call, "pixel_ids"));
	scoped(text_free) struct text out = { 0 };
	const struct token *t = call->token;
	const char *comma = "";

	text_puts(&out, "{\"list\":[");
	for (size_t i = 0; i < t->pixel_count; i++) {
		const struct pixel *p = call->world->pixels[t->pixels[i]];
		unsigned long long events = p->events;

		if (strcmp(p->advertiser, call_query(call, "advertiser_id")) || !has_string(ids, p->id))
			continue;
		text_printf(&out, "%s{\"pixel_id\":\"%s\",\"statistics\":[{\"pixel_event_type\":\"PageView\",\"attributed_count\":0,"
			    "\"preview_count\":0,\"total_count\":%llu,\"browser_event_total_count\":0,\"server_event_total_count\":%llu}]}",
			    comma, p->id, events, events);
		comma = ",";
	}
	text_puts(&out, "]}");
	call_succeed(call, out.at);
}
