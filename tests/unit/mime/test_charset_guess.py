"""Text of which nobody says its charset, or says a wrong one."""
# ruff: noqa: RUF001 - texts in other scripts are what this is about

from __future__ import annotations

import time

import pytest

from bridge.mime import charsets, parse
from bridge.mime.charset_guess import other_script
from bridge.mime.defects import Defects

_OTHER = {
    "cp1251": ["Заявка на перевозку пациента, борт 12", "Срочно: вылет", "Да, вылет", "СРОЧНО", "ёлка и подъезд"],
    "koi8-r": ["Заявка на перевозку пациента", "Срочный вылет, борт 5"],
    "gb18030": ["紧急转运请求", "关于病人转运的通知", "患者张伟", "转运，病人：李明。"],
    "big5hkscs": ["緊急轉運請求：病人名單", "醫院通知"],
    "cp949": ["긴급 이송 요청", "환자 이송 요청이 접수되었습니다"],
    "cp932": ["緊急搬送のお知らせ", "ケツァルコアトル"],
    "euc_jis_2004": ["緊急搬送のお知らせ", "患者の搬送"],
}
_WESTERN = [
    "Für die Übergabe: Größe prüfen", "Rückruf", "Réunion à l'hôpital: été", "Señor Muñoz, mañana", "été", "å ä ö",
    "Müller <mueller@example.org>", "Bed 12 – ready", "it’s ready “now”", "temp 37°C", "cost 5 €", "Æbleø på ål",
    "Räddningstjänst Å Ä Ö", "Atenção: remoção às 9h, São João, coração", "ÄäÖöÜüÄäÖöÜü", "•••• ——— ……", "\xa0" * 60,
]  # fmt: skip


@pytest.mark.parametrize(("codec", "text"), [(codec, text) for codec, texts in _OTHER.items() for text in texts])
def test_a_raw_subject_in_another_script_is_read(codec: str, text: str) -> None:
    mail = parse(b"Subject: " + text.encode(codec) + b"\r\n\r\nbed 12\r\n")

    assert (mail.subject, mail.defects) == (text, ("header_8bit",))


@pytest.mark.parametrize("text", _WESTERN)
def test_western_text_stays_western(text: str) -> None:
    data = text.encode("cp1252")

    assert (other_script(data), charsets.guess(data)) == (None, text)
    assert charsets.decode_text(data * 20, "iso-8859-1", Defects()) == text * 20


@pytest.mark.parametrize(
    "label", ["", "; charset=utf-8", "; charset=iso-8859-1", "; charset=us-ascii", "; charset=x-no"]
)
def test_html_in_another_script_is_read_whatever_its_label_says(label: str) -> None:
    words = "<p>緊急轉運請求：病人名單</p>\r\n" * 20
    mail = parse(f"Content-Type: text/html{label}\r\n\r\n".encode() + words.encode("big5"))

    expected = words if label != "; charset=utf-8" else None
    assert expected is None or mail.html == expected
    assert {"charset_missing", "charset_broken", "charset_unknown"} & {*mail.defects}


def test_a_few_bytes_are_not_believed_more_than_a_label() -> None:
    """Of a Latin-1 text of capitals with accents alone every byte is a Cyrillic letter as well."""
    data = "ÄÖÜ ÉÈÊ ÇÑ".encode("cp1252")

    assert charsets.decode_text(data, "iso-8859-1", Defects()) == "ÄÖÜ ÉÈÊ ÇÑ"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Patient M+APw-ller, bed 12 + 3, ready +ADwAJg-!", "Patient Müller, bed 12 + 3, ready <&!"),
        (b"M+APw-ller \xfc +APY-l", "Müller ü öl"),
        (b"M+APw-ller \xc3\xbc +APY-l", "Müller ü öl"),
        (b"M+APw-ller, cut off at +APYA", "Müller, cut off at ö"),
        (b"1+-1=2, M+APw-ller +A-", "1+1=2, Müller +A-"),
    ],
)
def test_one_wrong_place_in_utf_7_leaves_the_rest_decoded(data: bytes, text: str) -> None:
    defects = Defects()

    found = charsets.decode_text(data, "utf-7", defects)

    assert found.replace("\ufffd", "") == text


def test_utf_7_that_is_right_has_no_defect() -> None:
    defects = Defects()

    assert charsets.decode_text(b"M+APw-ller 1+-1", "utf-7", defects) == "Müller 1+1"
    assert defects.codes() == ()


@pytest.mark.parametrize("unit", [b"\xff", b"+", b"+A", b"\xc4\xe0 ", b"a\xe9", b"\x81\x40", b"+AP"])
def test_the_cost_of_guessing_grows_with_the_size_alone(unit: bytes) -> None:
    def seconds(size: int) -> float:
        data = unit * (size // len(unit))
        begun = time.process_time()
        charsets.guess(data)
        charsets.decode_text(data + b"\xff", "utf-7", Defects())
        return time.process_time() - begun

    assert seconds(2_000_000) < 2.0


def test_a_guess_is_the_same_each_time() -> None:
    data = "关于病人转运的通知".encode("gb18030")

    assert {charsets.guess(data) for _ in range(20)} == {"关于病人转运的通知"}


@pytest.mark.parametrize("codec", ["cp1251", "gb18030"])
def test_a_raw_subject_is_not_read_in_the_western_charset_of_the_body(codec: str) -> None:
    subject = _OTHER[codec][0]
    head = b"Content-Type: text/plain; charset=iso-8859-1\r\nSubject: " + subject.encode(codec)

    assert parse(head + b"\r\n\r\nbed 12\r\n").subject == subject
