// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remote processors of a virtual board, loaded, started and stopped by OP-TEE's
 * remoteproc TA.
 *
 * The TA (80a4c275-0a47-4905-8285-1486a9771a08) authenticates a signed image
 * and has its segments copied; Linux hands over the file and never sees an ELF.
 * Commands and parameters: OP-TEE, ta/remoteproc/include/ta_remoteproc.h.
 *
 * Order of calls in the remoteproc core (drivers/remoteproc/remoteproc_core.c):
 *   boot:     parse_fw, load, find_loaded_rsc_table, start
 *   recovery: stop, load, find_loaded_rsc_table, start
 *   shutdown: stop, unprepare; a refused boot goes to unprepare as well
 * The resource table is known only after the TA has loaded the image, and the
 * core wants it in parse_fw: there the image is loaded, and load() does it in
 * recovery only. ST's kernels (v6.6-stm32mp, drivers/remoteproc/stm32_rproc.c) load
 * it before that, in sanity_check: a core with "mpbench,no-release" does as well.
 *
 * Device tree: firmware/boot/mp25.dtso in this project.
 */

#include <linux/elf.h>
#include <linux/firmware.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mailbox_client.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>
#include <linux/slab.h>
#include <linux/tee_drv.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

#include "remoteproc_internal.h"

#define TA_RPROC_CMD_LOAD_FW		1
#define TA_RPROC_CMD_START_FW		2
#define TA_RPROC_CMD_STOP_FW		3
#define TA_RPROC_CMD_GET_RSC_TABLE	4
#define TA_RPROC_CMD_RELEASE_FW		6

#define TA_NUM_PARAMS			4
#define MAX_MEMS			8

/*
 * Mailboxes of a controller (stm32-ipcc.c), as in stm32_rproc.c: one for each
 * virtqueue, and "shutdown", which is waited for.
 */
#define MBX_VQS				2
#define MBX_SHUTDOWN_MS			500

static const uuid_t ta_uuid = UUID_INIT(0x80a4c275, 0x0a47, 0x4905, 0x82, 0x85,
					0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08);

static const char * const ta_cmd_names[] = {
	[TA_RPROC_CMD_LOAD_FW]		= "TA_RPROC_CMD_LOAD_FW",
	[TA_RPROC_CMD_START_FW]		= "TA_RPROC_CMD_START_FW",
	[TA_RPROC_CMD_STOP_FW]		= "TA_RPROC_CMD_STOP_FW",
	[TA_RPROC_CMD_GET_RSC_TABLE]	= "TA_RPROC_CMD_GET_RSC_TABLE",
	[TA_RPROC_CMD_RELEASE_FW]	= "TA_RPROC_CMD_RELEASE_FW",
};

/*
 * The TA has one instance and lets one client in at a time (it has no
 * TA_FLAG_MULTI_SESSION; a second session is refused with TEE_ERROR_BUSY). Its
 * commands name the core, so all cores share the session.
 */
static struct {
	struct mutex lock; /* of users, and of opening and closing */
	unsigned int users;
	struct tee_context *ctx;
	u32 session;
} ta = {
	.lock = __MUTEX_INITIALIZER(ta.lock),
};

/*
 * Memory of the core: reserved memory, and where the core sees it. The buffers
 * of RPMsg are not mapped here, but given to the virtio device.
 */
struct mpbench_mem {
	const char *name;
	bool is_buffers;
	phys_addr_t pa;
	size_t size;
	u32 da;
};

/* Mailbox of a virtqueue: the core's message means that there is work in it */
struct mpbench_vq {
	struct mbox_client client;
	struct mbox_chan *chan;
	struct work_struct work;
	struct rproc *rproc;
	int id;
};

/**
 * struct mpbench_rproc - a core
 * @rproc:	its remoteproc handle
 * @id:		processor id, as the TA and the PTA know it
 * @no_release:	the TA is ST's, which has no RELEASE_FW: nothing is released, and
 *		images are loaded in sanity_check
 * @wdg_irq:	interrupt of its watchdog, enabled from start to stop
 * @wdg_fired:	the watchdog interrupt masked itself
 * @vqs:	mailboxes of virtqueues; without channels if the board has none
 * @shutdown:	client of the mailbox "shutdown"
 * @shutdown_chan: its channel, NULL if the board has none
 * @loaded:	the image that load() is asked for is loaded already
 * @started:	the TA has started the core and not stopped it
 * @rsc_da:	device address of the resource table, if @rsc_size
 * @rsc_size:	size of the resource table, 0 for none
 * @n_mems:	number of memories
 * @mems:	memories of the core
 */
struct mpbench_rproc {
	struct rproc *rproc;
	u32 id;
	bool no_release;
	int wdg_irq;
	bool wdg_fired;
	struct mpbench_vq vqs[MBX_VQS];
	struct mbox_client shutdown;
	struct mbox_chan *shutdown_chan;
	bool loaded;
	bool started;
	u32 rsc_da;
	size_t rsc_size;
	unsigned int n_mems;
	struct mpbench_mem mems[MAX_MEMS];
};

/* --- The TA --- */

/* Returns < 0 if the TA wasn't reached, else its answer is in @res */
static int ta_call(struct mpbench_rproc *core, u32 cmd,
		   struct tee_param param[TA_NUM_PARAMS], u32 *res)
{
	struct tee_ioctl_invoke_arg arg = {
		.func = cmd,
		.session = ta.session,
		.num_params = TA_NUM_PARAMS,
	};
	int ret;

	param[0].attr = TEE_IOCTL_PARAM_ATTR_TYPE_VALUE_INPUT;
	param[0].u.value.a = core->id;

	ret = tee_client_invoke_func(ta.ctx, &arg, param);
	*res = arg.ret;

	return ret;
}

static int ta_invoke(struct mpbench_rproc *core, u32 cmd,
		     struct tee_param param[TA_NUM_PARAMS])
{
	u32 res;
	int ret;

	ret = ta_call(core, cmd, param, &res);
	if (!ret && !res)
		return 0;

	dev_err(core->rproc->dev.parent,
		"%s invoke failed TEE err: 0x%08x, ret: %d\n",
		ta_cmd_names[cmd], res, ret);

	return ret ?: -EIO;
}

static int ta_command(struct mpbench_rproc *core, u32 cmd)
{
	struct tee_param param[TA_NUM_PARAMS] = { };

	return ta_invoke(core, cmd, param);
}

/* As ST's kernels do, which give nothing back to a TA that cannot take it */
static int ta_release(struct mpbench_rproc *core)
{
	return core->no_release ? 0 : ta_command(core, TA_RPROC_CMD_RELEASE_FW);
}

/*
 * The TA outlives the driver: a core that couldn't be stopped when the driver
 * was unbound may still run. That it was never loaded is no error.
 */
static void ta_reset(struct mpbench_rproc *core)
{
	struct tee_param param[TA_NUM_PARAMS] = { };
	u32 res;

	ta_call(core, TA_RPROC_CMD_STOP_FW, param, &res);
	if (!core->no_release)
		ta_call(core, TA_RPROC_CMD_RELEASE_FW, param, &res);
}

static int ta_get_rsc_table(struct mpbench_rproc *core, phys_addr_t *pa,
			    size_t *size)
{
	struct tee_param param[TA_NUM_PARAMS] = { };
	int ret;

	param[1].attr = TEE_IOCTL_PARAM_ATTR_TYPE_VALUE_OUTPUT;
	param[2].attr = TEE_IOCTL_PARAM_ATTR_TYPE_VALUE_OUTPUT;
	ret = ta_invoke(core, TA_RPROC_CMD_GET_RSC_TABLE, param);
	if (ret)
		return ret;

	*pa = param[1].u.value.b << 32 | param[1].u.value.a;
	*size = param[2].u.value.b << 32 | param[2].u.value.a;

	return 0;
}

static int ta_load(struct mpbench_rproc *core, const struct firmware *fw)
{
	struct tee_param param[TA_NUM_PARAMS] = { };
	struct tee_shm *shm;
	int ret;

	shm = tee_shm_register_kernel_buf(ta.ctx, (void *)fw->data, fw->size);
	if (IS_ERR(shm)) {
		dev_err(core->rproc->dev.parent,
			"can't share %zu bytes with the TEE: %ld\n",
			fw->size, PTR_ERR(shm));
		return PTR_ERR(shm);
	}

	param[1].attr = TEE_IOCTL_PARAM_ATTR_TYPE_MEMREF_INPUT;
	param[1].u.memref.shm = shm;
	param[1].u.memref.size = fw->size;
	ret = ta_invoke(core, TA_RPROC_CMD_LOAD_FW, param);
	tee_shm_free(shm);

	return ret;
}

static int ta_match(struct tee_ioctl_version_data *vers, const void *data)
{
	return vers->impl_id == TEE_IMPL_ID_OPTEE;
}

static int ta_open(struct device *dev, u32 id)
{
	struct tee_ioctl_open_session_arg arg = {
		.clnt_login = TEE_IOCTL_LOGIN_REE_KERNEL,
		.num_params = TA_NUM_PARAMS,
	};
	struct tee_param param[TA_NUM_PARAMS] = { };
	struct tee_context *ctx;
	int ret;

	ctx = tee_client_open_context(NULL, ta_match, NULL, NULL);
	if (ctx == ERR_PTR(-ENOENT))
		return dev_err_probe(dev, -EPROBE_DEFER, "no OP-TEE yet\n");
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	export_uuid(arg.uuid, &ta_uuid);
	param[0].attr = TEE_IOCTL_PARAM_ATTR_TYPE_VALUE_INPUT;
	param[0].u.value.a = id;

	ret = tee_client_open_session(ctx, &arg, param);
	if (ret || arg.ret) {
		dev_err(dev, "open session failed TEE err: 0x%08x, ret: %d\n",
			arg.ret, ret);
		tee_client_close_context(ctx);
		return ret ?: -ENODEV;
	}
	ta.ctx = ctx;
	ta.session = arg.session;

	return 0;
}

static void ta_put(void *data)
{
	mutex_lock(&ta.lock);
	if (!--ta.users) {
		tee_client_close_session(ta.ctx, ta.session);
		tee_client_close_context(ta.ctx);
	}
	mutex_unlock(&ta.lock);
}

static int ta_get(struct device *dev, u32 id)
{
	int ret = 0;

	mutex_lock(&ta.lock);
	if (!ta.users)
		ret = ta_open(dev, id);
	if (!ret)
		ta.users++;
	mutex_unlock(&ta.lock);

	return ret ?: devm_add_action_or_reset(dev, ta_put, NULL);
}

/* --- Memory --- */

static int map_carveout(struct rproc *rproc, struct rproc_mem_entry *entry)
{
	entry->va = (__force void *)ioremap_wc(entry->dma, entry->len);

	return entry->va ? 0 : -ENOMEM;
}

static int unmap_carveout(struct rproc *rproc, struct rproc_mem_entry *entry)
{
	if (entry->va)
		iounmap((__force void __iomem *)entry->va);

	return 0;
}

/*
 * Every memory is a carve-out, which is what the core translates device
 * addresses with (trace buffers, core dumps, rings by their names), and all but
 * RPMsg's buffers a segment of a core dump.
 */
static int add_carveouts(struct mpbench_rproc *core)
{
	struct rproc *rproc = core->rproc;
	struct rproc_mem_entry *entry;
	unsigned int n;
	int ret = 0;

	for (n = 0; n < core->n_mems && !ret; n++) {
		struct mpbench_mem *mem = core->mems + n;

		if (mem->is_buffers)
			entry = rproc_of_resm_mem_entry_init(rproc->dev.parent,
							     n, mem->size,
							     mem->da, "%s",
							     mem->name);
		else
			entry = rproc_mem_entry_init(rproc->dev.parent, NULL,
						     mem->pa, mem->size,
						     mem->da, map_carveout,
						     unmap_carveout, "%s",
						     mem->name);
		if (!entry)
			return -ENOMEM;
		rproc_add_carveout(rproc, entry);
		if (!mem->is_buffers)
			ret = rproc_coredump_add_segment(rproc, mem->da,
							 mem->size);
	}

	return ret;
}

/* Also what the core left behind: it doesn't clean up a failed recovery */
static void drop_resources(struct rproc *rproc)
{
	rproc_resource_cleanup(rproc);
	kfree(rproc->cached_table);
	rproc->cached_table = NULL;
	rproc->table_ptr = NULL;
	rproc->table_sz = 0;
}

/* --- Resource table --- */

/* Ask the TA where the table is, and whether that is memory of the core */
static int locate_rsc_table(struct mpbench_rproc *core, phys_addr_t *pa)
{
	size_t size;
	unsigned int n;
	int ret;

	core->rsc_size = 0;
	ret = ta_get_rsc_table(core, pa, &size);
	if (ret || !size)
		return ret;

	for (n = 0; n < core->n_mems; n++) {
		struct mpbench_mem *mem = core->mems + n;

		if (*pa < mem->pa || *pa - mem->pa >= mem->size ||
		    size > mem->size - (*pa - mem->pa))
			continue;
		core->rsc_da = mem->da + (*pa - mem->pa);
		core->rsc_size = size;
		return 0;
	}

	dev_err(core->rproc->dev.parent,
		"resource table at %pa size %zu is outside the memory\n",
		pa, size);

	return -EINVAL;
}

/*
 * The TA has checked the table in the file, at a place that an unsigned section
 * header names; what is in memory may differ.
 */
static bool is_sound(const struct resource_table *table, size_t size)
{
	return size >= sizeof(*table) && table->ver == 1 &&
	       !table->reserved[0] && !table->reserved[1] &&
	       table->num <= (size - sizeof(*table)) / sizeof(u32);
}

/* No carve-out is mapped yet when the core wants its copy of the table */
static int cache_rsc_table(struct mpbench_rproc *core)
{
	struct rproc *rproc = core->rproc;
	void __iomem *io;
	phys_addr_t pa;
	void *table;
	int ret;

	ret = locate_rsc_table(core, &pa);
	if (ret || !core->rsc_size)
		return ret;

	table = kmalloc(core->rsc_size, GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	io = ioremap_wc(pa, core->rsc_size);
	if (!io) {
		kfree(table);
		return -ENOMEM;
	}
	memcpy_fromio(table, io, core->rsc_size);
	iounmap(io);

	if (!is_sound(table, core->rsc_size)) {
		dev_err(rproc->dev.parent, "resource table is malformed\n");
		kfree(table);
		return -EINVAL;
	}

	rproc->cached_table = table;
	rproc->table_ptr = table;
	rproc->table_sz = core->rsc_size;

	return 0;
}

/* --- Operations of the remoteproc core --- */

static int mpbench_rproc_sanity_check(struct rproc *rproc,
				      const struct firmware *fw)
{
	struct mpbench_rproc *core = rproc->priv;
	int ret;

	if (!core->no_release)
		return 0;

	ret = ta_load(core, fw);
	core->loaded = !ret;

	return ret;
}

static int mpbench_rproc_parse_fw(struct rproc *rproc, const struct firmware *fw)
{
	struct mpbench_rproc *core = rproc->priv;
	int ret;

	rproc->cached_table = NULL;
	rproc->table_ptr = NULL;
	rproc->table_sz = 0;

	if (!core->loaded) {
		ret = ta_load(core, fw);
		if (ret)
			return ret;
		core->loaded = true;
	}

	ret = cache_rsc_table(core);
	/* Last: nothing may stay in the core's lists when this fails */
	if (!ret)
		ret = add_carveouts(core);
	if (ret)
		drop_resources(rproc);

	return ret;
}

static int mpbench_rproc_load(struct rproc *rproc, const struct firmware *fw)
{
	struct mpbench_rproc *core = rproc->priv;
	phys_addr_t pa;
	int ret;

	if (core->loaded)
		return 0;

	ret = ta_load(core, fw);
	if (ret)
		return ret;

	ret = locate_rsc_table(core, &pa);
	if (ret)
		ta_release(core);

	return ret;
}

static struct resource_table *
mpbench_rproc_find_loaded_rsc_table(struct rproc *rproc,
				    const struct firmware *fw)
{
	struct mpbench_rproc *core = rproc->priv;

	/* In recovery the file may have another table: the copy doesn't fit */
	if (!core->rsc_size || core->rsc_size != rproc->table_sz)
		return NULL;

	return rproc_da_to_va(rproc, core->rsc_da, core->rsc_size, NULL);
}

static int mpbench_rproc_start(struct rproc *rproc)
{
	struct mpbench_rproc *core = rproc->priv;
	int ret;

	core->loaded = false;
	ret = ta_command(core, TA_RPROC_CMD_START_FW);
	if (ret) {
		/* Not an image that is never looked at again by LOAD_FW */
		ta_release(core);
		return ret;
	}

	core->started = true;
	enable_irq(core->wdg_irq);

	return 0;
}

/* A firmware that doesn't answer is stopped all the same, only later */
static void request_shutdown(struct mpbench_rproc *core)
{
	int ret = 0;

	if (core->shutdown_chan)
		ret = mbox_send_message(core->shutdown_chan, "shutdown");
	if (ret < 0)
		dev_warn(&core->rproc->dev,
			 "warning: remote FW shutdown without ack\n");
}

static int mpbench_rproc_stop(struct rproc *rproc)
{
	struct mpbench_rproc *core = rproc->priv;
	int ret;

	if (rproc->state != RPROC_OFFLINE && rproc->state != RPROC_CRASHED)
		request_shutdown(core);

	disable_irq(core->wdg_irq);

	ret = ta_command(core, TA_RPROC_CMD_STOP_FW);
	if (ret) {
		/* The core may still run: listen on, and let stop be repeated */
		enable_irq(core->wdg_irq);
		return ret;
	}
	core->started = false;

	if (core->wdg_fired) {
		core->wdg_fired = false;
		enable_irq(core->wdg_irq);
	}

	return 0;
}

/*
 * Always: the TA answers SUCCESS to LOAD_FW without looking at the image while
 * it holds another one. It also clears the memory.
 */
static int mpbench_rproc_unprepare(struct rproc *rproc)
{
	struct mpbench_rproc *core = rproc->priv;

	core->loaded = false;

	return ta_release(core);
}

static void mpbench_rproc_kick(struct rproc *rproc, int id)
{
	struct mpbench_rproc *core = rproc->priv;
	int ret;

	if (id >= MBX_VQS || !core->vqs[id].chan)
		return;

	ret = mbox_send_message(core->vqs[id].chan, "kick");
	if (ret < 0)
		dev_err(&rproc->dev, "virtqueue %d: can't kick: %d\n", id, ret);
}

static const struct rproc_ops mpbench_rproc_ops = {
	.sanity_check = mpbench_rproc_sanity_check,
	.parse_fw = mpbench_rproc_parse_fw,
	.load = mpbench_rproc_load,
	.find_loaded_rsc_table = mpbench_rproc_find_loaded_rsc_table,
	.start = mpbench_rproc_start,
	.stop = mpbench_rproc_stop,
	.unprepare = mpbench_rproc_unprepare,
	.kick = mpbench_rproc_kick,
};

/*
 * The line is a level that stays high until the core is held in reset. So the
 * interrupt masks itself; stop takes that back, and start enables it again.
 */
static irqreturn_t mpbench_rproc_wdg(int irq, void *data)
{
	struct mpbench_rproc *core = data;

	core->wdg_fired = true;
	disable_irq_nosync(irq);
	rproc_report_crash(core->rproc, RPROC_WATCHDOG);

	return IRQ_HANDLED;
}

/* --- Mailboxes --- */

static void vq_work(struct work_struct *work)
{
	struct mpbench_vq *vq = container_of(work, struct mpbench_vq, work);
	struct rproc *rproc = vq->rproc;

	mutex_lock(&rproc->lock);
	if (rproc->state == RPROC_RUNNING)
		rproc_vq_interrupt(rproc, vq->id);
	mutex_unlock(&rproc->lock);
}

static void vq_received(struct mbox_client *client, void *data)
{
	struct mpbench_vq *vq = container_of(client, struct mpbench_vq, client);

	schedule_work(&vq->work);
}

static void free_mailboxes(void *data)
{
	struct mpbench_rproc *core = data;
	unsigned int n;

	if (!IS_ERR_OR_NULL(core->shutdown_chan))
		mbox_free_channel(core->shutdown_chan);
	for (n = 0; n < MBX_VQS; n++) {
		if (IS_ERR_OR_NULL(core->vqs[n].chan))
			continue;
		mbox_free_channel(core->vqs[n].chan);
		cancel_work_sync(&core->vqs[n].work);
	}
}

static int get_vq(struct device *dev, struct mpbench_rproc *core, int id)
{
	static const char * const names[MBX_VQS] = { "vq0", "vq1" };
	struct mpbench_vq *vq = core->vqs + id;

	vq->id = id;
	vq->rproc = core->rproc;
	vq->client.dev = dev;
	vq->client.rx_callback = vq_received;
	INIT_WORK(&vq->work, vq_work);
	vq->chan = mbox_request_channel_byname(&vq->client, names[id]);

	return PTR_ERR_OR_ZERO(vq->chan);
}

/* "mboxes" with the names of stm32_rproc.c, all of them or none */
static int get_mailboxes(struct device *dev, struct mpbench_rproc *core)
{
	int ret = 0;
	int id;

	if (!of_property_present(dev->of_node, "mboxes"))
		return 0;

	for (id = 0; id < MBX_VQS && !ret; id++)
		ret = get_vq(dev, core, id);
	if (!ret) {
		core->shutdown.dev = dev;
		core->shutdown.tx_block = true;
		core->shutdown.tx_tout = MBX_SHUTDOWN_MS;
		core->shutdown_chan =
			mbox_request_channel_byname(&core->shutdown, "shutdown");
		ret = PTR_ERR_OR_ZERO(core->shutdown_chan);
	}
	if (ret) {
		free_mailboxes(core);
		return ret;
	}

	return devm_add_action_or_reset(dev, free_mailboxes, core);
}

/* --- Device tree --- */

/* Device address of a memory, by the dma-ranges of the bus, as on an STM32MP */
static int get_da(struct device_node *bus, struct mpbench_mem *mem)
{
	struct of_range_parser parser;
	struct of_range range;

	if (of_pci_dma_range_parser_init(&parser, bus))
		return -EINVAL;

	for_each_of_range(&parser, &range) {
		if (mem->pa < range.cpu_addr ||
		    mem->pa + mem->size > range.cpu_addr + range.size)
			continue;
		mem->da = range.bus_addr + (mem->pa - range.cpu_addr);
		return 0;
	}

	return -EINVAL;
}

static int get_mems(struct device *dev, struct mpbench_rproc *core)
{
	struct device_node *np = dev->of_node;
	struct of_phandle_iterator it;
	struct reserved_mem *rmem;
	int err;

	of_for_each_phandle(&it, err, np, "memory-region", NULL, 0) {
		struct mpbench_mem *mem = core->mems + core->n_mems;

		rmem = of_reserved_mem_lookup(it.node);
		if (!rmem || core->n_mems == MAX_MEMS)
			goto refused;

		mem->name = it.node->name;
		mem->is_buffers = !strcmp(mem->name, "vdev0buffer");
		mem->pa = rmem->base;
		mem->size = rmem->size;
		if (get_da(np->parent, mem))
			goto refused;
		core->n_mems++;
	}

	return core->n_mems ? 0 : -EINVAL;

refused:
	dev_err(dev, "memory-region %pOF can't be used\n", it.node);
	of_node_put(it.node);

	return -EINVAL;
}

static int mpbench_rproc_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct mpbench_rproc *core;
	struct rproc *rproc;
	u32 id;
	int ret;

	ret = of_property_read_u32(dev->of_node, "st,proc-id", &id);
	if (ret)
		return dev_err_probe(dev, ret, "no st,proc-id\n");

	/* Early, because OP-TEE's driver may come later */
	ret = ta_get(dev, id);
	if (ret)
		return ret;

	rproc = devm_rproc_alloc(dev, dev->of_node->name, &mpbench_rproc_ops,
				 NULL, sizeof(*core));
	if (!rproc)
		return -ENOMEM;

	core = rproc->priv;
	core->rproc = rproc;
	core->id = id;
	core->no_release = of_property_read_bool(dev->of_node,
						 "mpbench,no-release");
	platform_set_drvdata(pdev, core);

	ret = get_mems(dev, core);
	if (ret)
		return dev_err_probe(dev, ret, "no memory\n");

	ret = get_mailboxes(dev, core);
	if (ret)
		return dev_err_probe(dev, ret, "no mailboxes\n");

	ta_reset(core);

	core->wdg_irq = platform_get_irq(pdev, 0);
	if (core->wdg_irq < 0)
		return core->wdg_irq;

	ret = devm_request_irq(dev, core->wdg_irq, mpbench_rproc_wdg,
			       IRQF_NO_AUTOEN, dev_name(dev), core);
	if (ret)
		return dev_err_probe(dev, ret, "no watchdog interrupt\n");

	rproc->auto_boot = of_property_read_bool(dev->of_node, "st,auto-boot");
	/* Without a class the remoteproc core makes no core dump */
	rproc_coredump_set_elf_info(rproc, ELFCLASS32, EM_ARM);

	return rproc_add(rproc);
}

/*
 * rproc_del() stops a core that runs and was started once. Whoever binds the
 * driver again expects a core that can be loaded, also when it had been started
 * several times, had crashed, or a recovery had failed. All before rproc_del()
 * removes the debugfs directory, where the trace files still are.
 */
static void mpbench_rproc_remove(struct platform_device *pdev)
{
	struct mpbench_rproc *core = platform_get_drvdata(pdev);
	struct rproc *rproc = core->rproc;

	disable_irq(core->wdg_irq);
	cancel_work_sync(&rproc->crash_handler);

	while (rproc->state == RPROC_RUNNING && !rproc_shutdown(rproc))
		;

	mutex_lock(&rproc->lock);
	if (core->started && !ta_command(core, TA_RPROC_CMD_STOP_FW))
		core->started = false;
	if (!list_empty(&rproc->carveouts)) {
		drop_resources(rproc);
		if (!core->started)
			ta_release(core);
	}
	mutex_unlock(&rproc->lock);

	rproc_del(rproc);
}

static const struct of_device_id mpbench_rproc_match[] = {
	{ .compatible = "mpbench,virt-m4-tee" },
	{ .compatible = "mpbench,virt-m33-tee" },
	{ .compatible = "mpbench,virt-m0-tee" },
	{ }
};
MODULE_DEVICE_TABLE(of, mpbench_rproc_match);

static struct platform_driver mpbench_rproc_driver = {
	.probe = mpbench_rproc_probe,
	.remove_new = mpbench_rproc_remove,
	.driver = {
		.name = "mpbench-rproc",
		.of_match_table = mpbench_rproc_match,
	},
};
module_platform_driver(mpbench_rproc_driver);

MODULE_DESCRIPTION("Remote processors of a virtual board, loaded through OP-TEE");
MODULE_LICENSE("GPL");
