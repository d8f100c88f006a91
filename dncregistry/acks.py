"""What if Redis does not hear that a message was dealt with?

kombu then keeps the message's place taken for good, and a worker that holds one message at a time takes no other as
long as it lives: one second of a frozen Redis at the wrong moment stopped it silently (tests/fire/test_redis_down.py).
"""

from __future__ import annotations

from celery.worker.request import Request
from kombu.transport import virtual


class PlaceFreeingRequest(Request):
    """Frees the place all the same. The message comes again within the hour, and every task may run twice."""

    def acknowledge(self) -> None:
        super().acknowledge()
        tag, qos = self.message.delivery_tag, self.message.channel.qos
        if tag in qos._delivered and tag not in qos._dirty:
            virtual.QoS.ack(qos, tag)
