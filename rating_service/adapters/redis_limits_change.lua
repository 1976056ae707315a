-- Changes what an entry took of one window. KEYS: the three of the window. ARGV: entry, now, and the rest by what is
-- asked: 'give_back', or 'correct' with the estimate, the actual amount and the id under which a surplus is kept.
local KEEP_MS = 120000
local order, amounts, sum = KEYS[1], KEYS[2], KEYS[3]
local entry, now, what = ARGV[1], ARGV[2], ARGV[3]
local taken = redis.call('HGET', amounts, entry)

if what == 'give_back' then
  if taken then
    redis.call('DECRBY', sum, taken)
    redis.call('HDEL', amounts, entry)
    redis.call('ZREM', order, entry)
  end
  return 0
end

local estimated, actual, surplus = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
if taken and actual < tonumber(taken) then
  redis.call('DECRBY', sum, tonumber(taken) - actual)
  redis.call('HSET', amounts, entry, ARGV[5])
end
if actual > estimated and redis.call('HEXISTS', amounts, surplus) == 0 then
  redis.call('ZADD', order, now, surplus)
  redis.call('HSET', amounts, surplus, actual - estimated)
  redis.call('INCRBY', sum, actual - estimated)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, KEEP_MS)
  end
end
return 0
