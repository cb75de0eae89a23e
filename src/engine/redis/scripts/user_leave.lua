-- Removes a connection of a user. For each call
--   KEYS: connections of the user
--   ARGV: client
--   result: "1", or an error of its own

local KEYS_PER, ARGV_PER = 1, 1

local function call(k, a)
  redis.call('zrem', KEYS[k + 1], ARGV[a + 1])
  return '1'
end
