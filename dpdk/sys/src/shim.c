/*
 * Functions with an address for what DPDK only has as inline functions,
 * macros or thread-local variables. One call per burst where it matters:
 * the burst shims cost the same as going through rte_eth_fp_ops by hand, and
 * keep the rx/tx callbacks (packet capture, latency statistics) working.
 */
#define _GNU_SOURCE
#include "wrapper.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include <rte_lpm.h>
#include <rte_vect.h>
#if __has_include(<rte_eth_vhost.h>)
#include <rte_eth_vhost.h>
#define HAS_VHOST 1
#else
#define HAS_VHOST 0
#endif

int dpdk_sys_errno(void)
{
	return rte_errno;
}

unsigned int dpdk_sys_lcore_id(void)
{
	return rte_lcore_id();
}

uint16_t dpdk_sys_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_rx_burst(port, queue, pkts, n);
}

uint16_t dpdk_sys_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_burst(port, queue, pkts, n);
}

uint16_t dpdk_sys_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_prepare(port, queue, pkts, n);
}

struct rte_mbuf *dpdk_sys_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int dpdk_sys_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned int n)
{
	return rte_pktmbuf_alloc_bulk(pool, pkts, n);
}

void dpdk_sys_pktmbuf_free(struct rte_mbuf *m)
{
	rte_pktmbuf_free(m);
}

int dpdk_sys_pktmbuf_linearize(struct rte_mbuf *m)
{
	return rte_pktmbuf_linearize(m);
}

uint64_t dpdk_sys_rdtsc(void)
{
	return rte_rdtsc();
}

int dpdk_sys_log_to_stderr(void)
{
	return rte_openlog_stream(stderr);
}

int dpdk_sys_link_get_nowait(uint16_t port, struct dpdk_sys_link *link)
{
	struct rte_eth_link l = {0};
	int ret = rte_eth_link_get_nowait(port, &l);

	link->speed_mbps = l.link_speed;
	link->up = l.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = l.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	link->autoneg = l.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return ret;
}

struct rte_fib *dpdk_sys_fib_create(const char *name, int most, uint32_t groups, uint64_t none)
{
	struct rte_fib_conf conf = {
		.type = RTE_FIB_DIR24_8,
		.default_nh = none,
		.max_routes = most,
		.dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = groups },
	};

	return rte_fib_create(name, SOCKET_ID_ANY, &conf);
}

void *dpdk_sys_lpm_create(const char *name, uint32_t most, uint32_t groups)
{
	struct rte_lpm_config config = { .max_rules = most, .number_tbl8s = groups };

	return rte_lpm_create(name, SOCKET_ID_ANY, &config);
}

void dpdk_sys_lpm_free(void *lpm)
{
	rte_lpm_free(lpm);
}

int dpdk_sys_lpm_add(void *lpm, uint32_t ip, uint8_t depth, uint32_t value)
{
	return rte_lpm_add(lpm, ip, depth, value);
}

int dpdk_sys_lpm_delete(void *lpm, uint32_t ip, uint8_t depth)
{
	return rte_lpm_delete(lpm, ip, depth);
}

static xmm_t load4(const uint32_t *ips)
{
	rte_xmm_t four = { .u32 = { ips[0], ips[1], ips[2], ips[3] } };

	return four.x;
}

void dpdk_sys_lpm_lookup(const void *lpm, const uint32_t *ips, uint32_t *values, unsigned int n, uint32_t none)
{
	unsigned int i;

	for (i = 0; i + 4 <= n; i += 4)
		rte_lpm_lookupx4(lpm, load4(ips + i), values + i, none);
	for (; i < n; i++)
		if (rte_lpm_lookup(lpm, ips[i], values + i) != 0)
			values[i] = none;
}

#if HAS_VHOST
typedef int (*vhost_queue_event)(uint16_t, struct rte_eth_vhost_queue_event *);

/* Of the plugins that EAL has loaded: they do not show their names to others. */
static int find_vhost(struct dl_phdr_info *info, size_t size, void *found)
{
	void *plugin;

	(void)size;
	if (info->dlpi_name == NULL || strstr(info->dlpi_name, "librte_net_vhost.so") == NULL)
		return 0;
	plugin = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
	if (plugin == NULL)
		return 0;
	*(void **)found = dlsym(plugin, "rte_eth_vhost_get_queue_event");
	dlclose(plugin); /* EAL has it for as long as there are ports. */
	return *(void **)found != NULL;
}

int dpdk_sys_vhost_queue_event(uint16_t port, struct dpdk_sys_vhost_event *event)
{
	static void *found;
	struct rte_eth_vhost_queue_event told = { 0 };

	/* One thread asks for a port at a time; two that look find the same. */
	if (found == NULL && dl_iterate_phdr(find_vhost, &found) == 0)
		return -1;
	if (((vhost_queue_event)found)(port, &told) != 0)
		return -1;
	event->queue = told.queue_id;
	event->rx = told.rx;
	event->enable = told.enable;
	return 0;
}
#else
int dpdk_sys_vhost_queue_event(uint16_t port, struct dpdk_sys_vhost_event *event)
{
	(void)port;
	(void)event;
	return -1;
}
#endif
