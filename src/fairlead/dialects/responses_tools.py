"""Tools of the Responses format, out of a request and back into an answer.

Three kinds can be offered to every model, whatever its provider speaks:

- `function` tools as they are; the chat format's nested spelling is understood too;
- `custom` tools, whose input is free text, as functions with one text parameter, `input`;
- the tools of a `namespace`, under the name `<namespace>__<tool>`.

An answer calls the last two by names that we gave them: `CallForm` says how its caller knows them. Tools
that a provider would run itself (web search, code interpreter, remote MCP servers and the like) are left
out: coding agents offer them to every model, so they are no reason to refuse a call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from fairlead.core.chat import ABSENT, Function, NamedFunction, NamedTool, Tool
from fairlead.dialects.reading import wrong, wrong_type

__all__ = ["CallForm", "RawTools", "call_forms", "custom_arguments", "qualified_name", "read_tools"]

TOOL_NAME_CHARACTERS_MAX: Final = 64

RawTools = Iterable[tuple[str, msgspec.Raw]]  # (path, tool as written)


class CallForm(msgspec.Struct, frozen=True):
    """How the caller knows a tool that we offer under a name of ours."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class _Kind(msgspec.Struct, frozen=True):
    type: str


class _Nested(msgspec.Struct, frozen=True):
    """A function in the spelling of the chat format."""

    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class _FunctionTool(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None
    function: _Nested | None = None


class _Grammar(msgspec.Struct, frozen=True):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class _CustomTool(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    format: _Grammar | None = None


class _NamespaceTool(msgspec.Struct, frozen=True):
    name: str
    tools: list[msgspec.Raw]
    description: str | None = None


class _ChosenFunction(msgspec.Struct, frozen=True):
    name: str


class _Choice(msgspec.Struct, frozen=True):
    """`tool_choice` as an object. mode, tools: of the type `allowed_tools`."""

    type: str
    name: str | None = None
    namespace: str | None = None
    function: _ChosenFunction | None = None
    mode: str | None = None
    tools: list[_Choice] | None = None


_read_kind: Final = msgspec.json.Decoder(_Kind).decode
_read_function: Final = msgspec.json.Decoder(_FunctionTool).decode
_read_custom: Final = msgspec.json.Decoder(_CustomTool).decode
_read_namespace: Final = msgspec.json.Decoder(_NamespaceTool).decode
_read_choice: Final = msgspec.json.Decoder(str | _Choice).decode
_encode: Final = msgspec.json.Encoder().encode

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MODES: Final = ("auto", "none", "required")
_CUSTOM_PARAMETERS: Final = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the '
    b'tool, as plain text."}},"required":["input"],"additionalProperties":false}'
)


def qualified_name(name: str, namespace: str | None) -> str:
    """The name under which a model knows a tool. It fits the bound, its end is what tells tools apart."""
    if not namespace:
        return name
    joined = _NOT_IN_A_NAME.sub("_", f"{namespace.rstrip('_')}__{name}")
    return joined[-TOOL_NAME_CHARACTERS_MAX:]


def custom_arguments(text: str) -> str:
    """The input of a custom tool as the arguments of the function that stands for it."""
    return _encode({"input": text}).decode()


def read_tools(raw_tools: RawTools) -> tuple[list[Tool], Mapping[str, CallForm]]:
    """(tools to offer, the caller's form of those that have a name of ours).

    Raises RequestInvalid with the path of the first field that is wrong.
    """
    tools: list[Tool] = []
    forms: dict[str, CallForm] = {}
    for path, raw in raw_tools:
        _read_tool(path, raw, None, tools, forms)
    return tools, forms


def _read_tool(
    path: str,
    raw: msgspec.Raw,
    namespace: str | None,
    tools: list[Tool],
    forms: dict[str, CallForm],
) -> None:
    try:
        match _read_kind(raw).type:
            case "function":
                function = _function(path, _read_function(raw), namespace)
                if namespace:
                    name = _read_function(raw).name or function.name
                    forms[function.name] = CallForm(name, namespace)
            case "custom":
                function, form = _custom(path, _read_custom(raw), namespace)
                forms[function.name] = form
            case "namespace" if namespace is None:
                inside = _read_namespace(raw)
                for position, inner in enumerate(inside.tools):
                    _read_tool(f"{path}.tools[{position}]", inner, inside.name, tools, forms)
                return
            case _:
                return
    except msgspec.ValidationError as error:
        raise wrong_type(error, path) from None
    tools.append(Tool(type="function", function=function))


def _function(path: str, tool: _FunctionTool, namespace: str | None) -> Function:
    nested = tool.function or _Nested()
    name = tool.name or nested.name
    if not name or len(name) > TOOL_NAME_CHARACTERS_MAX:
        raise wrong(f"{path}.name", f"must have 1 to {TOOL_NAME_CHARACTERS_MAX} characters")
    parameters = tool.parameters if tool.parameters != ABSENT else nested.parameters
    first = bytes(memoryview(parameters)[:1])
    if first not in (b"", b"{", b"n"):
        raise wrong(f"{path}.parameters", "must be a JSON schema, an object")
    strict = tool.strict if tool.strict is not None else nested.strict
    return Function(
        name=qualified_name(name, namespace),
        description=tool.description or nested.description,
        parameters=parameters if first == b"{" else ABSENT,
        strict=strict,
    )


def _custom(path: str, tool: _CustomTool, namespace: str | None) -> tuple[Function, CallForm]:
    if not 0 < len(tool.name) <= TOOL_NAME_CHARACTERS_MAX:
        raise wrong(f"{path}.name", f"must have 1 to {TOOL_NAME_CHARACTERS_MAX} characters")
    told = [tool.description] if tool.description else []
    grammar = tool.format
    if grammar is not None and grammar.definition:
        told.append(f"The input follows this grammar ({grammar.syntax}):\n{grammar.definition}")
    function = Function(
        name=qualified_name(tool.name, namespace),
        description="\n\n".join(told) or None,
        parameters=_CUSTOM_PARAMETERS,
    )
    return function, CallForm(tool.name, namespace, is_custom=True)


# --- the choice among them ----------------------------------------------------------------------------


def read_tool_choice(
    raw: msgspec.Raw, tools: list[Tool]
) -> tuple[str | NamedTool | None, list[Tool]]:
    """(the choice in our vocabulary, the tools that it leaves).

    A choice of a tool that was left out is none. Raises RequestInvalid.
    """
    try:
        choice = _read_choice(raw)
    except msgspec.ValidationError as error:
        raise wrong_type(error, "tool_choice") from None
    if isinstance(choice, str):
        if choice not in _MODES:
            raise wrong("tool_choice", f"must be one of {', '.join(_MODES)}, or an object")
        return (choice if tools else None), tools
    names = {tool.function.name for tool in tools if tool.function is not None}
    if choice.type == "allowed_tools":
        if choice.mode not in ("auto", "required"):
            raise wrong("tool_choice.mode", "must be auto or required")
        allowed = {_chosen_name(inner) for inner in choice.tools or ()}
        left = [tool for tool in tools if tool.function and tool.function.name in allowed]
        return (choice.mode if left else None), left
    if choice.type not in ("function", "custom"):
        return None, tools
    name = _chosen_name(choice)
    if not name:
        raise wrong("tool_choice.name", "is required")
    if name not in names:
        raise wrong("tool_choice.name", f"must name one of `tools`; {name[:80]!r} is none of them")
    return NamedTool(type="function", function=NamedFunction(name)), tools


def _chosen_name(choice: _Choice) -> str:
    name = choice.name or (choice.function.name if choice.function is not None else "")
    return qualified_name(name, choice.namespace) if name else ""


# --- for the answer -----------------------------------------------------------------------------------


class _ToolsInside(msgspec.Struct, frozen=True):
    type: str | None = None
    tools: list[msgspec.Raw] | None = None


_read_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_tools_inside: Final = msgspec.json.Decoder(_ToolsInside).decode


def call_forms(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, CallForm]:
    """The forms of all tools that a request offers. fields: of a request that was read before."""
    found: list[tuple[str, msgspec.Raw]] = []
    tools = fields.get("tools")
    if tools is not None and _may_need_forms(tools):
        found += (("tools", raw) for raw in _read_raw_list(tools))
    history = fields.get("input")
    if history is not None and b'"tools"' in memoryview(history).tobytes():
        for item in _read_raw_list(history) if bytes(memoryview(history)[:1]) == b"[" else ():
            if b'"tools"' in memoryview(item).tobytes():
                found += (("input", raw) for raw in _read_tools_inside(item).tools or ())
    return read_tools(found)[1]


def _may_need_forms(tools: msgspec.Raw) -> bool:
    written = memoryview(tools).tobytes()
    return written != b"null" and (b"custom" in written or b"namespace" in written)
