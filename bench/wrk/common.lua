-- What every script shares: the paths to ask for, random choice, and one line of figures at the end.
-- Arguments after `--`: a file with one path a line, then the number of connections.

local common = { threads = {} }

function common.setup(thread)
  table.insert(common.threads, thread)
  thread:set("thread_number", #common.threads)
end

function common.seed()
  math.randomseed(os.time() * 1000 + thread_number)
  for _ = 1, 10 do math.random() end
end

function common.read_paths(args)
  local paths = {}
  for line in io.lines(args[1]) do table.insert(paths, line) end
  return paths
end

function common.any(list)
  return list[math.random(#list)]
end

function common.uuid()
  return (string.gsub("xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx", "x", function()
    return string.format("%x", math.random(0, 15))
  end))
end

-- Prepare every request once: building them is not what is measured.
function common.prepared(paths, method, bodies)
  local headers = { ["Content-Type"] = "application/json" }
  for name, value in pairs(wrk.headers) do headers[name] = value end
  local requests = {}
  for _, path in ipairs(paths) do
    for _, body in ipairs(bodies) do
      table.insert(requests, wrk.format(method, path, headers, body))
    end
  end
  return requests
end

function common.reads(paths)
  local requests = {}
  for _, path in ipairs(paths) do table.insert(requests, wrk.format("GET", path)) end
  return requests
end

common.COMMANDS = { '"M"', '"L"', '"M"', '"R"' }

function common.print_figures(summary, good, p50, p99, put_p50)
  local errors = summary.errors
  local socket = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'figures {"good":%d,"requests":%d,"refused":%d,"socket_errors":%d,"seconds":%.6f,' ..
    '"p50_ms":%.4f,"p99_ms":%.4f,"put_p50_ms":%s}\n',
    good, summary.requests, errors.status, socket, summary.duration / 1e6,
    p50 / 1e3, p99 / 1e3, put_p50 and string.format("%.4f", put_p50 / 1e3) or "null"))
end

function common.done(summary, latency)
  local good = summary.requests - summary.errors.status
  common.print_figures(summary, good, latency:percentile(50), latency:percentile(99))
end

return common
