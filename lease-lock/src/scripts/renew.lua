-- Sets a new ttl on the locks that are still held by their token.
-- KEYS: locks. ARGV: for each its token and its ttl in ms. Answers for each 1, or 0 when it is not held by that token.
local answer = {}
for i = 1, #KEYS do
  if redis.pcall('GET', KEYS[i]) == ARGV[2 * i - 1] then
    table.insert(answer, redis.call('PEXPIRE', KEYS[i], ARGV[2 * i]))
  else
    table.insert(answer, 0)
  end
end
return answer
