"""What holds for all tests: their order on several workers."""

import pytest

from tests.order import dealt


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = dealt(
            items,
            workers,
            file=lambda item: item.path,
            slow=lambda item: item.get_closest_marker("slow") is not None,
        )
