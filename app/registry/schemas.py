"""The JSON Schemas of the files in `registry_data/`, generated from the models so that editors can help and check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.registry.municipalities import Municipality
from app.registry.programme import Programme
from app.rules.facts import Fact
from app.rules.household import Household
from app.rules.parameters import Parameter

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODELS: dict[str, type[BaseModel]] = {
    "programme": Programme,
    "parameter": Parameter,
    "household": Household,
    "fact": Fact,
    "municipality": Municipality,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of document by file name."""
    return {f"{name}.schema.json": _schema(model) for name, model in MODELS.items()}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$schema": DIALECT, **model.model_json_schema(by_alias=True, mode="validation")}
    definitions = schema.get("$defs", {})
    if "Text" in definitions:
        # A bare string stands for a text in Japanese only, which the model reads before it validates.
        definitions["TextByLanguage"] = definitions["Text"]
        definitions["Text"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/TextByLanguage"}]}
    return schema


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as it is stored: stable order, so that a change shows as a small difference."""
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_schemas(directory: Path) -> list[Path]:
    """Write every schema into `directory/schema/` and return the files whose text changed."""
    folder = directory / "schema"
    folder.mkdir(exist_ok=True)
    changed: list[Path] = []
    for name, schema in json_schemas().items():
        path, text = folder / name, as_text(schema)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
