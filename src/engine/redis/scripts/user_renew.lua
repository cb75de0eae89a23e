-- Keeps a connection of a user entered. For each call
--   KEYS: connections of the user
--   ARGV: client, expiry, ttl
--   result: "1", or an error of its own

local KEYS_PER, ARGV_PER = 1, 3

local function call(k, a)
  redis.call('zadd', KEYS[k + 1], ARGV[a + 2], ARGV[a + 1])
  redis.call('expire', KEYS[k + 1], ARGV[a + 3])
  return '1'
end
