/* cli/token_input.h - a token from where the person gives it: --from-file, standard input, or a prompt without echo. */
#ifndef CLI_TOKEN_INPUT_H
#define CLI_TOKEN_INPUT_H

#include "cli/command.h"
#include "core/secret.h"

/* As it was given, not cleaned. whose: the Pixel or list, for the prompt. */
must_check bool token_input(const struct invocation *inv, const char *whose, struct secret **ret, struct error *err);

#endif
