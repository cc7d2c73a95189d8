"""Who waits at a router is heard, once, and only while somebody listens."""

import asyncio

from vaka_operator.doorbell import Doorbell
from vaka_operator.queue import Key

KEY = Key("InferenceService", "team", "digits")


async def test_a_waiting_request_wakes_its_service_once() -> None:
    woken: asyncio.Queue[Key] = asyncio.Queue()
    answers = iter([False, True])

    async def rings() -> bool:
        return next(answers)

    Doorbell(woken.put_nowait).listen(KEY, rings)
    assert await asyncio.wait_for(woken.get(), 5) == KEY
    assert woken.empty()


async def test_who_has_left_is_not_woken() -> None:
    woken: list[Key] = []
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def rings() -> bool:
        asked.set()
        await go_on.wait()
        return True

    doorbell = Doorbell(woken.append)
    doorbell.listen(KEY, rings)
    await asked.wait()
    doorbell.leave(KEY)
    go_on.set()
    await asyncio.sleep(0)
    doorbell.close()
    assert woken == []
