"""The schemas of ``config/schemas``: one tree without references, its defaults, and its verdicts in plain words.

Beside the keywords of JSON Schema 2020-12 the schemas carry annotations of our own: ``x-unit``, ``x-absent`` (what
holds if a key without default is left out), ``x-allowed`` (a pattern in words), ``x-used-with``, ``x-names``,
``x-images``, ``x-total``, ``x-pools`` and ``x-needs-images`` (see :mod:`lazyrich.configuration_checks`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from lazyrich.configuration_errors import KeyPath, close_match, nearest, show, unknown
from lazyrich.yaml_source import read

#: Names of datasets, papers and experiments are parts of paths, which stay short enough for every file system.
NAME = {
    "pattern": "^[a-z][a-z0-9_]*$",
    "maxLength": 60,
    "x-allowed": "at most 60 lower-case letters, digits and underscores, the first a letter",
}


class Schemas:
    """All schemas of a folder, references resolved: ``schemas["model"]`` is ``model.yaml``; ``schemas.root`` the
    whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, dict] = {}
        whole = self["globals"]
        named = {"type": "object", "propertyNames": NAME}
        self.root = {
            **whole,
            "properties": {
                **whole["properties"],
                "datasets": {**named, "additionalProperties": self["dataset"]},
                "papers": {**named, "additionalProperties": self["paper"]},
                "experiments": {**named, "additionalProperties": self["experiment"]},
            },
        }

    def __getitem__(self, name: str) -> dict:
        if name not in self._read:
            content: Any = read(self._folder / f"{name}.yaml", f"config/schemas/{name}.yaml")[0]
            self._read[name] = self._resolve({key: value for key, value in content.items() if key != "$schema"})
        return self._read[name]

    def _resolve(self, node: Any) -> Any:
        """``node`` with each ``$ref: other.yaml`` replaced by that schema; keywords beside the reference win."""
        if isinstance(node, list):
            return [self._resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        beside = {key: self._resolve(value) for key, value in node.items() if key != "$ref"}
        return {**self[node["$ref"].removesuffix(".yaml")], **beside} if isinstance(node.get("$ref"), str) else beside


def branches(schema: Mapping) -> Iterator[tuple[str, str, Mapping]]:
    """The alternatives of a schema: key, the value of it that chooses the branch, and what the branch adds."""
    for part in schema.get("allOf", ()):
        ((key, condition),) = part["if"]["properties"].items()
        yield key, condition["const"], part["then"]


def branch(schema: Mapping, value: Mapping) -> Mapping:
    """The branch that ``value`` chooses, or an empty one."""
    return next((added for key, choice, added in branches(schema) if value.get(key) == choice), {})


def properties(schema: Mapping, value: object) -> dict[str, Mapping]:
    """The keys that ``schema`` allows in ``value`` by name, those of the branch it chooses included."""
    chosen = branch(schema, value) if isinstance(value, Mapping) else {}
    return {**schema.get("properties", {}), **chosen.get("properties", {})}


def child(schema: Mapping, value: object, key: str | int) -> Mapping:
    """The schema of ``value[key]``; empty if there is none."""
    if isinstance(key, int):
        return schema.get("items", {})
    other = schema.get("additionalProperties")
    return properties(schema, value).get(key, other if isinstance(other, Mapping) else {})


def complete(schema: Mapping, value: Any) -> Any:
    """A copy of ``value`` in canonical form: defaults filled in, ``10.0`` as ``10`` where an integer is meant, and the
    truth value ``true`` as the word where ``true`` is one of several words."""
    if isinstance(value, Mapping):
        filled = {key: complete(child(schema, value, key), item) for key, item in value.items()}
        for key, part in properties(schema, value).items():
            if key not in filled and "default" in part:
                filled[key] = complete(part, part["default"])
        return filled
    if isinstance(value, list):
        return [complete(schema.get("items", {}), item) for item in value]
    if isinstance(value, float) and value.is_integer() and _takes_integer(schema):
        return int(value)
    return "true" if value is True and "true" in schema.get("enum", ()) else value


def _takes_integer(schema: Mapping) -> bool:
    kinds = schema.get("type", ())
    return "integer" in ([kinds] if isinstance(kinds, str) else kinds) or any(
        map(_takes_integer, schema.get("anyOf", ()))
    )


def mistakes(schema: Mapping, value: object) -> Iterator[tuple[KeyPath, str]]:
    """Path and description of everything in ``value`` that ``schema`` forbids."""
    for error in Draft202012Validator(schema).iter_errors(value):
        yield from _translate(error)


def _translate(error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    path: KeyPath = tuple(error.absolute_path)
    value, schema = error.instance, error.schema
    if "propertyNames" in error.absolute_schema_path:
        yield (*path, value), f"the name {show(value)} is not allowed; allowed: {allowed(schema)}"
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        # A branch with a wrong value counts as not evaluated: only keys that are truly unknown are reported here, and
        # none while no branch is chosen, for then the key that chooses it is the mistake.
        known = properties(schema, value)
        chosen = not schema.get("allOf") or branch(schema, value)
        for key in value:
            if chosen and key not in known:
                yield (*path, key), unknown("key", key, known)
    elif error.validator == "required":
        # A key that is merely misspelt is reported as such, not as missing too.
        known = properties(schema, value)
        misspelt = {match for key in value if key not in known for match in close_match(key, known)}
        for key in error.validator_value:
            if key not in value and key not in misspelt:
                yield path, f"the key {key!r} is missing ({allowed(schema.get('properties', {}).get(key, {}))})"
    else:
        words = [choice for choice in schema.get("enum", ()) if isinstance(choice, str)]
        hint = nearest(value, words) if isinstance(value, str) else ""
        if not hint and isinstance(value, str) and _is_number(value) and not schema.get("pattern"):
            hint = " (a number stands without quotes);"
        yield path, f"{show(value)} is not allowed{hint or ';'} allowed: {allowed(schema)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def allowed(schema: Mapping) -> str:
    """What a schema allows, in words: ``a number greater than 0 or null``."""
    if "x-allowed" in schema:
        return schema["x-allowed"]
    if "enum" in schema:
        return _or([str(choice) for choice in schema["enum"]])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return _or([allowed(part) for part in schema["anyOf"]])
    kinds = schema.get("type", "any value")
    return _or([_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _kind(kind: str, schema: Mapping) -> str:
    match kind:
        case "integer" | "number":
            return f"{'an integer' if kind == 'integer' else 'a number'}{_bounds(schema)}"
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "array":
            inner = schema.get("items", {})
            different = "different values, each " if schema.get("uniqueItems") else "values, each "
            return f"a list of {different}{allowed(inner)}"
        case "object":
            keys = ", ".join(schema.get("properties", ()))
            return f"a mapping of {keys}" if keys else "a mapping"
    return kind


def _bounds(schema: Mapping) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "greater than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    joined = " and ".join(bounds)
    return f" of {joined}" if joined.startswith("at ") else f" {joined}" if joined else ""


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
