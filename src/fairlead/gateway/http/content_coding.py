"""Bodies that an upstream compressed although we asked it not to. Pure.

We send `accept-encoding: identity`; some servers and middleboxes compress anyway. Decoding is pulled: one
`take` gives at most `piece_bytes_max`, so a few bytes that would grow to gigabytes cost no memory beyond
one piece, and the reader's own limit on the whole body ends them.
"""

from __future__ import annotations

import zlib

__all__ = ["BodyDecoder", "BrokenCoding", "body_decoder"]

_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_RAW_DEFLATE_WBITS = -15


class BrokenCoding(ValueError):
    """The body is not what its content-encoding says, or the coding is not one we know."""


class BodyDecoder:
    """Feed what arrived; take decoded pieces until there is none; `finish` at the end of the message."""

    __slots__ = ("_coding", "_inflater", "_may_hold_more", "_pending", "_piece_bytes_max")

    def __init__(self, coding: str, piece_bytes_max: int) -> None:
        self._coding = coding
        self._piece_bytes_max = piece_bytes_max
        self._pending = b""
        self._may_hold_more = False
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> None:
        """Hand over undecoded bytes. Call only when `take` has returned nothing."""
        self._pending += data

    def take(self) -> bytes:
        """The next decoded bytes, at most `piece_bytes_max`; b"" if more input is needed.

        Raises BrokenCoding.
        """
        while self._pending or self._may_hold_more:
            inflater = self._inflater or self._start()
            if inflater is None:
                return b""
            try:
                piece = inflater.decompress(self._pending, self._piece_bytes_max)
            except zlib.error:
                raise BrokenCoding(f"the body is not valid {self._coding}") from None
            self._pending = inflater.unconsumed_tail
            self._may_hold_more = not inflater.eof and len(piece) == self._piece_bytes_max
            if inflater.unused_data:
                if self._coding != "gzip":
                    raise BrokenCoding("bytes follow the end of the compressed body")
                self._pending = inflater.unused_data  # the next member, RFC 1952, 2.2
                self._inflater = zlib.decompressobj(_GZIP_WBITS)
            if piece:
                return piece
        return b""

    def finish(self) -> None:
        """The message has ended and everything was taken. Raises BrokenCoding if the coding had not ended."""
        if self._pending or (self._inflater is not None and not self._inflater.eof):
            raise BrokenCoding(f"the {self._coding} body was cut short")

    def _start(self) -> zlib._Decompress | None:
        """The inflater, chosen at the first bytes; None if there are too few to choose.

        HTTP's deflate is zlib's format (RFC 9110, 8.4.1.2), but some servers send the bare stream.
        """
        if self._coding == "gzip":
            wbits = _GZIP_WBITS
        elif self._coding != "deflate":
            raise BrokenCoding("the answer is compressed in a way that was not asked for")
        elif len(self._pending) < 2:
            return None
        else:
            first, second = self._pending[0], self._pending[1]
            is_zlib = first & 0x0F == 8 and (first << 8 | second) % 31 == 0
            wbits = _ZLIB_WBITS if is_zlib else _RAW_DEFLATE_WBITS
        self._inflater = zlib.decompressobj(wbits)
        return self._inflater


def body_decoder(content_encoding: str, piece_bytes_max: int) -> BodyDecoder | None:
    """The decoder for a `content-encoding` value; None if the body is as it is.

    A coding that we do not know gives a decoder that refuses the body, so that status and headers of the
    answer can still be read.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    return BodyDecoder(coding.removeprefix("x-"), piece_bytes_max)
