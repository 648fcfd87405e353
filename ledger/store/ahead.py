"""Reading one page ahead: the database makes the next page while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Page = TypeVar("Page")


def read_ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, each asked for when the one before it is handed out; two are in memory.

    An error comes where its page would have come.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = thread.submit(next, pages, None)
            yield page
