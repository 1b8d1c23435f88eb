"""What is tried on the store of all tests waits for it, however long it stands still."""

from .harness import StoreHarness, fresh_number
from .loops import LoopThread


def test_a_store_that_stands_still_for_a_moment_is_waited_for(server_harness: StoreHarness, redis_url: str) -> None:
    """By threads and by the loop. The service itself would have refused by then."""
    with LoopThread() as looping:
        store = looping.open(redis_url)
        server_harness.raw.client_pause(1_200)
        server_harness.start(fresh_number())
        server_harness.raw.client_pause(1_200)
        assert looping.run(lambda: store.client.get("key")) is None
