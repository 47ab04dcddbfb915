"""How guests get their addresses: clients of DHCP as Debian has them, what they
are told to ask for, and what they call with the answer.

Each is started by a line for the guest's shell, which returns when there is a
lease; the client then stays and renews it."""

# Classless routes, if told, instead of the router (RFC 3442); `onlink`, as they
# may come before anything else does.
UDHCPC = """#!/bin/sh
env | sort >/tmp/udhcpc.$1
case $1 in
deconfig)
    ip addr flush dev $interface
    ip link set $interface up
    ;;
bound | renew)
    ip addr flush dev $interface
    ip addr add $ip/$mask dev $interface
    [ -z "$mtu" ] || ip link set $interface mtu $mtu
    [ -z "$hostname" ] || hostname $hostname
    for server in $dns; do echo nameserver $server; done >/etc/resolv.conf
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -gt 1 ]; do
            if [ $2 = 0.0.0.0 ]; then ip route add $1 dev $interface
            else ip route add $1 via $2 dev $interface onlink; fi
            shift 2
        done
    else
        for via in $router; do ip route add default via $via dev $interface; break; done
    fi
    ;;
esac
"""
DHCLIENT = """#!/bin/sh
env | sort >/tmp/dhclient.$reason
case $reason in
PREINIT)
    ip link set $interface up
    ;;
BOUND | RENEW | REBIND | REBOOT)
    ip addr flush dev $interface
    ip addr add $new_ip_address/$new_subnet_mask dev $interface
    ip link set $interface mtu $new_interface_mtu
    hostname $new_host_name
    for server in $new_domain_name_servers; do echo nameserver $server; done >/etc/resolv.conf
    set -- $new_routes
    while [ $# -gt 4 ]; do
        len=$1 net= octet=0
        shift
        for place in 0 8 16 24; do
            octet=0
            if [ $place -lt $len ]; then octet=$1; shift; fi
            net=$net.$octet
        done
        ip route add ${net#.}/$len via $1.$2.$3.$4 dev $interface onlink
        shift 4
    done
    ;;
esac
"""
DHCLIENT_CONF = """option routes code 121 = array of unsigned integer 8;
request subnet-mask, host-name, domain-name-servers, domain-name, interface-mtu, routes;
timeout 30;
initial-interval 1;
"""
NETWORKD = """[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseMTU=yes
UseHostname=no
"""
# What it is that a guest has, whichever client asked for it.
SHOW = """#!/bin/sh
echo address $(ip -4 addr show eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p')
echo mtu $(cat /sys/class/net/eth0/mtu)
ip -4 route | sed -n 's/^\\([^ ]*\\) via \\([^ ]*\\) .*/route \\1 \\2/p'
sed -n 's/^nameserver /dns /p' /etc/resolv.conf
sed -n 's/^DNS=/dns /p; s/^HOSTNAME=/told /p' /run/systemd/netif/leases/* 2>/dev/null
echo name $(hostname)
"""

FILES = (
    ("etc/udhcpc.script", UDHCPC, 0o755),
    ("etc/dhclient.script", DHCLIENT, 0o755),
    ("etc/dhclient.conf", DHCLIENT_CONF, 0o644),
    ("etc/systemd/network/10-eth0.network", NETWORKD, 0o644),
    # Which its identity is derived from.
    ("etc/machine-id", "5a0001" * 5 + "00\n", 0o644),
    ("show", SHOW, 0o755),
)
PROGRAMS = ("dhclient", "systemd-networkd")

_UDHCPC = (
    "udhcpc -i eth0 -s /etc/udhcpc.script -p /run/udhcpc.pid -O mtu -O staticroutes"
    " -t 20 -T 1 >/tmp/udhcpc 2>&1"
)
_DHCLIENT = (
    "dhclient -4 -sf /etc/dhclient.script -cf /etc/dhclient.conf -lf /tmp/dhclient.leases"
    " -pf /run/dhclient.pid eth0 >/tmp/dhclient 2>&1"
)
# There is no udev that would tell it of its links. It does not wait for one
# where nobody may write to /sys, as in a container.
_NETWORKD = (
    "mkdir -p /run/systemd; mount -o remount,ro /sys;"
    " systemd-networkd >/tmp/networkd 2>&1 & n=0;"
    " until ip -4 addr show eth0 | grep -q inet; do"
    " n=$((n + 1)); [ $n -lt 150 ] || { cat /tmp/networkd; exit 1; }; sleep 0.2; done"
)
START = {"udhcpc": _UDHCPC, "dhclient": _DHCLIENT, "networkd": _NETWORKD}
# Ends it, with what it has got.
STOP = {
    "udhcpc": "kill $(cat /run/udhcpc.pid); sleep 0.2; ip addr flush dev eth0",
    "dhclient": "kill $(cat /run/dhclient.pid); sleep 0.2; ip addr flush dev eth0",
    "networkd": "killall systemd-networkd; sleep 0.2; ip addr flush dev eth0",
}
