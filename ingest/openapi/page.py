"""The document as one page to read: no script, nothing from anywhere else."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
:root{color-scheme:light dark;--line:light-dark(#d9dce1,#3a3f47);--soft:light-dark(#f5f6f8,#20242a);
--dim:light-dark(#5b6470,#9aa4b1);--get:#1769aa;--post:#1b7f4d;--put:#a15c00;--other:#6b7280}
body{font:16px/1.55 system-ui,sans-serif;margin:0;background:light-dark(#fff,#16191d)}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 6rem}h1{margin:0 0 .25rem;font-size:2rem}
h2{margin:2.5rem 0 .75rem;font-size:1.3rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h4{margin:1rem 0 .25rem;font-size:.95rem}p{margin:.4rem 0}nav a{display:inline-block;margin-right:1rem}
a{color:inherit}
code{font:.9em ui-monospace,monospace;background:var(--soft);padding:.05em .3em;border-radius:.25rem;
overflow-wrap:anywhere}details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0}
summary{cursor:pointer;padding:.5rem .75rem;display:flex;gap:.75rem;align-items:baseline;flex-wrap:wrap}
details>div{padding:.25rem .9rem 1rem;border-top:1px solid var(--line)}
.m{font:700 .8rem ui-monospace,monospace;color:#fff;border-radius:.25rem;padding:.15rem .45rem;
min-width:3.6rem;text-align:center}.get{background:var(--get)}.post{background:var(--post)}
.put{background:var(--put)}.options{background:var(--other)}.dim{color:var(--dim)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}
td:first-child{white-space:nowrap}
""".strip()
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
CODE = re.compile(r"``(.+?)``|`(.+?)`")
METHODS = ("get", "post", "put", "options")
"""HEAD goes without saying where there is a GET."""


def page(document: dict[str, Any]) -> str:
    """The HTML of an OpenAPI document."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}: HTTP interface</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])}</h1><p class=dim>HTTP interface, version {escape(info['version'])}. "
        'For programs: <a href="/openapi.json">/openapi.json</a></p>'
        f"{''.join(body(document))}</main></body></html>\n"
    )


def body(document: dict[str, Any]) -> Iterator[str]:
    yield prose(document["info"]["description"])
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                by_tag.setdefault(methods[method]["tags"][0], []).append((path, method, methods[method]))
    tags = [*by_tag, "Schemas"]
    yield "<nav>" + "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in tags) + "</nav>"
    for tag, operations in by_tag.items():
        yield f'<h2 id="{escape(tag)}">{escape(tag)}</h2>'
        for path, method, operation in operations:
            yield from one_operation(path, method, operation)
    yield '<h2 id="Schemas">Schemas</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
        yield from one_schema(schema)
        yield "</div></details>"


def one_operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><span class="m {method}">{method.upper()}</span>'
    yield f"<code>{escape(path)}</code><span class=dim>{escape(operation['summary'])}</span></summary><div>"
    yield prose(operation["description"])
    if found := operation.get("parameters"):
        rows = [(each["name"], f"{each['in']}{', required' if each['required'] else ''}", each) for each in found]
        table = ((f"<code>{escape(n)}</code>", w, inline(p["description"]), shape(p["schema"])) for n, w, p in rows)
        yield f"<h4>Parameters</h4>{made_table(table)}"
    if request := operation.get("requestBody"):
        yield f"<h4>Body</h4><p>{inline(request['description'])}</p>{made_table(contents(request))}"
    answers = (
        (f"<code>{status}</code>", inline(each["description"]), "<br>".join(f"{a} {b}" for a, b in contents(each)))
        for status, each in sorted(operation["responses"].items())
    )
    yield f"<h4>Answers</h4>{made_table(answers)}</div></details>"


def contents(holder: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, each in holder.get("content", {}).items():
        yield f"<code>{escape(kind)}</code>", shape(each["schema"])


def one_schema(schema: dict[str, Any]) -> Iterator[str]:
    yield prose(schema.get("description", ""))
    required = schema.get("required", ())
    if fields := schema.get("properties"):
        yield made_table(
            (
                f"<code>{escape(name)}</code>",
                "required" if name in required else "",
                shape(each),
                inline(each.get("description", "")),
            )
            for name, each in fields.items()
        )
    elif "properties" not in schema:
        yield f"<p>{shape(schema)}</p>"


def shape(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(shape, schema[several])))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {shape(schema.get('items', {}))}"
    words = escape(" or ".join(kind) if isinstance(kind, list) else kind)
    if "format" in schema:
        words += f" ({escape(schema['format'])})"
    if examples := schema.get("examples"):
        words += " like " + ", ".join(f"<code>{escape(str(each))}</code>" for each in examples)
    return words


def made_table(rows: Iterator[tuple[str, ...]]) -> str:
    made = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table>{made}</table></div>" if made else ""


def prose(text: str) -> str:
    return "".join(f"<p>{inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def inline(text: str) -> str:
    return CODE.sub(lambda found: f"<code>{found[1] or found[2]}</code>", escape(text))
