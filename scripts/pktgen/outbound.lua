-- From node A to so many nodes of host S, 64 bytes on the wire, by pktgen's
-- range mode: the destination address and its virtual MAC count up together.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local plan = dofile(here .. "plan.lua")
local port, last = plan.node, plan.first + plan.flows - 1

-- A field of a range: where it starts and what it counts by.
local function range(set, first, step, lowest, highest)
    set(port, "start", first)
    set(port, "min", lowest)
    set(port, "max", highest)
    set(port, "inc", step)
end

local function fixed(set, value)
    range(set, value, 0, value, value)
end

pktgen.stop(port)
pktgen.set(port, "rate", plan.rate)
pktgen.set(port, "size", 64)
pktgen.set_proto(port, "udp")
pktgen.set_type(port, "ipv4")
pktgen.range.ip_proto(port, "udp")
pktgen.range.pkt_size(port, "start", 64)
pktgen.range.pkt_size(port, "inc", 0)
pktgen.range.pkt_size(port, "min", 64)
pktgen.range.pkt_size(port, "max", 64)
fixed(pktgen.range.src_port, plan.ports.source)
fixed(pktgen.range.dst_port, plan.ports.destination)
range(pktgen.range.src_ip, plan.source, "0.0.0.0", plan.source, plan.source)
range(pktgen.range.src_mac, plan.source_mac, "00:00:00:00:00:00", plan.source_mac, plan.source_mac)

-- Fields that count go on from what the last packet had, each on its own. One
-- packet with nothing counting sets both to the first value, so that they
-- count up in step from there.
local first, top = plan.address(plan.first), plan.address(last)
local first_mac, top_mac = plan.mac(plan.first), plan.mac(last)
range(pktgen.range.dst_ip, first, "0.0.0.0", first, top)
range(pktgen.range.dst_mac, first_mac, "00:00:00:00:00:00", first_mac, top_mac)
pktgen.set_range(port, "on")
pktgen.set(port, "count", 1)
pktgen.start(port)
pktgen.delay(500)
pktgen.stop(port)
pktgen.set(port, "count", 0)
pktgen.range.dst_ip(port, "inc", "0.0.0.1")
pktgen.range.dst_mac(port, "inc", "00:00:00:00:00:01")
print("weft: port " .. port .. " sends to " .. plan.flows .. " nodes from " .. first .. " on")
