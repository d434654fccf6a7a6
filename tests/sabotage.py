#!/usr/bin/env python3
"""Plants one known mistake after the other into a copy of the sources, and asks the test that claims to notice it.

    tests/sabotage.py [WORD...]    only mistakes whose name holds one of the words; --list shows them all

Each mistake is a piece of source and what it becomes. One that no longer fits the source is an error: the table has to
follow. A mistake that its test does not notice means that the test proves nothing. The last line counts."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKERS = 2

# name, the test (unit:PROGRAM.TEST or e2e:MODULE.CLASS.TEST, as far as it says one thing), and one or more of (file, what stands there, what it becomes): more than one
# where two layers stand behind each other and either would hide that the other is gone
MISTAKES = [
    ("synchronous-off", "e2e:test_power_loss.PowerLoss.test_what", ("vault/store_sqlite.c", "PRAGMA synchronous=FULL;", "PRAGMA synchronous=OFF;")),
    ("folder-not-synced", "e2e:test_power_loss.PowerLoss.test_init",
     ("core/file.c", "if (fd < 0 || fsync(fd) != 0)\n\t\treturn fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, folder",
      "if (fd < 0)\n\t\treturn fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, folder")),
    ("anchor-in-one-block", "unit:test_anchor.file__comes_back_as_it_was_and_advances_in_turn",
     ("vault/anchor.c", "unsigned other = 1 - valid_block;",
      "unsigned other = valid_block;")),
    ("restore-forgets-who-is-replaced", "e2e:test_stepped.Restored.test_before_the_vault_is_there",
     ("vault/backup.c", "i->has_kept = kept != NULL;", "kept = NULL; i->has_kept = false;")),
    ("restore-still-knows-who-was-replaced", "e2e:test_stepped.Restored.test_a_restore_that_ended_refuses_the_old",
     ("vault/backup.c", "if (!i->has_kept)\n\t\treturn true;", "if (i->has_kept || !i->has_kept)\n\t\treturn true;")),
    ("restore-only-takes-an-older-one-unasked", "e2e:test_restore_only.RestoreOnly.test_a_whole_pixel_with_a_newer_token_is_refused",
     ("vault/repair.c", "p->found.is_step_back && !r->wish->may_step_back)", "p->found.is_step_back && !r->wish->may_step_back && which > 99)"),
     ("cli/restore_only.c", "if (plan[i].is_step_back && !wish->may_step_back)",
      "if (plan[i].is_step_back && !wish->may_step_back && i > 99)")),
    ("restore-only-leaves-damaged-health", "e2e:test_restore_only.RestoreOnly.test_damaged_health_is_only_forgotten",
     ("vault/repair.c", "((is_return || has_damaged_health) && !change_drop_health", "(is_return && has_damaged_health && !change_drop_health")),
    ("restore-only-without-its-line", "e2e:test_restore_only.RestoreOnly.test_a_damaged_record_that_verify_names_by_id",
     ("vault/repair.c", "\tchange_note(p->ch, \"restore\", p->pixel, p->found.then);\n", "")),
    ("restore-only-in-several-commits", "e2e:test_restore_only.RestoreOnly.test_one_refusal_refuses_all",
     ("vault/repair.c", "bool ok = is_same_vault(v, wish, err) && vault_change(v, repair_all, &r, err);",
      "bool ok = true;\n\tstruct repair_wish one = *wish;\n\tone.count = 1;\n\tr.wish = &one;\n"
      "\tfor (size_t i = 0; ok && i < wish->count; i++, one.pixels++, r.plan++)\n\t\tok = vault_change(v, repair_all, &r, err);"),
     ("cli/restore_only.c", "if (plan[i].is_step_back && !wish->may_step_back)",
      "if (plan[i].is_step_back && !wish->may_step_back && i > 99)")),
    ("restore-only-replaces-what-is-whole", "e2e:test_restore_only.RestoreOnly.test_a_damaged_token_comes_back_and_what_else",
     ("vault/repair.c", "if (p->found.is_unreadable || !p->is_there) {", "if (p->is_there) {")),
    ("restore-only-guards-retired-ones", "unit:test_repair.plan__tokens_that_were_retired_are_no_loss",
     ("vault/repair.c", "if (version->stage == STAGE_RETIRED || !version_has_token(version)", "if (!version_has_token(version)")),
    ("restore-only-does-more-than-was-shown", "unit:test_repair.deed__another_plan_than_what_would_be_done_changes_nothing",
     ("vault/repair.c", "a->others == b->others;", "a->now == b->now;")),
    ("courier-that-may-be-swapped-out", "e2e:test_agent_hygiene.Memory.test_the_courier_is_locked_with_its_heap",
     ("agent/courier_process.c", "\tlock_heap();\n", "\t(void)lock_heap;\n")),
    ("words-of-a-token-left-on-the-stack", "unit:test_seal.fingerprint__leaves_no_word_of_the_token_on_the_stack",
     ("vault/seal.c", "subkey(k, KEY_FINGERPRINT), 32);\n\twipe_stack();", "subkey(k, KEY_FINGERPRINT), 32);")),
    ("anchor-before-commit", "e2e:test_power_loss.PowerLoss.test_what",
     ("vault/change.c", "outcome = commit_root(ch, &next, buf_bytes(&root_bytes), &at, err);",
      "struct root was = ch->v->root; ch->v->root = next; (void)!vault_advance_anchor(ch->v, remembered, block, err); "
      "ch->v->root = was; outcome = commit_root(ch, &next, buf_bytes(&root_bytes), &at, err);")),
    ("file-opened-beside-sqlite", "unit:test_store.open__keeps_the_file_locked_through_every_call",
     ("vault/store_sqlite.c", "static enum store_class sqlite_head(struct store *store, struct store_pos *ret, struct error *err)\n{",
      "static enum store_class sqlite_head(struct store *store, struct store_pos *ret, struct error *err)\n{\n\tclose(open(of(store)->path, O_RDONLY));")),
    ("aad-without-version", "unit:test_seal.seal__does_not_open_when_any_part_of_the_context_differs", ("vault/seal.c", "put_u32(p, context->version), p += 4;", "put_u32(p, 0), p += 4;")),
    ("aad-without-vault-id", "unit:test_seal.seal__does_not_open_when_any_part_of_the_context_differs",
     ("vault/seal.c", "memcpy(p, context->vault_id, VAULT_ID_LEN), p += VAULT_ID_LEN;",
      "memset(p, 0, VAULT_ID_LEN), p += VAULT_ID_LEN;")),
    ("slots-not-under-the-root", "unit:test_vault.tamper__every_byte_of_the_slots_is_refused_as_tampered_before_any_key_is_tried",
     ("vault/vault.c", "sodium_memcmp(digest, v->root.slots_digest, DIGEST_LEN) != 0",
      "sodium_memcmp(digest, v->root.slots_digest, 0) != 0")),
    ("commitment-not-checked", "unit:test_slots.slot__every_bit_changed_is_refused_by_the_class_of_its_place",
     ("vault/slots.c", "sodium_memcmp(commitment, slot + AT_COMMITMENT, COMMITMENT_LEN) != 0",
      "sodium_memcmp(commitment, slot + AT_COMMITMENT, 0) != 0")),
    ("mac-of-one-byte", "unit:test_vault.tamper__every_byte_of_the_root_is_refused_by_the_class_of_its_place",
     ("vault/vault.c", "if (sodium_memcmp(mac, ret->mac, DIGEST_LEN) != 0)\n\t\treturn fail_class(err, ERR_DAMAGED, \"tampered\", TXT_ROOT_TAMPERED",
      "if (sodium_memcmp(mac, ret->mac, 1) != 0)\n\t\treturn fail_class(err, ERR_DAMAGED, \"tampered\", TXT_ROOT_TAMPERED")),
    ("nonce-from-a-counter", "unit:test_seal.seal__no_nonce_comes_twice_in_ten_thousand",
     ("vault/seal.c", "randombytes_buf(room, SEAL_NONCE_LEN);",
      "memset(room, 7, SEAL_NONCE_LEN);")),
    ("no-limits-on-cost", "unit:test_slots.slot__limits_are_checked_before_any_key_derivation",
     ("vault/slots.c", "ops < 1 || ops > OPS_MAX || mem < MEM_KIB_MIN || mem > MEM_KIB_MAX",
      "ops < 1")),
    ("token-not-wiped-after-the-answer", "e2e:test_agent_memory.Memory.test_no_trace_of_a_put_that_came_with_a_read",
     ("agent/listener.c", "\tsecret_free(secret);",
      "\t(void)secret;")),
    ("wipe-eight-bytes-short", "unit:test_wipe.wipe__a_freed_block_holds_nothing",
     ("core/wipe.c", "wipe(at, head->len);",
      "wipe(at, head->len > 8 ? head->len - 8 : 0);")),
    ("audit-error-ignored", "unit:test_vault.token__is_not_given_when_its_line_cannot_be_written",
     ("vault/secrets.c", "if (note_tokens(v, readings, count, verb, err))\n\t\treturn true;",
      "(void)!note_tokens(v, readings, count, verb, err);\n\tif (count)\n\t\treturn true;")),
    ("token-before-its-audit-line", "e2e:test_audit.Audit.test_shows_who_did_what_to_which_pixel",
     ("vault/secrets.c", "return !opened || audit_append(v->audit, &v->who, events, opened, AUDIT_ORDINARY, false, err);",
      "(void)events, (void)err;\n\treturn true;")),
    ("token-and-then-its-audit-line", "e2e:test_agent_faults.Calls.test_no_token",
     ("agent/api_read.c", "bool is_written = api_audit_settle(api, &err);", "bool is_written = true;"),
     ("agent/api_read.c", "\tapi->reads_in_turn += api->collected_count;\n", "\t(void)!api_audit_settle(api, &err);\n\tapi->reads_in_turn += api->collected_count;\n")),
    ("a-lost-write-not-told", "e2e:test_agent_faults.Calls.test_after_a_lost_write",
     ("agent/worker.c", "\tif (!w->vault || w->has_told_loss ||", "\tif (w->vault ||")),
    ("unlinked-log-not-noticed", "unit:test_audit.place__a_log_that_was_removed_renamed_replaced_or_linked_is_refused_at_once",
     ("vault/audit.c", "if (lstat(a->path, &st) != 0)",
      "if (lstat(a->path, &st) != 0 && fstat(a->fd, &st) != 0)")),
    ("peer-is-whoever-we-are", "e2e:test_peers.Peers.test_every_cell_is_as_the_rules_say",
     ("agent/listener.c", "c->peer = (struct peer){ .uid = who.uid,",
      "c->peer = (struct peer){ .uid = getuid(),")),
    ("refused-at-a-decoy-not-noted", "e2e:test_decoy.WithAnAgent.test_one_who_is_refused",
     ("agent/api.c", "if (pixel && route->verb == ACCESS_READ)", "if (!pixel && route->verb == ACCESS_READ)")),
    ("rule-for-nobody", "unit:test_config.a_rule_for_uid_65534",
     ("agent/settings.c", "&number) && number == 65534);",
      "&number) && number == UINT32_MAX);")),
    ("host-name-not-checked", "e2e:test_tls.Handshakes.test_no_byte_of_a_token__wrong_host", ("agent/http.c", "NUMBER(SSL_VERIFYHOST, 2)", "NUMBER(SSL_VERIFYHOST, 0)")),
    ("redirects-followed", "unit:test_courier.courier__every_fault_has_its_row",
     ("agent/http.c", "NUMBER(FOLLOWLOCATION, 0),\n\tNUMBER(MAXREDIRS, 0),",
      "NUMBER(FOLLOWLOCATION, 1),\n\tNUMBER(MAXREDIRS, 5),")),
    ("json-without-regard-to-case", "unit:test_json.json__top_level_members_are_found_as_they_were_written",
     ("core/json.c", "if (bytes_equal(name, wanted)) {",
      "if (name.len == wanted.len && strncasecmp((const char *)name.at, (const char *)wanted.at, name.len) == 0) {")),
    ("padding-off-by-one", "unit:test_seal.seal__lengths_fall_into_size_classes_with_at_least_one_byte_of_padding",
     ("vault/seal.c", "*ret_len = len - 1;\n\treturn true;",
      "*ret_len = len;\n\treturn true;")),
    ("taken-over-log-keeps-its-end", "unit:test_audit_faults.takeover__of_a_log_that_is_damaged_at_its_end_begins_a_new_one", ("vault/audit.c", "begin_anew(a);", "(void)begin_anew;")),
    ("sync-tried-again", "unit:test_audit.sync__that_failed_is_final", ("vault/audit.c", "atomic_store(&a->is_failed, true);", "")),
    ("environment-kept", "e2e:test_agent_hygiene.Memory.test_neither_arguments_nor_environments_nor_descriptors",
     ("core/process.c", "plan->environment : no_environment",
      "plan->environment : environ")),
    ("unlocked-memory-accepted", "e2e:test_agent_memory.Locking.test_where_too_little",
     ("agent/keeper.c", "if (k->settings.require_locked_memory && !secret_arena_is_locked())",
      "if (0)")),
    ("a-clock-that-jumped-is-believed", "e2e:test_agent_clocks.Leaving.test_nothing_is_taken_or_deleted_by_a_clock_that_is_ahead",
     ("agent/service.c", "return sure_clock_now(&s->sure_clock, clock_wall(), clock_boot_ms());",
      "return clock_wall();")),
    ("who-waits-to-be-taken-is-forgotten", "e2e:test_upkeep.Leaving.test_a_newer_token_meanwhile_lets_nobody_keep_the_one_that_was_to_go",
     ("vault/credential.c", "\tv->retire_by = retire_by;", "\t(void)retire_by;")),
    ("swap-on-no-evidence", "e2e:test_mismatch.Swapped.test_two_that_nobody_asked_about_are_not_exchanged_by_dry_probes",
     ("agent/service_swap.c", "return is_refused || are_proven;", "return true;")),
    ("owner-told-to-strangers", "e2e:test_peers.Strangers.test_are_named_by_nothing",
     ("agent/api_list.c", "both[i]->belongs_to[0] = '\\0';", ";")),
    ("timers-by-the-wall-clock", "e2e:test_agent_clocks.Jumps.test_a_wall_clock_that_jumps",
     ("core/clock.c", "clock_gettime(CLOCK_BOOTTIME, &now);",
      "clock_gettime(CLOCK_REALTIME, &now);")),
    ("leaf-digest-not-compared", "unit:test_vault.tamper__metadata_swapped_doubled_deleted_or_older_is_refused_for_that_pixel_alone",
     ("vault/vault.c", "if (sodium_memcmp(found, digest, DIGEST_LEN) != 0 || !unseal(v->keys, &context, record->value, &v->plain)",
      "if (!unseal(v->keys, &context, record->value, &v->plain)")),
    ("token-digest-not-compared", "unit:test_vault.forged__another_token_sealed_for_the_very_same_version_is_refused",
     ("vault/secrets.c", "if (sodium_memcmp(digest, version->digest, DIGEST_LEN) == 0 &&",
      "if (")),
    ("node-digest-not-compared", "unit:test_bits.value__every_bit_of_each_is_under_the_root",
     ("vault/vault.c", "if (sodium_memcmp(mac, expected, DIGEST_LEN) == 0 && is_shaped)",
      "if (sodium_memcmp(mac, expected, 0) == 0 && is_shaped)")),
    ("root-condition-left-out", "unit:test_vault.change__overtaken_by_another_runs_again_and_loses_nothing",
     ("vault/change.c", "store_commit(ch->v->store, &unmoved, 1, ops",
      "store_commit(ch->v->store, &unmoved, 0, ops")),
    ("lost-sector-called-a-change", "e2e:test_power_loss.PowerLoss.test_what",
     ("vault/audit_end.c", "*ret_is_cut = a->may_be_cut && ",
      "*ret_is_cut = false && ")),
    ("cut-log-accepted", "unit:test_audit.tamper__a_tail_that_was_cut_off_below_the_anchor_is_noticed_when_it_is_opened", ("vault/audit_end.c", "if (last.sequence < anchored->sequence)", "if (0)")),
    ("rollback-accepted", "unit:test_anchor.vault__an_older_copy_is_rolled_back", ("vault/anchor.c", "return DESCENT_OLDER;", "return DESCENT_NEWER;")),
    ("key-file-of-others-read", "unit:test_file.file__a_secret_one_that_others_may_read_is_refused", ("core/file.c", "if (is_secret && st->st_mode & (S_IRWXG | S_IRWXO))", "if (0)")),
    ("anchor-read-behind-the-store", "e2e:test_stepped.Stepped.test_a_reader",
     ("vault/vault.c", "if (!find_place(v, place, err) || (!v->is_copy && !anchor_read(&v->anchor_file, err)))\n\t\treturn false;\n"
      "\t/* Before it is opened, so that one put there meanwhile is noticed. */\n\t(void)!lstat(v->path, &v->opened);\n"
      "\tenum store_class class = place->is_still ? store_open_still(&store_sqlite, v->path, &v->store, err)\n"
      "\t\t\t\t\t\t : store_open(&store_sqlite, v->path, &v->store, err);\n"
      "\tif (class != STORE_OK || !read_head(v, err))\n\t\treturn false;",
      "if (!find_place(v, place, err) || lstat(v->path, &v->opened) != 0)\n\t\treturn false;\n"
      "\tenum store_class class = store_open(&store_sqlite, v->path, &v->store, err);\n"
      "\tif (class != STORE_OK || !read_head(v, err))\n\t\treturn false;\n"
      "\tif (!anchor_read(&v->anchor_file, err))\n\t\treturn false;")),
    ("lock-let-go-before-the-anchor", "e2e:test_stepped.Stepped.test_the_lock",
     ("vault/change.c", "bool is_anchored = outcome != ATTEMPT_DONE ||",
      "store_release(ch->v->store);\n\t\t(void)store_hold(ch->v->store, STORE_WAIT_MS, err);\n\t\t"
      "bool is_anchored = outcome != ATTEMPT_DONE ||")),
    ("both-anchor-blocks-at-once", "e2e:test_power_loss.PowerLoss.test_what",
     ("vault/anchor.c", "TEMP_FAILURE_RETRY(pwrite(fd, file->blocks[other], ANCHOR_BLOCK, at));\n\tif (put != ANCHOR_BLOCK ||",
      "((void)at, memcpy(file->blocks[valid_block], file->blocks[other], ANCHOR_BLOCK),\n\t\t\tpwrite(fd, file->blocks, 2 * ANCHOR_BLOCK, 0));\n"
      "\tif (put != 2 * ANCHOR_BLOCK ||")),
    ("peer-told-by-the-request", "e2e:test_peers.Peers.test_what",
     ("agent/listener.c", "static void free_secret(void *secret)", "static bool make_view(const struct access *access, struct connection *c);\n"
      "static void free_secret(void *secret)"),
     ("agent/listener.c", "\tif (!c->call.is_answered)\n\t\tc->l->setup.begin(c->l->setup.context, &c->call, &c->body_max);",
      "\tconst char *told = find_header(&c->call, \"X-Uid\");\n\tif (told) {\n\t\tc->peer.uid = (uid_t)strtoul(told, NULL, 10);\n"
      "\t\t(void)!make_view(c->l->setup.access, c);\n\t}\n"
      "\tif (!c->call.is_answered)\n\t\tc->l->setup.begin(c->l->setup.context, &c->call, &c->body_max);")),
    ("body-read-despite-an-error", "unit:test_courier.courier__every_fault_has_its_row",
     ("agent/courier_process.c", "if (from.transport == TRANSPORT_OK)\n\t\t\ttiktok_read(",
      "if (from.body.len && (a.transport = TRANSPORT_OK, true))\n\t\t\ttiktok_read("),
     ("agent/http.c", "\tif (ret->transport == TRANSPORT_OK)\n\t\tret->body", "\tret->body")),
    ("head-start-in-a-vault-that-was-changed", "e2e:test_listing.Later.test_a_list_that_came_since_the_last_check_is_read_before",
     ("agent/service_check.c", "bool is_same = vault_generation(s->vault) == run->known.generation;", "bool is_same = true;")),
    ("length-taken-as-signed", "unit:test_client.reply__a_length_is_no_small_number_that_only_ends_like_it", ("agent/reply.c", "\t*ret = value;\n\treturn true;\n}\n\nstatic bool read_header",
                                                    "\t*ret = (uint64_t)(int32_t)value;\n\treturn true;\n}\n\nstatic bool read_header")),
    ("answer-with-the-rest-of-the-one-before", "e2e:test_fast_path.SameAnswers.test_to_every_kind_of_read",
     ("agent/listener.c", "\tbool is_sent = len && send(c->fd, room, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;\n\twipe(room, len);",
      "\tstatic size_t longest;\n\tif (len > longest)\n\t\tlongest = len;\n"
      "\tbool is_sent = len && send(c->fd, room, longest, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)longest;")),
]


class Tree:
    """A copy of the sources with a build of its own, for one mistake at a time."""

    def __init__(self, path):
        self.path = path

    def plant(self, edits):
        """{file: its text before}"""
        texts = {}
        for file, before, after in edits:
            path = os.path.join(self.path, file)
            with open(path) as f:
                text = f.read()
            if text.count(before) != 1:
                raise SystemExit("%s: what a mistake is planted in stands there %d times, not once:\n%s" % (file, text.count(before), before))
            texts.setdefault(file, text)
            with open(path, "w") as f:
                f.write(text.replace(before, after))
        return texts

    def put_back(self, texts):
        for file, text in texts.items():
            with open(os.path.join(self.path, file), "w") as f:
                f.write(text)

    def build(self, tests, log, jobs=1):
        """What these tests need, and no more: some unit programs start the agent."""
        goals = {"all"}
        for kind, name in (t.split(":") for t in tests):
            goals.add("build/tests/unit/" + name.split(".")[0] if kind == "unit" else "e2e-programs")
        return subprocess.run(["make", "-s", "-j%d" % jobs, "BUILD=build", "CFLAGS=-O2", *sorted(goals)], cwd=self.path,
                              stdout=log, stderr=log).returncode == 0

    def passes(self, test, log):
        kind, name = test.split(":")
        env = dict(os.environ, BUILD="build")
        words = [sys.executable, "tests/e2e/run.py", name]
        if kind == "unit":
            program, _, env["CMOCKA_ONLY"] = name.partition(".")
            words = ["build/tests/unit/" + program]
        try:
            return subprocess.run(words, cwd=self.path, stdout=log, stderr=log, env=env, timeout=900).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def copy_sources(to):
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        path = os.path.join(to, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), path)


def dealt(chosen):
    """The mistakes in one pile for each worker. Those of one file lie together: it is compiled once between two of them."""
    piles = [[] for _ in range(WORKERS)]
    by_file = {}
    for mistake in chosen:
        by_file.setdefault(mistake[2][0], []).append(mistake)
    for same in sorted(by_file.values(), key=len, reverse=True):
        min(piles, key=len).extend(same)
    return piles


class Work:
    def __init__(self, folder, chosen):
        self.folder, self.chosen, self.missed, self.lock = folder, chosen, [], threading.Lock()
        self.tests = sorted({m[1] for m in chosen})

    def prepare(self):
        """One tree, built with all there is, and its copies; the tests must pass where nothing is planted."""
        first = Tree(os.path.join(self.folder, "tree0"))
        copy_sources(first.path)
        with open(os.path.join(self.folder, "log"), "w") as log:
            if not first.build(self.tests + ["e2e:the emulator"], log, jobs=WORKERS):
                raise SystemExit("the sources as they are do not build:\n" + self.whole("log")[-3000:])
        trees = [first] + [Tree(os.path.join(self.folder, "tree%d" % n)) for n in range(1, WORKERS)]
        for tree in trees[1:]:
            shutil.copytree(first.path, tree.path, symlinks=True)
        return trees

    def whole(self, name):
        with open(os.path.join(self.folder, name), errors="replace") as f:
            return f.read()

    def try_unplanted(self, tree, number):
        """A second time where it failed: a busy machine is not what is looked for here."""
        for test in self.tests[number::WORKERS]:
            name = test.replace(":", "-").replace("*", "") + ".log"
            for _ in range(2):
                with open(os.path.join(self.folder, name), "w") as log:
                    has_passed = tree.passes(test, log)
                has_passed = has_passed and re.search(r"\[ +OK \]|^e2e: [1-9]", self.whole(name), re.M)
                if has_passed:
                    break
            if not has_passed:
                raise SystemExit("%s fails without any mistake, or there is none of that name:\n%s" % (test, self.whole(name)[-3000:]))

    def try_planted(self, tree, pile):
        for name, test, *edits in pile:
            started = time.monotonic()
            with open(os.path.join(self.folder, name + ".log"), "w") as log:
                texts = tree.plant(edits)
                is_built = tree.build([test], log)
                is_caught = is_built and not tree.passes(test, log)
                tree.put_back(texts)
            with self.lock:
                print("%-8s %-40s %s (%.0f s)" % ("caught" if is_caught else "MISSED", name, test, time.monotonic() - started), flush=True)
                if not is_caught:
                    self.missed.append(name)
                    print(self.whole(name + ".log")[-3000:])

    def all(self):
        trees = self.prepare()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for job in [pool.submit(self.try_unplanted, *pair) for pair in zip(trees, range(WORKERS))]:
                job.result()
            for job in [pool.submit(self.try_planted, *pair) for pair in zip(trees, dealt(self.chosen))]:
                job.result()


def main():
    words = [w for w in sys.argv[1:] if w != "--list"]
    chosen = [m for m in MISTAKES if not words or any(w in m[0] for w in words)]
    if "--list" in sys.argv:
        for name, test, *edits in chosen:
            print("%-40s %-24s %s" % (name, edits[0][0], test))
        return 0
    folder = tempfile.mkdtemp(prefix="sabotage-")
    os.chmod(folder, 0o755)  # tests of other accounts start the programs in it
    work = Work(folder, chosen)
    try:
        work.all()
    finally:
        if os.environ.get("KEEP"):
            print("kept: " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print("%d of %d planted mistakes caught" % (len(chosen) - len(work.missed), len(chosen)))
    return 1 if work.missed else 0


if __name__ == "__main__":
    sys.exit(main())
