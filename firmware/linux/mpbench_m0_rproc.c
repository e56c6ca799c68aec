// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Cortex-M0+ of an STM32MP25 as a core that Linux loads, starts and stops by
 * itself, in the manner of ST's driver for it, which Linux 6.12 has not.
 *
 * As there: a plain ELF, whose resource table is not looked at, so that there is
 * no trace buffer, no RPMsg and no core dump; no boot address, as the core takes
 * its vectors from the start of LPSRAM1; one mailbox, "shutdown"; a crash that
 * the watchdog reports is recovered from by remoteproc itself.
 *
 * Other than there:
 *  - reset and clock of the core are bits of a register of RCC, "mpbench,reset",
 *    as this kernel has no driver of RCC; clocks of peripherals are not touched;
 *  - the watchdog's interrupt is masked until the core's next start: its line
 *    stays high until the core is reset.
 *
 * Ref: Linux v6.6-stm32mp drivers/remoteproc/stm32_m0_rproc.c; RM0457,
 *      RCC_C3CFGR; firmware/boot/mp25-st.dtso in this project
 */

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/mailbox_client.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>

#include "remoteproc_internal.h"

#define C3CFGR_C3RST		BIT(0)
#define C3CFGR_C3EN		BIT(1)
#define RESET_TIMEOUT_US	1000000
#define MBX_SHUTDOWN_MS		500

/**
 * struct m0_rproc - the core
 * @rproc:	its remoteproc handle
 * @cfgr:	RCC_C3CFGR
 * @wdg_irq:	interrupt of its watchdog, enabled from start to stop; 0 for none
 * @wdg_fired:	the watchdog interrupt masked itself
 * @shutdown:	client of the mailbox "shutdown"
 * @shutdown_chan: its channel, NULL if the board has none
 */
struct m0_rproc {
	struct rproc *rproc;
	void __iomem *cfgr;
	int wdg_irq;
	bool wdg_fired;
	struct mbox_client shutdown;
	struct mbox_chan *shutdown_chan;
};

/* --- Memory --- */

static int map_carveout(struct rproc *rproc, struct rproc_mem_entry *entry)
{
	entry->va = (__force void *)ioremap_wc(entry->dma, entry->len);

	return entry->va ? 0 : -ENOMEM;
}

static int unmap_carveout(struct rproc *rproc, struct rproc_mem_entry *entry)
{
	iounmap((__force void __iomem *)entry->va);

	return 0;
}

/* Device address of a memory, by the dma-ranges of the bus */
static int get_da(struct device_node *bus, struct reserved_mem *rmem, u32 *da)
{
	struct of_range_parser parser;
	struct of_range range;

	if (of_pci_dma_range_parser_init(&parser, bus))
		return -EINVAL;

	for_each_of_range(&parser, &range) {
		if (rmem->base < range.cpu_addr ||
		    rmem->base + rmem->size > range.cpu_addr + range.size)
			continue;
		*da = range.bus_addr + (rmem->base - range.cpu_addr);
		return 0;
	}

	return -EINVAL;
}

/* Each memory of the node is a carve-out, which remoteproc drops after a stop */
static int m0_rproc_prepare(struct rproc *rproc)
{
	struct device *dev = rproc->dev.parent;
	struct of_phandle_iterator it;
	struct rproc_mem_entry *entry;
	struct reserved_mem *rmem;
	int err;
	u32 da;

	of_for_each_phandle(&it, err, dev->of_node, "memory-region", NULL, 0) {
		rmem = of_reserved_mem_lookup(it.node);
		if (!rmem || get_da(dev->of_node->parent, rmem, &da)) {
			dev_err(dev, "memory-region %pOF can't be used\n",
				it.node);
			of_node_put(it.node);
			return -EINVAL;
		}
		entry = rproc_mem_entry_init(dev, NULL, rmem->base, rmem->size,
					     da, map_carveout, unmap_carveout,
					     "%s", it.node->name);
		if (!entry) {
			of_node_put(it.node);
			return -ENOMEM;
		}
		rproc_add_carveout(rproc, entry);
	}

	return 0;
}

/* --- Reset --- */

/* Its bit reads as set once the core has taken the reset */
static int hold(struct m0_rproc *core)
{
	u32 value;
	int ret;

	writel(C3CFGR_C3EN | C3CFGR_C3RST, core->cfgr);
	ret = readl_poll_timeout(core->cfgr, value, value & C3CFGR_C3RST, 0,
				 RESET_TIMEOUT_US);
	if (ret)
		dev_err(&core->rproc->dev, "does not take a reset\n");

	return ret;
}

static int m0_rproc_start(struct rproc *rproc)
{
	struct m0_rproc *core = rproc->priv;
	int ret;

	ret = hold(core);
	if (ret)
		return ret;

	writel(C3CFGR_C3EN, core->cfgr);
	if (core->wdg_irq)
		enable_irq(core->wdg_irq);

	return 0;
}

/* A firmware that doesn't answer is stopped all the same, only later */
static void request_shutdown(struct m0_rproc *core)
{
	if (core->shutdown_chan &&
	    mbox_send_message(core->shutdown_chan, "shutdown") < 0)
		dev_warn(&core->rproc->dev,
			 "warning: remote FW shutdown without ack\n");
}

static int m0_rproc_stop(struct rproc *rproc)
{
	struct m0_rproc *core = rproc->priv;
	int ret;

	if (rproc->state != RPROC_OFFLINE && rproc->state != RPROC_CRASHED)
		request_shutdown(core);

	ret = hold(core);
	if (ret)
		return ret;

	/* Once for each start: by its handler, or else here */
	if (core->wdg_irq && !core->wdg_fired)
		disable_irq(core->wdg_irq);
	core->wdg_fired = false;
	writel(C3CFGR_C3RST, core->cfgr);

	return 0;
}

static const struct rproc_ops m0_rproc_ops = {
	.prepare = m0_rproc_prepare,
	.sanity_check = rproc_elf_sanity_check,
	.load = rproc_elf_load_segments,
	.start = m0_rproc_start,
	.stop = m0_rproc_stop,
};

static irqreturn_t m0_rproc_wdg(int irq, void *data)
{
	struct m0_rproc *core = data;

	core->wdg_fired = true;
	disable_irq_nosync(irq);
	rproc_report_crash(core->rproc, RPROC_WATCHDOG);

	return IRQ_HANDLED;
}

/* --- Device tree --- */

static void unmap_cfgr(void *data)
{
	iounmap((void __iomem *)data);
}

/* "mpbench,reset": RCC, and the offset of the core's register in it */
static int get_reset(struct device *dev, struct m0_rproc *core)
{
	struct of_phandle_args args;
	void __iomem *rcc;
	int ret;

	ret = of_parse_phandle_with_fixed_args(dev->of_node, "mpbench,reset", 1,
					       0, &args);
	if (ret)
		return ret;

	rcc = of_iomap(args.np, 0);
	of_node_put(args.np);
	if (!rcc)
		return -ENOMEM;
	core->cfgr = rcc + args.args[0];

	return devm_add_action_or_reset(dev, unmap_cfgr, (__force void *)rcc);
}

static int get_watchdog(struct platform_device *pdev, struct m0_rproc *core)
{
	int irq = platform_get_irq_optional(pdev, 0);

	if (irq == -ENXIO)
		return 0;
	if (irq < 0)
		return irq;
	core->wdg_irq = irq;

	return devm_request_irq(&pdev->dev, irq, m0_rproc_wdg, IRQF_NO_AUTOEN,
				dev_name(&pdev->dev), core);
}

static void free_mailbox(void *data)
{
	mbox_free_channel(data);
}

static int get_mailbox(struct device *dev, struct m0_rproc *core)
{
	if (!of_property_present(dev->of_node, "mboxes"))
		return 0;

	core->shutdown.dev = dev;
	core->shutdown.tx_block = true;
	core->shutdown.tx_tout = MBX_SHUTDOWN_MS;
	core->shutdown_chan = mbox_request_channel_byname(&core->shutdown,
							  "shutdown");
	if (IS_ERR(core->shutdown_chan))
		return PTR_ERR(core->shutdown_chan);

	return devm_add_action_or_reset(dev, free_mailbox, core->shutdown_chan);
}

static int m0_rproc_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct m0_rproc *core;
	struct rproc *rproc;
	int ret;

	rproc = devm_rproc_alloc(dev, dev->of_node->name, &m0_rproc_ops, NULL,
				 sizeof(*core));
	if (!rproc)
		return -ENOMEM;

	core = rproc->priv;
	core->rproc = rproc;
	rproc->has_iommu = false;
	rproc->auto_boot = of_property_read_bool(dev->of_node, "st,auto-boot");
	platform_set_drvdata(pdev, rproc);

	ret = get_reset(dev, core);
	if (ret)
		return dev_err_probe(dev, ret, "no reset\n");

	ret = get_mailbox(dev, core);
	if (ret)
		return dev_err_probe(dev, ret, "no mailbox\n");

	ret = get_watchdog(pdev, core);
	if (ret)
		return dev_err_probe(dev, ret, "no watchdog interrupt\n");

	return rproc_add(rproc);
}

/*
 * rproc_del() stops a core that was started once. All before it, as whoever binds
 * the driver again expects a core that can be loaded.
 */
static void m0_rproc_remove(struct platform_device *pdev)
{
	struct rproc *rproc = platform_get_drvdata(pdev);

	cancel_work_sync(&rproc->crash_handler);
	while (rproc->state == RPROC_RUNNING && !rproc_shutdown(rproc))
		;

	mutex_lock(&rproc->lock);
	if (rproc->state == RPROC_CRASHED)
		m0_rproc_stop(rproc);
	if (!list_empty(&rproc->carveouts))
		rproc_resource_cleanup(rproc);
	mutex_unlock(&rproc->lock);

	rproc_del(rproc);
}

static const struct of_device_id m0_rproc_match[] = {
	{ .compatible = "mpbench,virt-m0" },
	{ }
};
MODULE_DEVICE_TABLE(of, m0_rproc_match);

static struct platform_driver m0_rproc_driver = {
	.probe = m0_rproc_probe,
	.remove_new = m0_rproc_remove,
	.driver = {
		.name = "mpbench-m0-rproc",
		.of_match_table = m0_rproc_match,
	},
};
module_platform_driver(m0_rproc_driver);

MODULE_DESCRIPTION("Cortex-M0+ of a virtual STM32MP25, loaded by Linux");
MODULE_LICENSE("GPL");
