/* SPDX-License-Identifier: MIT */
/*
 * What Linux' remoteproc core, its ELF loader and its virtio driver ask of the rest of the kernel, for a program.
 * Every <linux/...> that they include leads here. A function that the peer never reaches is declared nowhere: the
 * linker drops what calls it.
 */
#ifndef FOR_LINUX_H
#define FOR_LINUX_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define CONFIG_PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define __LITTLE_ENDIAN 1234
#define GFP_KERNEL 0
#define U32_MAX UINT32_MAX
#define ENOENT 2
#define ENOMEM 12
#define EBUSY 16
#define ENODEV 19
#define EINVAL 22
#define EOVERFLOW 75
#define EPERM 1
#define ENOSYS 38
#define EINTR 4
#define ERESTARTSYS 512
#define EPROBE_DEFER 517

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int16_t __s16;
typedef int32_t __s32;
typedef int64_t __s64;
typedef uint16_t __le16;
typedef uint32_t __le32;
typedef uint64_t __le64;
typedef uint16_t __virtio16;
typedef uint32_t __virtio32;
typedef uint64_t __virtio64;
typedef uint64_t phys_addr_t;
typedef uint64_t dma_addr_t;
typedef unsigned int gfp_t;
typedef u32 phandle;
typedef int irqreturn_t;

#define IRQ_NONE 0
#define __packed __attribute__((packed))
#define __iomem
#define __force
#define __init
#define __exit
#define __printf(a, b)
#define ELF_SHARED
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define subsys_initcall(x)
#define module_init(x)
#define module_exit(x)
#define builtin_platform_driver(x)
#define module_platform_driver(x)
#define IS_ENABLED(x) 0
#define THIS_MODULE NULL
#define FW_ACTION_UEVENT 0
#define NOTIFY_DONE 0
#define WQ_UNBOUND 0
#define WQ_FREEZABLE 0
#define READ_ONCE(x) (x)
#define WRITE_ONCE(x, v) ((x) = (v))
#define BUG_ON(x) do { if (x) __builtin_trap(); } while (0)
#define WARN_ON(x) ((void)(x), 0)
#define WARN(x, ...) ((void)(x), 0)
#define BIT(n) (1ul << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define offsetofend(t, m) (offsetof(t, m) + sizeof(((t *)0)->m))
#define container_of(p, t, m) ((t *)((char *)(p) - offsetof(t, m)))
#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]
#define DEFINE_MUTEX(name) struct mutex name
#define DEFINE_IDA(name) struct ida name
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-4095)
#define IS_ERR_OR_NULL(p) (!(p) || IS_ERR(p))
#define PTR_ERR(p) ((long)(p))
#define ERR_PTR(e) ((void *)(long)(e))
#define ALIGN(x, a) (((x) + ((typeof(x))(a) - 1)) & ~((typeof(x))(a) - 1))
#define PAGE_ALIGN(x) ALIGN(x, PAGE_SIZE)
#define offset_in_page(p) ((unsigned long)(p) & (PAGE_SIZE - 1))
#define memcpy_toio memcpy
#define memset_io memset

static inline size_t size_add(size_t a, size_t b)
{
	return a + b < a ? SIZE_MAX : a + b;
}

static inline size_t size_mul(size_t a, size_t b)
{
	size_t product;

	return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

#define struct_size(p, member, n) size_add(sizeof(*(p)), size_mul(n, sizeof(*(p)->member)))

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }
#define list_entry(p, t, m) container_of(p, t, m)
#define list_for_each_entry(pos, head, m)                                                                  \
	for (pos = list_entry((head)->next, typeof(*pos), m); &pos->m != (head);                           \
	     pos = list_entry(pos->m.next, typeof(*pos), m))
#define list_for_each_entry_rcu list_for_each_entry
#define list_for_each_entry_reverse(pos, head, m)                                                          \
	for (pos = list_entry((head)->prev, typeof(*pos), m); &pos->m != (head);                           \
	     pos = list_entry(pos->m.prev, typeof(*pos), m))
#define list_for_each_entry_continue_reverse(pos, head, m)                                                 \
	for (pos = list_entry(pos->m.prev, typeof(*pos), m); &pos->m != (head);                            \
	     pos = list_entry(pos->m.prev, typeof(*pos), m))
#define list_for_each_entry_safe(pos, n, head, m)                                                          \
	for (pos = list_entry((head)->next, typeof(*pos), m), n = list_entry(pos->m.next, typeof(*pos), m); \
	     &pos->m != (head); pos = n, n = list_entry(n->m.next, typeof(*n), m))

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head->prev = head;
}

static inline void list_add_tail(struct list_head *one, struct list_head *head)
{
	one->prev = head->prev;
	one->next = head;
	head->prev->next = one;
	head->prev = one;
}

static inline void list_del(struct list_head *one)
{
	one->next->prev = one->prev;
	one->prev->next = one->next;
}

struct mutex { int locked; };
struct ida { int unused; };
struct idr { void *taken[64]; };
struct cdev { int unused; };
struct completion { int unused; };
struct work_struct { int unused; };
struct workqueue_struct;
struct dentry;
struct class;
struct module;
struct page;
struct iommu_domain;
struct iommu_group;
struct device_node { const char *name; };
struct device_driver { struct module *owner; };
struct device_type { const char *name; void *release; };
typedef struct { int counter; } atomic_t;
typedef struct { int locked; } spinlock_t;
struct notifier_block { void *notifier_call; };
extern int panic_notifier_list;

struct bus_dma_region { u64 size; };

struct device {
	struct device *parent;
	const void *bus;
	const struct bus_dma_region *dma_range_map;
	struct device_node *of_node;
	struct device_driver *driver;
	const struct device_type *type;
	const struct class *class;
	void *platform_data, *driver_data;
	void (*release)(struct device *dev);
};

struct platform_device {
	struct device dev;
	bool bound;
};

struct platform_driver {
	int (*probe)(struct platform_device *pdev);
	void *remove;
	void *remove_new;
	struct { const char *name; } driver;
};

struct firmware {
	size_t size;
	const u8 *data;
};

struct virtqueue {
	struct list_head list;
	void *priv;
	unsigned int num_max;
};
struct virtio_device;
struct virtqueue_info;
struct irq_affinity;
typedef void vq_callback_t(struct virtqueue *vq);
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};
struct virtio_config_ops {
	void *get_features, *finalize_features, *find_vqs, *del_vqs, *reset, *set_status, *get_status, *get, *set;
};
struct virtio_device {
	struct { u32 device; } id;
	struct device dev;
	const struct virtio_config_ops *config;
	struct list_head vqs;
	u64 features;
};
#define dev_to_virtio(d) container_of(d, struct virtio_device, dev)
#define VIRTIO_F_RING_PACKED 34

#define PLATFORM_DEVID_AUTO (-2)

/* The kernel's log: errors and warnings are reported, all else is not looked at. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define dev_err(dev, ...) ((void)(dev), report(__VA_ARGS__))
#define dev_warn dev_err
#define dev_info(dev, ...) ((void)(dev))
#define dev_dbg dev_info
#define pr_err(...) report(__VA_ARGS__)
#define pr_info(...) ((void)0)

void *kzalloc(size_t size, gfp_t flags);
void kfree(const void *block);
void *kmemdup(const void *data, size_t size, gfp_t flags);
void *devm_kzalloc(struct device *dev, size_t size, gfp_t flags);
void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *dma, gfp_t flags);
void dma_free_coherent(struct device *dev, size_t size, void *va, dma_addr_t dma);
int idr_alloc(struct idr *idr, void *value, int start, int end, gfp_t flags);
void idr_remove(struct idr *idr, unsigned long id);
void *idr_find(struct idr *idr, unsigned long id);
bool is_vmalloc_addr(const void *va);
struct page *vmalloc_to_page(const void *va);
phys_addr_t page_to_phys(struct page *page);
struct platform_device *platform_device_register_data(struct device *parent, const char *name, int id,
						      const void *data, size_t size);
void platform_device_unregister(struct platform_device *pdev);
#define platform_set_drvdata(p, d) ((p)->dev.driver_data = (d))
#define platform_get_drvdata(p) ((p)->dev.driver_data)
#define dev_get_drvdata(d) ((d)->driver_data)
#define get_device(d) (d)
#define put_device(d) ((void)(d))
#define get_dma_ops(d) NULL
#define set_dma_ops(d, o) ((void)0)
#define dma_get_mask(d) 0ull
#define dma_coerce_mask_and_coherent(d, m) 0
#define dma_declare_coherent_memory(d, p, a, s) 0
#define dma_release_coherent_memory(d) ((void)0)
#define of_reserved_mem_device_init_by_idx(d, n, i) 0
#define of_reserved_mem_device_release(d) ((void)0)
#define register_virtio_device(v) ((void)(v), 0)
#define device_for_each_child(d, p, f) 0
#define iommu_map(...) (-EINVAL)
#define iommu_unmap(...) 0
#define virt_addr_valid(p) 1
#define virt_to_phys(p) 0
#define vring_transport_features(v) ((void)0)
#define __virtio_clear_bit(v, b) ((void)0)

#endif
