"""JSON Web Signatures as text: strict reading, before anything is believed.

One token has exactly one spelling here.  Lenient readers take padding, stray trailing bits, duplicate names,
UTF-16 or ``NaN``, and then two programs read two different things out of one token (RFC 8725 §2.7, §3.7).
Nothing in this module verifies a signature.
"""

import binascii
import functools
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from labkit.errors import InvalidToken

__all__ = ["NotStrict", "Unverified", "decode_base64url", "decode_header", "decode_object", "peek_unverified"]

#: Objects and arrays inside one another.  A limit that RFC 8259 §9 allows; real tokens use two or three.
_DEEPEST = 64
_BASE64URL = (string.ascii_letters + string.digits + "-_").encode()
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")
#: The last character carries 2 or 4 bits that belong to no byte, and they must be zero: without this rule
#: four or sixteen spellings stand for the same bytes (RFC 4648 §3.5).  By length modulo 4; 1 cannot occur.
_LAST_CHARACTER = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
#: Linear on any text: what is inside a string is passed over once, even when the string never ends.
_BRACKET_OR_STRING = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class NotStrict(ValueError):
    """Text that a strict reader does not take; the message says where it leaves the rule."""


def is_base64url(text: str) -> bool:
    """Whether ``text`` is base64url without padding, spelled the one right way.  Spec: RFC 7515 §2."""
    if not text.isascii() or text.encode().translate(None, _BASE64URL):
        return False
    left_over = len(text) % 4
    return left_over == 0 or (left_over != 1 and text[-1] in _LAST_CHARACTER[left_over])


def decode_base64url(text: str) -> bytes:
    """The bytes behind ``text``.

    Raises:
        NotStrict: padding, white space, another alphabet, or a second spelling of the same bytes.

    Spec: RFC 7515 §2 (base64url), RFC 4648 §3.5.
    """
    if not is_base64url(text):
        raise NotStrict("not base64url without padding")
    return binascii.a2b_base64(text.encode().translate(_TO_BASE64) + b"==")


def decode_object(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``.

    Numbers beyond every range come out as infinity, so that one in a claim nobody reads does no harm.

    Raises:
        NotStrict: no UTF-8, a byte order mark, no object on top, a name twice in one object, ``NaN`` or
            ``Infinity``, half a surrogate pair, nesting beyond 64 levels, or anything after the object.

    Spec: RFC 7519 §7.2 (10), RFC 7515 §4 and §10.12, RFC 8725 §3.7.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrict("not UTF-8") from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise NotStrict(f"nested deeper than {_DEEPEST} levels")
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrict("half a surrogate pair in a string") from None
    except json.JSONDecodeError as error:
        raise NotStrict(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:  # only when the caller has already used up the stack
        raise NotStrict("nested too deeply") from None
    if not isinstance(value, dict):
        raise NotStrict("not a JSON object")
    return value


def decode_header(segment: str) -> Mapping[str, Any]:
    """The JOSE header in the first segment of a token, read-only.

    Raises:
        NotStrict: see :func:`decode_base64url` and :func:`decode_object`.
    """
    # All tokens signed with one key share the same short header, so it is read once.
    return _remembered_header(segment) if len(segment) <= 256 else _header(segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """What a token says, whoever wrote it.  Proof of nothing.

    Attributes:
        header: the JOSE header.
        claims: the claims set.
        signature_bytes: length of the signature; 0 for an unsecured token.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signature_bytes: int


def peek_unverified(token: str | bytes, *, max_token_bytes: int = 16_384) -> Unverified:
    """Read header and claims **without verifying anything**: to look at a token, never to decide by it.

    Raises:
        InvalidToken: the token cannot be read strictly (reason ``"malformed"`` or ``"too-long"``).

    Spec: RFC 7519 §7.2 (1 to 3, 10), without the signature.
    """
    if not isinstance(token, str | bytes):
        raise InvalidToken("malformed", expected="text", actual=type(token).__name__)
    if len(token) > max_token_bytes:
        raise InvalidToken("too-long", expected=f"at most {max_token_bytes} bytes", actual=f"{len(token)}")
    try:
        text = token if isinstance(token, str) else token.decode("ascii")
        segments = text.split(".")
        if len(segments) != 3:
            raise NotStrict(f"{len(segments)} segments instead of 3")
        return Unverified(
            header=decode_header(segments[0]),
            claims=MappingProxyType(decode_object(decode_base64url(segments[1]))),
            signature_bytes=len(decode_base64url(segments[2])),
        )
    except UnicodeDecodeError:
        raise InvalidToken("malformed", expected="ASCII", spec="RFC 7515 §2") from None
    except NotStrict as error:
        raise InvalidToken("malformed", actual=str(error), spec="RFC 7519 §7.2") from None


def _header(segment: str) -> Mapping[str, Any]:
    return MappingProxyType(decode_object(decode_base64url(segment)))


_remembered_header = functools.lru_cache(maxsize=64)(_header)


def _depth(text: str) -> int:
    deepest = depth = 0
    for found in _BRACKET_OR_STRING.finditer(text):
        if found[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in "]}":
            depth -= 1
    return deepest


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(members)
    if len(result) != len(members):
        raise NotStrict("a name twice in one object")
    return result


def _integer(digits: str) -> int | float:
    # Python refuses to read more than 4,300 digits, and takes long over fewer; float() does neither.
    return int(digits) if len(digits) <= 400 else float(digits)


def _no_constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_constant)
