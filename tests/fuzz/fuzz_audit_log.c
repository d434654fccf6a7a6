/* Any bytes as a whole audit log: walked, opened at its end, gone on with or its loss accepted. The first byte asks for
 * the chain to be made good first, so that what stands behind the MACs is reached too; the second says how much of it
 * this host remembers. */
#include "tests/fuzz/common.h"
#include "vault/audit.h"

#include <fcntl.h>
#include <sodium.h>

#define LOG_MAX 65536

/* To go on takes a hundred times as long as to look: a quarter of all. */
enum choice { CHAINED = 1, NUMBERED = 2, GO_ON = 4 | 16, NOTED = 8, NOTED_LATER = 32, NOTED_OTHER = 64, SCARRED = 128 };

static const struct audit_who who = { .is_known = true, .uid = 1, .gid = 2, .pid = 3, .as = "checkout" };
static char log_path[128], anchor_path[128];

static void make_place(void)
{
	fuzz_make_folder();
	snprintf(anchor_path, sizeof anchor_path, "%s/vault.db-0011.anchor", fuzz_folder);
	snprintf(log_path, sizeof log_path, "%s/vault.db-0011.audit.log", fuzz_folder);
}

/* Each line that is one gets the MAC that belongs there, and with NUMBERED the next number; a scar with SCARRED the
 * digest of what stands before it. ret_at is the last. */
static void chain(struct bytes log, uint8_t choice, struct buf *out, struct audit_position *ret_at)
{
	static const uint8_t none[DIGEST_LEN];
	static struct secret *start;
	struct error err;
	struct audit_entry e;
	struct bytes line;
	char text[AUDIT_LINE_MAX];
	size_t covered;
	if (!start)
		expect(audit_mac_start(zero_keys(), &start, &err));
	while (log.len) {
		const uint8_t *newline = memchr(log.at, '\n', log.len);
		expect(bytes_take(&log, newline ? (size_t)(newline - log.at) + 1 : log.len, &line));
		if (!newline || !audit_entry_decode(line, &e, &covered)) {
			buf_append(out, line.at, line.len);
			continue;
		}
		if (e.extra == AUDIT_SCAR && choice & SCARRED) /* a chain of its own begins there */
			crypto_generichash(e.digest, DIGEST_LEN, out->at ? out->at : (const uint8_t *)"", out->len,
					   NULL, 0);
		if (choice & NUMBERED)
			e.sequence = ret_at->sequence + 1;
		(void)audit_entry_encode(&e, text, &covered);
		audit_entry_mac(start, e.segment, bytes_of(text, covered), e.extra == AUDIT_SCAR ? none : ret_at->mac,
				e.mac);
		buf_append(out, text, audit_entry_encode(&e, text, &covered));
		*ret_at = (struct audit_position){ .sequence = e.sequence };
		memcpy(ret_at->mac, e.mac, DIGEST_LEN);
	}
}

static void store(struct bytes log)
{
	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	expect(fd >= 0 && write(fd, log.at, log.len) == (ssize_t)log.len && close(fd) == 0);
}

static bool meet(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	(void)err, (void)is_proven;
	expect(memchr(e->verb, 0, sizeof e->verb) && memchr(e->as, 0, sizeof e->as));
	++*(uint64_t *)context;
	return true;
}

static void hear(void *context, const char *sentence)
{
	(void)context;
	expect(sentence[0] != '\0');
}

static struct audit_report walk(struct audit *a, const struct audit_position *anchored,
				const struct audit_position *noted)
{
	uint64_t met = 0;
	struct audit_reader reader = { meet, hear, &met, noted };
	struct audit_report report;
	struct error err;
	expect(audit_walk(a, anchored, &reader, &report, &err));
	expect(met <= report.entries && (report.faults == 0 || report.first[0]));
	return report;
}

/* What opens is gone on with, and what is behind the new entry is sound if all before it was. */
static bool go_on(const struct audit_position *anchored, bool was_sound)
{
	static const struct audit_event event = {
		.verb = "get", .pixel = "C0U2T02IU8J6B9GC2B90", .version = 1, .result = "ok"
	};
	static const uint8_t commit[16];
	struct audit *a = NULL;
	struct audit_position durable;
	struct error err;
	expect(audit_new(anchor_path, zero_keys(), &a, &err));
	bool is_open = audit_prove(a, anchored, &err);
	expect(is_open || (err.code == ERR_DAMAGED && err.hint[0]));
	expect(is_open || !was_sound);
	if (is_open && audit_explain(a, commit, 1, &err) &&
	    audit_append(a, &who, &event, 1, AUDIT_ORDINARY, true, &err)) {
		audit_durable(a, &durable);
		expect(durable.sequence > anchored->sequence);
		if (was_sound)
			expect(walk(a, anchored, NULL).faults == 0);
	}
	audit_free(a);
	return is_open;
}

static void accept_loss(const struct audit_position *anchored)
{
	struct audit *a = NULL;
	struct audit_position now;
	struct error err;
	expect(audit_new(anchor_path, zero_keys(), &a, &err));
	if (audit_accept_loss(a, anchored, &who, &err)) {
		audit_durable(a, &now);
		audit_free(a);
		expect(audit_new(anchor_path, zero_keys(), &a, &err) && audit_prove(a, &now, &err));
		struct audit_report after = walk(a, &now, NULL);
		expect(after.faults == 0 && after.segments >= 2);
	} else {
		expect(err.code == ERR_CONFLICT || err.code == ERR_DAMAGED || err.code == ERR_STORAGE);
	}
	audit_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data, len);
	struct buf log = BUF_INIT(2 * LOG_MAX);
	struct audit_position anchored = { 0 }, end = { 0 };
	struct audit *a = NULL;
	struct error err;
	uint8_t choice = take_byte(&rest), back = take_byte(&rest);
	if (rest.len > LOG_MAX)
		return 0;
	make_place();
	if (choice & CHAINED)
		chain(rest, choice, &log, &end);
	else
		buf_append(&log, rest.at, rest.len);
	expect(!log.is_bad);
	if (back == 1)
		anchored = end;
	else
		anchored.sequence = back / 2;
	store(buf_bytes(&log));
	expect(audit_new(anchor_path, zero_keys(), &a, &err));
	struct audit_position noted = end;
	noted.sequence += choice & NOTED_LATER ? 1 : 0;
	noted.mac[0] ^= choice & NOTED_OTHER;
	struct audit_report report = walk(a, &anchored, choice & NOTED ? &noted : NULL);
	expect(!(choice & NOTED) || !report.lacks_noted || report.faults);
	audit_free(a);
	/* Opened are only ends that are remembered: then what is sound as a whole opens, too. */
	bool is_sound = !report.faults && !report.torn && back == 1 && report.entries;
	if ((choice & GO_ON) == GO_ON && !go_on(&anchored, is_sound))
		accept_loss(&anchored);
	buf_done(&log);
	return 0;
}
