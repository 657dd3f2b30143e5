-- GET a document of the raw store, then PUT it back one command longer: what a naive move costs.
-- wrk keeps one Lua state a thread, so there must be one thread a connection. Every thread has
-- documents of its own: nobody loses to anybody, which is the best the raw store can do.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } bench_time; int clock_gettime(int, bench_time *);")
local MONOTONIC, BUCKET = 1, 20 -- microseconds a bucket

local clock = ffi.new("bench_time")
local function now()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) * 1e6 + tonumber(clock.nanoseconds) / 1e3
end

local function count(buckets, since, till)
  local bucket = math.floor((till - since) / BUCKET)
  buckets[bucket] = (buckets[bucket] or 0) + 1
end

function init(args)
  common.seed()
  mine = {}
  for number, path in ipairs(common.read_paths(args)) do
    if number % tonumber(args[2]) == thread_number - 1 then table.insert(mine, path) end
  end
  pair_times, put_times = {}, {}
  headers = { ["Content-Type"] = "application/json" }
  for name, value in pairs(wrk.headers) do headers[name] = value end
  document = nil
end

function request()
  if document then
    put_began = now()
    return wrk.format("PUT", path, headers, document)
  end
  path = common.any(mine)
  pair_began = now()
  return wrk.format("GET", path)
end

local function longer(body)
  body = body:gsub('"commandHistory":%[', '%0"M",', 1):gsub('"commandIds":%[', '%0"k3Jx0aQ7b_A",', 1)
  return (body:gsub('"x":(%-?%d+)', function(x) return '"x":' .. (tonumber(x) + 1) end, 1))
end

function response(status, _, body)
  if not document then
    document = status == 200 and longer(body) or nil
    return
  end
  document = nil
  if status == 201 or status == 202 then
    local till = now()
    count(pair_times, pair_began, till)
    count(put_times, put_began, till)
  end
end

local function gathered(name)
  local all, total = {}, 0
  for _, thread in ipairs(common.threads) do
    for bucket, times in pairs(thread:get(name)) do
      all[bucket] = (all[bucket] or 0) + times
      total = total + times
    end
  end
  return all, total
end

local function percentile(buckets, total, percent)
  local order, seen = {}, 0
  for bucket in pairs(buckets) do table.insert(order, bucket) end
  table.sort(order)
  for _, bucket in ipairs(order) do
    seen = seen + buckets[bucket]
    if seen >= total * percent / 100 then return (bucket + 0.5) * BUCKET end
  end
  return 0
end

function done(summary)
  local times, total = gathered("pair_times")
  local put, puts = gathered("put_times")
  common.print_figures(summary, total, percentile(times, total, 50), percentile(times, total, 99),
    percentile(put, puts, 50))
end
