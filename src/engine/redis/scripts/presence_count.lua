
-- Counts the members of a channel, and its users where they are mapped (engines.md 6.7). For each call
--   KEYS: expiry of members, members, expiry of users, members of users
--   ARGV: now, expiry of fields ("1")
--   result: {"1" if the call is to be repeated, number of members, number of users}, or an error of its own

local KEYS_PER, ARGV_PER = 4, 2

local function call(k, a)
  local now = ARGV[a + 1]
  if ARGV[a + 2] ~= '1' then
    if not is_purged(KEYS[k + 1], KEYS[k + 2], now) then return {'1'} end
    if not is_purged(KEYS[k + 3], KEYS[k + 4], now) then return {'1'} end
  end
  return {'0', redis.call('hlen', KEYS[k + 2]), redis.call('hlen', KEYS[k + 4])}
end
