select
  p.id as person,
  time_bucket(interval 10 seconds, p.time) as window_start,
  time_bucket(interval 10 seconds, p.time) + interval 10 seconds as window_end,
  count(distinct p.time) as registered,
  count(*) as auctions
from person p
join auction a on a.seller = p.id and time_bucket(interval 10 seconds, a.time) = time_bucket(interval 10 seconds, p.time)
group by all
order by window_start, person
