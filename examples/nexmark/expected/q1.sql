select time as "at", auction, bidder, price * 89 // 100 as price
from bid
order by time
