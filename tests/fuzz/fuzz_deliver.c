/* Any bytes on the two sockets between processes of ours: as a message of the link between supervisor and keeper, which
 * is whole or closes it, and as a messenger's receipt, which is sound or becomes "later". */
#include "agent/deliver_wire.h"
#include "agent/link.h"
#include "tests/fuzz/common.h"

#include <fcntl.h>
#include <sys/socket.h>

static void read_link(struct bytes said, bool with_descriptor)
{
	struct link_message got;
	int pair[2], fd = -1, passed = with_descriptor ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)said.at, .iov_len = said.len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	if (passed >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof control.room;
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof passed);
		memcpy(CMSG_DATA(&control.head), &passed, sizeof passed);
	}
	expect(sendmsg(pair[1], &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)said.len);
	enum link_got result = link_receive(pair[0], &got, &fd);
	if (result == LINK_GOT_MESSAGE)
		expect(got.kind >= LINK_COURIER && got.kind < LINK_KIND_COUNT && memchr(got.text, 0, sizeof got.text) &&
		       (fd >= 0) == with_descriptor);
	else
		expect(fd == -1);
	if (fd >= 0)
		close(fd);
	if (passed >= 0)
		close(passed);
	close(pair[0]);
	close(pair[1]);
}

/* The supervisor's part: takes the messenger's end of a delivery. */
static int take_end(int link)
{
	struct link_message got;
	int fd;
	expect(link_receive(link, &got, &fd) == LINK_GOT_MESSAGE && got.kind == LINK_MESSENGER && fd >= 0);
	expect(strcmp(got.text, "night") == 0);
	return fd;
}

static void read_receipt(struct bytes said, size_t piece)
{
	struct deliver *d = NULL;
	struct delivery_result result;
	struct delivery what = { .id = 7, .type = SINK_PING, .sink = "night" };
	struct error err;
	int link[2];
	bool is_done = false;
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == 0 &&
	       deliver_new(NULL, link[0], &d, &err));
	deliver_send(d, &what);
	int fd = take_end(link[1]);
	while (said.len && !is_done) {
		struct bytes part;
		expect(bytes_take(&said, said.len < piece ? said.len : piece, &part));
		if (send(fd, part.at, part.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		is_done = deliver_next(d, 0, &result);
	}
	close(fd);
	for (int i = 0; !is_done && i < 1000; i++)
		is_done = deliver_next(d, 0, &result);
	expect(is_done && result.id == 7 && (unsigned)result.outcome <= DELIVERY_REFUSED);
	expect(result.retry_after_s >= 0 && memchr(result.reason, 0, sizeof result.reason));
	for (const char *at = result.reason; *at; at++)
		expect(*at >= 0x20 && *at <= 0x7e);
	expect(deliver_open(d) == 0 && deliver_has_room(d));
	deliver_free(d);
	close(link[0]);
	close(link[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data, len);
	uint8_t choice = take_byte(&rest);
	if (rest.len == 0 || rest.len > 4096)
		return 0;
	if (choice & 1)
		read_link(rest, choice & 2);
	else
		read_receipt(rest, choice & 2 ? 5 : 4096);
	return 0;
}
