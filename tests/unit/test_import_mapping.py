"""What a row becomes by the options of an import."""

import msgspec
import pytest

from app.transfer.import_mapping import GrantMapping, MappingOptions
from app.transfer.source_row import SourceRow, value_at


def test_rows_without_a_value_are_left_out_and_still_named() -> None:
    mapping = GrantMapping(MappingOptions(namespace="n", template="{id}", skip_empty=("amount",)))
    cells = [("1", "5"), ("2", ""), ("3", "0")]
    rows = [SourceRow(i, {"id": id_, "user_id": "u", "amount": amount}, b"") for i, (id_, amount) in enumerate(cells)]
    rows += [SourceRow(9, {"id": msgspec.Raw(b'"4"'), "amount": msgspec.Raw(text)}, b"") for text in (b"null", b'""')]
    assert [(mapping.grant(row) is None, mapping.grant_id) for row in rows] == [
        (False, "1"),
        (True, "2"),
        (False, "3"),
        (True, "4"),
        (True, "4"),
    ]


def test_ids_of_rows_without_one_count_the_same_rows() -> None:
    mapping = GrantMapping(MappingOptions(namespace="n"))
    rows = [SourceRow(i, {"user_id": user, "amount": "1"}, user.encode()) for i, user in enumerate("aabab")]
    grants = [mapping.grant(row) for row in rows]
    ids = [grant.grant_id.rpartition("-")[2] for grant in grants if grant]
    assert ids == ["0", "1", "0", "2", "1"]
    assert len({grant.grant_id for grant in grants if grant}) == 5


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *((f'{{"$number{kind}": "2.5"}}', '"2.5"') for kind in ("Int", "Long", "Double", "Decimal")),
        *(('{ "$numberInt":"-5" }', '"-5"'), ("5", "5"), ('{"$numberInt": 5}', '{"$numberInt": 5}')),
        ('{"$numberInt": "5", "x": 1}', '{"$numberInt": "5", "x": 1}'),
    ],
)
def test_a_number_of_extended_json_is_a_number(text: str, plain: str) -> None:
    """One field of a collection has integers and decimals, each written in its own way."""
    fields = {"points": msgspec.Raw(text.encode()), "a": msgspec.Raw(f'{{"b": {text}}}'.encode())}
    assert [value_at(fields, name) for name in ("points", "a.b")] == 2 * [msgspec.Raw(plain.encode())]
