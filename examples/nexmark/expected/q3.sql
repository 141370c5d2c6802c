-- One row for each person, with the auctions in the order in which they were opened.
select p.id as person, any_value(p.name) as name, any_value(p.city) as city, any_value(p.state) as state, list(a.id order by a.time) as auctions
from person p
join auction a on a.seller = p.id
where p.state in ('OR', 'ID', 'CA') and a.category = 10
group by p.id
order by p.id
