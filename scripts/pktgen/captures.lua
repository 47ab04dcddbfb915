-- Ports that were given a capture with -s send that, over and over: everything
-- that comes from the substrate, frames of mixed sizes, both directions. No
-- rate is set: pktgen reckons it wrongly while it sends captures.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local plan = dofile(here .. "plan.lua")

-- WEFT_DIRECTION: outbound, inbound or both.
local direction = os.getenv("WEFT_DIRECTION") or "both"
local ports = {
    outbound = { plan.node },
    inbound = { plan.substrate },
    both = { plan.node, plan.substrate },
}
if ports[direction] == nil then
    error("WEFT_DIRECTION: " .. direction .. " is none of outbound, inbound, both")
end

for _, port in ipairs(ports[direction]) do
    pktgen.stop(port)
    pktgen.set_range(port, "off")
    pktgen.set(port, "count", 0)
    pktgen.pcap(port, "on")
    print("weft: port " .. port .. " sends its capture")
end
