"""`hyperband operator`: run the operator in the foreground."""

import asyncio
from typing import Annotated

import typer

from hyperband.api.schema.policies import OPERATOR_NAMESPACE
from hyperband.backends.kubernetes.api_errors import KubernetesError
from hyperband.backends.kubernetes.connection import NoConnectionError, connect
from hyperband.backends.kubernetes.lease import Terms
from hyperband.backends.kubernetes.operator import run_operator
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.telemetry.logs import LogFormat, configure
from hyperband.backends.kubernetes.telemetry.server import Address, CannotListenError


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def operator(
    kubeconfig: Annotated[
        str | None, typer.Option(help="File to use instead of KUBECONFIG or ~/.kube/config.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Watch this one only; repeat it for others."),
    ] = None,
    lease_namespace: Annotated[
        str, typer.Option(help="Where operators for all namespaces have their Lease.")
    ] = OPERATOR_NAMESPACE,
    lease_seconds: Annotated[
        int,
        typer.Option(min=3, help="So long after a sudden end another operator may take over."),
    ] = Terms.duration,
    listen: Annotated[
        Address | None,
        typer.Option(
            metavar="[HOST]:PORT",
            parser=_address,
            help="Serve /healthz, /readyz and /metrics there.",
        ),
    ] = None,
    sidecar_image: Annotated[
        str, typer.Option(help="Reports for trainings that write a file (mode Sidecar).")
    ] = SIDECAR_IMAGE,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines for people, or JSON for a collector of logs.")
    ] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each request too.")] = False,
) -> None:
    """Run the operator until it is interrupted; started again, it goes on where studies were."""
    configure(log_format, verbose=verbose)
    try:
        connection = connect(kubeconfig, context)
        terms = Terms(lease_seconds)
        asyncio.run(
            run_operator(
                connection,
                namespaces=namespace or [],
                terms=terms,
                lease_namespace=lease_namespace,
                listen=listen,
                sidecar_image=sidecar_image,
            )
        )
    except (NoConnectionError, CannotListenError, LookupError, KubernetesError) as error:
        typer.echo(f"hyperband operator: {error}", err=True)
        raise typer.Exit(1) from error
