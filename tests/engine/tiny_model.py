"""Writes a language model so small that any machine serves it: llama's architecture, random weights, 600 KB.

    .tools/engine/bin/python tests/engine/tiny_model.py tiny.gguf

Runs in the engine's environment. The same seed gives the same bytes. The model has nothing to say, yet
everything that a server does with a model it does with this one: tokenize, fill a chat template, sample,
constrain by a grammar, count.

The vocabulary is made here: three marks, the 256 bytes, the printable characters of ASCII, and syllables with
and without a blank before them. Marks and bytes have weights of zero at the output, so that the likeliest token
is always text: a greedy answer ends only where its caller ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGUFWriter, TokenType

SEED: Final = 20_260_101
CONTEXT_TOKENS: Final = 16_384
EMBEDDING: Final = 64
FEED_FORWARD: Final = 128
HEADS: Final = 4
LAYERS: Final = 2
END_TOKEN: Final = 2
BLANK: Final = "\N{LOWER ONE EIGHTH BLOCK}"  # how this kind of vocabulary writes a blank
CHAT_TEMPLATE: Final = (
    "{% if tools %}tools: {{ tools | tojson }}\n{% endif %}"
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def vocabulary() -> Iterator[tuple[str, float, TokenType]]:
    """Text, score and kind of each token. The higher the score, the sooner its two halves are joined."""
    yield "<unk>", 0.0, TokenType.UNKNOWN
    yield "<s>", 0.0, TokenType.CONTROL
    yield "</s>", 0.0, TokenType.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", 0.0, TokenType.BYTE
    texts = [BLANK, *map(chr, range(ord("!"), ord("~") + 1))]
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvw" for vowel in "aeiou"]
    for rank, text in enumerate([*texts, *syllables, *(BLANK + text for text in syllables)]):
        yield text, -float(rank), TokenType.NORMAL


def write(path: Path) -> None:
    texts, scores, kinds = zip(*vocabulary(), strict=True)
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END_TOKEN)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)

    random = np.random.default_rng(SEED)

    def weights(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))

    ones = np.ones(EMBEDDING, dtype=np.float32)
    output = weights(len(texts), EMBEDDING)
    output[[kind is not TokenType.NORMAL for kind in kinds]] = 0
    writer.add_tensor("token_embd.weight", weights(len(texts), EMBEDDING))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", weights(EMBEDDING, EMBEDDING))
        writer.add_tensor(f"{block}.ffn_norm.weight", ones)
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}.{name}.weight", weights(FEED_FORWARD, EMBEDDING))
        writer.add_tensor(f"{block}.ffn_down.weight", weights(EMBEDDING, FEED_FORWARD))
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
