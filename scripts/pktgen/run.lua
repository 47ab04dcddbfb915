-- Sends for a while on the ports that were set up, lets everything arrive, and
-- writes what pktgen counted as JSON for scripts/pktgen/crosscheck.
--
-- WEFT_DIRECTION: outbound, inbound or both.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local plan = dofile(here .. "plan.lua")
local direction = os.getenv("WEFT_DIRECTION") or "outbound"
local both = plan.node .. "," .. plan.substrate
local senders = { outbound = plan.node, inbound = plan.substrate, both = both }
local sender = senders[direction]
if sender == nil then
    error("WEFT_DIRECTION: " .. direction .. " is none of outbound, inbound, both")
end

-- Tables with string or number keys, numbers and strings.
local function json(value)
    if type(value) == "number" then
        -- Counters are whole; what is not has no use for more digits.
        return math.type(value) == "integer" and tostring(value) or string.format("%.3f", value)
    elseif type(value) ~= "table" then
        return string.format("%q", tostring(value))
    end
    local keys, parts = {}, {}
    for key in pairs(value) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
        parts[#parts + 1] = string.format("%q:%s", tostring(key), json(value[key]))
    end
    return "{" .. table.concat(parts, ",") .. "}"
end

-- Older versions want to be told which counters, newer ones refuse that.
local function counted()
    local fine, stats = pcall(pktgen.portStats, both)
    if not fine then
        stats = pktgen.portStats(both, "port")
    end
    return stats
end

pktgen.clr()
pktgen.delay(1000)
pktgen.start(sender)
pktgen.delay(plan.seconds * 1000)
pktgen.stop(sender)
-- What is on its way arrives, and the counters are read once more.
pktgen.delay(3000)

local report = {
    version = pktgen.info and pktgen.info.Pktgen_Version or "unknown",
    direction = direction,
    node = plan.node,
    substrate = plan.substrate,
    rate = plan.rate,
    seconds = plan.seconds,
    ports = counted(),
}
local file = assert(io.open(plan.stats, "w"))
file:write(json(report), "\n")
file:close()
print("weft: written to " .. plan.stats)
