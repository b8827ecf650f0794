from contextlib import asynccontextmanager

import driftline
from fastapi import FastAPI


def price(rows: list[dict]) -> list[float]:
    return [9.5 + row["km"] for row in rows]


@asynccontextmanager
async def lifespan(_):
    yield
    driftline.shutdown()  # uvicorn lets SIGTERM end the process once this is over


model = driftline.instrument(price, name="taxi", version="1")
app = FastAPI(lifespan=lifespan)


@app.post("/price")
async def post(rows: list[dict]) -> list[float]:
    return model(rows)
