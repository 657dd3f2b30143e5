-- Eight reads to two commands, each for a random zergling.
local here = debug.getinfo(1, "S").source:match("^@(.*)/")
package.path = here .. "/?.lua;" .. package.path
local common = require("common")

setup, done = common.setup, common.done

local READS = 0.8

function init(args)
  common.seed()
  local paths = common.read_paths(args)
  reads = common.reads(paths)
  moves = common.prepared(paths, "POST", common.COMMANDS)
end

function request()
  return common.any(math.random() < READS and reads or moves)
end
