"""Answer colleagues over HTTP: an OpenAI-compatible server and the page that comes with it. See ``docs/serving.md``."""
