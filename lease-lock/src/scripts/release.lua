-- Gives back the locks that are still held by their token, and wakes one waiter each.
-- KEYS: lock and signal list of each. ARGV: life of a signal in ms, then the token of each lock.
-- Answers for each lock 1, or 0 when it is not held by that token.
local answer = {}
for i = 1, #KEYS, 2 do
  local value = redis.pcall('GET', KEYS[i])
  if value == ARGV[1 + (i + 1) / 2] then
    redis.call('DEL', KEYS[i], KEYS[i + 1])
    redis.call('LPUSH', KEYS[i + 1], 1)
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[1])
    table.insert(answer, 1)
  else
    table.insert(answer, 0)
  end
end
return answer
