"""What can be wrong with a mail's MIME: a closed list of codes that carry nothing of the mail's content."""

from __future__ import annotations

from typing import Literal, get_args

Defect = Literal[
    "empty",
    "cr_only_line_ends",
    "byte_order_mark",
    "mbox_line",
    "header_malformed",
    "header_body_separator_missing",
    "header_without_end",
    "header_duplicate",
    "header_8bit",
    "header_limit",
    "header_too_long",
    "encoded_word_broken",
    "encoded_word_limit",
    "parameter_limit",
    "parameter_broken",
    "address_invalid",
    "address_limit",
    "message_id_invalid",
    "reference_limit",
    "date_invalid",
    "content_type_invalid",
    "charset_unknown",
    "charset_missing",
    "charset_broken",
    "nul_replaced",
    "surrogate_replaced",
    "transfer_encoding_unknown",
    "base64_broken",
    "base64_trailing_data",
    "uuencode_broken",
    "multipart_without_boundary",
    "multipart_boundary_guessed",
    "multipart_without_parts",
    "multipart_unclosed",
    "nesting_limit",
    "part_limit",
    "delimiter_limit",
    "uuencode_limit",
    "report_limit",
    "html_unclosed",
    "html_limit",
    "mime_refused",
    "parser_failed",
    "parse_time_exceeded",
    "payload_limit",
]

DEFECTS: tuple[str, ...] = get_args(Defect)

MEANINGS: dict[str, str] = {
    "empty": "The mail has no bytes.",
    "cr_only_line_ends": "Lines end with CR alone.",
    "byte_order_mark": "A byte order mark precedes the header.",
    "mbox_line": "An mbox separator line (`From `) stands in the header.",
    "header_malformed": "A line in the header is no field and was passed over.",
    "header_body_separator_missing": "No empty line separates header and body.",
    "header_without_end": "The mail ends within its header.",
    "header_duplicate": "A field that may stand once is there more than once; the first counts.",
    "header_8bit": "A field holds bytes that are neither ASCII nor UTF-8; the charset was guessed.",
    "header_limit": "There are more fields than are read.",
    "header_too_long": "A field is too long to be decoded and is listed as it came.",
    "encoded_word_broken": "An RFC 2047 word could not be decoded cleanly.",
    "encoded_word_limit": "There are more RFC 2047 words than are decoded.",
    "parameter_limit": "A Content-Type or Content-Disposition has more parameters than are read.",
    "parameter_broken": "A parameter (RFC 2231) could not be decoded cleanly.",
    "address_invalid": "An address is not of the form local@domain.",
    "address_limit": "A field has more addresses than are listed.",
    "message_id_invalid": "Message-ID is not of the form <left@right>.",
    "reference_limit": "References has more ids than are listed.",
    "date_invalid": "Date cannot be read.",
    "content_type_invalid": "A Content-Type cannot be read; text/plain was assumed.",
    "charset_unknown": "A charset is not known; the text was decoded as a guess.",
    "charset_missing": "Text that is not ASCII names no charset; the text was decoded as a guess.",
    "charset_broken": "Text does not fit its charset.",
    "nul_replaced": "NUL characters were replaced by U+FFFD.",
    "surrogate_replaced": "Lone surrogates were replaced by U+FFFD.",
    "transfer_encoding_unknown": "A Content-Transfer-Encoding is not known; the bytes were taken as they are.",
    "base64_broken": "Base64 has wrong characters or a wrong length; what could be decoded was.",
    "base64_trailing_data": "Data follows the end of base64 and was left out of the decoded part.",
    "uuencode_broken": "A uuencoded part has broken lines; what could be decoded was.",
    "multipart_without_boundary": "A multipart names no boundary; its body is shown as text.",
    "multipart_boundary_guessed": "The boundary was taken from the body.",
    "multipart_without_parts": "The boundary of a multipart never occurs; its body is shown as text.",
    "multipart_unclosed": "A multipart is not closed: the mail may have been cut off.",
    "nesting_limit": "A multipart lies too deep and is carried as an attachment.",
    "part_limit": "There are too many parts; the rest is carried as one attachment.",
    "delimiter_limit": "There are too many lines like boundaries; the rest belongs to the part that was open.",
    "uuencode_limit": "A text holds more uuencoded files than are listed as attachments.",
    "report_limit": "A report is longer, or has more recipients, than is read.",
    "html_unclosed": "HTML ends inside a tag, comment or script; a comment or script is not in `text`.",
    "html_limit": "The HTML is longer than is turned into text; `text` ends before it, `html` is whole.",
    "mime_refused": "Exchange made no MIME of this mail; the payload is made from its properties, without raw.",
    "parser_failed": "Reading the MIME failed as a whole; only the raw bytes are of use.",
    "parse_time_exceeded": "Reading the MIME took longer than one mail may take; only the raw bytes are of use.",
    "payload_limit": "Text, HTML and headers alone are larger than the broker carries; only the raw bytes are of use.",
}


class Defects:
    """Collects codes, each once, in the order in which they were first seen."""

    __slots__ = ("_codes",)

    def __init__(self) -> None:
        self._codes: dict[Defect, None] = {}

    def add(self, code: Defect) -> None:
        """Note one; a repetition changes nothing."""
        self._codes[code] = None

    def codes(self) -> tuple[Defect, ...]:
        """Return what was noted."""
        return tuple(self._codes)
