#include "tests/emulator/code.h"

#include <stddef.h>

/* Verbatim where somebody recorded the answer, else the meaning of TikTok's table as a sentence. */
static const struct { int code; const char *text; } rows[] = {
	{ 0, "OK" },
	{ 20001, "Partial success" },
	{ 40000, "Invalid parameters." },
	{ 40001, TXT_NO_PIXEL_RIGHT },
	{ 40002, "Invalid value for event_id: not a valid string." },
	{ 40003, "Forbidden." },
	{ 40006, "The API version does not match." },
	{ 40007, "The object or operation does not exist." },
	{ 40010, "The domain in the base URL is wrong." },
	{ 40016, "Requests made too frequently." },
	{ 40050, "Duplicated request." },
	{ 40051, "Invalid API version." },
	{ 40063, "Invalid value for partner_name." },
	{ 40100, "Too many requests. Please retry in some time." },
	{ 40101, "The app_id, secret or auth_code is incorrect." },
	{ 40102, "Access token has expired. Please use the latest access token." },
	{ 40103, "Refresh token has expired. Please re-authorize." },
	{ 40104, "Access token is null, you should set it in http header with key Access-Token." },
	{ 40105, "Access token is incorrect or has been revoked." },
	{ 40106, "Core user is invalid." },
	{ 40107, "Refresh token is invalid." },
	{ 40108, "Invalid value for grant_type: is not supported." },
	{ 40110, "The auth_code is canceled. Please re-authorize and try again with a new auth_code." },
	{ 40113, "The app_id is inconsistent with the token's app information. Please retry after correcting it." },
	{ 40130, "Scope is not authorized." },
	{ 40132, "The request QPS is limited by pixel_code's value." },
	{ 40133, "Advertiser ({advertiser})'s QPS (20) reaches QPS limit 10 for current path, request is temporarily restricted." },
	{ 40300, "Advertiser does not exist." },
	{ 40301, "Advertiser does not match." },
	{ 40400, "Route not found." },
	{ 40700, "Internal validation error." },
	{ 41000, "Your request is blocked because of the country or region of your IP." },
	{ 41001, "This interface is offline." },
	{ 50000, "Internal service error." },
	{ 50002, "Internal service timed out. Please retry in sometime." },
	{ 51012, "Service error: pixel service is unavailable. Please retry in sometime." },
	{ 51021, "Too many requests" },
	{ 51039, "Service error: auth service is unavailable. Please retry in sometime." },
	{ 60001, "The system is under maintenance. Please retry later." },
	{ 61000, "Too many requests." },
};

const char *code_text(int code)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].code == code)
			return rows[i].text;
	return "Something went wrong.";
}
