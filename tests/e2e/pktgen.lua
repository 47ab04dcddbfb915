-- Stands in for Pktgen-DPDK under an ordinary Lua: it keeps what a script asks
-- for and prints it, a call a line. lua5.4 pktgen.lua SCRIPT [STATS-AS-LUA]

local function recorder(name)
    return setmetatable({}, {
        __call = function(_, ...)
            local words = { name }
            for _, word in ipairs({ ... }) do
                words[#words + 1] = tostring(word)
            end
            print(table.concat(words, "\t"))
        end,
        __index = function(self, key)
            local inner = recorder(name == "" and key or name .. "." .. key)
            rawset(self, key, inner)
            return inner
        end,
    })
end

pktgen = recorder("")
pktgen.info = { Pktgen_Version = "a test" }
if arg[2] then
    local stats = assert(load("return " .. arg[2]))()
    pktgen.portStats = function(ports, kind)
        -- As newer versions do.
        assert(kind == nil, "portStats, wrong number of arguments")
        return stats
    end
end
dofile(arg[1])
