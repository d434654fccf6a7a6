#include "agent/service_own.h"
#include "agent/text.h"

#include <stdlib.h>
#include <string.h>

/* All rows are staged inside one change, by the code that stages a single put. To find out what is wrong with any of
 * them the same is done and given up at the end; so a dry run and the real one cannot disagree. */

struct import {
	struct service *service;
	struct import_request *request;
	struct import_result *result;
	bool is_trial; /* nothing is committed */
	bool is_given_up;
	/* asking */
	size_t next, asked;
	bool has_failed;
	struct error err;
};

/* ---- staging ---- */

/* What TikTok said of it goes along, and with it the promotion. */
static bool settle_row(struct import *im, struct import_row *row, struct change *change, struct error *err)
{
	struct settlement x = { .pixel = row->pixel,
				.version = row->version,
				.ruling = RULING_VERDICT,
				.outcome = row->outcome,
				.evidence = &row->evidence,
				.settings = im->service->settings };
	if (!service_settle(&x, change, err))
		return false;
	const struct version *v = credential_numbered(&x.credential, row->version);
	row->stage = v ? v->stage : row->stage;
	return true;
}

/* With IMPORT_CHECK it is pending first, and promoted by what was found. */
static bool stage_row(struct import *im, struct import_row *row, struct change *change, struct error *err)
{
	struct put_result put;
	struct credential c;
	scoped(secret_freep) struct secret *token = NULL;
	bool exists, is_checked = im->request->mode == IMPORT_CHECK;
	if (!secret_copy(row->token, &token, err) || !change_find(change, row->pixel, &c, &exists, err))
		return false;
	memcpy(row->stored_test_code, c.test_code, sizeof row->stored_test_code);
	row->has_current = credential_staged(&c, STAGE_CURRENT) != NULL;
	struct put_request request = { .pixel = row->pixel,
				       .pasted = token,
				       .labels = row->labels,
				       .label_count = row->label_count,
				       .expires_at = row->expires_at,
				       .test_code = row->test_code,
				       .no_check = !is_checked,
				       .is_judged_later = im->request->mode == IMPORT_LATER };
	if (!put_stage(im->service, &request, change, &put, err))
		return false;
	row->version = put.version;
	row->stage = put.stage;
	row->is_unchanged = put.is_unchanged;
	memcpy(row->also_stored, put.also_stored, sizeof row->also_stored);
	memcpy(row->fingerprint, put.fingerprint, sizeof row->fingerprint);
	return !row->was_asked || settle_row(im, row, change, err);
}

static bool stage_all(void *context, struct change *change, struct error *err)
{
	struct import *im = context;
	im->is_given_up = false;
	im->result->wrong = 0;
	for (size_t i = 0; i < im->request->count; i++) {
		struct import_row *row = &im->request->rows[i];
		row->err.code = ERR_NONE;
		if (stage_row(im, row, change, &row->err))
			continue;
		/* The row's own fault, and the next is looked at; or everybody's, and it is over. */
		if (row->err.code != ERR_CONFLICT && row->err.code != ERR_USAGE && row->err.code != ERR_MALFORMED) {
			*err = row->err;
			return false;
		}
		im->result->wrong++;
	}
	im->is_given_up = im->is_trial || im->result->wrong;
	return im->is_given_up ? fail(err, ERR_CONFLICT, TXT_IMPORT_WRONG, im->result->wrong, im->request->count) : true;
}

static bool try_or_store(struct import *im, bool is_trial, struct error *err)
{
	im->is_trial = is_trial;
	bool is_done = vault_change(im->service->vault, stage_all, im, err);
	im->result->is_stored = is_done;
	return is_done || im->is_given_up;
}

/* ---- asking about all of them: as many side by side as may be under way ---- */

struct lane {
	struct job job;
	struct import *import;
	struct import_row *row;
	struct secret *token;
	bool has_ended;
};

static struct lane *lane_of(struct job *job)
{
	return (struct lane *)job;
}

static bool is_enough(const struct import *im)
{
	return im->has_failed || im->result->unjudged || im->next == im->request->count;
}

static bool take_row(struct lane *lane, struct error *err)
{
	struct import *im = lane->import;
	while (!is_enough(im) && im->request->rows[im->next].is_unchanged) {
		im->next++;
		im->asked++;
	}
	lane->row = NULL;
	if (is_enough(im))
		return true;
	lane->row = &im->request->rows[im->next++];
	return secret_copy(lane->row->token, &lane->token, err);
}

static bool lane_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct lane *lane = lane_of(job);
	(void)ret_wait_ms;
	if (job->is_asking)
		return true;
	if (!take_row(lane, err))
		return false;
	if (!lane->row) {
		job->is_done = true;
		return true;
	}
	const char *test_code = lane->row->test_code ? lane->row->test_code : lane->row->stored_test_code;
	struct question q = { .kind = service_probe_kind(job->service->settings, PROBE_CHOICE_AUTO, test_code),
			      .pixel = lane->row->pixel,
			      .test_code = test_code,
			      .token = lane->token };
	job_ask(job, &q, false);
	return true;
}

static bool lane_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct lane *lane = lane_of(job);
	struct import *im = lane->import;
	struct import_row *row = lane->row;
	(void)err;
	secret_freep(&lane->token);
	row->was_asked = true;
	row->outcome = asked->finding.outcome;
	row->evidence = asked->evidence;
	im->asked++;
	if (verdict_is_transient(row->outcome) && !im->result->unjudged)
		im->result->unjudged = (size_t)(row - im->request->rows) + 1;
	else if (verdict_is_bad(row->outcome))
		im->result->refused++;
	if (im->request->asked)
		im->request->asked(im->request->context, im->asked, im->request->count, row);
	return true;
}

static void lane_end(struct job *job, const struct error *err)
{
	struct lane *lane = lane_of(job);
	if (err && !lane->import->has_failed)
		lane->import->err = *err;
	lane->import->has_failed |= err != NULL;
	lane->has_ended = true;
	secret_freep(&lane->token);
}

static const struct job_ops lane_ops = { .step = lane_step, .asked = lane_asked, .end = lane_end };

/* Once one is started, all are driven to their end: they lie in one array. */
static bool ask_all(struct import *im, struct error *err)
{
	size_t count = im->service->settings->in_flight;
	if (!service_ready(im->service, err))
		return false;
	struct lane *lanes = calloc(count, sizeof *lanes);
	if (!lanes)
		return fail_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		lanes[i].import = im;
		job_start(im->service, &lanes[i].job, &lane_ops, NULL);
	}
	for (size_t i = 0; i < count; i++)
		if (!lanes[i].has_ended)
			service_drive(im->service, &lanes[i].job);
	free(lanes);
	if (im->has_failed)
		*err = im->err;
	return !im->has_failed;
}

/* ---- all of it ---- */

bool service_import(struct service *s, struct import_request *r, struct import_result *ret, struct error *err)
{
	struct import im = { .service = s, .request = r, .result = ret };
	*ret = (struct import_result){ .wrong = 0 };
	if (r->mode == IMPORT_CHECK) {
		if (!try_or_store(&im, true, err))
			return false;
		if (ret->wrong)
			return true;
		if (!ask_all(&im, err))
			return false;
		if (ret->refused || ret->unjudged)
			return true;
	}
	return try_or_store(&im, r->is_dry_run, err);
}
