
-- Reads the members of a channel (engines.md 6.7). For each call
--   KEYS: expiry of members, members
--   ARGV: now, expiry of fields ("1")
--   result: {"1" if the call is to be repeated, number of members, {client, information, ...}}, or an error of its
--           own. Of a large channel there is no third part: it is to be scanned.

local KEYS_PER, ARGV_PER = 2, 2

local function call(k, a)
  local expire, data = KEYS[k + 1], KEYS[k + 2]
  if ARGV[a + 2] ~= '1' and not is_purged(expire, data, ARGV[a + 1]) then return {'1'} end
  local count = redis.call('hlen', data)
  if count > LARGE then return {'0', count} end
  if count > members then return {'1'} end
  members = members - count
  return {'0', count, redis.call('hgetall', data)}
end
