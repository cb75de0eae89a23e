
-- The end of every script here: runs `call` for each of the calls that were merged into one run. A call gets the
-- number of keys and of arguments before its own. Its error is its own, too: the others have their results.
local results = {}
for i = 0, #KEYS / KEYS_PER - 1 do
  local ok, result = pcall(call, i * KEYS_PER, i * ARGV_PER)
  if not ok then
    -- A table since Redis 7; before, a text that begins with the place in the script.
    if type(result) == 'table' then result = result.err end
    result = redis.error_reply((string.gsub(result, '^@[^:]*: %d+: %-?', '')))
  end
  results[i + 1] = result
end
return results
