"""Errors of object stores in one sentence: what is wrong, and what to do."""

from __future__ import annotations

import re

_REFUSED = {
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_CLOCK = "RequestTimeTooSkewed"
_ELSEWHERE = {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"}
_NO_BUCKET = {"ContainerNotFound", "NoSuchBucket"}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_METADATA_SERVICES = ("169.254.169.254", "metadata.google.internal", "metadata/computeMetadata")


READING = "list the bucket and read it"
WRITING = "write and delete objects there"
"""The permissions that reading and writing need, in words."""


def explain(
    error: Exception, scheme: str, endpoint: str | None, *, anonymous: bool, need: str = READING
) -> str:
    """Explains an error of obstore, without the request, which has a signature.

    Args:
        error: the error, whose text has the answer of the store and Rust's account of it.
        scheme: `s3`, `gs` or `az`.
        endpoint: URL of the store, if it is not the cloud's own.
        anonymous: whether no credentials were sent.
        need: the permission that was needed, in words.
    """
    text = str(error).partition("\n\nDebug source")[0]
    details = str(error)
    code = _code(text)
    at = f" at {endpoint}" if endpoint else ""
    credentials = _CREDENTIALS[scheme]
    if any(service in details for service in _METADATA_SERVICES) or "account must be" in details:
        return f"no credentials were found: {credentials}; for a public bucket use --anonymous."
    if code == _CLOCK:
        return f"the clock of this machine is not that of the store{at} ({code}): set the clock."
    if code in _REFUSED:
        return f"the credentials are refused ({code}): check or renew them."
    if code in _ELSEWHERE or "redirect" in text:
        region = re.search(r"<Region>([\w-]+)</Region>", details)
        named = f" to {region[1]}" if region else ""
        return f"the bucket is in another region: set AWS_REGION{named}."
    if code in _NO_BUCKET or " 404 " in text:
        return f"there is no such bucket{at}: check its name, and the endpoint."
    if is_refusal(error):
        if anonymous:
            return f"the bucket is not public: leave out --anonymous, and {credentials}."
        what = f" ({code})" if code else ""
        return f"access is denied{what}: allow these credentials to {need}."
    if _is_unanswered(text, details):
        return f"the store{at} does not answer: check the network, and the endpoint."
    return f"the store{at} failed ({_answer(text) or text:.300}): try again later."


def is_refusal(error: Exception) -> bool:
    """True if a store answered that these credentials are not permitted something."""
    text = str(error).partition("\n\nDebug source")[0]
    return " 403 " in text or " 401 " in text or _code(text) == "AccessDenied"


def is_away(error: Exception) -> bool:
    """True if a store does not answer, or refuses the credentials or the clock: so it will do with
    any other object."""
    text = str(error).partition("\n\nDebug source")[0]
    return _is_unanswered(text, str(error)) or _code(text) in {*_REFUSED, _CLOCK}


def is_cut_off(error: Exception) -> bool:
    """True if an answer of a store broke off."""
    text = str(error)
    return "response body" in text or "Got invalid list response" in text


def _is_unanswered(text: str, details: str) -> bool:
    return "sending request" in text or "timed out" in details


def _code(text: str) -> str:
    code = re.search(r"""<Code>(\w+)</Code>|"reason":\s*"(\w+)"|\(code: (\w+)\)""", text)
    return code[code.lastindex or 0] if code else ""


def _answer(text: str) -> str:
    """The status that the store answered with, such as `503 Service Unavailable: SlowDown`."""
    status = re.search(r"status code: (\d{3} [\w -]+)", text)
    return "" if status is None else ": ".join(filter(None, [status[1], _code(text)]))
