"""The published JSON Schemas against the code that derives them."""

from importlib.resources import files

from jsonschema import Draft202012Validator

from sgf_pipeline.domain.json_schemas import label_schema, published, transaction_schema
from sgf_pipeline.domain.schema import FEATURES, FIELDS, LABELS


def test_the_published_files_are_what_the_code_derives():
    """Guards against files that lag behind a column. Made anew by: python -m sgf_pipeline.domain.json_schemas."""
    folder = files("sgf_pipeline.domain.json_schemas")
    there = {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".json")}
    assert there == published()


def test_the_schemas_are_schemas_and_part_the_truth_from_the_rest():
    """Guards against a label that a consumer of transactions is promised, or a file no validator takes."""
    for schema in (transaction_schema(), label_schema()):
        Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
    assert tuple(transaction_schema()["properties"]) == FEATURES
    assert tuple(label_schema()["properties"]) == ("transaction_id", *LABELS)


def test_a_null_a_wrong_word_and_a_time_without_zone_are_invalid():
    """Guards against a schema so wide that it proves nothing."""
    texts = {"transaction_id": "txn_1", "event_time": "2025-01-01T00:00:00.000000Z", "currency": "EUR"}
    numbers = {"amount": 1.0, "account_age_days": 3, "prior_disputes": 0}
    good = {
        field.name: None if field.nullable else texts.get(field.name, (field.words or ("x",))[0])
        for field in FIELDS
        if field.name in FEATURES
    } | numbers
    schema = Draft202012Validator(transaction_schema())
    assert schema.is_valid(good)
    assert not schema.is_valid({**good, "account_id": None})
    assert not schema.is_valid({**good, "channel": "telepathy"})
    assert not schema.is_valid({**good, "event_time": "2025-01-01T00:00:00"})
    assert not schema.is_valid({**good, "amount": "1.0"})
    assert not schema.is_valid({name: value for name, value in good.items() if name != "card_id"})
