-- Decides over several windows of a minute in one step: all have room and each takes its share, or nothing changes.
--
-- A window is three keys: a sorted set of entries by instant in microseconds, a hash of their amounts, and their sum.
-- KEYS: the three of each window in turn. ARGV: now, entry, '1' to take, then limit and amount of each window.
-- Returns: whether something was taken that had not been taken before, then fits, sum and wait of each window;
-- a wait of -1 means that waiting does not help. What it means is said by rating_service/domain/rate_windows.py.
local MINUTE_US = 60000000
local KEEP_MS = 120000
local now, entry, takes = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local count = #KEYS / 3
local all_fit, all_new = true, true
local answer = {0}

local function forget_old(order, amounts, sum)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', now - MINUTE_US)) do
    redis.call('DECRBY', sum, redis.call('HGET', amounts, id))
    redis.call('HDEL', amounts, id)
    redis.call('ZREM', order, id)
  end
end

local function wait_for(order, amounts, excess)
  local found = redis.call('ZRANGE', order, 0, -1, 'WITHSCORES')
  for at = 1, #found, 2 do
    excess = excess - tonumber(redis.call('HGET', amounts, found[at]))
    if excess <= 0 then
      return tonumber(found[at + 1]) + MINUTE_US - now
    end
  end
  return -1
end

for at = 1, count do
  local order, amounts, sum = KEYS[3 * at - 2], KEYS[3 * at - 1], KEYS[3 * at]
  local limit, amount = tonumber(ARGV[2 * at + 2]), tonumber(ARGV[2 * at + 3])
  forget_old(order, amounts, sum)
  local used = tonumber(redis.call('GET', sum) or '0')
  local known = redis.call('HEXISTS', amounts, entry) == 1
  local fits = known or amount == 0 or used + amount <= limit
  all_fit = all_fit and fits
  all_new = all_new and not known
  answer[#answer + 1] = fits and 1 or 0
  answer[#answer + 1] = used
  answer[#answer + 1] = fits and -1 or wait_for(order, amounts, used + amount - limit)
end

if not (takes and all_fit) then
  return answer
end
if all_new then
  answer[1] = 1
end
for at = 1, count do
  local order, amounts, sum = KEYS[3 * at - 2], KEYS[3 * at - 1], KEYS[3 * at]
  local amount = tonumber(ARGV[2 * at + 3])
  if amount > 0 and redis.call('HEXISTS', amounts, entry) == 0 then
    redis.call('ZADD', order, ARGV[1], entry)
    redis.call('HSET', amounts, entry, ARGV[2 * at + 3])
    answer[3 * at] = redis.call('INCRBY', sum, ARGV[2 * at + 3])
    for _, key in ipairs({order, amounts, sum}) do
      redis.call('PEXPIRE', key, KEEP_MS)
    end
  end
end
return answer
