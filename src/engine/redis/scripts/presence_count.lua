
-- Counts the members of a channel, and its users where they are mapped (engines.md 6.7). For each call
--   KEYS: expiry of members, members, expiry of users, members of users
--   ARGV: now, how members end ("1" or "2", see presence_purge.lua)
--   result: {what is to be done, number of members, number of users}, or an error of its own

local KEYS_PER, ARGV_PER = 4, 2

local function call(k, a)
  for i = 0, 2, 2 do
    local todo = purge(KEYS[k + 1 + i], KEYS[k + 2 + i], ARGV[a + 1], ARGV[a + 2])
    if todo ~= DONE then return {todo} end
  end
  return {DONE, redis.call('hlen', KEYS[k + 2]), redis.call('hlen', KEYS[k + 4])}
end
