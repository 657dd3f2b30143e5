-- PUT new documents into the raw store, such as a spawn writes.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

local DOCUMENT = '{"_id":"%s","id":"%s","location":{"x":0,"y":0},"facing":"N","commandHistory":[],' ..
  '"commandIds":[],"spawn":{"location":{"x":0,"y":0},"facing":"N"},' ..
  '"base":{"location":{"x":0,"y":0},"facing":"N","count":0,"chunk":null}}'

function init(args)
  common.seed()
  headers = { ["Content-Type"] = "application/json" }
  for name, value in pairs(wrk.headers) do headers[name] = value end
end

function request()
  local id = common.uuid()
  return wrk.format("PUT", wrk.path .. "/" .. id, headers, DOCUMENT:format(id, id))
end
