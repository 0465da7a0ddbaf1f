"""Settings of object stores in the environment: endpoints, the region, and profiles of AWS."""

from __future__ import annotations

import os
from typing import Any

from lookalike.errors import SourceError

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT",),
}
"""Variables that hold the URL of a store, by scheme."""

ENDPOINT_SETTINGS = {
    "s3": ("endpoint", "aws_endpoint_url_s3"),  # the second one, from the environment, comes first
    "gs": ("base_url",),
    "az": ("endpoint",),
}
"""Settings of obstore for that URL."""


def region() -> dict[str, str]:
    """The region of the environment or of the profile."""
    name = os.getenv("AWS_REGION") or os.getenv("AWS_DEFAULT_REGION")
    if name is None and "credential_provider" in (own := profile()):
        name = own["credential_provider"].config.get("region")
    return {"region": name} if name else {}


def profile() -> dict[str, Any]:
    """The credentials of AWS_PROFILE, where the environment has none.

    Raises:
        SourceError: boto3 is not installed, or there is no such profile.
    """
    name = os.getenv("AWS_PROFILE")
    if not name or os.getenv("AWS_ACCESS_KEY_ID"):
        return {}
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise SourceError(
            f"The profile {name!r} of AWS_PROFILE needs a library: pip install boto3."
        ) from None
    try:
        return {"credential_provider": Boto3CredentialProvider(boto3.Session(profile_name=name))}
    except (BotoCoreError, ValueError) as error:
        raise SourceError(f"The profile {name!r} of AWS_PROFILE cannot be used: {error}") from None
