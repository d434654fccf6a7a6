#include "cli/paste.h"

#include "cli/text.h"
#include "vault/credential.h"

bool paste_read(int fd, struct secret **ret, struct error *err)
{
	if (secret_read(fd, TOKEN_INPUT_MAX, ret, err))
		return true;
	return err->code == ERR_USAGE ? fail(err, ERR_MALFORMED, TXT_TOKEN_INPUT) : false;
}
