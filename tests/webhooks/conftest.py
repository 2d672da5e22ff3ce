"""A system that sends webhooks to this machine, and a receiver."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Stack, running_stack
from tests.support.receiver import Receiver
from tests.support.webhooks import SETTINGS


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("hooks"), tmp_path_factory, SETTINGS) as stack:
        yield stack


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
