/* SPDX-License-Identifier: MIT */
/* Network cards with an Intel 82540EM, QEMU's e1000, as network devices of the virtio protocol. */
#include "base/util.h"
#include "card.h"
#include "rt/log.h"
#include "rt/process.h"

enum { BAR = 0, EXIT_GONE = 2 };

static struct card card;
static struct drv_window window;

static k_status_t start(struct drv *d)
{
	k_status_t st;

	card.d = d;
	drv_pci_enable(d, DRV_PCI_MEMORY);
	st = drv_window_map(d, BAR, NIC_WINDOW, &window);
	if (st == K_OK)
		st = nic_open(&card.nic, &window);
	if (st == K_OK)
		st = drv_dma_map(d);
	if (st == K_OK)
		st = card_allocate(&card);
	if (st == K_OK)
		st = drv_irq_bind(d, 0);
	if (st == K_OK)
		st = card_start(&card);
	if (st != K_OK)
		return st;
	card_describe(&card);
	drv_offer(d, NET_F_CSUM | NET_F_MTU | NET_F_MAC | NET_F_STATUS);
	return K_OK;
}

static void on_queue(struct drv *d, uint32_t queue)
{
	io_serve(&card, queue);
}

static void on_irq(struct drv *d, uint32_t index)
{
	uint32_t causes = nic_causes(&card.nic);

	/* All causes at once are none. */
	if (causes == ~0u && nic_is_gone(&card.nic)) {
		drv_log(d, RT_LOG_ERR, "the card is gone");
		k_process_exit(EXIT_GONE);
	}
	if (causes & NIC_LINK)
		card_describe(&card);
	io_look(&card);
}

static void on_own(struct drv *d, uint64_t bits)
{
	if (bits & CARD_GO_ON)
		io_go_on(&card);
}

const struct driver driver = { .start = start, .queue = on_queue, .irq = on_irq, .own = on_own };
