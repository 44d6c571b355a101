"""The command line: ``labkit open | up | demo | doctor | inspect | wheelhouse | pages``.

``labkit`` alone is ``labkit open``.

Every command lives in a module of its own and imports the servers only when it runs: ``--help`` stays quick.
A failure that labkit understands is one or two sentences on standard error and exit status 1.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from labkit.errors import LabkitError

__all__ = ["app", "main"]

app = typer.Typer(
    name="labkit",
    help="A Jupyter lab that teaches OAuth2 token authentication for MQTT by running it.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _port(help: str) -> Any:
    return typer.Option(metavar="N", min=0, max=65535, help=f"{help}; 0 for any.")


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from labkit import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        open_()


@app.command("open")
def open_(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where to put the notebooks.  From a clone they are opened in place."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of JupyterLab; 0 for any.")] = 8888,
) -> None:
    """Open JupyterLab on the first notebook."""
    from labkit.cli.opening import open_lessons

    raise typer.Exit(open_lessons(folder, browser=browser, port=port))


@app.command()
def up(
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for programs.")] = False,
    token_lifetime: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=3600, help="How long access tokens live.")
    ] = 300,
    auth_port: Annotated[int, _port("Port of the authorization server")] = 0,
    mqtt_port: Annotated[int, _port("Port of the broker")] = 0,
    ws_port: Annotated[int, _port("The broker's port for WebSocket")] = 0,
    mqtts_port: Annotated[int, _port("With --tls: the broker's port")] = 0,
    wss_port: Annotated[int, _port("With --tls: its port for WebSocket")] = 0,
    device: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A device to register; repeat for more.")
    ] = None,
    publish: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILTER",
            help="Topics that every device may publish to, besides its own; repeat for more.",
        ),
    ] = None,
    subscribe: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help="The same for subscribing: 'devices/#' for all of all devices."),
    ] = None,
    validation: Annotated[
        Literal["jwt", "introspection", "both"],
        typer.Option(help="How the broker judges a token: by itself, by asking, or both."),
    ] = "jwt",
    token_format: Annotated[
        Literal["jwt", "opaque"],
        typer.Option(help="What access tokens are; opaque ones need --validation introspection."),
    ] = "jwt",  # noqa: S107  # a format, not a token
    tls: Annotated[
        bool, typer.Option("--tls", help="https, mqtts and wss, with certificates for this moment.")
    ] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; beyond this machine only with --tls.")
    ] = "127.0.0.1",
    plaintext_anywhere: Annotated[
        bool,
        typer.Option("--plaintext-anywhere", help="Let plain MQTT leave this machine: tokens go in clear."),
    ] = False,
) -> None:
    """Start the authorization server and the broker, and serve until Ctrl-C."""
    from labkit.cli.serving import serve

    serve(
        as_json=json,
        token_lifetime=token_lifetime,
        auth_port=auth_port,
        mqtt_port=mqtt_port,
        ws_port=ws_port,
        mqtts_port=mqtts_port,
        wss_port=wss_port,
        devices=device or [],
        publish=publish or [],
        subscribe=subscribe or [],
        validation=validation,
        token_format=token_format,
        tls=tls,
        host=host,
        plaintext_anywhere=plaintext_anywhere,
    )


@app.command()
def demo() -> None:
    """Tell the whole story in the terminal, in a few seconds."""
    from labkit.cli.story import tell

    raise typer.Exit(tell())


@app.command()
def doctor() -> None:
    """Check that everything the lessons need is here."""
    from labkit.cli.doctor import examine

    raise typer.Exit(examine())


@app.command()
def inspect(
    token: Annotated[str, typer.Argument(help="The access token, or - to read it from standard input.")],
    keys: Annotated[
        Path | None, typer.Option("--jwks", help="A file with the JWK set, to check the signature.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="The issuer to expect.")] = None,
    audience: Annotated[str | None, typer.Option(help="The audience to expect.")] = None,
    client_id: Annotated[str | None, typer.Option(help="The MQTT client identifier to expect.")] = None,
) -> None:
    """Decode a token and explain it, offline.  Nothing is sent anywhere."""
    from labkit.cli.inspecting import inspect_token

    raise typer.Exit(
        inspect_token(token, keys_file=keys, issuer=issuer, audience=audience, client_id=client_id)
    )


@app.command()
def wheelhouse(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put the wheels.")],
    platform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="For another system: windows, macos, macos-intel, linux, linux-arm or all; repeat for more.",
        ),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(metavar="X.Y", help="For another Python: 3.11, 3.12, 3.13 or all; repeat for more."),
    ] = None,
) -> None:
    """Collect everything that an installation needs, for a room without Wi-Fi."""
    from labkit.cli.collecting import collect, targets

    raise typer.Exit(collect(folder, targets(platform or [], python or [])))


@app.command()
def pages(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put the pages.")]) -> None:
    """Write the lessons with their outputs as HTML, to be read without a network."""
    from labkit.cli.rendering import render

    raise typer.Exit(render(folder))


def main() -> None:
    """Entry point of the ``labkit`` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Windows code page must not turn an arrow into a traceback
            stream.reconfigure(errors="replace")
    try:
        app()
    except LabkitError as error:
        typer.echo(f"labkit: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
