-- Raises fencing numbers to one that a majority of servers agree on.
-- KEYS: fences. ARGV: number. Answers the highest number that was there; if that is not lower, nothing is raised.
local highest = 0
for i = 1, #KEYS do
  local last = tonumber(redis.pcall('GET', KEYS[i]) or 0) or 0
  if last > highest then highest = last end
end
if highest < tonumber(ARGV[1]) then
  for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1]) end
end
return string.format('%.0f', highest)
