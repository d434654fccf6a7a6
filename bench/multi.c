/* multi BASE-URL CA-FILE TOKENS-FILE COUNT IN-FLIGHT: the yardstick of a sweep: COUNT event/track requests by a bare
 * curl_multi loop in one thread, HTTP/1.1, kept connections, a token and a Pixel of its own in each; parses and stores
 * nothing. TOKENS-FILE is what bench/fill wrote. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	CURL *easy;
	struct curl_slist *headers;
	char body[160];
};

static char url[600], *ca_file;
static FILE *tokens;

static size_t ignore(char *data, size_t size, size_t count, void *context)
{
	(void)data;
	(void)context;
	return size * count;
}

static int next(struct request *r)
{
	char line[256], token[64], pixel[64], header[128];
	if (!fgets(line, sizeof line, tokens) || sscanf(line, "token %63s pixels=%63s", token, pixel) != 2)
		return 0;
	snprintf(header, sizeof header, "Access-Token: %s", token);
	snprintf(r->body, sizeof r->body, "{\"event_source\":\"web\",\"event_source_id\":\"%s\",\"data\":[]}", pixel);
	curl_slist_free_all(r->headers);
	r->headers = curl_slist_append(curl_slist_append(NULL, header), "Content-Type: application/json");
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body);
	return 1;
}

static void prepare(struct request *r)
{
	r->easy = curl_easy_init();
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	curl_easy_setopt(r->easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(r->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
}

int main(int argc, char **argv)
{
	if (argc != 6 || !(tokens = fopen(argv[3], "r")))
		return 2;
	int count = (int)strtol(argv[4], NULL, 10), in_flight = (int)strtol(argv[5], NULL, 10), done = 0, good = 0,
	    asked = 0;
	snprintf(url, sizeof url, "%s/event/track/", argv[1]);
	ca_file = argv[2];
	curl_global_init(CURL_GLOBAL_DEFAULT);
	CURLM *multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
	struct request *requests = calloc((size_t)in_flight, sizeof *requests);
	for (; asked < in_flight && asked < count; asked++) {
		prepare(&requests[asked]);
		if (!next(&requests[asked]))
			return 1;
		curl_multi_add_handle(multi, requests[asked].easy);
	}
	while (done < count) {
		int running, left, any = 0;
		CURLMsg *message;
		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left))) {
			struct request *r;
			long status = 0;
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &r);
			curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
			good += message->data.result == CURLE_OK && status == 200;
			done++;
			any = 1;
			curl_multi_remove_handle(multi, r->easy);
			if (asked < count && next(r)) {
				asked++;
				curl_multi_add_handle(multi, r->easy);
			}
		}
		if (done < count && !any)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("%d of %d answered\n", good, count);
	return good == count ? 0 : 1;
}
