-- Read a random document or zergling.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

function init(args)
  common.seed()
  requests = common.reads(common.read_paths(args))
end

function request()
  return common.any(requests)
end
