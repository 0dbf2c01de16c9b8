"""What a delivery says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pika
import pytest

from bridge.adapters.rabbitmq.consumer import RabbitDelivery


@pytest.mark.usefixtures("local_zone")
def test_the_time_zone_of_the_machine_has_no_say_in_when_a_message_was_made() -> None:
    nobody = cast("Any", None)
    moment = datetime(2026, 7, 24, 8, 30, tzinfo=UTC)

    delivery = RabbitDelivery(nobody, nobody, pika.BasicProperties(timestamp=int(moment.timestamp())), b"{}")

    assert delivery.timestamp == moment
