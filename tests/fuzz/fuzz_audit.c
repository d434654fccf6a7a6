/* One line of the audit log: what is read is written again to the same bytes, and never longer than promised. */
#include "vault/audit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char again[AUDIT_LINE_MAX];
	struct audit_entry e;
	size_t covered, covered_again;
	if (!audit_entry_decode(bytes_of(data, len), &e, &covered))
		return 0;
	size_t len_again = audit_entry_encode(&e, again, &covered_again);
	if (len_again > sizeof again || covered != covered_again || covered >= len)
		abort();
	if (!bytes_equal(bytes_of(again, len < len_again ? len : len_again), bytes_of(data, len)))
		abort(); /* a second spelling of one entry */
	return 0;
}
