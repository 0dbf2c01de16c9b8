"""The SOAP faults that Exchange answers with instead of a response, body by body."""

from __future__ import annotations

from xml.sax.saxutils import escape

_HEAD = '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
_TAIL = "</s:Fault></s:Body></s:Envelope>"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"


def soap_fault(code: str, message: str, *, detail: str | None = None, values: dict[str, str] | None = None) -> bytes:
    """
    Return the body of a fault with Exchange's ResponseCode; it goes out with HTTP status 500.

    `detail` is the message inside the detail element where it differs, `values` become t:Value elements of
    MessageXml (`BackOffMilliseconds` of ErrorServerBusy).
    """
    inner = "".join(
        f'<t:Value Name="{escape(name)}">{escape(value)}</t:Value>' for name, value in (values or {}).items()
    )
    return _fault(code, message, detail or message, inner).encode()


def schema_fault(violation: str, line: int, position: int) -> bytes:
    """Return the body of ErrorSchemaValidation (HTTP 500), as recorded of Exchange."""
    inner = (
        f"<t:LineNumber>{line}</t:LineNumber><t:LinePosition>{position}</t:LinePosition>"
        f"<t:Violation>{escape(violation)}</t:Violation>"
    )
    text = f"The request failed schema validation: {violation}"
    return _fault("ErrorSchemaValidation", text, "The request failed schema validation.", inner).encode()


def _fault(code: str, text: str, detail: str, inner: str) -> str:
    xml = f'<t:MessageXml xmlns:t="{_TYPES}">{inner}</t:MessageXml>' if inner else ""
    return (
        f'{_HEAD}<faultcode xmlns:a="{_TYPES}">a:{code}</faultcode>'
        f'<faultstring xml:lang="en-US">{escape(text)}</faultstring>'
        f'<detail><e:ResponseCode xmlns:e="{_ERRORS}">{code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{_ERRORS}">{escape(detail)}</e:Message>{xml}</detail>{_TAIL}'
    )
