/* SPDX-License-Identifier: MIT */
/* Host tests of waiting words: kernel words, and user words through a pretended space. */
#include "arch/ucopy.h"
#include "kernel/fault.h"
#include "kernel/ucopy.h"
#include "kernel/waitword.h"
#include "sim.h"
#include "unit/unit.h"

/* -- the pretended program: 256 words from address 0x1000 --------------------------- */

static uint32_t user_word[256];
static bool user_present;
static k_status_t user_fault_status;
static unsigned int user_faults;

bool arch_load_user_u32(uint64_t addr, uint32_t *value)
{
	if (!user_present)
		return false;
	*value = user_word[(addr - 0x1000) / 4];
	return true;
}

k_status_t fault_handle(struct space *space, uint64_t addr, uint32_t access, struct k_fault *out)
{
	user_faults++;
	user_present = user_fault_status == K_OK;
	return user_fault_status;
}

bool caller_range_ok(uint64_t addr, uint64_t n)
{
	return false;
}

static char memory_object;

k_status_t space_key(struct space *space, uint64_t addr, bool shared, struct space_key *out)
{
	if (addr >= 0x2000)
		return K_ERR_NOT_FOUND;
	*out = (struct space_key){ .object = &memory_object, .offset = addr - 0x1000 };
	return K_OK;
}

static void start(void)
{
	sim_reset();
	waitword_start();
	user_present = true;
	user_fault_status = K_OK;
	user_faults = 0;
	memset(user_word, 0, sizeof(user_word));
}

/* -- kernel words --------------------------------------------------------------------- */

static uint32_t word, other_word;
static uint64_t woken;

static uint64_t at(uint32_t *w)
{
	return (uint64_t)(uintptr_t)w;
}

static k_status_t wait_word(uint32_t expected)
{
	return waitword_wait(NULL, at(&word), expected, K_WAIT_ANY_BITS, 1000, 0);
}

static void change_and_wake(void)
{
	word = 1;
	CHECK_EQ(waitword_wake(NULL, at(&word), 1, K_WAIT_ANY_BITS, 0, &woken), K_OK);
}

TEST(changed_word_does_not_wait)
{
	start();
	word = 5;
	CHECK_EQ(wait_word(4), K_ERR_CHANGED);
	CHECK_EQ(sim_blocks, 0);
	sim_check_clean();
}

TEST(wake_ends_the_wait)
{
	start();
	word = 0;
	sim_on_block = change_and_wake;
	CHECK_EQ(wait_word(0), K_OK);
	CHECK_EQ(woken, 1);
	CHECK_EQ(waitword_wake(NULL, at(&word), 1, K_WAIT_ANY_BITS, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);
	sim_check_clean();
}

TEST(nobody_stays_queued_after_the_deadline)
{
	start();
	word = 0;
	CHECK_EQ(wait_word(0), K_ERR_TIMED_OUT);
	CHECK_EQ(waitword_wake(NULL, at(&word), 10, K_WAIT_ANY_BITS, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);
	sim_check_clean();
}

static void wake_wrong_bits(void)
{
	CHECK_EQ(waitword_wake(NULL, at(&word), 9, 2, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);
	CHECK_EQ(waitword_wake(NULL, at(&word), 9, 1, 0, &woken), K_OK);
	CHECK_EQ(woken, 1);
}

TEST(bitsets_choose_the_waiters)
{
	start();
	word = 0;
	sim_on_block = wake_wrong_bits;
	CHECK_EQ(waitword_wait(NULL, at(&word), 0, 1, 1000, 0), K_OK);
	CHECK_EQ(waitword_wait(NULL, at(&word), 0, 0, 1000, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wake(NULL, at(&word), 1, 0, 0, &woken), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(NULL, at(&word) + 1, 0, 1, 1000, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(NULL, at(&word), 0, 1, 1000, 0x80), K_ERR_BAD_ARGUMENT);
	sim_check_clean();
}

static void requeue_then_wake(void)
{
	struct k_requeue r = { .from = at(&word), .to = at(&other_word), .move = 9,
			       .compare = 1, .expected = 7 };

	CHECK_EQ(waitword_requeue(NULL, &r), K_ERR_CHANGED);
	r.expected = 0;
	CHECK_EQ(waitword_requeue(NULL, &r), K_OK);
	CHECK_EQ(r.moved, 1);
	CHECK_EQ(r.woken, 0);
	CHECK_EQ(waitword_wake(NULL, at(&word), 9, K_WAIT_ANY_BITS, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);
	CHECK_EQ(waitword_wake(NULL, at(&other_word), 9, K_WAIT_ANY_BITS, 0, &woken), K_OK);
	CHECK_EQ(woken, 1);
}

TEST(requeued_waiter_is_found_at_its_new_word)
{
	start();
	word = 0;
	sim_on_block = requeue_then_wake;
	CHECK_EQ(wait_word(0), K_OK);
	sim_check_clean();
}

static void requeue_only(void)
{
	struct k_requeue r = { .from = at(&word), .to = at(&other_word), .move = 9 };

	CHECK_EQ(waitword_requeue(NULL, &r), K_OK);
	CHECK_EQ(r.moved, 1);
}

TEST(requeued_waiter_that_times_out_leaves_its_new_queue)
{
	start();
	word = 0;
	sim_on_block = requeue_only;
	CHECK_EQ(wait_word(0), K_ERR_TIMED_OUT);
	CHECK_EQ(waitword_wake(NULL, at(&other_word), 9, K_WAIT_ANY_BITS, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);
	sim_check_clean();
}

/* -- words of programs ------------------------------------------------------------------- */

TEST(absent_page_is_settled_outside_of_the_lock)
{
	start();
	user_present = false;
	CHECK_EQ(waitword_wait(&sim_space, 0x1000, 1, 1, 0, 0), K_ERR_CHANGED);
	CHECK_EQ(user_faults, 1);
	user_present = false;
	user_fault_status = K_ERR_NEED_PAGE;
	CHECK_EQ(waitword_wait(&sim_space, 0x1000, 1, 1, 0, 0), K_ERR_NEED_PAGE);
	user_fault_status = K_ERR_NOT_FOUND;
	CHECK_EQ(waitword_wait(&sim_space, 0x1000, 1, 1, 0, 0), K_ERR_BAD_ADDRESS);
	sim_check_clean();
}

TEST(hostile_addresses_are_refused)
{
	struct space foreign = { 0 };

	start();
	CHECK_EQ(waitword_wait(&sim_space, K_PROGRAM_MAX, 0, 1, 0, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(&sim_space, UINT64_MAX - 3, 0, 1, 0, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(&sim_space, K_PERSONALITY_BASE, 0, 1, 0, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(&foreign, 0x1000, 0, 1, 0, 0), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(waitword_wait(&sim_space, 0x2000, 0, 1, 0, K_WAIT_SHARED), K_ERR_BAD_ADDRESS);
	sim_check_clean();
}

static void wake_shared(void)
{
	CHECK_EQ(waitword_wake(&sim_space, 0x1004, 1, 1, 0, &woken), K_OK);
	CHECK_EQ(woken, 0);		/* the private key is another one */
	CHECK_EQ(waitword_wake(&sim_space, 0x1004, 1, 1, K_WAIT_SHARED, &woken), K_OK);
	CHECK_EQ(woken, 1);
}

TEST(shared_words_meet_at_their_object)
{
	start();
	sim_on_block = wake_shared;
	CHECK_EQ(waitword_wait(&sim_space, 0x1004, 0, 1, 1000, K_WAIT_SHARED), K_OK);
	sim_check_clean();
}
