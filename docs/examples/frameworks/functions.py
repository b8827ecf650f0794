import driftline


def score(batches):
    for batch in batches:
        yield [0.5 * row["amount"] for row in batch]


score = driftline.instrument(score, name="limit", version="1", task="regression")
batches = ([{"amount": amount, "country": "de"}] * 2 for amount in (10.0, 20.0))
print(list(score(batches)))  # two calls, one a batch; each batch is read once, as the function asks for it
