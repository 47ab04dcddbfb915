/*
 * Functions with an address for what DPDK only has as inline functions,
 * macros or thread-local variables. One call per burst where it matters:
 * the burst shims cost the same as going through rte_eth_fp_ops by hand, and
 * keep the rx/tx callbacks (packet capture, latency statistics) working.
 */
#include "wrapper.h"

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
