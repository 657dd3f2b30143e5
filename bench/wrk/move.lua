-- Send one command to a random zergling; turns as well as steps, so none runs away.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

function init(args)
  common.seed()
  requests = common.prepared(common.read_paths(args), "POST", common.COMMANDS)
end

function request()
  return common.any(requests)
end
