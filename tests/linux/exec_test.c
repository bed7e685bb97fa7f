/* SPDX-License-Identifier: MIT */
/* execve: programs, scripts, what a program starts with. */
#include "harness.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The program runs itself: a first argument that begins with "role=" says as what. */
static int role(int argc, char **argv, char **envp);

static int saved_argc;
static char **saved_argv, **saved_envp;

__attribute__((constructor(101))) static void take_role(int argc, char **argv, char **envp)
{
	saved_argc = argc;
	saved_argv = argv;
	saved_envp = envp;
	for (int i = 1; i < argc && i < 4; i++)
		if (!strncmp(argv[i], "role=", 5))
			_exit(role(argc - i, argv + i, envp));
}

static char self[256];

static const char *me(void)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0) {
		/* without /proc: as we were called */
		strncpy(self, (const char *)getauxval(AT_EXECFN), sizeof(self) - 1);
		return self;
	}
	self[n] = '\0';
	return self;
}

static const char *my_path;
static void *volatile bad = (void *)8;

static int role(int argc, char **argv, char **envp)
{
	const char *r = argv[0] + 5;

	if (!strcmp(r, "exit"))
		return atoi(argv[1]);
	if (!strcmp(r, "count"))
		return argc;
	if (!strcmp(r, "args")) {
		/* prints argv from the very first */
		for (int i = 0; i < saved_argc; i++)
			printf("[%s]", saved_argv[i]);
		fflush(stdout);
		return 0;
	}
	if (!strcmp(r, "env"))
		return envp[0] ? strcmp(envp[0], argv[1]) != 0 : 2;
	if (!strcmp(r, "noenv"))
		return envp[0] != NULL;
	if (!strcmp(r, "fd"))
		return fcntl(atoi(argv[1]), F_GETFD) < 0;
	if (!strcmp(r, "ignored")) {
		struct sigaction sa;

		sigaction(SIGUSR1, NULL, &sa);
		if (sa.sa_handler != SIG_IGN)
			return 1;
		sigaction(SIGUSR2, NULL, &sa);
		return sa.sa_handler != SIG_DFL ? 2 : 0;
	}
	if (!strcmp(r, "masked")) {
		sigset_t set;

		sigprocmask(SIG_BLOCK, NULL, &set);
		return !sigismember(&set, SIGUSR1);
	}
	if (!strcmp(r, "pending")) {
		sigset_t set;

		sigpending(&set);
		return !sigismember(&set, SIGUSR1);
	}
	if (!strcmp(r, "altstack")) {
		stack_t ss;

		sigaltstack(NULL, &ss);
		return ss.ss_flags != SS_DISABLE;
	}
	if (!strcmp(r, "comm")) {
		char name[16];

		prctl(PR_GET_NAME, name);
		printf("%s", name);
		fflush(stdout);
		return 0;
	}
	if (!strcmp(r, "pid"))
		return getpid() != atoi(argv[1]) || syscall(SYS_gettid) != getpid();
	if (!strcmp(r, "alarm")) {
		pause();
		return 0;
	}
	if (!strcmp(r, "ids"))
		return geteuid() != (unsigned int)atoi(argv[1]) ? 1 :
		       getauxval(AT_SECURE) != (unsigned long)atoi(argv[2]) ? 2 : 0;
	if (!strcmp(r, "locked"))
		return mlock(r, 1) != 0;
	return 99;
}

/* Run with these arguments behind argv[0]; the exit status. */
static int run(const char *path, char *const *envp, ...)
{
	char *argv[16] = { "program" };
	pid_t child;
	va_list args;
	int i = 1, status;

	va_start(args, envp);
	while ((argv[i] = va_arg(args, char *)))
		i++;
	va_end(args);
	child = fork();
	if (!child) {
		execve(path, argv, envp ? envp : saved_envp);
		_exit(100 + (errno & 63));
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The same, and what it printed. */
static char output[4096];

static int run_output(const char *path, char **argv)
{
	int fd[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	CHECK_OK(pipe(fd));
	child = fork();
	if (!child) {
		dup2(fd[1], 1);
		close(fd[0]);
		close(fd[1]);
		execve(path, argv, saved_envp);
		_exit(100 + (errno & 63));
	}
	close(fd[1]);
	while ((got = read(fd[0], output + n, sizeof(output) - 1 - n)) > 0)
		n += (size_t)got;
	output[n] = '\0';
	CHECK_EQ(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void write_file(const char *name, const void *data, size_t n, int mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, data, n), n);
	CHECK_OK(fchmod(fd, (mode_t)mode));
	CHECK_OK(close(fd));
}

static void script(const char *name, const char *text)
{
	write_file(name, text, strlen(text), 0755);
}

static void copy_me(const char *name, int mode)
{
	int from = open(me(), O_RDONLY), to = open(name, O_CREAT | O_WRONLY, 0600);
	static char buf[65536];
	ssize_t n;

	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		CHECK_EQ(write(to, buf, (size_t)n), n);
	fchmod(to, (mode_t)mode);
	close(from);
	close(to);
}

/* -- programs --------------------------------------------------------------------------- */

TEST(exec_replaces_the_program)
{
	my_path = me();
	CHECK_EQ(run(my_path, NULL, "role=exit", "7", NULL), 7);
}

TEST(arguments_arrive)
{
	CHECK_EQ(run(me(), NULL, "role=count", "a", "", "b c", NULL), 4);
}

TEST(environment_arrives)
{
	char *env[] = { "X=some value", NULL };

	CHECK_EQ(run(me(), env, "role=env", "X=some value", NULL), 0);
	env[0] = NULL;
	CHECK_EQ(run(me(), env, "role=noenv", NULL), 0);
}

TEST(long_arguments_arrive)
{
	char *big = malloc(100001);

	memset(big, 'x', 100000);
	big[100000] = '\0';
	CHECK_EQ(run(me(), NULL, "role=count", big, big, NULL), 3);
	free(big);
}

TEST(too_long_arguments_are_refused)
{
	char *big = malloc(140001), *argv[60] = { "program" };

	memset(big, 'x', 140000);
	big[140000] = '\0';
	argv[1] = big;
	CHECK_ERRNO(execve(me(), argv, saved_envp), E2BIG);	/* one string: 128 KiB at most */
	big[120000] = '\0';
	for (int i = 1; i < 59; i++)
		argv[i] = big;
	CHECK_ERRNO(execve(me(), argv, saved_envp), E2BIG);	/* together: a quarter of the stack */
}

TEST(errors_of_names)
{
	char *argv[] = { "x", NULL };
	char name[300];

	CHECK_ERRNO(execve("missing", argv, saved_envp), ENOENT);
	CHECK_ERRNO(execve("", argv, saved_envp), ENOENT);
	CHECK_ERRNO(execve(".", argv, saved_envp), EACCES);
	memset(name, 'n', sizeof(name));
	name[299] = '\0';
	CHECK_ERRNO(execve(name, argv, saved_envp), ENAMETOOLONG);
	write_file("plain", "#!/bin/sh\n", 10, 0644);
	CHECK_ERRNO(execve("plain", argv, saved_envp), EACCES);
	CHECK_ERRNO(execve("plain/x", argv, saved_envp), ENOTDIR);
	CHECK_ERRNO(execve(bad, argv, saved_envp), EFAULT);
	CHECK_ERRNO(execve(me(), bad, saved_envp), EFAULT);
	argv[0] = bad;
	CHECK_ERRNO(execve(me(), argv, saved_envp), EFAULT);
}

TEST(files_that_are_no_programs)
{
	char *argv[] = { "x", NULL };
	Elf64_Ehdr e = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phentsize = 56 };

	write_file("empty", "", 0, 0755);
	CHECK_ERRNO(execve("empty", argv, saved_envp), ENOEXEC);
	write_file("text", "just text\n", 10, 0755);
	CHECK_ERRNO(execve("text", argv, saved_envp), ENOEXEC);
	memcpy(e.e_ident, ELFMAG "\2\1\1", 7);
	write_file("noheaders", &e, sizeof(e), 0755);
	CHECK_ERRNO(execve("noheaders", argv, saved_envp), ENOEXEC);
	e.e_machine = EM_AARCH64;
	e.e_phnum = 1;
	write_file("foreign", &e, sizeof(e), 0755);
	CHECK_ERRNO(execve("foreign", argv, saved_envp), ENOEXEC);
	e.e_machine = EM_X86_64;
	e.e_type = ET_REL;
	write_file("object", &e, sizeof(e), 0755);
	CHECK_ERRNO(execve("object", argv, saved_envp), ENOEXEC);
	write_file("half", &e, 20, 0755);
	CHECK_ERRNO(execve("half", argv, saved_envp), ENOEXEC);
}

TEST(missing_interpreter_of_a_program)
{
	struct image { Elf64_Ehdr e; Elf64_Phdr p[2]; char interp[16]; } f = { 0 };
	char *argv[] = { "x", NULL };

	memcpy(f.e.e_ident, ELFMAG "\2\1\1", 7);
	f.e.e_type = ET_DYN;
	f.e.e_machine = EM_X86_64;
	f.e.e_version = 1;
	f.e.e_ehsize = sizeof(f.e);
	f.e.e_phoff = sizeof(f.e);
	f.e.e_phentsize = sizeof(f.p[0]);
	f.e.e_phnum = 2;
	f.p[0] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = offsetof(struct image, interp),
			       .p_filesz = 6, .p_memsz = 6, .p_flags = PF_R, .p_align = 1 };
	f.p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = sizeof(f), .p_memsz = sizeof(f),
			       .p_flags = PF_R, .p_align = 4096 };
	strcpy(f.interp, "/none");
	write_file("prog", &f, sizeof(f), 0755);
	CHECK_ERRNO(execve("prog", argv, saved_envp), ENOENT);
	strcpy(f.interp, "/dev");
	f.p[0].p_filesz = 5;
	write_file("prog", &f, sizeof(f), 0755);
	CHECK_ERRNO(execve("prog", argv, saved_envp), EACCES);
}

TEST(a_file_that_is_written_cannot_run)
{
	char *argv[] = { "x", NULL };
	int fd;

	copy_me("prog", 0755);
	fd = open("prog", O_WRONLY);
	CHECK(fd >= 0);
	CHECK_ERRNO(execve("prog", argv, saved_envp), ETXTBSY);
	close(fd);
	CHECK_EQ(run("prog", NULL, "role=exit", "3", NULL), 3);
}

TEST(a_file_that_runs_cannot_be_written)
{
	pid_t child;

	copy_me("prog", 0755);
	child = fork();
	if (!child) {
		execl("prog", "prog", "role=alarm", NULL);
		_exit(1);
	}
	usleep(200000);
	CHECK_ERRNO(open("prog", O_WRONLY), ETXTBSY);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK_OK(open("prog", O_WRONLY));
}

/* -- scripts -------------------------------------------------------------------------------- */

TEST(scripts_run_their_interpreter)
{
	char text[512], *argv[] = { "ignored", "one", "two", NULL };

	snprintf(text, sizeof(text), "#!%s role=args\nwhatever\n", me());
	script("s", text);
	CHECK_EQ(run_output("./s", argv), 0);
	snprintf(text, sizeof(text), "[%s][role=args][./s][one][two]", me());
	CHECK_STR(output, text);
}

TEST(blanks_in_the_first_line)
{
	char text[512], *argv[] = { "ignored", NULL };

	/* One argument, blanks inside kept, at the end not. */
	snprintf(text, sizeof(text), "#! \t %s \t role=args  x y \t\n", me());
	script("s", text);
	run_output("./s", argv);
	/* "role=args  x y" is the argument, which is no role: the program would run tests. */
	CHECK(strncmp(output, "[", 1) != 0 || strstr(output, "role=args  x y]"));
}

TEST(scripts_of_scripts)
{
	char text[512], *argv[] = { "x", NULL }, dir[256];

	CHECK(getcwd(dir, sizeof(dir)));
	snprintf(text, sizeof(text), "#!%s role=args\n", me());
	script("inner", text);
	snprintf(text, sizeof(text), "#!%s/inner\n", dir);
	script("outer", text);
	CHECK_EQ(run_output("./outer", argv), 0);
	snprintf(text, sizeof(text), "[%s][role=args][%s/inner][./outer]", me(), dir);
	CHECK_STR(output, text);
}

TEST(errors_of_scripts)
{
	char *argv[] = { "x", NULL }, text[300];

	script("none", "#!/no/such/interpreter\n");
	CHECK_ERRNO(execve("./none", argv, saved_envp), ENOENT);
	script("empty", "#!\n");
	CHECK_ERRNO(execve("./empty", argv, saved_envp), ENOEXEC);
	script("blank", "#!   \n");
	CHECK_ERRNO(execve("./blank", argv, saved_envp), ENOEXEC);
	script("loop", "#!./loop\n");
	CHECK_ERRNO(execve("./loop", argv, saved_envp), ELOOP);
	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	write_file("long", text, sizeof(text), 0755);	/* the name may be cut off */
	CHECK_ERRNO(execve("./long", argv, saved_envp), ENOEXEC);
	script("dir", "#!/\n");
	CHECK_ERRNO(execve("./dir", argv, saved_envp), EACCES);
}

/* -- what is kept and what is not ------------------------------------------------------------- */

TEST(descriptors_stay_unless_cloexec)
{
	char keep[8], drop[8];
	int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(a >= 0 && b >= 0);
	snprintf(keep, sizeof(keep), "%d", a);
	snprintf(drop, sizeof(drop), "%d", b);
	CHECK_EQ(run(me(), NULL, "role=fd", keep, NULL), 0);
	CHECK_EQ(run(me(), NULL, "role=fd", drop, NULL), 1);
}

static void nothing(int sig)
{
	(void)sig;
}

TEST(handlers_become_default_and_ignored_stay)
{
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, nothing);
	CHECK_EQ(run(me(), NULL, "role=ignored", NULL), 0);
}

TEST(mask_and_pending_signals_stay)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_EQ(run(me(), NULL, "role=masked", NULL), 0);
	IN_CHILD({
		raise(SIGUSR1);
		execl(me(), "x", "role=pending", NULL);
		_exit(1);
	});
}

TEST(alternate_stack_goes)
{
	stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 };

	CHECK_OK(sigaltstack(&ss, NULL));
	CHECK_EQ(run(me(), NULL, "role=altstack", NULL), 0);
}

TEST(alarm_stays)
{
	pid_t child = fork();
	int status;

	if (!child) {
		alarm(1);
		execl(me(), "x", "role=alarm", NULL);
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

TEST(comm_is_the_file_name)
{
	char *argv[] = { "other", "role=comm", NULL };

	copy_me("a-name-longer-than-fifteen", 0755);
	CHECK_EQ(run_output("./a-name-longer-than-fifteen", argv), 0);
	CHECK_STR(output, "a-name-longer-t");
}

static void *exec_in_thread(void *arg)
{
	execl(me(), "x", "role=pid", arg, NULL);
	_exit(1);
}

static void *spin(void *arg)
{
	while (arg)
		;
	for (;;)
		pause();
	return NULL;
}

TEST(exec_in_a_thread_keeps_the_pid)
{
	pthread_t t;
	char pid[16];
	pid_t child = fork();
	int status;

	if (!child) {
		snprintf(pid, sizeof(pid), "%d", getpid());
		pthread_create(&t, NULL, spin, NULL);
		pthread_create(&t, NULL, spin, pid);
		pthread_create(&t, NULL, exec_in_thread, pid);
		for (;;)
			pause();
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

/* -- execveat ------------------------------------------------------------------------------------ */

static int run_at(int dfd, const char *name, int flags)
{
	char *argv[] = { "x", "role=exit", "9", NULL };
	pid_t child = fork();
	int status;

	if (!child) {
		syscall(SYS_execveat, dfd, name, argv, saved_envp, flags);
		_exit(100 + (errno & 63));
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

TEST(execveat_of_a_descriptor_and_of_a_directory)
{
	int dir, fd;

	copy_me("prog", 0755);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	fd = open("prog", O_PATH);
	CHECK_EQ(run_at(dir, "prog", 0), 9);
	CHECK_EQ(run_at(fd, "", AT_EMPTY_PATH), 9);
	CHECK_EQ(run_at(fd, "", 0), 100 + ENOENT);
	CHECK_EQ(run_at(-5, "prog", 0), 100 + EBADF);
	CHECK_EQ(run_at(dir, "prog", 0x40), 100 + EINVAL);
	CHECK_OK(symlink("prog", "link"));
	CHECK_EQ(run_at(dir, "link", 0), 9);
	CHECK_EQ(run_at(dir, "link", AT_SYMLINK_NOFOLLOW), 100 + ELOOP);
}

/* -- credentials ------------------------------------------------------------------------------------ */

TEST(setuid_programs_change_the_user)
{
	CHECK_ROOT();
	copy_me("prog", 0755);
	CHECK_OK(chown("prog", 1234, 0));
	CHECK_OK(chmod("prog", 04755));
	CHECK_EQ(run("./prog", NULL, "role=ids", "1234", "1", NULL), 0);
	CHECK_OK(chmod("prog", 0755));
	CHECK_EQ(run("./prog", NULL, "role=ids", "0", "0", NULL), 0);
}

TEST(no_new_privs_ignores_setuid)
{
	CHECK_ROOT();
	copy_me("prog", 04755);
	CHECK_OK(chown("prog", 1234, 0));
	CHECK_OK(chmod("prog", 04755));
	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_EQ(run("./prog", NULL, "role=ids", "0", "0", NULL), 0);
}

/* -- the start of a program --------------------------------------------------------------------------- */

TEST(auxiliary_vector_is_complete)
{
	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_EUID), geteuid());
	CHECK_EQ(getauxval(AT_GID), getgid());
	CHECK_EQ(getauxval(AT_EGID), getegid());
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK_EQ(getauxval(AT_FLAGS), 0);
	CHECK(getauxval(AT_HWCAP) != 0);
	CHECK(getauxval(AT_ENTRY) != 0);
	CHECK(getauxval(AT_RANDOM) != 0);
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1000);
	CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
	CHECK(getauxval(AT_EXECFN) != 0);
}

TEST(program_headers_are_where_at_phdr_says)
{
	const Elf64_Phdr *p = (void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM), loads = 0;

	CHECK(p != NULL);
	for (unsigned long i = 0; i < n; i++)
		loads += p[i].p_type == PT_LOAD;
	CHECK(loads >= 2);
}

TEST(strings_lie_one_after_the_other_below_the_top)
{
	char *end = saved_argv[saved_argc - 1] + strlen(saved_argv[saved_argc - 1]) + 1;
	int i;

	for (i = 0; i + 1 < saved_argc; i++)
		CHECK(saved_argv[i + 1] == saved_argv[i] + strlen(saved_argv[i]) + 1);
	if (saved_envp[0])
		CHECK(saved_envp[0] == end);
	CHECK((char *)saved_argv < saved_argv[0]);
	CHECK(((uintptr_t)&saved_argv[-1] & 15) == 0);	/* argc lies at a multiple of 16 */
}

TEST(random_bytes_differ)
{
	unsigned long *r = (void *)getauxval(AT_RANDOM);

	CHECK(r[0] != 0 || r[1] != 0);
	CHECK(r[0] != r[1]);
}

TEST(vdso_is_there_and_has_its_functions)
{
	const char *base = (void *)getauxval(AT_SYSINFO_EHDR);

	if (!base)
		SKIP("no vDSO");
	CHECK(memcmp(base, ELFMAG, 4) == 0);
	CHECK_EQ(((const Elf64_Ehdr *)base)->e_type, ET_DYN);
}

TEST(stack_is_executable_only_on_request)
{
	pid_t child = fork();
	int status;

	if (!child) {
		unsigned char code[] = { 0xc3 };	/* ret */
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		((void (*)(void))code)();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(vfork_child_may_exec)
{
	const char *path = me();
	pid_t child = vfork();
	int status;

	if (!child) {
		execl(path, "x", "role=exit", "6", NULL);
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 6);
}
