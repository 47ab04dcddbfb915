/* What bindgen reads and what shim.c implements. */
#ifndef DPDK_SYS_WRAPPER_H
#define DPDK_SYS_WRAPPER_H

#include <stddef.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_fib.h>
#include <rte_hash.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Thread-local variables: never bind them directly. */
int dpdk_sys_errno(void);
unsigned int dpdk_sys_lcore_id(void);

/* Inline functions. */
uint16_t dpdk_sys_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t dpdk_sys_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t dpdk_sys_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
struct rte_mbuf *dpdk_sys_pktmbuf_alloc(struct rte_mempool *pool);
int dpdk_sys_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned int n);
void dpdk_sys_pktmbuf_free(struct rte_mbuf *m);
int dpdk_sys_pktmbuf_linearize(struct rte_mbuf *m);
uint64_t dpdk_sys_rdtsc(void);

/* Macros and C-only objects. */
int dpdk_sys_log_to_stderr(void);

/* struct rte_eth_link became a union in later releases. */
struct dpdk_sys_link {
	uint32_t speed_mbps; /* 0: none, UINT32_MAX: unknown */
	uint8_t up;
	uint8_t full_duplex;
	uint8_t autoneg;
};
int dpdk_sys_link_get_nowait(uint16_t port, struct dpdk_sys_link *link);

/* What net_vhost tells of a guest's queue; negative when there is nothing, or
 * no such driver. The driver is a plugin, which is not linked. */
struct dpdk_sys_vhost_event {
	uint16_t queue;
	uint8_t rx;
	uint8_t enable;
};
int dpdk_sys_vhost_queue_event(uint16_t port, struct dpdk_sys_vhost_event *event);

/* Offsets of the mbuf fields in use. */
enum {
	DPDK_SYS_MBUF_OFF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	DPDK_SYS_MBUF_OFF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	DPDK_SYS_MBUF_OFF_REFCNT = offsetof(struct rte_mbuf, refcnt),
	DPDK_SYS_MBUF_OFF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	DPDK_SYS_MBUF_OFF_PORT = offsetof(struct rte_mbuf, port),
	DPDK_SYS_MBUF_OFF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	DPDK_SYS_MBUF_OFF_PACKET_TYPE = offsetof(struct rte_mbuf, packet_type),
	DPDK_SYS_MBUF_OFF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	DPDK_SYS_MBUF_OFF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	DPDK_SYS_MBUF_OFF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	DPDK_SYS_MBUF_OFF_HASH_RSS = offsetof(struct rte_mbuf, hash.rss),
	DPDK_SYS_MBUF_OFF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	DPDK_SYS_MBUF_OFF_NEXT = offsetof(struct rte_mbuf, next),
	DPDK_SYS_MBUF_OFF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload),
	DPDK_SYS_MBUF_L2_LEN_BITS = RTE_MBUF_L2_LEN_BITS,
	DPDK_SYS_MBUF_L3_LEN_BITS = RTE_MBUF_L3_LEN_BITS,
	DPDK_SYS_MBUF_L4_LEN_BITS = RTE_MBUF_L4_LEN_BITS,
	DPDK_SYS_MBUF_TSO_SEGSZ_BITS = RTE_MBUF_TSO_SEGSZ_BITS,
};

/* bindgen does not expand function-like macros (RTE_BIT64): name the values. */
#define DPDK_SYS_U64(name, value) static const uint64_t DPDK_SYS_##name = (value)

DPDK_SYS_U64(RX_VLAN_STRIP, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
DPDK_SYS_U64(RX_IPV4_CKSUM, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
DPDK_SYS_U64(RX_UDP_CKSUM, RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
DPDK_SYS_U64(RX_TCP_CKSUM, RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
DPDK_SYS_U64(RX_TCP_LRO, RTE_ETH_RX_OFFLOAD_TCP_LRO);
DPDK_SYS_U64(RX_VLAN_FILTER, RTE_ETH_RX_OFFLOAD_VLAN_FILTER);
DPDK_SYS_U64(RX_SCATTER, RTE_ETH_RX_OFFLOAD_SCATTER);
DPDK_SYS_U64(RX_RSS_HASH, RTE_ETH_RX_OFFLOAD_RSS_HASH);

DPDK_SYS_U64(TX_VLAN_INSERT, RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
DPDK_SYS_U64(TX_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
DPDK_SYS_U64(TX_UDP_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
DPDK_SYS_U64(TX_TCP_CKSUM, RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
DPDK_SYS_U64(TX_TCP_TSO, RTE_ETH_TX_OFFLOAD_TCP_TSO);
DPDK_SYS_U64(TX_MT_LOCKFREE, RTE_ETH_TX_OFFLOAD_MT_LOCKFREE);
DPDK_SYS_U64(TX_MULTI_SEGS, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
DPDK_SYS_U64(TX_MBUF_FAST_FREE, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);

DPDK_SYS_U64(RSS_IP, RTE_ETH_RSS_IP);
DPDK_SYS_U64(RSS_TCP, RTE_ETH_RSS_TCP);
DPDK_SYS_U64(RSS_UDP, RTE_ETH_RSS_UDP);

DPDK_SYS_U64(F_RX_VLAN, RTE_MBUF_F_RX_VLAN);
DPDK_SYS_U64(F_RX_RSS_HASH, RTE_MBUF_F_RX_RSS_HASH);
DPDK_SYS_U64(F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_MASK);
DPDK_SYS_U64(F_RX_IP_CKSUM_BAD, RTE_MBUF_F_RX_IP_CKSUM_BAD);
DPDK_SYS_U64(F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_GOOD);
DPDK_SYS_U64(F_RX_IP_CKSUM_NONE, RTE_MBUF_F_RX_IP_CKSUM_NONE);
DPDK_SYS_U64(F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_MASK);
DPDK_SYS_U64(F_RX_L4_CKSUM_BAD, RTE_MBUF_F_RX_L4_CKSUM_BAD);
DPDK_SYS_U64(F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
DPDK_SYS_U64(F_RX_L4_CKSUM_NONE, RTE_MBUF_F_RX_L4_CKSUM_NONE);
DPDK_SYS_U64(F_RX_VLAN_STRIPPED, RTE_MBUF_F_RX_VLAN_STRIPPED);
DPDK_SYS_U64(F_RX_LRO, RTE_MBUF_F_RX_LRO);
DPDK_SYS_U64(F_EXTERNAL, RTE_MBUF_F_EXTERNAL);
DPDK_SYS_U64(F_INDIRECT, RTE_MBUF_F_INDIRECT);
DPDK_SYS_U64(F_TX_VLAN, RTE_MBUF_F_TX_VLAN);
DPDK_SYS_U64(F_TX_IP_CKSUM, RTE_MBUF_F_TX_IP_CKSUM);
DPDK_SYS_U64(F_TX_IPV4, RTE_MBUF_F_TX_IPV4);
DPDK_SYS_U64(F_TX_IPV6, RTE_MBUF_F_TX_IPV6);
DPDK_SYS_U64(F_TX_L4_MASK, RTE_MBUF_F_TX_L4_MASK);
DPDK_SYS_U64(F_TX_TCP_CKSUM, RTE_MBUF_F_TX_TCP_CKSUM);
DPDK_SYS_U64(F_TX_UDP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM);
DPDK_SYS_U64(F_TX_TCP_SEG, RTE_MBUF_F_TX_TCP_SEG);

/* Tables of routes: one is made from a structure with a union in it, the other
 * is as large as what it holds, and its lookups are inline. */
struct rte_fib *dpdk_sys_fib_create(const char *name, int most, uint32_t groups, uint64_t none);
void *dpdk_sys_lpm_create(const char *name, uint32_t most, uint32_t groups);
void dpdk_sys_lpm_free(void *lpm);
int dpdk_sys_lpm_add(void *lpm, uint32_t ip, uint8_t depth, uint32_t value);
int dpdk_sys_lpm_delete(void *lpm, uint32_t ip, uint8_t depth);
void dpdk_sys_lpm_lookup(const void *lpm, const uint32_t *ips, uint32_t *values, unsigned int n, uint32_t none);

#endif
