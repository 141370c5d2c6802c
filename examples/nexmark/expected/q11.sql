with gap as (
  select bidder, time, time - lag(time) over (partition by bidder order by time) as since
  from bid
),
numbered as (
  select bidder, time, count(*) filter (since is null or since > interval 10 seconds) over (partition by bidder order by time) as session
  from gap
)
select bidder, min(time) as window_start, max(time) + interval 10 seconds as window_end, count(*) as bids
from numbered
group by bidder, session
order by window_start, bidder
