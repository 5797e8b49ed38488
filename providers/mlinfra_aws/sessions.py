"""botocore's sessions and clients as the provider's settings have them, and what their errors mean.

boto3 is not needed: its session would add ways of working with objects and files, which nobody here uses, to the same clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.provider.failures import Denied, Failure, Invalid, Transient
from mlinfra_aws.models import loader

if TYPE_CHECKING:
    from mlinfra_aws.settings import AwsConfig


def session_of(settings: AwsConfig) -> Any:
    """A session with the credentials that work is to be done with: those of botocore's chain, or of the role that they assume."""
    from botocore.exceptions import BotoCoreError

    try:
        session = _session(settings.region, settings.profile)
        if settings.assume_role is None:
            return session
        return _as_role(session, settings.assume_role, settings)
    except BotoCoreError as error:
        raise unreachable(error) from None


def region_of(session: Any) -> str | None:
    found: str | None = session.get_config_variable("region")
    return found


def address_of(service: str, settings: AwsConfig) -> str | None:
    """Where calls to a service go; None: to AWS's own address."""
    given = settings.endpoint_url
    return given.get(service) if isinstance(given, Mapping) else given


def client_of(session: Any, service: str, settings: AwsConfig) -> Any:
    return session.create_client(service, **_options(settings, service))


def request(client: Any, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One call: what the methods of a client do, which ours have not (:class:`~mlinfra_aws.models.Operations`)."""
    answer: dict[str, Any] = client._make_api_call(operation, parameters)
    return answer


def pages(client: Any, operation: str, turning: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers of a list call whose pages are turned as :func:`~mlinfra_aws.models.pagination` says."""
    from botocore.paginate import Paginator

    model = client.meta.service_model.operation_model(operation)
    yield from Paginator(lambda **asked: request(client, operation, asked), turning, model).paginate(**parameters)


def _session(region: str | None, profile: str | None = None) -> Any:
    import botocore.session

    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", loader())
    session.register("getattr", _method)
    if region is not None:
        session.set_config_variable("region", region)
    return session


def _method(client: Any, event_name: str, **_: Any) -> Any:
    """A method of a client that has none, for botocore's own parts: they ask for ``head_bucket`` when a bucket stands in another region,
    and for ``assume_role``."""
    operations = loader().load_service_model(client.meta.service_model.service_name, "service-2")["operations"]
    operation = operations.of_method(event_name.rpartition(".")[2])
    return operation and (lambda **parameters: request(client, operation, parameters))


def _options(settings: AwsConfig, service: str) -> dict[str, Any]:
    from botocore.config import Config

    endpoint = address_of(service, settings)
    retries = {"mode": "standard", "total_max_attempts": 1} if settings.retry_mode == "mlinfra" else {"mode": settings.retry_mode}
    config = Config(
        retries=retries,
        max_pool_connections=settings.max_concurrency,
        connect_timeout=10,
        read_timeout=120,
        user_agent_extra="mlinfra",
        **({"s3": {"addressing_style": "path"}} if endpoint else {}),
    )
    return {"endpoint_url": endpoint, "config": config}


def _as_role(session: Any, role: Any, settings: AwsConfig) -> Any:
    """A session whose credentials are the role's, renewed when they run out."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    extra = {"RoleSessionName": role.session_name, "DurationSeconds": role.duration}
    if role.external_id:
        extra["ExternalId"] = role.external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **kw: session.create_client(
            service, **{**{k: v for k, v in kw.items() if k != "config"}, **_options(settings, service)}
        ),
        source_credentials=session.get_credentials(),
        role_arn=role.role_arn,
        extra_args=extra,
    )
    assumed = _session(region_of(session))
    assumed._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return assumed


def unreachable(error: Exception) -> Failure:
    """botocore's own errors, before or instead of an answer."""
    from botocore import exceptions as known

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError, known.CredentialRetrievalError)):
        return Denied(f"no AWS credentials: {error}", hint="aws configure sso, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret")
    if isinstance(error, (known.TokenRetrievalError, known.SSOError)):
        return Denied(f"the AWS sign-in has run out: {error}", hint="aws sso login")
    if isinstance(error, known.ProfileNotFound):
        return Invalid(str(error), hint="see ~/.aws/config, or leave out the setting profile")
    if isinstance(error, known.NoRegionError):
        return Invalid("no AWS region is set", hint="providers: {aws: {region: eu-central-1}}, or AWS_REGION")
    if isinstance(error, (known.ConnectionError, known.HTTPClientError)):
        return Transient(f"AWS cannot be reached: {error}")
    return Invalid(f"AWS: {error}")
