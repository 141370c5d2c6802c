select
  time_bucket(interval 10 seconds, time) as window_start,
  time_bucket(interval 10 seconds, time) + interval 10 seconds as window_end,
  price, auction, bidder, time as "at"
from bid
-- Of several bids at the highest price, the first.
qualify row_number() over (partition by time_bucket(interval 10 seconds, time) order by price desc, time) = 1
order by window_start
