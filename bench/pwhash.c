/* pwhash PASSES MIB: one bare crypto_pwhash (argon2id), the least that opening with a passphrase can cost. */
#include <sodium.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned char key[64], salt[crypto_pwhash_SALTBYTES] = { 1 };
	if (argc != 3 || sodium_init() < 0)
		return 2;
	return crypto_pwhash(key, sizeof key, "correct horse battery staple", 28, salt, strtoull(argv[1], NULL, 10),
			     strtoul(argv[2], NULL, 10) << 20, crypto_pwhash_ALG_ARGON2ID13) == 0
		       ? 0
		       : 1;
}
