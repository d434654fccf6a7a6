/* tests/emulator/code.h - the sentence that comes with a return code (tiktok-api.md §2.2 and §6), for outages by knob or fault.
 * {pixel}, {advertiser} stand for the request's. */
#ifndef EMULATOR_CODE_H
#define EMULATOR_CODE_H

const char *code_text(int code); /* never NULL */

#define TXT_NO_PIXEL_RIGHT "No permission to operate pixel code: {pixel}. You must be an admin or operator of this advertiser account."

#endif
