-- Takes every lock or none.
-- KEYS: for each id its lock, its fence and its signal list.
-- ARGV: token, ttl in ms, life of a signal in ms, number of the id whose signal the caller has taken (0: none).
-- Answers {1, fence, 0}, or {0, number of the first id that is held, its ttl in ms (-1: it has none)}.
local token, ttl, signal_life, signalled = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local function holder(lock)
  local value = redis.pcall('GET', lock)
  if type(value) == 'table' then return 'not a lease' end -- a value of another type: somebody else's
  return value
end

local own = 0
for i = 1, #KEYS, 3 do
  local held_by = holder(KEYS[i])
  if held_by == token then
    own = own + 1
  elseif held_by then
    -- The caller was woken for a lock that it does not take now: wake the next.
    local lock, signal = KEYS[3 * signalled - 2], KEYS[3 * signalled]
    if signalled > 0 and redis.call('EXISTS', lock, signal) == 0 then
      redis.call('LPUSH', signal, 1)
      redis.call('PEXPIRE', signal, signal_life)
    end
    return {0, (i + 2) / 3, redis.call('PTTL', KEYS[i])}
  end
end

if 3 * own == #KEYS then -- the answer to the first try was lost
  for i = 1, #KEYS, 3 do redis.call('PEXPIRE', KEYS[i], ttl) end
  return {1, redis.call('GET', KEYS[2]), 0}
end

-- The clock makes the number rise even when the old one was lost; the old one, even when the clock went back.
local time = redis.call('TIME')
local fence = time[1] * 1000000 + time[2] -- 1.8e15: exact in a double
for i = 1, #KEYS, 3 do
  local last = tonumber(redis.pcall('GET', KEYS[i + 1]) or 0) or 0
  if fence <= last then fence = last + 1 end
end
fence = string.format('%.0f', fence)
for i = 1, #KEYS, 3 do
  redis.call('SET', KEYS[i + 1], fence)
  redis.call('SET', KEYS[i], token, 'PX', ttl)
  redis.call('DEL', KEYS[i + 2]) -- a signal of an earlier release is stale now
end
return {1, fence, 0}
