"""Examples of the payloads, made by the code that makes the real ones; all people and places are made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from bridge.domain.mail import MailProperties, MailRef, UnconvertibleMail, derive_message_id
from bridge.mime import parse
from bridge.mime.compose_message_id import message_id_of
from bridge.wire import event_v1, inbound_build, inbound_v1, outbound_v1
from bridge.wire.inbound_build import RawMime

_ADDRESS = "dispatch@example.org"
_AT = datetime(2026, 11, 24, 8, 31, 5, tzinfo=UTC)
_REQUEST_ID = "pcr-2026-004711"

_REQUEST_MAIL = b"""\
Received: from mail.hospital.example.com (192.0.2.10) by mx.example.org; Tue, 24 Nov 2026 08:31:04 +0000\r
Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=hospital.example.com; dkim=pass\r
Message-ID: <20261124083100.4711@hospital.example.com>\r
Date: Tue, 24 Nov 2026 09:31:00 +0100\r
From: =?utf-8?q?Intensivstation_S=C3=BCd?= <icu@hospital.example.com>\r
To: Dispatch <dispatch@example.org>\r
Subject: Transfer request, adult, ventilated\r
Importance: high\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="=_req"\r
\r
--=_req\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Ready for pick-up at 10:15, helipad 2.\r
\r
--=_req\r
Content-Type: text/csv; charset=us-ascii\r
Content-Disposition: attachment; filename="vitals.csv"\r
\r
time,spo2\r
09:30,94\r
--=_req--\r
"""

_BOUNCE_MAIL = f"""\
From: Microsoft Outlook <postmaster@example.org>\r
To: dispatch@example.org\r
Subject: Undeliverable: Crew notice\r
Message-ID: <ndr-1@example.org>\r
Date: Tue, 24 Nov 2026 08:32:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="=_ndr"\r
\r
--=_ndr\r
Content-Type: text/plain; charset=us-ascii\r
\r
Your message could not be delivered.\r
--=_ndr\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; nobody@example.com\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 User unknown\r
--=_ndr\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: {message_id_of(_REQUEST_ID, _ADDRESS)}\r
Subject: Crew notice\r
--=_ndr--\r
""".encode()


def _ref(number: int, item_class: str, size: int) -> MailRef:
    key = number.to_bytes(16, "big")
    return MailRef(derive_message_id(_ADDRESS, key, _AT), f"item-{number}", _AT, size, item_class)


def _inbound() -> dict[str, str]:
    request = inbound_build.build(
        _ref(1, "IPM.Note", len(_REQUEST_MAIL)), "dispatch", RawMime.of(_REQUEST_MAIL), parse(_REQUEST_MAIL)
    )
    bounce = inbound_build.build(
        _ref(2, "REPORT.IPM.Note.NDR", len(_BOUNCE_MAIL)),
        "dispatch",
        RawMime.of(_BOUNCE_MAIL),
        parse(_BOUNCE_MAIL),
        policy="omit",
    )
    meeting = inbound_build.compose(
        UnconvertibleMail(
            _ref(3, "IPM.Schedule.Meeting.Request", 2_048),
            MailProperties(
                subject="Crew briefing",
                author=("Flight Operations", "ops@example.org"),
                sender=("Flight Operations", "ops@example.org"),
                to=(("Dispatch", _ADDRESS),),
                text="Briefing room 1",
                internet_message_id="<briefing-1@example.org>",
                sent_at=_AT,
                attachment_names=("roster.pdf",),
            ),
            "ErrorMimeContentConversionFailed",
        ),
        "dispatch",
    )
    return {
        f"{inbound_v1.NAME}.request.json": _pretty(json.loads(inbound_v1.to_json(request))),
        f"{inbound_v1.NAME}.bounce.json": _pretty(json.loads(inbound_v1.to_json(bounce))),
        f"{inbound_v1.NAME}.without-mime.json": _pretty(json.loads(inbound_v1.to_json(meeting))),
    }


def _outbound() -> dict[str, str]:
    full: dict[str, Any] = {
        "request_id": _REQUEST_ID,
        "correlation_id": "mission-815",
        "to": [{"address": "crew@example.org", "name": "Crew 3"}],
        "cc": [{"address": "ops@example.org"}],
        "subject": "Crew notice: lift-off 10:40",
        "text": "Pick-up at helipad 2.\n",
        "html": '<p>Pick-up at helipad 2.</p><img src="cid:map">',
        "attachments": [
            {"name": "map.png", "content_type": "image/png", "content": "iVBORw0KGgo=", "content_id": "map"},
        ],
        "in_reply_to": "<20261124083100.4711@hospital.example.com>",
        "references": ["<20261124083100.4711@hospital.example.com>"],
        "importance": "high",
        "expires_at": "2026-11-24T09:00:00Z",
        "receipts": {"delivery": True, "read": False},
        "headers": [{"name": "X-Mission", "value": "815"}],
    }
    smallest = {
        "request_id": "page-1",
        "to": [{"address": "crew@example.org"}],
        "subject": "Page",
        "text": "Call base.",
    }
    for example in (full, smallest):
        outbound_v1.OutboundRequest.model_validate_json(json.dumps(example))
    return {f"{outbound_v1.NAME}.full.json": _pretty(full), f"{outbound_v1.NAME}.smallest.json": _pretty(smallest)}


def _events() -> dict[str, str]:
    sent = event_v1.build(
        "outbound.sent",
        mailbox="dispatch",
        at=_AT,
        request_id=_REQUEST_ID,
        correlation_id="mission-815",
        attempts=1,
        internet_message_id=message_id_of(_REQUEST_ID, _ADDRESS),
    )
    failed = event_v1.build(
        "outbound.failed",
        mailbox="dispatch",
        at=_AT,
        request_id="page-2",
        code="invalid_request",
        detail="to.0.address: is not an address",
    )
    bounced = event_v1.build(
        "outbound.bounced",
        mailbox="dispatch",
        at=_AT,
        request_id=_REQUEST_ID,
        message_id=_ref(2, "", 0).message_id,
        about="nobody@example.com",
        code="not_delivered",
        confidence="unverified",
    )
    parked = event_v1.build(
        "inbound.parked",
        mailbox="dispatch",
        at=_AT,
        message_id=_ref(4, "", 0).message_id,
        attempts=3,
        code="mail_unreadable",
    )
    return {
        f"{event_v1.NAME}.{event.event.partition('.')[2]}.json": _pretty(json.loads(event_v1.to_json(event)))
        for event in (sent, failed, bounced, parked)
    }


def texts() -> dict[str, str]:
    """Return the examples by file name."""
    return {**_inbound(), **_outbound(), **_events()}


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
