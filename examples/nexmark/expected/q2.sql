select time as "at", auction, price
from bid
where auction % 123 = 0
order by time
