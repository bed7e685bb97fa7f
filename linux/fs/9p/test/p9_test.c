/* SPDX-License-Identifier: MIT */
/*
 * 9P against a server in memory: what programs see; and the same again while it lies, in every
 * answer and in many ways, when errors are fine, and nothing else is.
 */
#include "test/host/rig_test.h"

#include <asm/stat.h>
#include <sched.h>
#include <stdlib.h>

#include "base/byteorder.h"
#include "fs/9p/init.h"
#include "fs/9p/wire.h"

#define self rig_self()
#define P rig_str

/* -- the server: a few files, and whatever fids they have --------------------------------- */

enum { ROOT, DIR, FILE_A, LINK, NODES = 8 };
enum { FIDS = 1 << 12 };

static struct node {
	char name[16]; /* "": not there, or the root */
	int parent;
	uint32_t mode;
	char data[64];
	uint32_t size;
} nodes[NODES];

static int fids[FIDS]; /* node + 1; 0: not in use */
static unsigned int sessions;

static void reset_tree(void)
{
	memset(nodes, 0, sizeof(nodes));
	memset(fids, 0, sizeof(fids));
	nodes[ROOT] = (struct node){"", ROOT, S_IFDIR | 0755, "", 0};
	nodes[DIR] = (struct node){"dir", ROOT, S_IFDIR | 0755, "", 0};
	nodes[FILE_A] = (struct node){"a", DIR, S_IFREG | 0644, "hello", 5};
	nodes[LINK] = (struct node){"link", ROOT, S_IFLNK | 0777, "dir/a", 5};
}

static int find_node(int dir, const char *name, uint32_t n)
{
	for (int i = 1; i < NODES; i++)
		if (nodes[i].parent == dir && n && strlen(nodes[i].name) == n &&
		    !memcmp(nodes[i].name, name, n))
			return i;
	return -1;
}

static void set_name(int node, const char *name, uint32_t n)
{
	n = MIN(n, (uint32_t)sizeof(nodes->name) - 1);
	memcpy(nodes[node].name, name, n);
	nodes[node].name[n] = '\0';
}

static void put_qid(struct p9_cursor *r, int node)
{
	uint32_t type = nodes[node].mode & S_IFMT;

	p9_put8(r, type == S_IFDIR ? P9_QID_DIR : type == S_IFLNK ? P9_QID_SYMLINK : 0);
	p9_put32(r, 1);
	p9_put64(r, (uint64_t)node + 100);
}

static void put_attr(struct p9_cursor *r, int node)
{
	p9_put64(r, 0x7ff);
	put_qid(r, node);
	p9_put32(r, nodes[node].mode);
	p9_put32(r, 0);
	p9_put32(r, 0);
	p9_put64(r, 1);
	p9_put64(r, 0);
	p9_put64(r, nodes[node].size);
	p9_put64(r, 4096);
	for (int i = 0; i < 1 + 8 + 2; i++)
		p9_put64(r, 7);
}

static void put_entries(struct p9_cursor *r, int dir, uint64_t from, uint32_t count)
{
	uint32_t at = r->at;

	p9_put32(r, 0);
	for (uint64_t i = from < NODES ? from + 1 : NODES; i < NODES; i++) {
		if (!nodes[i].name[0] || nodes[i].parent != dir)
			continue;
		if (r->at - at + 24 + strlen(nodes[i].name) > count)
			break;
		put_qid(r, (int)i);
		p9_put64(r, i);
		p9_put8(r, (uint8_t)(nodes[i].mode >> 12));
		p9_put_string(r, nodes[i].name);
	}
	put_le32(r->p + at, r->at - at - 4);
}

static int walk(int node, struct p9_cursor *t, struct p9_cursor *r)
{
	uint32_t to = p9_get32(t), n;
	uint16_t names = p9_get16(t);
	const char *name;

	if (names) {
		name = p9_get_string(t, &n);
		node = find_node(node, name, n);
		if (node < 0)
			return ENOENT;
	}
	if (to >= FIDS || fids[to])
		return EINVAL;
	fids[to] = node + 1;
	p9_put16(r, names);
	if (names)
		put_qid(r, node);
	return 0;
}

static int make(uint32_t fid, int dir, struct p9_cursor *t, uint32_t type, struct p9_cursor *r)
{
	uint32_t n;
	const char *name = p9_get_string(t, &n);

	for (int i = 1; i < NODES; i++) {
		if (nodes[i].name[0])
			continue;
		nodes[i] = (struct node){"", dir, type | 0600, "", 0};
		set_name(i, name, n);
		put_qid(r, i);
		if (type == S_IFREG) {
			fids[fid] = i + 1;
			p9_put32(r, 0);
		}
		return 0;
	}
	return ENOSPC;
}

static int write_node(struct node *f, struct p9_cursor *t, struct p9_cursor *r)
{
	uint64_t off = p9_get64(t);
	uint32_t n = p9_get32(t);

	if (off > sizeof(f->data) || n > sizeof(f->data) - off)
		return ENOSPC;
	memcpy(f->data + off, t->p + t->at, n);
	f->size = MAX(f->size, (uint32_t)off + n);
	p9_put32(r, n);
	return 0;
}

static int read_node(struct node *f, struct p9_cursor *t, struct p9_cursor *r)
{
	uint64_t off = p9_get64(t);
	uint32_t n = p9_get32(t);

	n = off < f->size ? MIN(n, f->size - (uint32_t)off) : 0;
	p9_put32(r, n);
	for (uint32_t i = 0; i < n; i++)
		p9_put8(r, (uint8_t)f->data[off + i]);
	return 0;
}

static int unlink_node(int dir, struct p9_cursor *t)
{
	uint32_t n;
	const char *name = p9_get_string(t, &n);
	int i = find_node(dir, name, n);

	if (i < 0)
		return ENOENT;
	nodes[i].name[0] = '\0';
	return 0;
}

static int rename_node(int dir, struct p9_cursor *t)
{
	uint32_t n, to;
	const char *name = p9_get_string(t, &n);
	int i = find_node(dir, name, n);

	if (i < 0)
		return ENOENT;
	to = p9_get32(t);
	name = p9_get_string(t, &n);
	nodes[i].parent = fids[to] - 1;
	set_name(i, name, n);
	return 0;
}

/* What it says to a message about a fid: 0 or an errno. */
static int answer_fid(uint8_t type, struct p9_cursor *t, struct p9_cursor *r)
{
	uint32_t fid = p9_get32(t);
	int node = fid < FIDS ? fids[fid] - 1 : -1;
	uint64_t off;

	if (node < 0)
		return ENOENT;
	switch (type) {
	case P9_TWALK:
		return walk(node, t, r);
	case P9_TGETATTR:
		put_attr(r, node);
		return 0;
	case P9_TSETATTR:
		if (p9_get32(t) & 8)
			nodes[node].size = MIN((uint32_t)get_le64(t->p + t->at + 12),
					       (uint32_t)sizeof(nodes->data));
		return 0;
	case P9_TLOPEN:
		put_qid(r, node);
		p9_put32(r, 0);
		return 0;
	case P9_TLCREATE:
		return make(fid, node, t, S_IFREG, r);
	case P9_TMKDIR:
		return make(fid, node, t, S_IFDIR, r);
	case P9_TREAD:
		return read_node(&nodes[node], t, r);
	case P9_TWRITE:
		return write_node(&nodes[node], t, r);
	case P9_TREADDIR:
		off = p9_get64(t);
		put_entries(r, node, off, p9_get32(t));
		return 0;
	case P9_TREADLINK:
		p9_put_string(r, nodes[node].data);
		return 0;
	case P9_TUNLINKAT:
		return unlink_node(node, t);
	case P9_TRENAMEAT:
		return rename_node(node, t);
	case P9_TCLUNK:
		fids[fid] = 0;
		return 0;
	case P9_TSTATFS:
		for (int i = 0; i < 15; i++)
			p9_put32(r, 4096);
		return 0;
	case P9_TFSYNC:
		return 0;
	default:
		return EOPNOTSUPP;
	}
}

static _Atomic(int) silent_for;		/* answer no READ; 2: one came; 3: it was flushed */
static uint16_t silent_tag;

static int answer_to(uint8_t type, struct p9_cursor *t, struct p9_cursor *r)
{
	switch (type) {
	case P9_TVERSION:
		memset(fids, 0, sizeof(fids));
		sessions++;
		p9_put32(r, 8192);
		p9_put_string(r, "9P2000.L");
		return 0;
	case P9_TATTACH:
		fids[p9_get32(t)] = ROOT + 1;
		put_qid(r, ROOT);
		return 0;
	case P9_TFLUSH:
		CHECK_EQ(p9_get16(t), silent_tag);
		silent_for = 3;
		return 0;
	default:
		return answer_fid(type, t, r);
	}
}

/* -- lies ------------------------------------------------------------------------------------ */

static unsigned int lie_at, lies_left,
	answers; /* the lie_at-th answer from now on, and those after it */
static uint64_t seed;

static uint32_t random32(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33);
}

/* Make the answer of @n bytes at @r a wrong one; returns its length. */
static size_t lie(uint8_t *r, size_t n, size_t room)
{
	switch (random32() % 10) {
	case 0:
		return random32() % (n + 1);
	case 1:
		put_le32(r, random32());
		return n;
	case 2:
		put_le32(r, (uint32_t)room);
		return room;
	case 3:
		r[4] = (uint8_t)random32();
		return n;
	case 4:
		put_le16(r + 5, (uint16_t)random32());
		return n;
	case 5:
		r[4] = P9_RLERROR;
		return n;
	case 6:
		return 0;
	default:
		/* The body: single bytes, or a run of the largest. */
		for (unsigned int i = random32() % 4 + 1; i && n > P9_HEADER; i--)
			r[P9_HEADER + random32() % (n - P9_HEADER)] =
				random32() % 3 ? (uint8_t)random32() : 0xff;
		return n;
	}
}

static size_t serve(struct p9link *link, const uint8_t *msg, size_t n, uint8_t *out, size_t room)
{
	struct p9_cursor t = p9_cursor((void *)(uintptr_t)msg, (uint32_t)n);
	struct p9_cursor r = p9_cursor(out + P9_HEADER, (uint32_t)room - P9_HEADER);
	uint8_t type;
	uint16_t tag;
	int err;

	CHECK_EQ(p9_get32(&t), n);
	type = p9_get8(&t);
	tag = p9_get16(&t);
	if (silent_for && type == P9_TREAD) {
		silent_tag = tag;
		silent_for = 2;
		return RIG_9P_SILENT;
	}
	CHECK_EQ(tag == P9_NOTAG, type == P9_TVERSION);
	err = answer_to(type, &t, &r);
	CHECK(!t.bad && !r.bad);
	if (err) {
		r.at = 0;
		p9_put32(&r, (uint32_t)err);
		type = P9_RLERROR - 1;
	}
	p9_put_header(out, r.at + P9_HEADER, (uint8_t)(type + 1), tag);
	answers++;
	if (lies_left && answers >= lie_at) {
		lies_left--;
		return lie(out, r.at + P9_HEADER, room);
	}
	return r.at + P9_HEADER;
}

/* -- tests ------------------------------------------------------------------------------------- */

static struct p9link *server;

static long mount_it(const char *options)
{
	if (!server) {
		rig_start();
		lx_9p_init();
		server = rig_9p("tag", serve);
		CHECK_EQ(lx_sys_mkdir(self, P("/mnt"), 0755), 0);
	}
	reset_tree();
	return lx_sys_mount(self, P("tag"), P("/mnt"), P("9p"), 0, P(options));
}

static int open_fids(void)
{
	int n = 0;

	for (int i = 0; i < FIDS; i++)
		n += fids[i] != 0;
	return n;
}

static const char *names_in(const char *path)
{
	static char out[512];
	long n, fd = lx_sys_open(self, P(path), O_RDONLY | O_DIRECTORY, 0);
	uaddr_t u = rig_user(512);

	out[0] = '\0';
	if (fd < 0)
		return "(not there)";
	while ((n = lx_sys_getdents64(self, (int)fd, u, 512)) > 0)
		for (long i = 0; i < n;) {
			char *e = (char *)rig_ptr(u) + i;

			if (strlen(out) + strlen(e + 19) + 2 < sizeof(out))
				snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s ",
					 e + 19);
			i += *(unsigned short *)(e + 16);
		}
	lx_sys_close(self, (int)fd);
	return n < 0 ? "(error)" : out;
}

TEST(a_share_shows_and_changes_the_servers_files)
{
	uaddr_t st = rig_user(sizeof(struct stat));

	rig_reset();
	REQUIRE(mount_it("trans=virtio,version=9p2000.L,unheard=of") == 0);
	CHECK_STR(rig_get_file("/mnt/dir/a"), "hello");
	CHECK_STR(rig_get_file("/mnt/link"), "hello");
	CHECK_STR(names_in("/mnt"), "dir link ");
	CHECK_EQ(rig_put_file("/mnt/dir/new", "text"), 4);
	CHECK_STR(nodes[FILE_A + 2].data, "text");
	CHECK_EQ(lx_sys_rename(self, P("/mnt/dir/new"), P("/mnt/moved")), 0);
	CHECK_STR(rig_get_file("/mnt/moved"), "text");
	CHECK_EQ(lx_sys_truncate(self, P("/mnt/moved"), 2), 0);
	CHECK_STR(rig_get_file("/mnt/moved"), "te");
	/* another writer's changes are seen at once */
	strcpy(nodes[FILE_A + 2].data, "xyz");
	nodes[FILE_A + 2].size = 3;
	CHECK_EQ(lx_sys_stat(self, P("/mnt/moved"), st), 0);
	CHECK_EQ(((struct stat *)rig_ptr(st))->st_size, 3);
	CHECK_EQ(lx_sys_unlink(self, P("/mnt/moved")), 0);
	CHECK_EQ(lx_sys_stat(self, P("/mnt/moved"), st), -ENOENT);
	CHECK_EQ(lx_sys_mount(self, P("tag"), P("/"), P("9p"), 0, P("")), -EBUSY);
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
	CHECK_EQ(open_fids(), 0);
	CHECK_EQ(rig_9p_requests(server), 0);
}

TEST(options_that_are_not_there_are_refused)
{
	rig_reset();
	CHECK_EQ(mount_it("trans=tcp"), -EINVAL);
	CHECK_EQ(mount_it("version=9p2000.u"), -EINVAL);
	CHECK_EQ(mount_it("cache=loose"), -EINVAL);
	CHECK_EQ(mount_it("access=user"), -EINVAL);
	CHECK_EQ(mount_it("msize=100"), -EINVAL);
	CHECK_EQ(lx_sys_mount(self, P("other"), P("/mnt"), P("9p"), 0, P("")), -ENOENT);
	CHECK_EQ(lx_sys_mount(self, P(""), P("/mnt"), P("9p"), 0, P("")), -EINVAL);
}

TEST(a_reset_ends_the_session_and_open_files_go_on_in_the_next)
{
	uaddr_t buf = rig_user(16);
	unsigned int before;
	long fd, dir;

	rig_reset();
	REQUIRE(mount_it("") == 0);
	fd = lx_sys_open(self, P("/mnt/dir/a"), O_RDWR, 0);
	dir = lx_sys_open(self, P("/mnt/dir"), O_RDONLY | O_DIRECTORY, 0);
	REQUIRE(fd >= 0 && dir >= 0);
	before = sessions;
	memset(fids, 0, sizeof(fids));
	rig_9p_reset(server);
	CHECK_EQ(lx_sys_read(self, (int)fd, buf, 2), 2);
	CHECK_EQ(memcmp(rig_ptr(buf), "he", 2), 0);
	CHECK_EQ(sessions, before + 1);
	rig_9p_reset(server);
	CHECK_EQ(lx_sys_openat(self, (int)dir, P("a"), O_RDONLY, 0), dir + 1);
	CHECK_EQ(lx_sys_read(self, (int)fd, buf, 16), 3);
	CHECK_EQ(sessions, before + 2);
	/* it is another file now: nothing is read from that */
	rig_9p_reset(server);
	nodes[FILE_A].name[0] = '\0';
	nodes[FILE_A + 2] = (struct node){"a", DIR, S_IFREG | 0644, "other", 5};
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 0, 0), 0);
	CHECK_EQ(lx_sys_read(self, (int)fd, buf, 16), -EIO);
	for (long i = fd; i <= dir + 1; i++)
		CHECK_EQ(lx_sys_close(self, (int)i), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
	CHECK_EQ(open_fids(), 0);
}

/* Everything that a program could do; what comes of it does not matter. */
static void do_everything(void)
{
	uaddr_t buf = rig_user(4096), st = rig_user(256);
	long fd = lx_sys_open(self, P("/mnt/dir/a"), O_RDWR | O_APPEND, 0), fd2;

	(void)lx_sys_write(self, (int)fd, buf, 8);
	(void)lx_sys_pread64(self, (int)fd, buf, 4096, 0);
	(void)lx_sys_fstat(self, (int)fd, st);
	(void)lx_sys_fsync(self, (int)fd);
	(void)rig_get_file("/mnt/link");
	(void)lx_sys_readlink(self, P("/mnt/link"), buf, 100);
	(void)names_in("/mnt");
	(void)names_in("/mnt/dir");
	fd2 = lx_sys_open(self, P("/mnt/dir/n"), O_RDWR | O_CREAT, 0400);
	(void)lx_sys_write(self, (int)fd2, buf, 8);
	(void)lx_sys_mkdir(self, P("/mnt/d2"), 0700);
	(void)lx_sys_rename(self, P("/mnt/dir/n"), P("/mnt/d2/m"));
	(void)lx_sys_truncate(self, P("/mnt/d2/m"), 3);
	(void)lx_sys_link(self, P("/mnt/d2/m"), P("/mnt/l"));
	(void)lx_sys_statfs(self, P("/mnt"), st);
	(void)lx_sys_listxattr(self, P("/mnt/dir"), buf, 100);
	(void)lx_sys_lseek(self, (int)fd, 0, 2);
	(void)lx_sys_unlink(self, P("/mnt/d2/m"));
	(void)lx_sys_rmdir(self, P("/mnt/d2"));
	(void)lx_sys_stat(self, P("/mnt/dir/../dir/a/x"), st);
	if (fd >= 0)
		(void)lx_sys_close(self, (int)fd);
	if (fd2 >= 0)
		(void)lx_sys_close(self, (int)fd2);
}

static void read_in_vain(void *arg)
{
	uaddr_t buf = rig_user(16);
	long fd = lx_sys_open(self, P("/mnt/dir/a"), O_RDONLY, 0);

	CHECK_EQ(lx_sys_read(self, (int)fd, buf, 16), -EINTR);
	CHECK_EQ(lx_sys_close(self, (int)fd), 0);
}

TEST(who_is_killed_does_not_wait_for_a_silent_server)
{
	struct lx_task *t;

	rig_reset();
	REQUIRE(mount_it("") == 0);
	silent_for = 1;
	t = rig_task(read_in_vain, NULL);
	while (silent_for == 1)
		sched_yield();
	rig_kill(t);
	rig_join(t);
	CHECK_EQ(silent_for, 3);
	silent_for = 0;
	CHECK_STR(rig_get_file("/mnt/dir/a"), "hello");
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
	CHECK_EQ(rig_9p_requests(server), 0);
}

TEST(a_server_that_lies_causes_errors_and_nothing_else)
{
	unsigned int objects = 0, refused = 0;

	for (unsigned int round = 0; round < 2000; round++) {
		rig_reset();
		seed = round * 7919u;
		answers = 0;
		lie_at = round % 150 + 1;
		lies_left = round % 3 ? 1 : round % 7 + 1;
		if (mount_it("") == 0) {
			do_everything();
			CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
		} else {
			refused++;
		}
		CHECK_EQ(rig_9p_requests(server), 0);
		if (!round)
			objects = rig_memory_objects();
		CHECK_EQ(rig_memory_objects(), objects);
	}
	lies_left = 0;
	CHECK(refused);
	/* and it can be used again */
	rig_reset();
	REQUIRE(mount_it("") == 0);
	CHECK_STR(rig_get_file("/mnt/dir/a"), "hello");
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
}

TEST(without_memory_calls_fail_and_nothing_is_lost)
{
	for (unsigned int n = 1; n < 400; n++) {
		rig_reset();
		rig_fail_alloc(0);
		REQUIRE(mount_it("") == 0);
		rig_fail_alloc(n);
		do_everything();
		rig_fail_alloc(0);
		CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
		CHECK_EQ(rig_9p_requests(server), 0);
	}
}
