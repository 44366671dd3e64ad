"""What names people is replaced, and nothing is fetched for it."""

import socket
from collections import Counter

import pytest

from annotations.anonymise import Anonymiser
from annotations.anonymise_beside import AnonymiserBeside
from annotations.gate import Gate, GateSettings
from annotations.texts import changed


@pytest.fixture(scope="module")
def anonymiser() -> Anonymiser:
    return Anonymiser()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to ann.lee@example.org today.", "EMAIL_ADDRESS"),
        ("Call +1 212-555-0199 after six.", "PHONE_NUMBER"),
        ("Pay with 4111 1111 1111 1111.", "CREDIT_CARD"),
        ("Send it to DE89370400440532013000, please.", "IBAN_CODE"),
        ("The server is 192.168.17.4.", "IP_ADDRESS"),
    ],
)
def test_what_names_somebody_is_replaced_by_what_it_is(anonymiser: Anonymiser, text: str, kind: str) -> None:
    before = anonymiser.replaced[kind]
    assert f"<{kind}>" in anonymiser.text(text)
    assert anonymiser.replaced[kind] == before + 1


@pytest.mark.parametrize(
    "text", ["Paris has been the capital since 987.", "2 + 2 = 4", "See https://example.org/page", "4111 1111 1111 1112", ""]
)
def test_what_names_nobody_stays(anonymiser: Anonymiser, text: str) -> None:
    assert anonymiser.text(text) == text


def test_the_report_says_where_names_of_people_stay(anonymiser: Anonymiser) -> None:
    assert "names of people stay" in anonymiser.how or "en_core_web" in anonymiser.how


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("somebody tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert Anonymiser().text("ann@some.example.co.uk") == "<EMAIL_ADDRESS>"


def test_the_gate_replaces_names_on_lines_as_it_does_in_documents() -> None:
    gate = Gate(GateSettings(anonymise=True))
    one = gate.line(b'{"prompt": "Who?", "answer": "ann@example.org", "reward": 1, "more": 1}', "here")
    assert one is not None
    assert one.document() == {"prompt": "Who?", "answer": "<EMAIL_ADDRESS>", "reward": 1, "more": 1}
    report = gate.report()
    assert report.anonymised is not None and report.anonymised.replaced == {"EMAIL_ADDRESS": 1}
    assert gate.line(b"{", "there") is None


@pytest.mark.parametrize(
    "text", ["Settled in 1681, it is a city.", "Avogadro's number is 6.02214076 times ten to the 23rd.", "He was born in 1912."]
)
def test_years_and_decimals_are_no_telephone_numbers(anonymiser: Anonymiser, text: str) -> None:
    assert anonymiser.text(text) == text


@pytest.mark.parametrize(
    "number",
    ["212.555.0142", "2125550142", "+49 30 901820", "030 901820", "01 42 68 53 00", "98765 43210", "(11) 91234-5678"],
)
def test_telephone_numbers_are_found_however_they_are_written(anonymiser: Anonymiser, number: str) -> None:
    assert anonymiser.text(f"Call {number} now.") == "Call <PHONE_NUMBER> now."


@pytest.mark.full
def test_a_process_beside_replaces_the_same_and_says_when_it_has_ended(anonymiser: Anonymiser) -> None:
    with AnonymiserBeside() as beside:
        for text in ("Write to ann@example.org\nor to 192.168.17.4.", "Nobody – at all.", ""):
            assert beside.text(text) == anonymiser.text(text)
        assert (beside.how, beside.replaced) == (anonymiser.how, {"EMAIL_ADDRESS": 1, "IP_ADDRESS": 1})
    with pytest.raises((ChildProcessError, ValueError)):
        beside.text("once more")


def test_what_a_lead_noted_and_what_an_answer_was_taken_apart_into_is_changed_and_names_of_models_stay() -> None:
    told = {
        "answer": "x", "decomposition": {"claims": [{"text": "x", "true": True}]}, "turns": [{"answer": "x", "critique": "x"}],
        "metadata": {"gold_note": "x", "source_ai": "x", "raters": ["x"]}, "entity": "x",
    }  # fmt: skip
    assert changed(told, Crossing()) == {
        "answer": "-", "decomposition": {"claims": [{"text": "-", "true": True}]}, "turns": [{"answer": "-", "critique": "-"}],
        "metadata": {"gold_note": "-", "source_ai": "x", "raters": ["x"]}, "entity": "x",
    }  # fmt: skip


class Crossing:
    how = "by crossing out"

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()

    def text(self, text: str) -> str:
        return "-"
