-- What the other scripts have in common: the address plan of the tests, the
-- two ports, and what the environment may change of it.
--
-- WEFT_FLOWS           destinations (1024), up to 4194304
-- WEFT_NODE_PORT       port of pktgen that is wired to the node port (0)
-- WEFT_SUBSTRATE_PORT  port of pktgen that is wired to the uplink (1)
-- WEFT_RATE            per cent of the line rate (100)
-- WEFT_SECONDS         length of a run (10)
-- WEFT_STATS           where run.lua writes what pktgen counted (pktgen-stats.json)

local plan = {}

local function number(name, default)
    local text = os.getenv(name) or default
    local value = tonumber(text)
    if value == nil then
        error(name .. ": " .. text .. " is no number")
    end
    return math.floor(value)
end

plan.flows = number("WEFT_FLOWS", "1024")
plan.rate = number("WEFT_RATE", "100")
plan.seconds = number("WEFT_SECONDS", "10")
plan.node = os.getenv("WEFT_NODE_PORT") or "0"
plan.substrate = os.getenv("WEFT_SUBSTRATE_PORT") or "1"
plan.stats = os.getenv("WEFT_STATS") or "pktgen-stats.json"

-- Node A of vnet Z, which sends; the nodes of host S begin at 10.128.0.0.
plan.source = "10.0.0.2"
plan.source_mac = "02:00:00:00:00:0a"
plan.first = 10 << 24 | 128 << 16
plan.ports = { source = 4000, destination = 5000 }

if plan.flows < 1 or plan.flows > 1 << 22 then
    error("WEFT_FLOWS: must be 1 to 4194304")
end

function plan.address(value)
    return string.format("%d.%d.%d.%d", value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255)
end

-- The virtual MAC by which nodes of vnet Z know an address: 76, the fold of
-- the vni 5a0001, the address. weft drops a frame whose MAC is another one.
function plan.mac(value)
    return string.format(
        "76:5b:%02x:%02x:%02x:%02x",
        value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255
    )
end

return plan
