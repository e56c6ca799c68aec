// SPDX-License-Identifier: MIT
/*
 * Linux' remoteproc core, ELF loader and virtio driver, unmodified, as one translation unit with the rest of the
 * kernel that they need, and a driver that does what stm32_rproc.c does.
 */
#include "for_linux.h"

#include <remoteproc_core.c>
#include <remoteproc_elf_loader.c>
#include <remoteproc_virtio.c>

#include <stdlib.h>
#include <sys/mman.h>

#include "linux_peer.h"

static struct board *board;
static struct device parent;
static struct device_node node = { "m4" };

/* ------------------------------------------------------------------------------- the kernel */

/* Reads in front of and behind a copy of a resource table are those of the allocator's slack in the kernel. */
#define SLACK 64
#define MAX_BLOCKS 4096
static void *blocks[MAX_BLOCKS];
static int n_blocks;

void *kzalloc(size_t size, gfp_t flags)
{
	(void)flags;
	if (n_blocks == MAX_BLOCKS)
		abort();
	return blocks[n_blocks++] = calloc(1, size + SLACK);
}

/* Everything is freed when the next case begins: nothing here looks for leaks. */
void kfree(const void *block)
{
	(void)block;
}

void *kmemdup(const void *data, size_t size, gfp_t flags)
{
	return memcpy(kzalloc(size, flags), data, size);
}

void *devm_kzalloc(struct device *dev, size_t size, gfp_t flags)
{
	(void)dev;
	return kzalloc(size, flags);
}

#define ALLOCATED 0xC0000000u
#define MAX_MAPS 64
static struct {
	void *va;
	size_t size;
} maps[MAX_MAPS];
static int n_maps;

void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *dma, gfp_t flags)
{
	void *va;

	(void)dev;
	(void)flags;
	if (!board->allocates || n_maps == MAX_MAPS)
		return NULL;
	va = mmap(NULL, size + PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		abort();
	maps[n_maps].va = va;
	maps[n_maps++].size = size + PAGE_SIZE;
	*dma = ALLOCATED;
	return va;
}

void dma_free_coherent(struct device *dev, size_t size, void *va, dma_addr_t dma)
{
	(void)dev;
	(void)size;
	(void)va;
	(void)dma;
}

int idr_alloc(struct idr *idr, void *value, int start, int end, gfp_t flags)
{
	(void)end;
	(void)flags;
	for (int id = start; id < (int)ARRAY_SIZE(idr->taken); id++)
		if (!idr->taken[id]) {
			idr->taken[id] = value;
			return id;
		}
	abort();
}

void idr_remove(struct idr *idr, unsigned long id)
{
	if (id < ARRAY_SIZE(idr->taken))
		idr->taken[id] = NULL;
}

void *idr_find(struct idr *idr, unsigned long id)
{
	return id < ARRAY_SIZE(idr->taken) ? idr->taken[id] : NULL;
}

bool is_vmalloc_addr(const void *va)
{
	(void)va;
	return true;
}

struct page *vmalloc_to_page(const void *va)
{
	return (struct page *)va;
}

/* Of an address, less what rproc_va_to_pa() adds. */
phys_addr_t page_to_phys(struct page *page)
{
	uint8_t *va = (uint8_t *)page;

	for (uint32_t i = 0; i < board->count; i++) {
		struct region *r = board->region + i;

		if (!r->pool && va >= r->memory && va < r->memory + r->size)
			return (phys_addr_t)r->pa + (va - r->memory) - offset_in_page(va);
	}
	return ALLOCATED - offset_in_page(va);
}

struct platform_device *platform_device_register_data(struct device *parent, const char *name, int id,
						      const void *data, size_t size)
{
	struct platform_device *pdev = kzalloc(sizeof(*pdev), GFP_KERNEL);
	int ret;

	(void)name;
	(void)id;
	pdev->dev.parent = parent;
	pdev->dev.platform_data = kmemdup(data, size, GFP_KERNEL);
	ret = rproc_virtio_probe(pdev);
	pdev->bound = !ret;
	if (ret)
		report("probe failed with error %d\n", ret);
	return pdev;
}

void platform_device_unregister(struct platform_device *pdev)
{
	if (pdev->bound)
		rproc_virtio_remove(pdev);
}

void rproc_coredump_cleanup(struct rproc *rproc)
{
	(void)rproc;
}

struct dentry *rproc_create_trace_file(const char *name, struct rproc *rproc, struct rproc_debug_trace *trace)
{
	(void)name;
	(void)rproc;
	(void)trace;
	return NULL;
}

void rproc_remove_trace_file(struct dentry *tfile)
{
	(void)tfile;
}

/* ------------------------------------------------------------------------------- the driver */

static int map_memory(struct rproc *rproc, struct rproc_mem_entry *mem)
{
	(void)rproc;
	mem->va = mem->priv;
	return 0;
}

static int unmap_memory(struct rproc *rproc, struct rproc_mem_entry *mem)
{
	(void)rproc;
	(void)mem;
	return 0;
}

static int prepare(struct rproc *rproc)
{
	for (uint32_t i = 0; i < board->count; i++) {
		struct region *r = board->region + i;
		struct rproc_mem_entry *mem;

		if (r->pool)
			mem = rproc_of_resm_mem_entry_init(&parent, i, r->size, r->pa, "%s", r->name);
		else
			mem = rproc_mem_entry_init(&parent, NULL, r->pa, r->size, r->da, map_memory, unmap_memory, "%s",
						   r->name);
		mem->priv = r->memory;
		rproc_add_carveout(rproc, mem);
	}
	return 0;
}

static int parse_fw(struct rproc *rproc, const struct firmware *fw)
{
	if (rproc_elf_load_rsc_table(rproc, fw))
		dev_warn(&rproc->dev, "no resource table found for this firmware\n");
	return 0;
}

static int nothing(struct rproc *rproc)
{
	(void)rproc;
	return 0;
}

static void kick(struct rproc *rproc, int id)
{
	(void)rproc;
	(void)id;
}

static struct rproc_ops ops = {
	.prepare = prepare,
	.start = nothing,
	.stop = nothing,
	.kick = kick,
	.parse_fw = parse_fw,
	.load = rproc_elf_load_segments,
	.find_loaded_rsc_table = rproc_elf_find_loaded_rsc_table,
	.sanity_check = rproc_elf_sanity_check,
	.get_boot_addr = rproc_elf_get_boot_addr,
};

static void forget(void)
{
	while (n_blocks)
		free(blocks[--n_blocks]);
	while (n_maps) {
		n_maps--;
		munmap(maps[n_maps].va, maps[n_maps].size);
	}
}

int boot_and_stop(struct board *with, const uint8_t *image, size_t size, int stop, uint64_t *entry)
{
	struct firmware fw = { size, image };
	struct rproc *rproc;
	int ret;

	board = with;
	forget();
	rproc = kzalloc(sizeof(*rproc), GFP_KERNEL);
	rproc->name = "m4";
	rproc->firmware = "firmware";
	rproc->ops = &ops;
	parent.of_node = &node;
	rproc->dev.parent = &parent;
	INIT_LIST_HEAD(&rproc->carveouts);
	INIT_LIST_HEAD(&rproc->mappings);
	INIT_LIST_HEAD(&rproc->traces);
	INIT_LIST_HEAD(&rproc->rvdevs);
	INIT_LIST_HEAD(&rproc->subdevs);
	INIT_LIST_HEAD(&rproc->dump_segments);
	ret = rproc_fw_boot(rproc, &fw);
	*entry = rproc->bootaddr;
	if (!ret && stop) {
		rproc->table_ptr = rproc->cached_table;
		rproc_resource_cleanup(rproc);
	}
	return ret;
}
