/* SPDX-License-Identifier: MIT */
/*
 * The network, as an `ip=` word on the kernel's command line asks for it.
 *
 * Linux has this word, for kernels that were built to act on it; Debian's were not.  So it is done
 * here, on every kernel in the same way:
 *
 *	ip=CLIENT:SERVER:GATEWAY:NETMASK:HOST:DEVICE:AUTOCONF:DNS0:DNS1:NTP0
 *	ip=dhcp		(also on, any, both; bootp and rarp ask by DHCP too)
 *	ip=off		(also none)
 *
 * Fields may be empty or missing.  With a CLIENT nobody is asked for anything, and the network is
 * there when this returns; without one DHCP is, unless AUTOCONF is off.  No NETMASK is that of the
 * address's class, no DEVICE is the first Ethernet device.  SERVER and NTP0 are for others.
 *
 * Without the word nothing is done and nothing is waited for.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define RESOLV_CONF_RUN	"/run/resolv.conf"
#define BUSYBOX		"/bin/busybox"

/* How long a device may take to appear: drivers may still be starting. */
#define DEVICE_MS	10000

enum { CLIENT, SERVER, GATEWAY, NETMASK, HOST, DEVICE, AUTOCONF, DNS0, DNS1, NTP0, FIELDS };

/* What the word says.  Addresses are in network byte order, 0 for none. */
struct wish {
	char *field[FIELDS];		/* never NULL */
	in_addr_t client, gateway, netmask;
	bool asks;			/* by DHCP */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static bool address_parse(const char *text, in_addr_t *address)
{
	struct in_addr parsed = { 0 };

	if (*text && inet_pton(AF_INET, text, &parsed) != 1) {
		complain("ip=: '%s' is not an address", text);
		return false;
	}
	*address = parsed.s_addr;
	return true;
}

static in_addr_t class_netmask(in_addr_t address)
{
	in_addr_t host = ntohl(address);

	return htonl(IN_CLASSA(host) ? IN_CLASSA_NET : IN_CLASSB(host) ? IN_CLASSB_NET : IN_CLASSC_NET);
}

/* Take @value apart.  False: there is nothing to do, or it cannot be meant, which has been said. */
static bool wish_parse(struct wish *w, char *value)
{
	static const char *const off[] = { "off", "none", NULL };
	static const char *const on[] = { "on", "any", "dhcp", "both", "bootp", "rarp", NULL };
	static char empty[] = "";

	if (!*value || is_one_of(value, off))
		return false;
	for (int i = 0; i < FIELDS; i++)
		w->field[i] = empty;
	if (is_one_of(value, on))
		w->field[AUTOCONF] = value;
	else
		for (int i = 0; i < FIELDS && value; i++)
			w->field[i] = strsep(&value, ":");

	if (!address_parse(w->field[CLIENT], &w->client) || !address_parse(w->field[GATEWAY], &w->gateway) ||
	    !address_parse(w->field[NETMASK], &w->netmask))
		return false;
	if (w->client && !w->netmask)
		w->netmask = class_netmask(w->client);
	if (~ntohl(w->netmask) & (~ntohl(w->netmask) + 1)) {
		complain("ip=: '%s' is not a netmask", w->field[NETMASK]);
		return false;
	}
	w->asks = !w->client && !is_one_of(w->field[AUTOCONF], off);
	return w->client || w->asks || *w->field[HOST];
}

static bool is_ethernet(int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFHWADDR, &request) == 0 && request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

/* The device that @wanted names, or the first Ethernet device if that is empty; into @name. */
static bool device_find(int fd, const char *wanted, char name[IFNAMSIZ])
{
	struct if_nameindex *list = if_nameindex();
	bool found = false;

	for (struct if_nameindex *i = list; i && i->if_index && !found; i++) {
		found = *wanted ? strcmp(i->if_name, wanted) == 0 : is_ethernet(fd, i->if_name);
		if (found)
			snprintf(name, IFNAMSIZ, "%s", i->if_name);
	}
	if (list)
		if_freenameindex(list);
	return found;
}

/* Wait until something has happened to a device; false after @deadline, a time of now_ms(). */
static bool device_news(int links, int64_t deadline)
{
	struct pollfd wait = { .fd = links, .events = POLLIN };
	int64_t left = deadline - now_ms();
	char ignored[8192];

	if (left <= 0 || poll(&wait, 1, (int)left) <= 0)
		return false;
	/* Whatever it was, and however many: the caller looks for itself. */
	while (recv(links, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
		;
	return true;
}

static bool device_wait(int fd, const char *wanted, char name[IFNAMSIZ])
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int64_t deadline = now_ms() + DEVICE_MS;
	int links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool found;

	if (links >= 0 && bind(links, (struct sockaddr *)&address, sizeof(address)) < 0)
		complain("cannot listen for network devices: %m");
	do
		found = device_find(fd, wanted, name);
	while (!found && links >= 0 && device_news(links, deadline));
	if (links >= 0)
		close(links);
	if (!found)
		complain("ip=: there is no %s", *wanted ? wanted : "Ethernet device");
	return found;
}

static bool device_up(int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request) == 0)
			return true;
	}
	complain("cannot bring up %s: %m", name);
	return false;
}

/* A request to the kernel's routing: @body is the family's header, attributes follow. */
struct request {
	struct nlmsghdr header;
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
	} body;
	char attributes[64];
};

static void request_begin(struct request *r, uint16_t type, size_t body_len)
{
	*r = (struct request){ .header = {
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len), .nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE } };
}

static void request_word(struct request *r, uint16_t type, uint32_t word)
{
	struct rtattr *attribute = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(sizeof(word));
	memcpy(RTA_DATA(attribute), &word, sizeof(word));
	r->header.nlmsg_len = NLMSG_ALIGN(r->header.nlmsg_len) + RTA_SPACE(sizeof(word));
}

/* Send it and take the answer; false with errno set as the kernel says. */
static bool request_do(struct request *r)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (send(fd, r, r->header.nlmsg_len, 0) >= 0)
		n = recv(fd, &answer, sizeof(answer), 0);
	close(fd);
	if (n < 0)
		return false;
	if ((size_t)n < offsetof(typeof(answer), rest) - sizeof(answer.error.msg) ||
	    answer.header.nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return false;
	}
	errno = -answer.error.error;
	return errno == 0;
}

static bool device_address(const char *name, in_addr_t address, in_addr_t netmask)
{
	struct request r;

	request_begin(&r, RTM_NEWADDR, sizeof(r.body.address));
	r.body.address = (struct ifaddrmsg){
		.ifa_family = AF_INET, .ifa_index = if_nametoindex(name),
		.ifa_prefixlen = (uint8_t)__builtin_popcount(netmask) };
	request_word(&r, IFA_LOCAL, address);
	request_word(&r, IFA_ADDRESS, address);
	request_word(&r, IFA_BROADCAST, address | ~netmask);
	if (request_do(&r))
		return true;
	complain("cannot give %s an address: %m", name);
	return false;
}

static void default_route(const char *name, in_addr_t gateway)
{
	struct request r;

	request_begin(&r, RTM_NEWROUTE, sizeof(r.body.route));
	r.body.route = (struct rtmsg){
		.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	request_word(&r, RTA_GATEWAY, gateway);
	request_word(&r, RTA_OIF, if_nametoindex(name));
	if (!request_do(&r))
		complain("cannot set the default route: %m");
}

static void host_name(char *name)
{
	char *domain = name;

	strsep(&domain, ".");
	if (sethostname(name, strlen(name)) < 0 || (domain && setdomainname(domain, strlen(domain)) < 0))
		complain("cannot set the host name: %m");
}

static bool resolv_write(const char *path, char *const servers[], size_t n)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	for (size_t i = 0; i < n; i++)
		if (*servers[i])
			fprintf(file, "nameserver %s\n", servers[i]);
	return fclose(file) == 0;
}

/*
 * Name servers hold for this run only.  A root file system that is forgotten afterwards has them as
 * a file that programs may replace; one that stays as it is gets a file laid over its own.
 */
static void resolv_conf(char *const servers[], size_t n)
{
	bool fleeting = cmdline_value("concord.overlay") != NULL;
	int fd;

	if (fleeting) {
		unlink(RESOLV_CONF);		/* a link to somewhere, perhaps */
		if (!resolv_write(RESOLV_CONF, servers, n))
			complain("cannot write " RESOLV_CONF ": %m");
		return;
	}
	fd = open(RESOLV_CONF, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	if (!resolv_write(RESOLV_CONF_RUN, servers, n) ||
	    mount(RESOLV_CONF_RUN, RESOLV_CONF, NULL, MS_BIND, NULL) < 0)
		complain("cannot put name servers into " RESOLV_CONF ": %m");
}

/*
 * Ask by DHCP.  udhcpc stays, to renew what it got; if nobody answers three times it goes on
 * asking, and we go on without.
 */
static void dhcp(char *device)
{
	char *argv[] = { "udhcpc", "-i", device, "-b", "-S", "-t", "3", "-T", "2", NULL };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execv(BUSYBOX, argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		complain("ip=dhcp needs " BUSYBOX " with udhcpc");
	else if (status != 0)
		complain("nobody tells %s its address", device);
}

static void configure(int fd, struct wish *w)
{
	char name[IFNAMSIZ];

	if (!device_wait(fd, w->field[DEVICE], name) || !device_up(fd, name))
		return;
	if (w->asks) {
		dhcp(name);
		return;
	}
	if (!device_address(name, w->client, w->netmask))
		return;
	if (w->gateway)
		default_route(name, w->gateway);
	if (*w->field[DNS0] || *w->field[DNS1])
		resolv_conf(&w->field[DNS0], 2);
}

void network_setup(void)
{
	const char *word = cmdline_value("ip");
	char *value = word ? strdup(word) : NULL;
	struct wish w = { .client = 0 };
	int fd;

	if (!value || !wish_parse(&w, value))
		goto done;
	if (*w.field[HOST])
		host_name(w.field[HOST]);
	if (!w.client && !w.asks)
		goto done;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		complain("no network: this kernel has no IPv4 (%m)");
		goto done;
	}
	configure(fd, &w);
	close(fd);
done:
	free(value);
}
