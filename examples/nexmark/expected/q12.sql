select
  bidder,
  time_bucket(interval 10 seconds, time) as window_start,
  time_bucket(interval 10 seconds, time) + interval 10 seconds as window_end,
  count(*) as bids
from bid
group by all
order by window_start, bidder
