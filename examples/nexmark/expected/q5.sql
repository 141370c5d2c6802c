-- Each bid is in two windows of ten seconds: the one that starts with its five seconds, and the one before.
with hop as (
  select auction, unnest([time_bucket(interval 5 seconds, time) - interval 5 seconds, time_bucket(interval 5 seconds, time)]) as hop_start
  from bid
),
hop_auction as (
  select hop_start, auction, count(*) as bids
  from hop
  group by hop_start, auction
),
hottest as (
  select hop_start, max(bids) as bids
  from hop_auction
  group by hop_start
)
-- The window over the results is the second half of the hop.
select hop_start + interval 5 seconds as window_start, hop_start + interval 10 seconds as window_end, bids, list(auction order by auction) as auctions
from hottest
join hop_auction using (hop_start, bids)
group by hop_start, bids
order by hop_start
