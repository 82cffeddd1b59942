"""The engine that the settings name; each is imported only when chosen."""

from __future__ import annotations

from bimedix2.errors import ConfigError
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.settings import ServeSettings

ENGINES = ("transformers", "openvino", "openai", "echo")


def choose_engine(settings: ServeSettings) -> Engine:
    """An engine that has not been started.

    Raises:
        ConfigError: there is none of that name, or its settings do not fit.
    """
    if settings.engine == "echo":
        from bimedix2.serve.engines.echo import EchoEngine

        return EchoEngine()
    if settings.engine == "openai":
        from bimedix2.serve.engines.upstream import UpstreamEngine

        return UpstreamEngine(settings)
    if settings.engine == "transformers":
        from bimedix2.serve.engines.local import LocalEngine

        return LocalEngine(settings)
    if settings.engine == "openvino":
        from bimedix2.serve.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(settings)
    names = ", ".join(ENGINES)
    raise ConfigError(
        f"There is no engine {settings.engine!r}. Choose one of {names}.",
        f"لا يوجد محرك باسم {settings.engine}. اختر واحدا من {names}.",
        code="unknown_engine",
    )
