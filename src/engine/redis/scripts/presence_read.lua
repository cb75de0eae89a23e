
-- Reads the members of a channel (engines.md 6.7). For each call
--   KEYS: expiry of members, members
--   ARGV: now, how members end ("1" or "2", see presence_purge.lua)
--   result: {what is to be done, number of members, {client, information, ...}}, or an error of its own. Of a large channel there is no third part: it is to be scanned.

local KEYS_PER, ARGV_PER = 2, 2

local function call(k, a)
  local expire, data = KEYS[k + 1], KEYS[k + 2]
  local todo = purge(expire, data, ARGV[a + 1], ARGV[a + 2])
  if todo ~= DONE then return {todo} end
  local count = redis.call('hlen', data)
  if count > LARGE then return {DONE, count} end
  if count > members then return {REPEAT} end
  members = members - count
  return {DONE, count, redis.call('hgetall', data)}
end
