"""What the service is measured beside: the same framework, server and driver, and one statement a request.

Usage: python -m bench.bare_service URL

`POST /select` answers with a person's row of `current-consent` by primary key, `POST /insert` stores the body in a
table with a key and commits. No token, no rule, no receipt. It prints its URL once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import msgspec
import psycopg
import uvicorn
from fastapi import FastAPI, Request, Response

from bench.lookups import SELECT

#: As many as the ledger's service has threads for what waits for the database, and its commits go in batches besides.
CONNECTIONS = 8
TABLE = (
    b"CREATE TABLE IF NOT EXISTS bare (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
)
INSERT = b"INSERT INTO bare (body) VALUES (%s) RETURNING position"
JSON = "application/json"


def bare(url: str) -> FastAPI:
    app = FastAPI()
    free: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()

    async def answer(statement: bytes, *parameters: object) -> Response:
        if app.state.opened < CONNECTIONS:
            app.state.opened += 1
            free.put_nowait(await psycopg.AsyncConnection.connect(url, autocommit=True))
        connection = await free.get()
        try:
            cursor = connection.cursor(binary=True)
            row = await (await cursor.execute(statement, parameters, prepare=True)).fetchone()
        finally:
            free.put_nowait(connection)
        return Response(msgspec.json.encode(row), media_type=JSON)

    @app.post("/select")
    async def select(request: Request) -> Response:
        stream, purpose = msgspec.json.decode(await request.body(), type=tuple[str, str])
        return await answer(SELECT, stream, purpose)

    @app.post("/insert")
    async def insert(request: Request) -> Response:
        return await answer(INSERT, await request.body())

    app.state.opened = 0
    return app


def main() -> None:
    url = sys.argv[1]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
    with socket.create_server(("127.0.0.1", 0), backlog=2_048) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        config = uvicorn.Config(bare(url), loop="uvloop", http="httptools", lifespan="off", access_log=False, ws="none")
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
