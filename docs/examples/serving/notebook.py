import driftline


@driftline.observe("taxi", "1")
def price(rows):
    return [9.5 + row["km"] for row in rows]


price([{"km": 3.0}, {"km": 4.5}])
driftline.flush()  # now, and not within a second
