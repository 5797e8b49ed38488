"""The clouds' key and secret services: AWS by boto3, Google and Azure by their REST interfaces with the credentials of
``google-auth`` and ``azure-identity``. Each SDK is imported when it is first needed; credentials come from its own chain.

https://cloud.google.com/kms/docs/reference/rest, https://cloud.google.com/secret-manager/docs/reference/rest,
https://learn.microsoft.com/rest/api/keyvault
"""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Mapping
from functools import cache
from typing import Any

TIMEOUT = 30
"""Seconds for one request."""
_VAULTS = (
    "vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net",
    "managedhsm.azure.net", "managedhsm.azure.cn", "managedhsm.usgovcloudapi.net",
)  # fmt: skip
"""Whom a token for Key Vault may be shown to (https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates)."""
_AZURE_VERSION = "7.4"
_AGAIN = (429, 500, 502, 503, 504)


class CloudRefused(Exception):
    """A cloud service that cannot be asked, or says no. ``message`` names the service and the reason and quotes no secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def aws_call(service: str, operation: str, resource: str, **arguments: Any) -> Mapping[str, Any]:
    """One call of boto3: ``aws_call("kms", "decrypt", key, …)``. The region is that of ``resource`` when it is an ARN."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
    except ImportError:
        raise _missing("boto3", "aws") from None
    region = resource.split(":")[3] if resource.startswith("arn:") and resource.count(":") >= 5 else None
    try:
        answer: Mapping[str, Any] = getattr(_aws_client(service, region), operation)(**arguments)
    except ClientError as error:
        found = error.response.get("Error", {})
        raise CloudRefused(f"AWS {service} refused {resource}: {found.get('Code')}: {found.get('Message')}") from None
    except NoCredentialsError:
        raise CloudRefused(f"AWS {service}: no credentials were found", "aws configure, AWS_PROFILE, or a role") from None
    except NoRegionError:
        raise CloudRefused(f"AWS {service}: no region is set", "set AWS_REGION, or name the whole ARN") from None
    except BotoCoreError as error:
        raise CloudRefused(f"AWS {service} cannot be reached: {error}") from None
    return answer


def _aws_client(service: str, region: str | None) -> Any:
    try:
        import boto3
    except ImportError:
        raise _missing("boto3", "aws") from None
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=TIMEOUT)
    return boto3.session.Session().client(service, region_name=region, config=config)


def google_call(api: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """One call of a Google API: ``google_call("cloudkms", "POST", "projects/…:encrypt", {…})``. The address may be replaced as
    for gcloud (``CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS``): Private Service Connect, and tests."""
    try:
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
        from requests import RequestException
    except ImportError:
        raise _missing("google-auth and requests", "gcp") from None
    override = os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}", "")
    address = f"{(override or f'https://{api}.googleapis.com').rstrip('/')}/v1/{path}"
    try:
        answer = _google_session(os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")).request(
            method, address, json=body, timeout=TIMEOUT
        )
    except DefaultCredentialsError:
        raise CloudRefused(f"Google {api}: no credentials were found", "gcloud auth application-default login") from None
    except (GoogleAuthError, RequestException) as error:
        raise CloudRefused(f"Google {api} cannot be reached: {type(error).__name__}: {error}") from None
    return _json(f"Google {api} refused {path.partition(':')[0]}", answer.status_code, answer.content)


@cache
def _google_session(_credentials: str) -> Any:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    session = AuthorizedSession(credentials)
    again = Retry(total=4, backoff_factor=0.5, status_forcelist=_AGAIN, allowed_methods=None, raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=again))
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session


def azure_call(method: str, address: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """One call of a Key Vault: ``azure_call("GET", "https://v.vault.azure.net/secrets/x")``. Other hosts than Azure's own are
    asked only where AZURE_AUTHORITY_HOST says that the cloud is a private one: a token goes along."""
    try:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.core.rest import HttpRequest
    except ImportError:
        raise _missing("azure-core and azure-identity", "azure") from None
    host = urllib.parse.urlsplit(address).hostname or ""
    domain = next((d for d in _VAULTS if host.endswith("." + d)), "")
    if not domain and not os.environ.get("AZURE_AUTHORITY_HOST"):
        raise CloudRefused(f"{host} is no Azure Key Vault", f"its address ends with {_VAULTS[0]}")
    vault = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(address))
    request = HttpRequest(method, address, params={"api-version": _AZURE_VERSION}, json=body)
    try:
        answer = _azure_client(vault, f"https://{domain or _VAULTS[0]}/.default").send_request(request)
    except ClientAuthenticationError as error:
        raise CloudRefused(
            f"Azure gave no token for {host}: {_first_line(error)}", "az login, or AZURE_CLIENT_ID and so on"
        ) from None
    except AzureError as error:
        raise CloudRefused(f"Azure Key Vault {host} cannot be reached: {_first_line(error)}") from None
    return _json(f"Azure Key Vault refused {address}", answer.status_code, answer.read())


@cache
def _azure_client(vault: str, scope: str) -> Any:
    try:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise _missing("azure-core and azure-identity", "azure") from None
    # a private cloud's authority is not known to Microsoft's discovery
    credential = DefaultAzureCredential(disable_instance_discovery=bool(os.environ.get("AZURE_AUTHORITY_HOST")))
    return PipelineClient(
        vault, policies=[RetryPolicy(retry_total=4, retry_on_status_codes=_AGAIN), BearerTokenCredentialPolicy(credential, scope)]
    )


def _json(refused: str, status: int, content: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(content or b"{}")
    except ValueError:
        answer = None
    if status < 300 and isinstance(answer, dict):
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    said = (
        f"{error.get('status') or error.get('code') or status}: {error.get('message', '')}"
        if isinstance(error, dict)
        else str(status)
    )
    raise CloudRefused(f"{refused}: {said}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _missing(packages: str, extra: str) -> CloudRefused:
    return CloudRefused(f"this needs {packages}, which is not installed", f"pip install 'mlinfra-iac[{extra}]'")
