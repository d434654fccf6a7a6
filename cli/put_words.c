#include "cli/put_words.h"

#include "cli/text.h"

#include <stdio.h>

const char *removed_words(unsigned removed, char ret[REMOVED_WORDS_MAX])
{
	size_t at = 0;
	ret[0] = '\0';
	for (unsigned bit = 1; bit <= REMOVED_HEADER_NAME && at < REMOVED_WORDS_MAX; bit <<= 1)
		if (removed & bit)
			at += (size_t)snprintf(ret + at, REMOVED_WORDS_MAX - at, "%s%s", at ? ", " : "",
					       removed_name((enum removed)bit));
	return ret;
}

const char *put_words(const struct put_result *r, char ret[PUT_WORDS_MAX])
{
	const char *pixel = r->pixel;
	if (r->is_unchanged)
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_UNCHANGED, pixel, r->version, verdict_name(r->verdict));
	else if (r->stage == STAGE_STANDBY)
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_STANDBY, pixel, r->version, verdict_name(r->verdict));
	else if (r->was_asked && verdict_is_transient(r->outcome))
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_NOT_JUDGED, pixel, r->version, verdict_name(r->outcome),
			 r->evidence.text[0] ? ": " : "", r->evidence.text, pixel);
	else if (r->verdict == VERDICT_HEALTHY)
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_HEALTHY, pixel, r->version);
	else if (r->verdict == VERDICT_UNPROVEN)
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_UNPROVEN, pixel, r->version);
	else
		snprintf(ret, PUT_WORDS_MAX, SAY_PUT_NOT_ASKED, pixel, r->version, pixel);
	return ret;
}

const char *retire_words(const char *pixel, const struct retire_result *r, char ret[RETIRE_WORDS_MAX])
{
	if (r->in_use_by[0])
		snprintf(ret, RETIRE_WORDS_MAX, SAY_RETIRED_SHARED, pixel, r->version, r->in_use_by);
	else
		snprintf(ret, RETIRE_WORDS_MAX, SAY_RETIRED, pixel, r->version);
	return ret;
}
