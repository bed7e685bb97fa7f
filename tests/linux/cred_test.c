/* SPDX-License-Identifier: MIT */
/* Users, groups, capabilities, limits, namespaces, names of the system. */
#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void check_uids(uid_t r, uid_t e, uid_t s)
{
	uid_t ruid, euid, suid;

	CHECK_OK(getresuid(&ruid, &euid, &suid));
	CHECK_EQ(ruid, r);
	CHECK_EQ(euid, e);
	CHECK_EQ(suid, s);
}

static uint64_t effective(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	CHECK_OK(syscall(SYS_capget, &h, d));
	return (uint64_t)d[1].effective << 32 | d[0].effective;
}

TEST(setuid_of_root_changes_all_three)
{
	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setuid, 1000));
	check_uids(1000, 1000, 1000);
	CHECK_ERRNO(syscall(SYS_setuid, 0), EPERM);
	CHECK_EQ(effective(), 0);
}

TEST(seteuid_and_back)
{
	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setresuid, -1, 1000, -1));
	check_uids(0, 1000, 0);
	CHECK_EQ(effective(), 0);
	CHECK_OK(syscall(SYS_setresuid, -1, 0, -1));
	CHECK(effective() != 0);
}

TEST(setreuid_sets_the_saved_one)
{
	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setreuid, 5, 6));
	check_uids(5, 6, 6);
	CHECK_OK(syscall(SYS_setreuid, 6, 5));
	check_uids(6, 5, 5);
	CHECK_ERRNO(syscall(SYS_setreuid, 0, -1), EPERM);
}

TEST(setresuid_lets_ordinary_users_permute)
{
	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setresuid, 1, 2, 3));
	CHECK_OK(syscall(SYS_setresuid, 3, 1, 2));
	check_uids(3, 1, 2);
	CHECK_ERRNO(syscall(SYS_setresuid, 4, -1, -1), EPERM);
}

TEST(group_numbers)
{
	gid_t r, e, s;

	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setresgid, 1, 2, 3));
	CHECK_OK(getresgid(&r, &e, &s));
	CHECK(r == 1 && e == 2 && s == 3);
	CHECK_OK(syscall(SYS_setgid, 9));
	CHECK_OK(getresgid(&r, &e, &s));
	CHECK(r == 9 && e == 9 && s == 9);
}

TEST(supplementary_groups)
{
	gid_t set[3] = { 30, 10, 20 }, got[8];

	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setgroups, 3, set));
	CHECK_EQ(getgroups(0, NULL), 3);
	CHECK_EQ(getgroups(8, got), 3);
	CHECK_ERRNO(getgroups(2, got), EINVAL);
	CHECK_ERRNO(syscall(SYS_setgroups, 65537, set), EINVAL);
	CHECK_OK(syscall(SYS_setuid, 1000));
	CHECK_ERRNO(syscall(SYS_setgroups, 1, set), EPERM);
}

TEST(fsuid_answers_the_old_one)
{
	CHECK_ROOT();
	CHECK_EQ(setfsuid(1000), 0);
	CHECK_EQ(setfsuid((uid_t)-1), 1000);
	CHECK_EQ(setfsuid(0), 1000);
}

TEST(files_belong_to_who_makes_them)
{
	struct stat st;

	CHECK_ROOT();
	CHECK_OK(chmod(".", 0777));
	CHECK_OK(syscall(SYS_setresgid, 7, 7, 7));
	CHECK_OK(syscall(SYS_setresuid, 1234, 1234, 1234));
	CHECK_OK(close(open("f", O_CREAT | O_WRONLY, 0600)));
	CHECK_OK(stat("f", &st));
	CHECK(st.st_uid == 1234 && st.st_gid == 7);
}

TEST(strangers_are_kept_out)
{
	CHECK_ROOT();
	CHECK_OK(close(open("f", O_CREAT | O_WRONLY, 0600)));
	CHECK_OK(syscall(SYS_setuid, 1000));
	CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	CHECK_ERRNO(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
}

TEST(capget_checks_version_and_pid)
{
	struct __user_cap_header_struct h = { 0x1234, 0 };
	struct __user_cap_data_struct d[2];

	CHECK_ERRNO(syscall(SYS_capget, &h, d), EINVAL);
	CHECK_EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
	h.pid = 4000000;
	CHECK_ERRNO(syscall(SYS_capget, &h, d), ESRCH);
	h.pid = -1;
	CHECK_ERRNO(syscall(SYS_capget, &h, d), EINVAL);
}

TEST(capabilities_can_be_dropped_for_good)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	CHECK_ROOT();
	CHECK_OK(syscall(SYS_capget, &h, d));
	d[0].effective &= ~(1u << CAP_KILL);
	d[0].permitted &= ~(1u << CAP_KILL);
	CHECK_OK(syscall(SYS_capset, &h, d));
	CHECK(!(effective() & 1u << CAP_KILL));
	d[0].permitted |= 1u << CAP_KILL;
	CHECK_ERRNO(syscall(SYS_capset, &h, d), EPERM);
}

TEST(keepcaps_keeps_permitted)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	CHECK_ROOT();
	CHECK_OK(prctl(PR_SET_KEEPCAPS, 1));
	CHECK_OK(syscall(SYS_setuid, 1000));
	CHECK_OK(syscall(SYS_capget, &h, d));
	CHECK(d[0].permitted != 0);
	CHECK_EQ(d[0].effective, 0);
}

TEST(bounding_set)
{
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), prctl(PR_CAPBSET_READ, CAP_CHOWN));
	CHECK_ERRNO(prctl(PR_CAPBSET_READ, 63), EINVAL);
	CHECK_ROOT();
	if (!prctl(PR_CAPBSET_READ, CAP_SETPCAP))
		SKIP("no CAP_SETPCAP");
	CHECK_OK(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT));
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT), 0);
}

TEST(ambient_needs_inheritable)
{
	CHECK_ROOT();
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0), EINVAL);
	CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
}

/* -- limits ------------------------------------------------------------------------------ */

TEST(limits_can_be_lowered_and_read)
{
	struct rlimit limit = { 100, 200 }, got;

	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &got));
	CHECK(got.rlim_cur == 100 && got.rlim_max == 200);
	limit = (struct rlimit){ 300, 200 };
	CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
	CHECK_ERRNO(getrlimit(99, &got), EINVAL);
	IN_CHILD({
		CHECK_OK(getrlimit(RLIMIT_NOFILE, &got));
		CHECK_EQ(got.rlim_cur, 100);
	});
}

TEST(ordinary_users_cannot_raise_hard_limits)
{
	struct rlimit limit = { 10, 20 };

	CHECK_ROOT();
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_OK(syscall(SYS_setuid, 1000));
	limit.rlim_max = 30;
	CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
	limit = (struct rlimit){ 20, 20 };
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
}

TEST(prlimit_of_others)
{
	struct rlimit old;
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	CHECK_OK(prlimit(child, RLIMIT_CORE, &(struct rlimit){ 5, 5 }, &old));
	CHECK_OK(prlimit(child, RLIMIT_CORE, NULL, &old));
	CHECK_EQ(old.rlim_cur, 5);
	CHECK_ERRNO(prlimit(4000000, RLIMIT_CORE, NULL, &old), ESRCH);
}

TEST(process_limit_of_a_user)
{
	struct rlimit limit = { 5, 5 };
	int made = 0;

	CHECK_ROOT();
	CHECK_OK(syscall(SYS_setresuid, 54321, 54321, 54321));
	CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (!child) {
			pause();
			_exit(0);
		}
		if (child < 0) {
			CHECK_EQ(errno, EAGAIN);
			break;
		}
		made++;
	}
	CHECK_EQ(made, 4);
	kill(0, SIGCONT);
}

/* -- prctl, names ----------------------------------------------------------------------------- */

TEST(name_of_the_thread)
{
	char name[16];

	CHECK_OK(prctl(PR_SET_NAME, "a name that is too long"));
	CHECK_OK(prctl(PR_GET_NAME, name));
	CHECK_STR(name, "a name that is ");
	CHECK_ERRNO(prctl(PR_GET_NAME, 8), EFAULT);
}

TEST(no_new_privs_stays)
{
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	IN_CHILD(CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1));
}

TEST(prctl_small_settings)
{
	int sig = -1;

	CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	CHECK_OK(prctl(PR_GET_PDEATHSIG, &sig));
	CHECK_EQ(sig, SIGUSR1);
	CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	IN_CHILD({
		CHECK_OK(prctl(PR_GET_PDEATHSIG, &sig));
		CHECK_EQ(sig, 0);
	});
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_OK(prctl(PR_SET_TIMERSLACK, 1234));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 1234);
	CHECK_ERRNO(prctl(12345), EINVAL);
}

TEST(uname_says_linux)
{
	struct utsname u;

	CHECK_OK(uname(&u));
	CHECK_STR(u.sysname, "Linux");
	CHECK_STR(u.machine, "x86_64");
	CHECK(u.release[0] >= '5');
	CHECK_ERRNO(syscall(SYS_uname, 8), EFAULT);
}

TEST(hostname_in_a_namespace_of_its_own)
{
	struct utsname before, u;

	CHECK_ROOT();
	CHECK_OK(uname(&before));
	IN_CHILD({
		if (unshare(CLONE_NEWUTS) < 0)
			SKIP("no UTS namespaces");
		CHECK_OK(sethostname("inside", 6));
		CHECK_OK(uname(&u));
		CHECK_STR(u.nodename, "inside");
		CHECK_ERRNO(sethostname(u.nodename, 65), EINVAL);
	});
	CHECK_OK(uname(&u));
	CHECK_STR(u.nodename, before.nodename);
}

TEST(personality_is_kept)
{
	int old = personality(0xffffffff);

	CHECK(old >= 0);
	CHECK_EQ(personality(ADDR_NO_RANDOMIZE), old);
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	IN_CHILD(CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE));
}

TEST(sysinfo_makes_sense)
{
	struct sysinfo s;

	CHECK_OK(sysinfo(&s));
	CHECK(s.totalram * s.mem_unit > 1 << 20);
	CHECK(s.freeram <= s.totalram);
	CHECK(s.uptime >= 0 && s.procs > 0);
}

/* Unless they change in between, which they do once in five seconds. */
TEST(load_averages_are_the_same_everywhere)
{
	double shown[3], given[3];
	struct sysinfo before, after;
	FILE *f;

	do {
		CHECK_OK(sysinfo(&before));
		CHECK(f = fopen("/proc/loadavg", "r"));
		CHECK_EQ(fscanf(f, "%lf %lf %lf", &shown[0], &shown[1], &shown[2]), 3);
		fclose(f);
		CHECK_EQ(getloadavg(given, 3), 3);
		CHECK_OK(sysinfo(&after));
	} while (memcmp(before.loads, after.loads, sizeof(before.loads)));
	for (int i = 0; i < 3; i++) {
		double exact = (double)before.loads[i] / (1 << SI_LOAD_SHIFT);

		CHECK(shown[i] >= exact - 0.006 && shown[i] <= exact + 0.006);
		CHECK_EQ((long)(given[i] * 100 + 0.5), (long)(shown[i] * 100 + 0.5));
	}
}
