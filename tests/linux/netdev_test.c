/* SPDX-License-Identifier: MIT */
/* Network devices and namespaces: netdevice(7), network_namespaces(7), /proc/net/dev, /sys/class/net. */
#include "net.h"

#include <dirent.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/un.h>

TEST(new_network_has_a_loopback_that_is_down)
{
	struct ifreq r = ifreq_of("lo");
	int fd;

	own_network();
	fd = control_socket();
	CHECK_EQ(flags_of("lo"), IFF_LOOPBACK);
	CHECK_OK(ioctl(fd, SIOCGIFINDEX, &r));
	CHECK_EQ(r.ifr_ifindex, LO);
	CHECK_OK(ioctl(fd, SIOCGIFMTU, &r));
	CHECK_EQ(r.ifr_mtu, 65536);
	CHECK_OK(ioctl(fd, SIOCGIFTXQLEN, &r));
	CHECK_EQ(r.ifr_qlen, 1000);
	CHECK_OK(ioctl(fd, SIOCGIFMETRIC, &r));
	CHECK_EQ(r.ifr_metric, 0);
	memset(&r.ifr_hwaddr, 0xff, sizeof(r.ifr_hwaddr));
	CHECK_OK(ioctl(fd, SIOCGIFHWADDR, &r));
	CHECK_EQ(r.ifr_hwaddr.sa_family, ARPHRD_LOOPBACK);
	CHECK(memcmp(r.ifr_hwaddr.sa_data, "\0\0\0\0\0\0", 6) == 0);
	CHECK_OK(ioctl(fd, SIOCGIFMAP, &r));
}

TEST(devices_go_up_and_down)
{
	own_network();
	set_flags("lo", IFF_UP);
	CHECK_EQ(flags_of("lo"), IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
	/* what cannot be set by a program stays as it is */
	set_flags("lo", IFF_UP | IFF_BROADCAST | IFF_POINTOPOINT);
	CHECK_EQ(flags_of("lo"), IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
	set_flags("lo", IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP);
	CHECK_EQ(flags_of("lo"), IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP);
	set_flags("lo", 0);
	CHECK_EQ(flags_of("lo"), IFF_LOOPBACK);
}

TEST(devices_are_found_by_name_and_number)
{
	struct ifreq r = ifreq_of("nothing0");
	struct ifconf c = { .ifc_len = 7 };
	int fd;

	own_network();
	fd = control_socket();
	CHECK_ERRNO(ioctl(fd, SIOCGIFFLAGS, &r), ENODEV);
	CHECK_ERRNO(ioctl(fd, SIOCGIFINDEX, &r), ENODEV);
	CHECK_ERRNO(ioctl(fd, SIOCSIFMTU, &r), ENODEV);
	r.ifr_ifindex = 77;
	CHECK_ERRNO(ioctl(fd, SIOCGIFNAME, &r), ENODEV);
	r.ifr_ifindex = LO;
	CHECK_OK(ioctl(fd, SIOCGIFNAME, &r));
	CHECK_STR(r.ifr_name, "lo");
	/* a list of addresses, of which there are none */
	c.ifc_buf = (char *)&r;
	CHECK_OK(ioctl(fd, SIOCGIFCONF, &c));
	CHECK_EQ(c.ifc_len, 0);
	CHECK_ERRNO(ioctl(fd, SIOCGIFFLAGS, (void *)8), EFAULT);
	CHECK_ERRNO(ioctl(fd, SIOCGIFCONF, (void *)8), EFAULT);
	CHECK_ERRNO(ioctl(fd, SIOCGIFMEM, &r), ENOTTY);
	CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, &r), ENOTTY);
	CHECK_ERRNO(ioctl(fd, SIOCGIFSLAVE, &r), EINVAL);
}

TEST(mtu_and_queue_length_are_set)
{
	static const int fine[] = { 1500, 10, 0, 1 << 20, 65536 };
	struct ifreq r = ifreq_of("lo");
	int fd;

	own_network();
	fd = control_socket();
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		r.ifr_mtu = fine[i];
		CHECK_OK(ioctl(fd, SIOCSIFMTU, &r));
		r.ifr_mtu = -5;
		CHECK_OK(ioctl(fd, SIOCGIFMTU, &r));
		CHECK_EQ(r.ifr_mtu, fine[i]);
	}
	r.ifr_mtu = -1;
	CHECK_ERRNO(ioctl(fd, SIOCSIFMTU, &r), EINVAL);
	r.ifr_qlen = 500;
	CHECK_OK(ioctl(fd, SIOCSIFTXQLEN, &r));
	CHECK_OK(ioctl(fd, SIOCGIFTXQLEN, &r));
	CHECK_EQ(r.ifr_qlen, 500);
	r.ifr_qlen = -1;
	CHECK_ERRNO(ioctl(fd, SIOCSIFTXQLEN, &r), EINVAL);
	CHECK_ERRNO(ioctl(fd, SIOCSIFMETRIC, &r), EOPNOTSUPP);
	CHECK_ERRNO(ioctl(fd, SIOCADDMULTI, &r), EINVAL);
}

TEST(hardware_addresses_are_set)
{
	struct ifreq r = ifreq_of("lo");
	int fd;

	own_network();
	fd = control_socket();
	memcpy(r.ifr_hwaddr.sa_data, "\2\3\4\5\6\7", 6);
	CHECK_ERRNO(ioctl(fd, SIOCSIFHWADDR, &r), EINVAL);
	r.ifr_hwaddr.sa_family = ARPHRD_LOOPBACK;
	CHECK_OK(ioctl(fd, SIOCSIFHWADDR, &r));
	memset(&r.ifr_hwaddr, 0, sizeof(r.ifr_hwaddr));
	CHECK_OK(ioctl(fd, SIOCGIFHWADDR, &r));
	CHECK(memcmp(r.ifr_hwaddr.sa_data, "\2\3\4\5\6\7", 6) == 0);
	r.ifr_hwaddr.sa_data[0] = 1;
	CHECK_ERRNO(ioctl(fd, SIOCSIFHWADDR, &r), EADDRNOTAVAIL);
}

static void rename_device(const char *from, const char *to, int err)
{
	struct ifreq r = ifreq_of(from);
	int fd = control_socket();

	snprintf(r.ifr_newname, sizeof(r.ifr_newname), "%s", to);
	if (err)
		CHECK_ERRNO(ioctl(fd, SIOCSIFNAME, &r), err);
	else
		CHECK_OK(ioctl(fd, SIOCSIFNAME, &r));
	close(fd);
}

TEST(devices_are_renamed)
{
	own_network();
	rename_device("lo", "lo", 0);
	rename_device("lo", "a/b", EINVAL);
	rename_device("lo", "a:b", EINVAL);
	rename_device("lo", "a b", EINVAL);
	rename_device("lo", "", EINVAL);
	rename_device("lo", ".", EINVAL);
	rename_device("lo", "..", EINVAL);
	rename_device("lo", "a%s", EINVAL);
	rename_device("none", "other", ENODEV);
	rename_device("lo", "inside", 0);
	CHECK_EQ(flags_of("inside"), IFF_LOOPBACK);
	rename_device("inside", "in%d", 0);
	CHECK_EQ(flags_of("in0"), IFF_LOOPBACK);
	rename_device("in0", "lo", 0);
	CHECK_EQ(flags_of("lo"), IFF_LOOPBACK);
}

TEST(changes_need_a_capability)
{
	static const unsigned long requests[] = {
		SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFNAME, SIOCSIFTXQLEN, SIOCSIFHWADDR, SIOCSIFMETRIC,
	};
	struct ifreq r = ifreq_of("lo"), none = ifreq_of("none");
	int fd;

	own_network();
	fd = control_socket();
	CHECK_OK(setresuid(65534, 65534, 65534));
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		CHECK_ERRNO(ioctl(fd, requests[i], &r), EPERM);
		CHECK_ERRNO(ioctl(fd, requests[i], &none), EPERM);
	}
	CHECK_OK(ioctl(fd, SIOCGIFFLAGS, &r));
	CHECK_ERRNO(unshare(CLONE_NEWNET), EPERM);
}

/* -- namespaces */

static ino_t network_number(const char *path)
{
	struct stat st;

	CHECK_OK(stat(path, &st));
	return st.st_ino;
}

TEST(sockets_stay_in_the_network_they_were_made_in)
{
	struct ifreq r = ifreq_of("lo");
	int before, home;
	ino_t first;

	own_network();
	first = network_number("/proc/self/ns/net");
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK(home >= 0);
	before = control_socket();
	r.ifr_mtu = 1234;
	CHECK_OK(ioctl(before, SIOCSIFMTU, &r));
	CHECK_OK(unshare(CLONE_NEWNET));
	CHECK(network_number("/proc/self/ns/net") != first);
	CHECK_OK(ioctl(control_socket(), SIOCGIFMTU, &r));
	CHECK_EQ(r.ifr_mtu, 65536);
	CHECK_OK(ioctl(before, SIOCGIFMTU, &r));
	CHECK_EQ(r.ifr_mtu, 1234);
	CHECK_OK(setns(home, CLONE_NEWNET));
	CHECK_EQ(network_number("/proc/self/ns/net"), first);
	CHECK_OK(ioctl(control_socket(), SIOCGIFMTU, &r));
	CHECK_EQ(r.ifr_mtu, 1234);
}

TEST(children_share_the_network)
{
	own_loopback();
	IN_CHILD({
		CHECK_EQ(flags_of("lo") & IFF_UP, IFF_UP);
		CHECK_OK(unshare(CLONE_NEWNET));
		CHECK_EQ(flags_of("lo") & IFF_UP, 0);
	});
	CHECK_EQ(flags_of("lo") & IFF_UP, IFF_UP);
}

TEST(abstract_names_belong_to_a_network)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0net-test" };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 9;
	int s = control_socket(), c;

	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWNET));
	s = control_socket();
	CHECK_OK(bind(s, (struct sockaddr *)&a, len));
	c = control_socket();
	CHECK_OK(connect(c, (struct sockaddr *)&a, len));
	CHECK_ERRNO(bind(c, (struct sockaddr *)&a, len), EADDRINUSE);
	CHECK_OK(unshare(CLONE_NEWNET));
	c = control_socket();
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, len), ECONNREFUSED);
	CHECK_OK(bind(c, (struct sockaddr *)&a, len));
}

/* -- what files show */

TEST(proc_lists_the_devices_of_the_reader)
{
	unsigned long long n[16];
	char text[512], *at;
	FILE *f;

	own_network();
	f = fopen("/proc/net/dev", "re");
	CHECK(f != NULL);
	CHECK(fgets(text, sizeof(text), f) && strstr(text, "Inter-|   Receive"));
	CHECK(fgets(text, sizeof(text), f) && strstr(text, " face |bytes    packets errs"));
	CHECK(fgets(text, sizeof(text), f));
	CHECK(strncmp(text, "    lo: ", 8) == 0);
	at = text + 8;
	for (int i = 0; i < 16; i++) {
		n[i] = strtoull(at, &at, 10);
		CHECK_EQ(n[i], 0);
	}
	CHECK(!fgets(text, sizeof(text), f));
	fclose(f);
}

/* A mount of sysfs made now shows the network of who makes it. */
static void mount_own_sysfs(void)
{
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_OK(mkdir("sys", 0755));
	CHECK_OK(mount("sysfs", "sys", "sysfs", 0, NULL));
}

static void check_file(const char *name, const char *want)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/class/net/lo/%s", name);
	CHECK_STR(line_of(path), want);
}

static void check_unreadable(const char *name, int err)
{
	char path[128], c;
	int fd;

	snprintf(path, sizeof(path), "sys/class/net/lo/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_ERRNO(read(fd, &c, 1), err);
	close(fd);
}

TEST(sysfs_describes_devices)
{
	char target[128];
	ssize_t n;

	own_network();
	mount_own_sysfs();
	check_file("address", "00:00:00:00:00:00");
	check_file("addr_len", "6");
	check_file("broadcast", "00:00:00:00:00:00");
	check_file("flags", "0x8");
	check_file("ifindex", "1");
	check_file("iflink", "1");
	check_file("mtu", "65536");
	check_file("type", "772");
	check_file("tx_queue_len", "1000");
	check_file("ifalias", "");
	check_file("statistics/rx_packets", "0");
	check_file("statistics/tx_window_errors", "0");
	check_file("uevent", "INTERFACE=lo");
	/* nothing is known of a link while the device is down */
	check_unreadable("carrier", EINVAL);
	check_unreadable("speed", EINVAL);
	check_unreadable("duplex", EINVAL);
	set_flags("lo", IFF_UP);
	check_file("carrier", "1");
	check_file("flags", "0x9");
	check_file("operstate", "unknown");
	check_file("carrier_changes", "0");
	check_unreadable("speed", EINVAL);
	CHECK_OK(access("sys/class/net/lo/queues/tx-0", F_OK));
	n = readlink("sys/class/net/lo", target, sizeof(target) - 1);
	CHECK(n > 0);
	target[n] = '\0';
	CHECK_STR(target, "../../devices/virtual/net/lo");
	n = readlink("sys/class/net/lo/subsystem", target, sizeof(target) - 1);
	CHECK(n > 0);
	target[n] = '\0';
	CHECK_STR(target, "../../../../class/net");
}

static ssize_t write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;
	ssize_t n;

	CHECK(fd >= 0);
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return n;
}

TEST(sysfs_changes_devices)
{
	own_network();
	mount_own_sysfs();
	CHECK_EQ(write_file("sys/class/net/lo/mtu", "1280\n"), 5);
	check_file("mtu", "1280");
	CHECK_EQ(write_file("sys/class/net/lo/tx_queue_len", "77"), 2);
	check_file("tx_queue_len", "77");
	CHECK_EQ(write_file("sys/class/net/lo/flags", "0x9"), 3);
	CHECK_EQ(flags_of("lo") & IFF_UP, IFF_UP);
	CHECK_ERRNO(write_file("sys/class/net/lo/mtu", "many"), EINVAL);
	CHECK_ERRNO(write_file("sys/class/net/lo/mtu", "-5"), EINVAL);
}

static unsigned int count_devices(void)
{
	DIR *d = opendir("sys/class/net");
	unsigned int n = 0;

	CHECK(d != NULL);
	for (struct dirent *e; (e = readdir(d)); )
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

TEST(sysfs_shows_the_network_that_mounted_it)
{
	own_network();
	mount_own_sysfs();
	CHECK_EQ(count_devices(), 1);
	set_flags("lo", IFF_UP);
	check_file("flags", "0x9");
	rename_device("lo", "lo", 0);
	/* the same tree, in another network: still that one's device */
	CHECK_OK(unshare(CLONE_NEWNET));
	CHECK_EQ(flags_of("lo") & IFF_UP, 0);
	check_file("flags", "0x9");
	rename_device("lo", "inside", 0);
	CHECK_OK(access("sys/class/net/lo", F_OK));
	CHECK_ERRNO(access("sys/class/net/inside", F_OK), ENOENT);
	CHECK_OK(umount("sys"));
	CHECK_OK(mount("sysfs", "sys", "sysfs", 0, NULL));
	CHECK_OK(access("sys/class/net/inside", F_OK));
	CHECK_OK(access("sys/devices/virtual/net/inside/mtu", F_OK));
	CHECK_ERRNO(access("sys/class/net/lo", F_OK), ENOENT);
	CHECK_ERRNO(access("sys/devices/virtual/net/lo", F_OK), ENOENT);
	CHECK_OK(umount("sys"));
}

TEST(files_of_devices_outlive_their_names)
{
	char text[16];
	int fd;

	own_network();
	mount_own_sysfs();
	fd = open("sys/class/net/lo/mtu", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	rename_device("lo", "other", 0);
	/* Linux keeps the file, we a file of that device: what it says is the device's either way */
	CHECK(read(fd, text, sizeof(text)) > 0);
	CHECK(memcmp(text, "65536\n", 6) == 0);
}
