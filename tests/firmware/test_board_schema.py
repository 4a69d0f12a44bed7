"""The JSON Schema of board files: bundled ones follow it, and mistakes that an editor can find do not."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from nca_hw.cli.boards import command
from nca_hw.formats.boards import bundled_boards, load_board, schema

SCHEMA = schema()
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "additionalProperties", "enum", "const",
    "pattern", "minimum", "maximum", "minItems", "maxItems", "prefixItems", "default",
}  # fmt: skip


def mistakes(value: Any, rule: dict[str, Any], place: str = "") -> Iterator[str]:
    """What draft 2020-12 finds, as far as the schema uses it; an unknown keyword fails."""
    assert set(rule) <= KNOWN, set(rule) - KNOWN
    if "$ref" in rule:
        yield from mistakes(value, SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")], place)
        return
    if not isinstance(value, TYPES[rule["type"]]) or isinstance(value, bool) != (rule["type"] == "boolean"):
        yield f"{place} is no {rule['type']}"
        return
    if value not in rule.get("enum", [value]) or value != rule.get("const", value):
        yield f"{place} is none of the allowed"
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        yield f"{place} does not match"
    if isinstance(value, (int, float)) and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        yield f"{place} is out of range"
    if isinstance(value, list):
        if not rule["minItems"] <= len(value) <= rule["maxItems"]:
            yield f"{place} has the wrong length"
        for item, of_item in zip(value, rule["prefixItems"], strict=False):
            yield from mistakes(item, of_item, f"{place}[]")
    if isinstance(value, dict):
        yield from (f"{place}.{key} is missing" for key in rule.get("required", ()) if key not in value)
        assert rule["additionalProperties"] is False
        yield from (f"{place}.{key} is unknown" for key in value if key not in rule["properties"])
        for key in value.keys() & rule["properties"].keys():
            yield from mistakes(value[key], rule["properties"][key], f"{place}.{key}")


@pytest.mark.parametrize("name", bundled_boards())
def test_bundled_boards_follow_the_schema(name: str) -> None:
    assert list(mistakes(tomllib.loads(bundled_boards()[name].read_text()), SCHEMA)) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('family = "rp2040"', 'family = "rp2400"', [".family is none of the allowed"]),
        ("brightness = 64", "brightnes = 64", [".led.brightness is missing", ".led.brightnes is unknown"]),
        ("brightness = 64", "brightness = 257", [".led.brightness is out of range"]),
        ('north = ["GP2", "GP3"]', 'north = ["GP2"]', [".edges.north has the wrong length"]),
        ('pin = "GP19"', "pin = 19", [".led.pin is no string"]),
        ('title = "', 'name = "x"\ntitle = "', [".name is unknown"]),
    ],
)
def test_mistakes_do_not_follow_it(old: str, new: str, found: list[str]) -> None:
    text = bundled_boards()["rp2040"].read_text()
    assert old in text
    assert list(mistakes(tomllib.loads(text.replace(old, new, 1)), SCHEMA)) == found


def test_every_table_and_field_of_a_board_is_in_it() -> None:
    dumped = load_board("rp2040").model_dump()
    assert set(SCHEMA["properties"]) == set(dumped) - {"name"}


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(command, ["--schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == SCHEMA
