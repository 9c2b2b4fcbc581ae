"""What a model is given to read, as one text: for counting, never for sending. Pure."""

from __future__ import annotations

from fairlead.core.chat import AssistantMessage, ChatBody, TextPart

__all__ = ["prompt_text"]


def prompt_text(body: ChatBody) -> str:
    """All text that the model reads: messages, tool calls and results, tool definitions."""
    pieces: list[str] = []
    for message in body.messages or ():
        content = message.content
        if isinstance(content, str):
            pieces.append(content)
        elif content is not None:
            pieces.extend(part.text for part in content if isinstance(part, TextPart))
        if isinstance(message, AssistantMessage):
            for call in message.tool_calls or ():
                if call.function is not None:
                    pieces += (call.function.name, call.function.arguments)
    if isinstance(body.prompt, str):
        pieces.append(body.prompt)
    elif body.prompt is not None:  # several prompts; those given as token numbers have no text
        pieces.extend(piece for piece in body.prompt if isinstance(piece, str))
    for tool in body.tools or ():
        if tool.function is not None:
            pieces += (tool.function.name, tool.function.description or "")
            if tool.function.parameters is not None:
                pieces.append(bytes(tool.function.parameters).decode("utf-8", "replace"))
    return "\n".join(pieces)
