"""A second reader of the store format, written from docs/format.md and not from the program: Python's standard library
only. It opens a vault by its key file, proves everything it hands out, and raises Bad where a proof fails.

    tests/support/reader.py VAULT KEY-FILE      prints what it read as JSON, tokens included"""

import hashlib
import hmac
import json
import re
import sqlite3
import struct
import sys

FORMAT = 1
BUCKETS = (512, 1024, 2048, 4096, 8192, 16384)
HINT_BUCKET = 192
PASSPHRASE, ALGORITHM_ARGON2ID, KEY_FILE, ALGORITHM_BLAKE2B = 1, 1, 2, 2
MAC, META, TOKEN, INDEX, FINGERPRINT, ANCHOR, AUDIT = range(1, 8)
STAGES = {1: "pending", 2: "current", 3: "previous", 4: "retired", 5: "standby"}


class Bad(Exception):
    """A proof failed: the class that the format gives it, and what it was."""

    def __init__(self, kind, what):
        super().__init__("%s: %s" % (kind, what))
        self.kind = kind


# ---- XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, RFC 8439) ----

def rotl(x, n):
    return ((x << n) | (x >> (32 - n))) & 0xffffffff


def rounds(s):
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = (s[x] + s[y]) & 0xffffffff
                s[z] = rotl(s[z] ^ s[x], n)


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def hchacha20(key, nonce16):
    s = list(CONSTANTS + struct.unpack("<8I", key) + struct.unpack("<4I", nonce16))
    rounds(s)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def chacha20_block(key, counter, nonce12):
    start = CONSTANTS + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce12)
    s = list(start)
    rounds(s)
    return struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(s, start)))


def chacha20(key, counter, nonce12, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        out += bytes(a ^ b for a, b in zip(data[i:i + 64], chacha20_block(key, counter + i // 64, nonce12)))
    return bytes(out)


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")


def aead_parts(key, nonce):
    inner = hchacha20(key, nonce[:16])
    return inner, b"\0\0\0\0" + nonce[16:]


def aead_tag(inner, nonce12, cipher, aad):
    def pad(b):
        return b + bytes(-len(b) % 16)
    return poly1305(chacha20_block(inner, 0, nonce12)[:32],
                    pad(aad) + pad(cipher) + struct.pack("<QQ", len(aad), len(cipher)))


def aead_seal(key, nonce, plain, aad):
    inner, nonce12 = aead_parts(key, nonce)
    cipher = chacha20(inner, 1, nonce12, plain)
    return cipher + aead_tag(inner, nonce12, cipher, aad)


def aead_open(key, nonce, sealed, aad):
    """None when the tag does not fit."""
    inner, nonce12 = aead_parts(key, nonce)
    cipher, tag = sealed[:-16], sealed[-16:]
    if len(sealed) < 16 or not hmac.compare_digest(aead_tag(inner, nonce12, cipher, aad), tag):
        return None
    return chacha20(inner, 1, nonce12, cipher)


# ---- keys, MACs, sealing ----

def blake2b(size, *parts, key=b""):
    h = hashlib.blake2b(digest_size=size, key=key)
    for p in parts:
        h.update(p)
    return h.digest()


def subkeys(root_key):
    """crypto_kdf_derive_from_key: BLAKE2b without a message; the number is the salt, the context personalises."""
    return {n: hashlib.blake2b(digest_size=32, key=root_key, salt=struct.pack("<QQ", n, 0),
                               person=b"pxvault1" + bytes(8)).digest() for n in range(1, 8)}


def associated_data(vault_id, epoch, kind, what, version, bucket):
    return (struct.pack("<I", FORMAT) + vault_id + struct.pack("<I", epoch) + kind.encode() +
            struct.pack("<I", len(what)) + what + struct.pack("<II", version, bucket))


def key_of_kind(keys, kind):
    return keys[TOKEN] if kind in "tg" else keys[META]


def buckets_of(kind):
    return (HINT_BUCKET,) if kind == "d" else BUCKETS[:4] if kind in "tg" else BUCKETS


def seal(keys, vault_id, epoch, kind, what, version, plain, nonce):
    bucket = next(b for b in buckets_of(kind) if len(plain) < b)
    padded = plain + b"\x80" + bytes(bucket - len(plain) - 1)
    return nonce + aead_seal(key_of_kind(keys, kind), nonce, padded,
                             associated_data(vault_id, epoch, kind, what, version, bucket))


def unseal(keys, vault_id, epoch, kind, what, version, sealed):
    """None when it is not this value."""
    bucket = len(sealed) - 24 - 16
    if bucket not in buckets_of(kind):
        return None
    padded = aead_open(key_of_kind(keys, kind), sealed[:24], sealed[24:],
                       associated_data(vault_id, epoch, kind, what, version, bucket))
    if padded is None:
        return None
    plain = padded.rstrip(b"\0")
    return plain[:-1] if plain[-1:] == b"\x80" else None


# ---- slots ----

def slot_key(secret, vault_id, slot):
    return blake2b(64, b"pxslot01", vault_id, slot[:9], slot[20:36], key=secret)


def slot_make(secret, vault_id, root_key, slot_id, salt, nonce, kind=KEY_FILE):
    head = slot_id + bytes([kind, ALGORITHM_BLAKE2B, 0, 0]) + bytes(8) + salt
    bound = b"pxslot01" + struct.pack("<I", FORMAT) + vault_id + head
    both = slot_key(secret, vault_id, head)
    wrapped = aead_seal(both[:32], nonce, root_key, bound)
    return head + nonce + blake2b(32, bound, nonce, wrapped, key=both[32:]) + wrapped + bytes(20)


def passphrase_slot(passphrase, vault_id, root_key, slot_id, salt, nonce, passes, kib):
    """As an earlier or a careless program may have made it: the cost is the caller's."""
    head = slot_id + bytes([PASSPHRASE, ALGORITHM_ARGON2ID, 0, 0]) + struct.pack("<II", passes, kib) + salt
    bound = b"pxslot01" + struct.pack("<I", FORMAT) + vault_id + head
    both = argon2id(passphrase, salt, passes, kib)
    wrapped = aead_seal(both[:32], nonce, root_key, bound)
    return head + nonce + blake2b(32, bound, nonce, wrapped, key=both[32:]) + wrapped + bytes(20)


def slot_open(secret, vault_id, slot):
    """The root key, or None when this secret did not make the slot."""
    bound = b"pxslot01" + struct.pack("<I", FORMAT) + vault_id + slot[:36]
    nonce, commitment, wrapped = slot[36:60], slot[60:92], slot[92:140]
    both = slot_key(secret, vault_id, slot)
    if not hmac.compare_digest(blake2b(32, bound, nonce, wrapped, key=both[32:]), commitment):
        return None
    return aead_open(both[:32], nonce, wrapped, bound)


# ---- documents ----

class Cutter:
    def __init__(self, data, what):
        self.data, self.what = data, what

    def take(self, n):
        if len(self.data) < n:
            raise Bad("format", self.what + " is cut short")
        part, self.data = self.data[:n], self.data[n:]
        return part

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def text(self, form="B"):
        return self.take(self.number(form)).decode()

    def rest(self):
        return len(self.data)

    def end(self):
        if self.data:
            raise Bad("format", self.what + " has trailing bytes")


def parse_root(data):
    c = Cutter(data, "the root record")
    if c.take(8) != b"pxvault\n":
        raise Bad("format", "the root record's magic")
    if (c.number("I"), c.number("I"), c.number("Q")) != (1, 1, 0):
        raise Bad("format", "the root record's version")
    root = {"vault_id": c.take(16), "lineage": c.take(16), "epoch": c.number("I"), "generation": c.number("Q"),
            "commit_id": c.take(16), "past": [c.take(32) for _ in range(32)], "slots_digest": c.take(32),
            "log_keys_digest": c.take(32), "top": [c.take(32) for _ in range(16)], "mac": c.take(32)}
    c.end()
    return root


def parse_credential(data):
    c = Cutter(data, "a metadata record")
    r = {"pixel": c.text(), "created_at": c.number("q"), "deleted_at": c.number("q"), "is_destroyed": c.number("B"),
         "test_code": c.text(), "last_number": c.number("I")}
    r["labels"] = [(c.text(), c.text()) for _ in range(c.number("B"))]
    r["versions"] = [{"number": c.number("I"), "stage": STAGES[c.number("B")], "stored_at": c.number("q"),
                      "staged_at": c.number("q"), "expires_at": c.number("q"), "fingerprint": c.take(16),
                      "digest": c.take(32), "family": 0, "grant_digest": bytes(32)} for _ in range(c.number("B"))]
    last = 0
    while c.rest():
        tag = c.number("B")
        if tag <= last or tag not in BLOCKS:
            raise Bad("format", "a block of a metadata record")
        BLOCKS[tag](c, r)
        last = tag
    return r


def parse_lifecycle(c, r):
    r["rotate_from"], r["rotate_since"] = c.number("I"), c.number("q")
    for v in r["versions"]:
        v["retire_by"], v["taken_at"], v["is_aside"] = c.number("q"), c.number("q"), c.number("B")
    r["gone"] = [{"number": c.number("I"), "stored_at": c.number("q"), "taken_at": c.number("q"), "gone_at": c.number("q"),
                  "is_dead": c.number("B"), "fingerprint": c.take(16)} for _ in range(c.number("B"))]


def parse_families(c, r):
    for v in r["versions"]:
        v["family"] = c.number("B")
        if v["family"] > 2:
            raise Bad("format", "a family")
        if v["family"]:
            for name in ("issued_at", "access_until", "refresh_until", "asked_at", "refused_at"):
                v[name] = c.number("q")
            v["grant_fingerprint"], v["grant_digest"] = c.take(16), c.take(32)


def has_token(version):
    return version["family"] == 0 or version["digest"] != bytes(32)


BLOCKS = {1: parse_lifecycle, 2: parse_families}


def parse_judgement(c):
    return {"version": c.number("I"), "verdict": c.number("B"), "probe": c.number("B"), "code": c.number("i"),
            "http": c.number("i"), "at": c.number("q"), "text": c.text("H"), "request_id": c.text("H"),
            "last_outcome": c.number("B"), "attempted_at": c.number("q"), "attempt_text": c.text("H"),
            "checked_at": c.number("q"), "proven_at": c.number("q"), "suspected": c.number("B"), "suspected_at": c.number("q"),
            "belongs_to": c.text("H")}


def parse_health(data):
    c = Cutter(data, "a health record")
    if c.number("B") != 1:
        raise Bad("format", "a health record's version")
    h = {"counter": c.number("Q"), "current": parse_judgement(c), "pending": parse_judgement(c),
         "failures": c.number("I"), "next_check_at": c.number("q")}
    h["history"] = [{"at": c.number("q"), "version": c.number("I"), "verdict": c.number("B"), "probe": c.number("B"),
                     "code": c.number("i")} for _ in range(c.number("B"))]
    h["reported_at"], h["fading"] = 0, []
    if c.rest():
        h["reported_at"] = c.number("q")
        h["fading"] = [{"version": c.number("I"), "verdict": c.number("B"), "proven_at": c.number("q"),
                        "checked_at": c.number("q"), "refused_at": c.number("q")} for _ in range(c.number("B"))]
    h["sights"] = []
    if c.rest():
        h["sights"] = [{"list": c.text("B"), "kind": c.number("B"), "is_own": c.number("B"), "times": c.number("B"),
                        "since": c.number("q"), "at": c.number("q")} for _ in range(c.number("B"))]
    c.end()
    return h


def parse_anchor(block, keys):
    """One of the two blocks; None when it is not valid."""
    if len(block) != 512 or not hmac.compare_digest(blake2b(32, b"pxanch01", block[:480], key=keys[ANCHOR]),
                                                    block[480:]):
        return None
    c = Cutter(block[:480], "an anchor block")
    if c.take(8) != b"pxanchr\n" or c.number("I") != 1:
        return None
    a = {"vault_id": c.take(16), "lineage": c.take(16), "epoch": c.number("I"), "generation": c.number("Q"),
         "root_mac": c.take(32), "audit_sequence": c.number("Q"), "audit_head": c.take(32), "wall_clock": c.number("q")}
    return a if c.data == bytes(len(c.data)) else None


ENTRY = re.compile(
    rb'(\{"seq":([1-9]\d*),"at":"[0-9TZ:-]+","boot":"[0-9a-f-]{36}","ms":\d+,"uid":\d+,"gid":\d+,"pid":\d+,"as":(?:null|"[ -~]+"),'
    rb'"verb":"[a-z-]+","pixel":(?:null|"[0-9a-f]{32}"),"version":(?:null|[1-9]\d*),"fingerprint":(?:null|"tk-[0-9A-Z-]+"),'
    rb'"result":"[a-z-]+","generation":\d+,"segment":(\d+)'
    rb'(?:,"commit":"[0-9a-f]{32}","base":\d+|,"moved":\d+|(,"anchored":\d+,"digest":"([0-9a-f]{64})"))?),"mac":"([0-9a-f]{64})"\}\n')


def parse_audit(data, keys):
    """The entries of a whole log, each proven by the one before it; Bad names the first that is not."""
    before, sequence, segment, at, entries = bytes(32), 0, 1, 0, []
    for line in data.splitlines(True):
        m = ENTRY.fullmatch(line)
        if not m:
            raise Bad("audit", "the line behind entry %d" % sequence)
        entry, is_scar = m.group(1), m.group(4) is not None
        number, its_segment = int(m.group(2)), int(m.group(3))
        chained = struct.pack("<QI", its_segment, len(entry)) + entry + (bytes(32) if is_scar else before)
        if not hmac.compare_digest(blake2b(32, b"pxaudit1", chained, key=keys[AUDIT]), bytes.fromhex(m.group(6).decode())):
            raise Bad("audit", "the MAC of entry %d" % number)
        if is_scar and blake2b(32, data[:at]).hex().encode() != m.group(5):
            raise Bad("audit", "what lies before entry %d" % number)
        if not is_scar and (number, its_segment) != (sequence + 1, segment):
            raise Bad("audit", "the place of entry %d" % number)
        before, sequence, segment, at = bytes.fromhex(m.group(6).decode()), number, its_segment, at + len(line)
        entries.append(dict(json.loads(line), mac=before))
    return entries


ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def fingerprint_text(fingerprint):
    bits = int.from_bytes(fingerprint[:5], "big")
    digits = "".join(ALPHABET[bits >> shift & 31] for shift in range(35, -1, -5))
    return "tk-%s-%s" % (digits[:4], digits[4:])


# ---- export files (docs/format.md, section 13) ----

PRIME = 2 ** 255 - 19


def x25519(scalar, point):
    """RFC 7748."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


BASE_POINT = (9).to_bytes(32, "little")


def export_private(root_key):
    return hashlib.blake2b(digest_size=32, key=root_key, salt=struct.pack("<QQ", 1, 0), person=b"pxexport" + bytes(8)).digest()


def export_public(root_key):
    return x25519(export_private(root_key), BASE_POINT)


def export_key_text(public):
    return "pxk1-%s-%s" % (public.hex(), blake2b(16, public, key=b"pixelvault public key 1").hex()[:8])


def argon2id(passphrase, salt, passes, kib):
    """64 bytes. From libsodium: in Python it would take an hour."""
    import ctypes
    import ctypes.util
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    out = ctypes.create_string_buffer(64)
    if sodium.sodium_init() < 0 or sodium.crypto_pwhash(
            out, ctypes.c_ulonglong(64), passphrase, ctypes.c_ulonglong(len(passphrase)), salt,
            ctypes.c_ulonglong(passes), ctypes.c_size_t(kib * 1024), ctypes.c_int(2)) != 0:
        raise MemoryError("Argon2id")
    return out.raw


def export_bucket(length):
    bucket = 512
    while bucket <= length:
        bucket += min(bucket, 65536)
    return bucket


def export_seal(plain, both, head):
    """head: the first 120 bytes, with any length."""
    padded = plain + b"\x80" + bytes(export_bucket(len(plain)) - len(plain) - 1)
    head = head[:112] + struct.pack("<Q", len(padded) + 16)
    head += blake2b(32, head, key=both[32:])
    return head + aead_seal(both[:32], head[88:112], padded, head)


def export_open(data, passphrase=None, root_key=None):
    """The document inside, as it was written."""
    if len(data) < 152 or data[:8] != b"pxexprt\n":
        raise Bad("format", "the head of an export file")
    head = data[:152]
    form, kind, reserved, passes, kib = struct.unpack("<IB3sII", head[8:24])
    length, = struct.unpack("<Q", head[112:120])
    bucket = length - 16
    if form != 1 or reserved != bytes(3) or length != len(data) - 152 or bucket < 512 or export_bucket(bucket - 1) != bucket:
        raise Bad("format", "the head of an export file")
    if kind == 1:
        if head[40:88] != bytes(48):
            raise Bad("format", "the head of an export file")
        if not (1 <= passes <= 10 and 8192 <= kib <= 1048576):
            raise Bad("limit", "the cost of an export file")
        both = argon2id(passphrase, head[24:40], passes, kib)
    elif kind == 2:
        if (passes, kib) != (0, 0):
            raise Bad("format", "the head of an export file")
        if head[56:88] != export_public(root_key):
            raise Bad("wrong-key", "sealed to another vault")
        both = blake2b(64, b"pxexpt01", head[24:56], head[56:88], key=x25519(export_private(root_key), head[24:56]))
    else:
        raise Bad("format", "the kind of an export file")
    if not hmac.compare_digest(blake2b(32, head[:120], key=both[32:]), head[120:]):
        raise Bad("wrong-key" if kind == 1 else "tampered", "the commitment")
    padded = aead_open(both[:32], head[88:112], data[152:], head)
    if padded is None:
        raise Bad("tampered", "an export file")
    plain = padded.rstrip(b"\0")
    if plain[-1:] != b"\x80" or export_bucket(len(plain) - 1) != bucket:
        raise Bad("tampered", "the padding of an export file")
    return plain[:-1]


# ---- the vault ----

class Vault:
    """`rows` is the content of the store: a dictionary from key to value."""

    def __init__(self, rows, secret):
        self.rows = rows
        if "root" not in rows:
            raise Bad("format", "no root record")
        self.root = parse_root(rows["root"])
        slots = rows.get("slots", b"")
        if blake2b(32, slots) != self.root["slots_digest"]:
            raise Bad("tampered", "the slots")
        count = int.from_bytes(slots[:4], "little")
        if not 1 <= count <= 16 or len(slots) != 4 + 160 * count:
            raise Bad("format", "the slots")
        found = (slot_open(secret, self.root["vault_id"], s)
                 for s in (slots[4 + 160 * i:164 + 160 * i] for i in range(count)) if s[8] == KEY_FILE)
        root_key = next((k for k in found if k), None)
        if root_key is None:
            raise Bad("wrong-key", "no slot opens")
        self.root_key, self.keys = root_key, subkeys(root_key)
        if not hmac.compare_digest(blake2b(32, b"pxroot01", rows["root"][:-32], key=self.keys[MAC]), self.root["mac"]):
            raise Bad("tampered", "the root record's MAC")
        self.prefix = "e%d/" % self.root["epoch"]
        self.log_keys = self.open_log_keys()
        self.leaves = {}
        for nibble in range(16):
            self.prove_node("%x" % nibble, self.root["top"][nibble])

    def open_log_keys(self):
        """The keys of the audit log and of the names in it: an earlier root key's, once the root key was changed."""
        if self.root["log_keys_digest"] == bytes(32):
            return self.keys
        name = self.prefix + "k/log"
        if name not in self.rows:
            raise Bad("tampered", "the log's keys are missing")
        plain = self.unseal("k", name.encode(), 0, self.rows[name], self.root["log_keys_digest"])
        if len(plain) != 64:
            raise Bad("tampered", "the log's keys")
        return {**self.keys, INDEX: plain[:32], AUDIT: plain[32:]}

    def log_id(self, pixel):
        return blake2b(16, pixel.encode(), key=self.log_keys[INDEX])

    def prove_node(self, prefix, expected):
        if expected == bytes(32):
            return
        node = self.rows.get(self.prefix + "n/" + prefix)
        if node is None or not hmac.compare_digest(blake2b(32, b"pxnode01", prefix.encode(), node, key=self.keys[MAC]),
                                                   expected):
            raise Bad("tampered", "node " + prefix)
        if len(prefix) < 3:
            if len(node) != 512:
                raise Bad("tampered", "node %s has a wrong length" % prefix)
            for nibble in range(16):
                self.prove_node(prefix + "%x" % nibble, node[32 * nibble:32 * nibble + 32])
            return
        ids = [node[i:i + 16] for i in range(0, len(node), 48)]
        if len(node) % 48 or not ids or ids != sorted(set(ids)) or any(not i.hex().startswith(prefix) for i in ids):
            raise Bad("tampered", "leaf " + prefix)
        for i in range(0, len(node), 48):
            self.leaves[node[i:i + 16]] = node[i + 16:i + 48]

    def unseal(self, kind, what, version, sealed, digest=None):
        if sealed is None or (digest is not None and blake2b(32, sealed) != digest):
            raise Bad("tampered", "a record of kind %s" % kind)
        plain = unseal(self.keys, self.root["vault_id"], self.root["epoch"], kind, what, version, sealed)
        if plain is None:
            raise Bad("tampered", "a record of kind %s does not open" % kind)
        return plain

    def pixel_id(self, pixel):
        return blake2b(16, pixel.encode(), key=self.keys[INDEX])

    def credential_at(self, pixel_id):
        sealed = self.rows.get(self.prefix + "m/" + pixel_id.hex())
        c = parse_credential(self.unseal("m", pixel_id, 0, sealed, self.leaves[pixel_id]))
        if self.pixel_id(c["pixel"]) != pixel_id:
            raise Bad("tampered", "a record under another Pixel's key")
        return c

    def credential(self, pixel):
        return self.credential_at(self.pixel_id(pixel))

    def credentials(self):
        return [self.credential_at(i) for i in sorted(self.leaves)]

    def token(self, c, version):
        pixel_id = self.pixel_id(c["pixel"])
        sealed = self.rows.get("%st/%s/%d" % (self.prefix, pixel_id.hex(), version["number"]))
        token = self.unseal("t", pixel_id, version["number"], sealed, version["digest"])
        if blake2b(16, token, key=self.keys[FINGERPRINT]) != version["fingerprint"]:
            raise Bad("tampered", "a fingerprint")
        return token.decode()

    def grant(self, c, version):
        """(client id, client secret, refresh token), or None."""
        if version["grant_digest"] == bytes(32):
            return None
        pixel_id = self.pixel_id(c["pixel"])
        sealed = self.rows.get("%sg/%s/%d" % (self.prefix, pixel_id.hex(), version["number"]))
        cutter = Cutter(self.unseal("g", pixel_id, version["number"], sealed, version["grant_digest"]), "a grant")
        texts = tuple(cutter.text("H") for _ in range(3))
        cutter.end()
        if blake2b(16, texts[2].encode(), key=self.keys[FINGERPRINT]) != version["grant_fingerprint"]:
            raise Bad("tampered", "a refresh token's fingerprint")
        return texts

    def health(self, c):
        pixel_id = self.pixel_id(c["pixel"])
        sealed = self.rows.get(self.prefix + "h/" + pixel_id.hex())
        return parse_health(self.unseal("h", pixel_id, 0, sealed)) if sealed else None

    def hint(self, fingerprint):
        """Ids of the Pixels that hold this token."""
        key = self.prefix + "d/" + fingerprint.hex()
        if key not in self.rows:
            return []
        c = Cutter(self.unseal("d", key.encode(), 0, self.rows[key]), "a hint")
        ids = [c.take(16) for _ in range(c.number("B"))]
        c.end()
        return ids

    def marks(self, pixel):
        """[(consumer, version, when, was it acknowledged, uid or None)]"""
        prefix, found = "%sc/%s/" % (self.prefix, self.pixel_id(pixel).hex()), []
        for key in sorted(k for k in self.rows if k.startswith(prefix)):
            c = Cutter(self.unseal("c", key.encode(), 0, self.rows[key]), "a read mark")
            mark = (c.text(), c.number("I"), c.number("q"))
            flags = c.number("B") if c.rest() else 0
            uid = c.number("I") if flags & 2 else None
            c.end()
            if flags > 3:
                raise Bad("format", "a read mark with flags %d" % flags)
            mark += (bool(flags & 1), uid)
            expected = blake2b(32, b"pxmark01", self.pixel_id(pixel), mark[0].encode(), key=self.keys[INDEX])
            if key != prefix + expected[:16].hex():
                raise Bad("tampered", "a mark under another name's key")
            found.append(mark)
        return found

    def expected_keys(self):
        """Every key that the root reaches; what else there is must be disposable."""
        keys = {"root", "slots"} | ({self.prefix + "k/log"} if self.root["log_keys_digest"] != bytes(32) else set())
        for pixel_id in self.leaves:
            name = pixel_id.hex()
            keys |= {self.prefix + "m/" + name} | {self.prefix + "n/" + name[:n] for n in (1, 2, 3)}
            for v in self.credential_at(pixel_id)["versions"]:
                kinds = ("t" if has_token(v) else "") + ("g" if v["grant_digest"] != bytes(32) else "")
                keys |= {"%s%s/%s/%d" % (self.prefix, kind, name, v["number"]) for kind in kinds}
        return keys


def rows_of(path):
    db = sqlite3.connect(path)
    try:
        return {k: bytes(v) for k, v in db.execute("SELECT k, v FROM kv")}
    finally:
        db.close()


def open_vault(path, key_file):
    with open(key_file, "rb") as f:
        return Vault(rows_of(path), f.read())


def main():
    vault = open_vault(sys.argv[1], sys.argv[2])
    print(json.dumps([{"pixel": c["pixel"], "labels": dict(c["labels"]), "versions": [
        {"number": v["number"], "stage": v["stage"], "expires_at": v["expires_at"],
         "fingerprint": fingerprint_text(v["fingerprint"]), "token": vault.token(c, v) if has_token(v) else None} for v in c["versions"]]}
        for c in vault.credentials()], indent=1))


if __name__ == "__main__":
    main()
