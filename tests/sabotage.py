#!/usr/bin/env python3
"""Plants one known mistake after the other into a copy of the sources, and asks the test that claims to notice it.

    tests/sabotage.py [WORD...]    only mistakes whose name holds one of the words; --list shows them all

Each mistake is a piece of source and what it becomes. One that no longer fits the source is an error: the table has to
follow. A mistake that its test does not notice means that the test proves nothing. The last line counts."""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name, file, what stands there, what it becomes, the test: unit:PROGRAM or e2e:WORD
MISTAKES = [
    ("synchronous-off", "vault/store_sqlite.c", "PRAGMA synchronous=FULL;", "PRAGMA synchronous=OFF;", "e2e:test_power_loss"),
    ("folder-not-synced", "core/file.c", "if (fd < 0 || fsync(fd) != 0)\n\t\treturn fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, folder",
     "if (fd < 0)\n\t\treturn fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, folder", "e2e:test_power_loss"),
    ("anchor-in-one-block", "vault/anchor.c", "unsigned other = 1 - valid_block;", "unsigned other = valid_block;", "unit:test_anchor"),
    ("anchor-before-commit", "vault/change.c", "outcome = commit_root(ch, &next, buf_bytes(&root_bytes), &at, err);",
     "struct root was = ch->v->root; ch->v->root = next; (void)!vault_advance_anchor(ch->v, remembered, block, err); "
     "ch->v->root = was; outcome = commit_root(ch, &next, buf_bytes(&root_bytes), &at, err);", "e2e:test_power_loss"),
    ("file-opened-beside-sqlite", "vault/store_sqlite.c", "static enum store_class sqlite_head(struct store *store, struct store_pos *ret, struct error *err)\n{",
     "static enum store_class sqlite_head(struct store *store, struct store_pos *ret, struct error *err)\n{\n\tclose(open(of(store)->path, O_RDONLY));",
     "e2e:test_concurrency"),
    ("aad-without-version", "vault/seal.c", "put_u32(p, context->version), p += 4;", "put_u32(p, 0), p += 4;", "unit:test_seal"),
    ("aad-without-vault-id", "vault/seal.c", "memcpy(p, context->vault_id, VAULT_ID_LEN), p += VAULT_ID_LEN;",
     "memset(p, 0, VAULT_ID_LEN), p += VAULT_ID_LEN;", "unit:test_seal"),
    ("slots-not-under-the-root", "vault/vault.c", "sodium_memcmp(digest, v->root.slots_digest, DIGEST_LEN) != 0",
     "sodium_memcmp(digest, v->root.slots_digest, 0) != 0", "unit:test_vault"),
    ("commitment-not-checked", "vault/slots.c", "sodium_memcmp(commitment, slot + AT_COMMITMENT, COMMITMENT_LEN) != 0",
     "sodium_memcmp(commitment, slot + AT_COMMITMENT, 0) != 0", "unit:test_slots"),
    ("mac-of-one-byte", "vault/vault.c", "if (sodium_memcmp(mac, ret->mac, DIGEST_LEN) != 0)\n\t\treturn fail_class(err, ERR_DAMAGED, \"tampered\", TXT_ROOT_TAMPERED",
     "if (sodium_memcmp(mac, ret->mac, 1) != 0)\n\t\treturn fail_class(err, ERR_DAMAGED, \"tampered\", TXT_ROOT_TAMPERED", "unit:test_vault"),
    ("nonce-from-a-counter", "vault/seal.c", "randombytes_buf(room, SEAL_NONCE_LEN);", "memset(room, 7, SEAL_NONCE_LEN);", "unit:test_seal"),
    ("no-limits-on-cost", "vault/slots.c", "ops < 1 || ops > OPS_MAX || mem < MEM_KIB_MIN || mem > MEM_KIB_MAX", "ops < 1", "unit:test_slots"),
    ("token-not-wiped-after-the-answer", "agent/listener.c", "\tsecret_free(secret);", "\t(void)secret;", "e2e:test_agent_memory"),
    ("wipe-eight-bytes-short", "core/wipe.c", "wipe(at, head->len);", "wipe(at, head->len > 8 ? head->len - 8 : 0);", "unit:test_wipe"),
    ("audit-error-ignored", "vault/vault.c", "if (!ok || !note_reading(v, c, version, verb, \"ok\", AUDIT_ORDINARY, err))",
     "(void)!note_reading(v, c, version, verb, \"ok\", AUDIT_ORDINARY, &ignored);\n\tif (!ok)", "unit:test_vault"),
    ("token-before-its-audit-line", "vault/vault.c", "if (!ok || !note_reading(v, c, version, verb, \"ok\", AUDIT_ORDINARY, err))", "if (!ok)", "e2e:test_audit"),
    ("unlinked-log-not-noticed", "vault/audit.c", "if (lstat(a->path, &st) != 0)", "if (lstat(a->path, &st) != 0 && fstat(a->fd, &st) != 0)", "unit:test_audit"),
    ("peer-is-whoever-we-are", "agent/listener.c", "c->peer = (struct peer){ .uid = who.uid,", "c->peer = (struct peer){ .uid = getuid(),", "e2e:test_peers"),
    ("rule-for-nobody", "agent/settings.c", "&number) && number == 65534);", "&number) && number == 65535);", "unit:test_settings"),
    ("host-name-not-checked", "agent/http.c", "NUMBER(SSL_VERIFYHOST, 2)", "NUMBER(SSL_VERIFYHOST, 0)", "e2e:test_tls"),
    ("redirects-followed", "agent/http.c", "NUMBER(FOLLOWLOCATION, 0),\n\tNUMBER(MAXREDIRS, 0),", "NUMBER(FOLLOWLOCATION, 1),\n\tNUMBER(MAXREDIRS, 5),", "unit:test_courier"),
    ("json-without-regard-to-case", "core/json.c", "if (bytes_equal(name, wanted)) {",
     "if (name.len == wanted.len && strncasecmp((const char *)name.at, (const char *)wanted.at, name.len) == 0) {", "unit:test_json"),
    ("padding-off-by-one", "vault/seal.c", "*ret_len = len - 1;\n\treturn true;", "*ret_len = len;\n\treturn true;", "unit:test_seal"),
    ("sync-tried-again", "vault/audit.c", "atomic_store(&a->is_failed, true);", "", "unit:test_audit"),
    ("environment-kept", "core/process.c", "plan->environment : no_environment", "plan->environment : environ", "e2e:test_agent_hygiene"),
    ("unlocked-memory-accepted", "agent/keeper.c", "if (k->settings.require_locked_memory && !secret_arena_is_locked())", "if (0)", "e2e:test_agent_memory"),
    ("timers-by-the-wall-clock", "core/clock.c", "clock_gettime(CLOCK_BOOTTIME, &now);", "clock_gettime(CLOCK_REALTIME, &now);", "e2e:test_agent_clocks"),
    ("leaf-digest-not-compared", "vault/vault.c", "if (sodium_memcmp(found, digest, DIGEST_LEN) != 0 || !unseal(v->keys, &context, record->value, &v->plain)",
     "if (!unseal(v->keys, &context, record->value, &v->plain)", "unit:test_vault"),
    ("token-digest-not-compared", "vault/vault.c", "if (sodium_memcmp(digest, version->digest, DIGEST_LEN) == 0 &&", "if (", "unit:test_vault"),
    ("root-condition-left-out", "vault/change.c", "store_commit(ch->v->store, &unmoved, 1, ops", "store_commit(ch->v->store, &unmoved, 0, ops", "unit:test_vault"),
    ("lost-sector-called-a-change", "vault/audit_end.c", "*ret_is_cut = a->may_be_cut && ", "*ret_is_cut = false && ", "e2e:test_power_loss"),
    ("cut-log-accepted", "vault/audit_end.c", "if (last.sequence < anchored->sequence)", "if (0)", "unit:test_audit"),
    ("rollback-accepted", "vault/anchor.c", "return DESCENT_OLDER;", "return DESCENT_NEWER;", "unit:test_anchor"),
    ("key-file-of-others-read", "core/file.c", "if (is_secret && st->st_mode & (S_IRWXG | S_IRWXO))", "if (0)", "unit:test_file"),
    ("anchor-read-behind-the-store", "vault/vault.c",
     "if (!find_place(v, place, err) || (!v->is_copy && !anchor_read(&v->anchor_file, err)))\n\t\treturn false;\n"
     "\t/* Before it is opened, so that one put there meanwhile is noticed. */\n\t(void)!lstat(v->path, &v->opened);\n"
     "\tenum store_class class = place->is_still ? store_open_still(&store_sqlite, v->path, &v->store, err)\n"
     "\t\t\t\t\t\t : store_open(&store_sqlite, v->path, &v->store, err);\n"
     "\tif (class != STORE_OK || !read_head(v, err))\n\t\treturn false;",
     "if (!find_place(v, place, err) || lstat(v->path, &v->opened) != 0)\n\t\treturn false;\n"
     "\tenum store_class class = store_open(&store_sqlite, v->path, &v->store, err);\n"
     "\tif (class != STORE_OK || !read_head(v, err))\n\t\treturn false;\n"
     "\tclock_sleep_ms(5);\n\tif (!anchor_read(&v->anchor_file, err))\n\t\treturn false;", "e2e:test_concurrency"),
    ("lock-let-go-before-the-anchor", "vault/change.c", "bool is_anchored = outcome != ATTEMPT_DONE ||",
     "store_release(ch->v->store);\n\t\tclock_sleep_ms(5);\n\t\t(void)store_hold(ch->v->store, STORE_WAIT_MS, err);\n\t\t"
     "bool is_anchored = outcome != ATTEMPT_DONE ||", "e2e:test_concurrency"),
]


def plant(tree, file, before, after):
    path = os.path.join(tree, file)
    with open(path) as f:
        text = f.read()
    if text.count(before) != 1:
        raise SystemExit("%s: what a mistake is planted in stands there %d times, not once:\n%s" % (file, text.count(before), before))
    with open(path, "w") as f:
        f.write(text.replace(before, after))
    return path, text


def build(tree, log):
    done = subprocess.run(["make", "-s", "-j2", "BUILD=build", "all", "test-programs"], cwd=tree, stdout=log, stderr=log)
    return done.returncode == 0


def passes(tree, test, log):
    kind, name = test.split(":")
    words = ["build/tests/unit/" + name] if kind == "unit" else [sys.executable, "tests/e2e/run.py", name]
    try:
        return subprocess.run(words, cwd=tree, stdout=log, stderr=log, env=dict(os.environ, BUILD="build"), timeout=900).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def copy(tree):
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        to = os.path.join(tree, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), to)


def main():
    words = [w for w in sys.argv[1:] if w != "--list"]
    chosen = [m for m in MISTAKES if not words or any(w in m[0] for w in words)]
    if "--list" in sys.argv:
        for name, file, _, _, test in chosen:
            print("%-34s %-22s %s" % (name, file, test))
        return 0
    tree = tempfile.mkdtemp(prefix="sabotage-")
    os.chmod(tree, 0o755)  # tests of other accounts start the programs in it
    missed = []
    try:
        copy(tree)
        with open(os.path.join(tree, "log"), "w") as log:
            if not build(tree, log):
                raise SystemExit("the sources as they are do not build")
            for test in sorted({m[4] for m in chosen}):
                if not passes(tree, test, log):
                    raise SystemExit("%s fails without any mistake" % test)
            for name, file, before, after, test in chosen:
                path, text = plant(tree, file, before, after)
                is_caught = build(tree, log) and not passes(tree, test, log)
                print("%-8s %-34s %s" % ("caught" if is_caught else "MISSED", name, test), flush=True)
                missed += [] if is_caught else [name]
                with open(path, "w") as f:
                    f.write(text)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    print("%d of %d planted mistakes caught" % (len(chosen) - len(missed), len(chosen)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
