"""A key slot whose ciphertext two keys open, as whoever wants to try many keys at once would make it: Poly1305 is a
polynomial, so for two keys one block and the tag can be solved for. Its commitment is that of the first key. Prints it in
hexadecimal; tests/unit/test_wrong_keys.c holds what it printed."""

import struct

from reader import KEY_FILE, ALGORITHM_BLAKE2B, aead_open, aead_parts, blake2b, chacha20_block, slot_key

P = (1 << 130) - 5
VAULT_ID = bytes(range(0x10, 0x20))
SECRETS = [bytes((first + i * 7) & 255 for i in range(32)) for first in (2, 3)]


def number(data):
    return int.from_bytes(data, "little")


def halves(key, nonce):
    """r and s of Poly1305."""
    inner, nonce12 = aead_parts(key, nonce)
    both = chacha20_block(inner, 0, nonce12)[:32]
    return number(both[:16]) & 0x0ffffffc0ffffffc0ffffffc0fffffff, number(both[16:])


def rest(r, aad, first):
    """What all blocks but the second one of the ciphertext add."""
    blocks = [aad[i:i + 16] for i in range(0, len(aad), 16)] + [first, None, struct.pack("<QQ", len(aad), 32)]
    total = 0
    for b in blocks:
        total = (total + (1 << 128 if b is None else number(b + b"\1"))) * r % P
    return total


def solve(keys, nonce, aad, first):
    """The second block and the tag that suit both, or None for this first block."""
    (r1, s1), (r2, s2) = (halves(k, nonce) for k in keys)
    b1, b2 = rest(r1, aad, first), rest(r2, aad, first)
    for wrap in range(-4, 5):
        second = (b2 + s2 - b1 - s1 + (wrap << 128)) * pow(r1 * r1 - r2 * r2, -1, P) % P
        tags = [((b + second * r * r) % P + s) & ((1 << 128) - 1) for r, s, b in ((r1, s1, b1), (r2, s2, b2))]
        if second < 1 << 128 and tags[0] == tags[1]:
            return second.to_bytes(16, "little") + tags[0].to_bytes(16, "little")
    return None


def main():
    slot = b"two keys" + bytes([KEY_FILE, ALGORITHM_BLAKE2B]) + bytes(10) + bytes(range(0xa0, 0xb0))
    nonce = bytes(range(0xc0, 0xd8))
    aad = b"pxslot01" + struct.pack("<I", 1) + VAULT_ID + slot
    derived = [slot_key(s, VAULT_ID, slot) for s in SECRETS]
    tries = (first.to_bytes(16, "little") for first in range(1, 1000))
    wrapped = next(first + found for first in tries for found in [solve([d[:32] for d in derived], nonce, aad, first)] if found)
    assert all(aead_open(d[:32], nonce, wrapped, aad) for d in derived)
    commitment = blake2b(32, aad, nonce, wrapped, key=derived[0][32:])
    print((slot + nonce + commitment + wrapped + bytes(20)).hex())


if __name__ == "__main__":
    main()
