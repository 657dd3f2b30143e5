-- Spawn zerglings: POST to the path of the URL.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

function init(args)
  spawn = common.prepared({ wrk.path }, "POST", { "{}" })[1]
end

function request()
  return spawn
end
