"""JSON held to its schema, for files that anyone may have written: as much of JSON Schema as these schemas use."""

import math
import re
from collections.abc import Mapping
from typing import Any

LARGEST = 1e300  # of a number
KINDS: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def first_fault(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str = "it") -> str:
    """What is wrong with a document, a clause; empty where nothing is.

    Parameters
    ----------
    value
        The document, or a part of it.
    schema, root
        What it must be, and the schema whose `$defs` that refers to.
    where
        What the part is called.
    """
    if "$ref" in schema:
        return first_fault(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    if "anyOf" in schema:
        faults = [first_fault(value, each, root, where) for each in schema["anyOf"]]
        return "" if "" in faults else faults[0]
    if not any(_is(value, kind) for kind in _kinds(schema)):
        return f"{where} is not of type {' or '.join(_kinds(schema))}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, dict):
        return _fault_of_object(value, schema, root, where)
    return (
        _fault_of_list(value, schema, root, where) if isinstance(value, list) else _fault_of_one(value, schema, where)
    )


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [*KINDS, "number"])
    return [kind] if isinstance(kind, str) else kind


def _is(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) < LARGEST and (kind == "number" or value == int(value))
    return isinstance(value, KINDS[kind])


def _fault_of_object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> str:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    if absent := [name for name in schema.get("required", ()) if name not in value]:
        return f"{where} lacks {absent[0]}"
    for name, inner in value.items():
        if name not in known and rest is False:
            return f"{where} has an unknown entry {name[:60]!r}"
        if fault := first_fault(inner, known.get(name, rest), root, f"{where}.{name[:60]}"):
            return fault
    return ""


def _fault_of_list(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> str:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        return f"{where} has {len(value)} entries"
    faults = (first_fault(each, schema.get("items", {}), root, f"{where}[{i}]") for i, each in enumerate(value))
    return next(filter(None, faults), "")


def _fault_of_one(value: Any, schema: Mapping[str, Any], where: str) -> str:
    if isinstance(value, str):
        return "" if re.fullmatch(schema.get("pattern", r"(?s).*"), value) else f"{where} has another form"
    if isinstance(value, bool) or value is None:
        return ""
    inside = schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    return "" if inside and value > schema.get("exclusiveMinimum", -math.inf) else f"{where} is out of range"
