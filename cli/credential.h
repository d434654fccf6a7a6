/* cli/credential.h - a key that systemd keeps: sealed by systemd-creds, with the TPM where there is one. */
#ifndef CLI_CREDENTIAL_H
#define CLI_CREDENTIAL_H

#include "core/error.h"
#include "core/secret.h"

#define CREDENTIAL_NAME "pixelvault.key"

/* 32 new random bytes, sealed into the new file `file` under this name. The bytes go through a pipe: nothing in clear
 * touches a disk or a command line. ERR_CONFLICT: the file is there. */
must_check bool credential_make(const char *file, const char *name, struct secret **ret, bool *ret_has_tpm,
				struct error *err);

#endif
