-- Enters a connection of a user, if the user has not too many others. For each call
--   KEYS: connections of the user
--   ARGV: client, now, expiry, limit, ttl
--   result: "1" if it is entered, else "0", or an error of its own

local KEYS_PER, ARGV_PER = 1, 5

local function call(k, a)
  local connections, client = KEYS[k + 1], ARGV[a + 1]
  redis.call('zremrangebyscore', connections, '-inf', ARGV[a + 2])
  local others = redis.call('zcard', connections)
  if redis.call('zscore', connections, client) then others = others - 1 end
  if others >= tonumber(ARGV[a + 4]) then return '0' end
  redis.call('zadd', connections, ARGV[a + 3], client)
  redis.call('expire', connections, ARGV[a + 5])
  return '1'
end
