-- Wakes the next waiter of a lock that is free.
-- KEYS: lock, signal list. ARGV: life of a signal in ms, 1 to free the lock first whoever holds it.
-- Answers 1 when a lock was freed so.
local freed = 0
if ARGV[2] == '1' then freed = redis.call('DEL', KEYS[1]) end
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then
  redis.call('LPUSH', KEYS[2], 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return freed
