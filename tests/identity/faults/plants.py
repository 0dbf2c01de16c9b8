"""All planted faults, in the order in which check would meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.identity.faults import plants_blobs, plants_broker, plants_configuration, plants_entra, plants_exchange

if TYPE_CHECKING:
    from tests.identity.faults.plant import Plant

CHAPTERS: dict[str, list[Plant]] = {
    "Configuration": plants_configuration.PLANTS,
    "Entra": plants_entra.PLANTS,
    "Exchange": plants_exchange.PLANTS,
    "RabbitMQ": plants_broker.PLANTS,
    "Blob store": plants_blobs.PLANTS,
}
PLANTS = [plant for plants in CHAPTERS.values() for plant in plants]
