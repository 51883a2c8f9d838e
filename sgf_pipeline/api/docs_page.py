"""The page at ``/docs``: the OpenAPI document for people.

Belongs here: a plain page without scripts. FastAPI's own one loads its scripts from another host, which a bank's
network does not let through and which would run them on the API's origin.
"""

import json
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24}
pre{background:#f4f6f8;padding:.8rem;overflow:auto;border-radius:6px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #dde2e7}
h2{margin-top:2.5rem;border-top:1px solid #dde2e7;padding-top:1rem}code{font-size:.95em}
@media (prefers-color-scheme:dark){body{background:#15181c;color:#e4e8ec}
pre{background:#20252b}td,th,h2{border-color:#39414a}}
"""


def docs_page(document: dict[str, Any]) -> str:
    """The whole page; everything that it shows comes from the document."""
    schemas = document["components"]["schemas"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(document['info']['title'])} API</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{escape(document['info']['title'])} API</h1><p>{escape(document['info']['description'])}"
        " The same as a machine reads it: <a href=/openapi.json>/openapi.json</a>.</p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(method.upper(), path, operation, schemas))
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"<h2><code>{method} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>"]
    rows = [
        (parameter["name"], parameter["in"], parameter["schema"], parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    body = operation.get("requestBody")
    if body is not None:
        schema = _resolved(body["content"]["application/json"]["schema"], schemas)
        rows += [(name, "body", field, field.get("description", "")) for name, field in schema["properties"].items()]
        for example in schema.get("examples", ()):
            command = f"curl -X {method} http://127.0.0.1:8010{path} -H 'content-type: application/json' \\\n  -d "
            parts.append(f"<pre>{escape(command)}'{escape(json.dumps(example))}'</pre>")
    if rows:
        cells = "".join(
            f"<tr><td><code>{escape(name)}</code><td>{escape(where)}<td>{escape(_kind(schema, schemas))}"
            f"<td>{escape(said)}"
            for name, where, schema, said in rows
        )
        parts.append(f"<table><tr><th>name<th>in<th>type<th>meaning [default]{cells}</table>")
    answers = "".join(
        f"<tr><td><code>{status}</code><td>{escape(answer.get('description', ''))}"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<table><tr><th>answer<th>{answers}</table>")
    return "".join(parts)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = schemas[schema["$ref"].rsplit("/", 1)[-1]]
        return found
    return schema


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A type with its limits, in a few words."""
    schema = _resolved(schema, schemas)
    if "anyOf" in schema:
        return " or ".join(_kind(one, schemas) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'], schemas)}"
    limits = [
        f"{sign} {schema[name]}"
        for name, sign in (("minimum", "≥"), ("maximum", "≤"), ("pattern", "matches"))
        if name in schema
    ]
    return " ".join([str(schema.get("type", "anything")), *limits])
