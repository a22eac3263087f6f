"""The published schema of notifications, and the strict one that ours have to meet."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FILE = Path(__file__).parents[2] / "relay/codec/schemas/notification.json"
SCHEMA = json.loads(FILE.read_text())


def _closed(schema: Any) -> Any:
    """The schema with no member allowed that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


_CLOSED = _closed(SCHEMA)
OPEN = Draft202012Validator(SCHEMA)
STRICT = Draft202012Validator(_CLOSED)


def of_kind(said: dict[str, Any]) -> Draft202012Validator:
    """The strict schema of the kind that an object says it is: quicker than that of all."""
    form = "notificationType" if "notificationType" in said else "eventType"
    kind = said[form].replace(" ", "")
    name = f"{kind[0].lower()}{kind[1:]}{form.removesuffix('Type').capitalize()}"
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _CLOSED["$defs"]})
