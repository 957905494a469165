"""The API process: uvicorn around the composed application."""

from __future__ import annotations

from mangaassist.bootstrap.processes import export_settings
from mangaassist.bootstrap.settings import Settings, load_settings

APPLICATION = "mangaassist.web.main:create_application"
GRACEFUL_SHUTDOWN_S = 5
# longer than the minute after which load balancers and HTTP clients drop an idle connection: whoever closes
# first must not be the server, or a request that is already on its way is lost
KEEP_ALIVE_S = 75


def run_api_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; open answers are finished, for at most a few seconds."""
    import uvicorn

    # uvicorn imports the application by name, in each of its worker processes
    export_settings(settings)
    uvicorn.run(
        APPLICATION,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=4
        * settings.max_body_bytes,  # a frame over the limit gets a problem, not a cut connection
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


if __name__ == "__main__":
    run_api_server(load_settings())
